//! Health Connect: what an Android phone uploads. Facts and traps: `README.md`.

mod records;
mod sessions;
#[cfg(test)]
mod tests;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};

use crate::phone;
use crate::profile::{Profile, Stream};
use crate::source::{Fault, Fetch, Page, Response, Source};

pub struct HealthConnect;

static STREAMS: &[Stream] = &[phone::stream(
    "records",
    "records of every type",
    &[
        &HEART_RATE,
        &RESTING_HEART_RATE,
        &HRV_RMSSD,
        &SPO2,
        &RESPIRATORY_RATE,
        &BODY_TEMPERATURE,
        &TEMPERATURE_DEVIATION,
        &WEIGHT,
        &HEIGHT,
        &BODY_FAT,
        &LEAN_MASS,
        &BONE_MASS,
        &BODY_WATER,
        &BLOOD_PRESSURE,
        &GLUCOSE_BLOOD_MOLAR,
        &GLUCOSE_INTERSTITIAL_MOLAR,
        &STEPS_INTERVAL,
        &DISTANCE,
        &ENERGY,
        &ENERGY_ACTIVE,
        &BASAL_METABOLIC_RATE,
        &FLOORS,
        &ELEVATION_GAIN,
        &HYDRATION,
        &VO2_MAX,
        &SLEEP,
        &SLEEP_STAGE,
        &EXERCISE,
        &SPEED,
        &POWER,
    ],
)];

static PROFILE: Profile = phone::brought("health_connect", "Health Connect", STREAMS);

impl Source for HealthConnect {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn read(&self, _fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        Err(phone::nobody_answers(got))
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        match raw.stream {
            "records" => phone::batch(raw.body, out, records::record, |kind| records::measures(kind).into()),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Health Connect")),
        }
    }
}

//! Samsung Health: what a phone uploads. Facts and traps: `README.md`.

mod records;
#[cfg(test)]
mod tests;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};

use crate::phone;
use crate::profile::{Profile, Stream};
use crate::source::{Fault, Fetch, Page, Response, Source};

pub struct SamsungHealth;

static STREAMS: &[Stream] = &[phone::stream(
    "records",
    "data points of every type",
    &[
        &HEART_RATE,
        &SPO2,
        &BODY_TEMPERATURE,
        &SKIN_TEMPERATURE,
        &WEIGHT,
        &HEIGHT,
        &BODY_FAT,
        &MUSCLE_MASS,
        &FAT_MASS,
        &BODY_WATER,
        &BASAL_METABOLIC_RATE,
        &BLOOD_PRESSURE,
        &GLUCOSE_BLOOD_MOLAR,
        &STEPS_INTERVAL,
        &FLOORS,
        &HYDRATION,
        &SLEEP,
        &SLEEP_STAGE,
        &EXERCISE,
    ],
)];

static PROFILE: Profile = phone::brought("samsung_health", "Samsung Health", STREAMS);

impl Source for SamsungHealth {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn read(&self, _fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        Err(phone::nobody_answers(got))
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        match raw.stream {
            "records" => phone::batch(raw.body, out, records::record, |kind| records::measures(kind).into()),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Samsung Health")),
        }
    }
}

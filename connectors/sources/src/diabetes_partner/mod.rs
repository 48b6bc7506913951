//! Makers of glucose monitors, pumps and pens that speak to us themselves. The shape is documented in `README.md`: no connector is needed.

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

pub struct DiabetesPartner;

static STREAMS: &[Stream] = &[phone::stream(
    "data",
    "glucose, insulin, carbohydrates and activity",
    &[
        &GLUCOSE_INTERSTITIAL_MASS,
        &GLUCOSE_INTERSTITIAL_MOLAR,
        &GLUCOSE_CAPILLARY_MASS,
        &GLUCOSE_BLOOD_MOLAR,
        &CARBOHYDRATES,
        &EXERCISE,
    ],
)];

static PROFILE: Profile = phone::brought("diabetes_partner", "Diabetes device partner", STREAMS);

impl Source for DiabetesPartner {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn read(&self, _fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        Err(phone::nobody_answers(got))
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        match raw.stream {
            "data" => phone::batch(raw.body, out, records::record, records::became),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected the stream of diabetes device partners")),
        }
    }
}

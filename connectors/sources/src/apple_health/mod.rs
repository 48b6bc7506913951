//! Apple Health: what a phone uploads, and what the export of a person's own phone holds. Facts and traps: `README.md`.

mod export;
mod samples;
#[cfg(test)]
mod tests;
mod types;
mod workouts;

use headwater_schemas::codes::*;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};

use crate::files::Files;
use crate::phone;
use crate::profile::{Profile, Stream};
use crate::source::{Fault, Fetch, Page, Response, Source};

pub struct AppleHealth;

static STREAMS: &[Stream] = &[
    phone::stream("records", "samples: quantities, categories and correlations", types::BECOMES),
    phone::stream("workouts", "workouts", &[&EXERCISE]),
];

static PROFILE: Profile = phone::brought("apple_health", "Apple Health", STREAMS);

impl Source for AppleHealth {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn read(&self, _fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        Err(phone::nobody_answers(got))
    }

    fn files(&self) -> Option<&'static Files> {
        Some(&export::FILES)
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        match raw.stream {
            "records" => phone::batch(raw.body, out, samples::sample, types::became),
            "workouts" => phone::batch(raw.body, out, workouts::workout, |_| vec![&EXERCISE].into()),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of Apple Health")),
        }
    }
}

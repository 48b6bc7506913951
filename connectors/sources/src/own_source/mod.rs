//! Sources nobody has heard of: whoever can send JSON in the words of our own dictionary. The shape is documented in `README.md`.

mod rows;
#[cfg(test)]
mod tests;

use headwater_schemas::codes;
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};

use crate::phone;
use crate::profile::{Profile, Stream};
use crate::source::{Fault, Fetch, Page, Response, Source};

pub struct OwnSource;

static STREAMS: &[Stream] = &[
    phone::stream("events", "what lasted: intervals with a value, components, or a word", codes::ALL),
    phone::stream("datastreams", "what was sampled: series of moments with a value", codes::ALL),
];

static PROFILE: Profile = phone::brought("own_source", "Your own source", STREAMS);

impl Source for OwnSource {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    fn read(&self, _fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        Err(phone::nobody_answers(got))
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        let became = |kind: &str| codes::by_slug(kind).into_iter().collect::<Vec<_>>().into();
        match raw.stream {
            "events" => phone::batch(raw.body, out, rows::event, became),
            "datastreams" => phone::batch(raw.body, out, rows::datastream, became),
            _ => Err(Reject::new(code::UNKNOWN_STREAM, "expected events or datastreams")),
        }
    }
}

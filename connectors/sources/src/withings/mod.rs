//! Placeholder while the folder is written.

use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};

use crate::profile::{Limits, Profile, Status};
use crate::source::{Fault, Fetch, Page, Response, Source};

pub struct Withings;

static PROFILE: Profile = Profile {
    id: "withings",
    name: "Withings",
    status: Status::Live,
    api: "",
    oauth: None,
    webhook: None,
    streams: &[],
    limits: Limits { app_per_minute: None, user_per_minute: None, user_per_hour: None },
    poll_minutes: (45, 75),
    history_days: 30,
};

impl Source for Withings {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }
    fn read(&self, _: &Fetch, _: &Response<'_>) -> Result<Page, Fault> {
        Err(Fault::Gone)
    }
    fn normalize<'a>(&self, _: &Raw<'a>, _: &mut Normalized<'a>) -> Result<(), Reject> {
        Err(Reject::new(code::UNKNOWN_STREAM, "not yet"))
    }
}

//! Google Fit's REST API and the files of its Takeout: being ended, closed to new applications. What is stored is still understood; its cloud is never
//! asked. Facts and traps: `README.md`.

mod export;
mod points;
mod sessions;
#[cfg(test)]
mod tests;
mod types;

use headwater_schemas::raw::Raw;
use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use serde_json::value::RawValue;

use crate::fields::Fields;
use crate::files::Files;
use crate::profile::{Limits, Profile, Status};
use crate::source::{Fault, Fetch, Page, Response, Source};
use crate::{json, phone};

pub struct GoogleFit;

static PROFILE: Profile = Profile {
    id: "google_fit",
    name: "Google Fit",
    // The day on which new applications were no longer taken.
    status: Status::Legacy { since: "2024-05-01", successor: "google_health" },
    api: "https://www.googleapis.com",
    oauth: None,
    webhook: None,
    upload: Some(phone::UPLOAD),
    streams: types::STREAMS,
    limits: Limits { app_per_minute: None, user_per_minute: None, user_per_hour: None },
    poll_minutes: (45, 75),
    history_days: 0,
};

impl Source for GoogleFit {
    fn profile(&self) -> &'static Profile {
        &PROFILE
    }

    /// Nothing is asked; answers are those of stored exchanges.
    fn read(&self, _fetch: &Fetch, got: &Response<'_>) -> Result<Page, Fault> {
        crate::rest::status(got, None)?;
        Ok(crate::rest::whole(got, got.body.is_empty()))
    }

    fn files(&self) -> Option<&'static Files> {
        Some(&export::FILES)
    }

    fn normalize<'a>(&self, raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        let mut body: Fields<'a> = json::parse(raw.body)?;
        if body.take("error").is_some() {
            return Err(Reject::new(code::ERROR_ENVELOPE, "expected data, found an error of the provider").at("error"));
        }
        if raw.stream == "sessions" {
            return sessions::normalize(body, out);
        }
        let kind = types::find(raw.stream)
            .ok_or_else(|| Reject::new(code::UNKNOWN_STREAM, "expected a data type of Google Fit or sessions"))?;
        // A data set, an aggregate of data sets, or a file of the Takeout.
        let source = body.text("dataSourceId")?.or(body.text("Data Source")?);
        if let Some(rows) = body.read::<Vec<&'a RawValue>>("bucket")? {
            json::each::<Fields<'a>>(&rows, "bucket", out, |mut bucket, out| {
                let sets: Vec<&'a RawValue> = bucket.need("dataset")?;
                json::each::<Fields<'a>>(&sets, "dataset", out, |mut set, out| {
                    let source = set.text("dataSourceId")?;
                    let points: Vec<&'a RawValue> = set.read("point")?.unwrap_or_default();
                    json::each(&points, "point", out, |row, out| points::point(row, kind, source.as_deref(), out));
                    Ok(())
                });
                Ok(())
            });
            return Ok(());
        }
        let (name, rows) = match body.read::<Vec<&'a RawValue>>("point")? {
            Some(rows) => ("point", Some(rows)),
            None => ("Data Points", body.read("Data Points")?),
        };
        let rows = rows.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected point, bucket or Data Points"))?;
        json::each(&rows, name, out, |row, out| points::point(row, kind, source.as_deref(), out));
        body.tell("data set", &["minStartTimeNs", "maxEndTimeNs", "nextPageToken"], out);
        Ok(())
    }
}

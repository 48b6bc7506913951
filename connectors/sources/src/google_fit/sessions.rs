//! Sessions, living and deleted.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Status;
use headwater_schemas::reading::{Absent, Component, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::Reject;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::types;
use crate::fields::{Fields, Scale};
use crate::json;
use crate::json::Number;
use crate::time;

const SLEEP_SESSION: i64 = 72;

pub(super) fn normalize<'a>(mut body: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let living: Vec<&'a RawValue> = body.read("session")?.unwrap_or_default();
    let deleted: Vec<&'a RawValue> = body.read("deletedSession")?.unwrap_or_default();
    body.tell("sessions", &["nextPageToken", "hasMoreData"], out);
    json::each(&living, "session", out, |row, out| session(row, false, out));
    json::each(&deleted, "deletedSession", out, |row, out| session(row, true, out));
    Ok(())
}

fn millis(row: &mut Fields<'_>, name: &'static str) -> Result<Stamp, Reject> {
    let number: Number<'_> = row.need(name)?;
    let millis = number.integer().map_err(|r| r.at(name))?;
    time::with_offset(millis.saturating_mul(1000), None).map_err(|r| r.at(name))
}

fn session<'a>(mut row: Fields<'a>, gone: bool, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("id")?;
    let (start, end) = (millis(&mut row, "startTimeMillis")?, millis(&mut row, "endTimeMillis")?);
    let during = time::between(start, end).map_err(|r| r.at("endTimeMillis"))?;
    let kind = row.read::<i64>("activityType")?.unwrap_or(4);
    row.tell("session", &["name", "description", "application", "modifiedTimeMillis", "activeTimeMillis"], out);
    let minutes = Value::Quantity(Scale::Seconds.apply(Decimal::from((end.micros - start.micros) / 1_000_000)));
    let reading = |measure, value| Reading {
        status: if gone { Status::EnteredInError } else { Status::Final },
        ..Reading::new(measure, id.clone(), during, value)
    };
    let absent = || Value::Absent(Absent::Unknown);
    if kind == SLEEP_SESSION {
        // A session of sleep is time in bed: how much of it was slept, its segments know.
        let components = if gone { vec![] } else { vec![Component { measure: &TIME_IN_BED, value: minutes }] };
        out.push(Reading { components, ..reading(&SLEEP, absent()) });
        return Ok(());
    }
    let Some(name) = types::activity(kind) else {
        out.unknown(format!("session activity {kind}"));
        return Ok(());
    };
    if gone {
        out.push(reading(&EXERCISE, absent()));
    } else {
        let components = vec![Component { measure: &EXERCISE_DURATION, value: minutes }];
        out.push(Reading { components, ..reading(&EXERCISE, Value::Text(Cow::Borrowed(name))) });
    }
    Ok(())
}

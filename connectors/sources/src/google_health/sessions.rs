//! Sessions: sleep with its stages, and exercise.

use std::borrow::Cow;

use headwater_schemas::codes::{self as c, Concept, Measure};
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use super::points::{At, count, duration_minutes, interval, shifted};
use super::row::Row;
use super::when;
use crate::fields::{Fields, label};
use crate::{json, time};

/// A sleep: the time asleep with what else the summary tells, and one reading for each stage.
///
/// # Errors
/// Where the session itself cannot be understood; a stage that cannot is a problem of its own.
pub fn sleep<'a>(data: &mut Fields<'a>, row: &Row<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let (start, end) = interval(data, zone)?;
    let (status, kind) = metadata(data, row, out)?;
    match data.word("type")?.as_deref() {
        Some("CLASSIC" | "STAGES") | None => {}
        Some(other) => out.unknown(format!("sleep type {}", label(other))),
    }
    let modified = updated(data)?;
    let id = row.id(start, Some(end));
    // A night belongs to the day it ends on.
    let at = At { effective: Effective::During(start, end), id: id.clone(), date: when::local_date(end) };
    let (asleep, mut components) = match data.read::<Fields>("summary")? {
        Some(summary) => summarized(summary, out).map_err(|r| r.under("summary"))?,
        None => (Value::Absent(Absent::Unknown), Vec::new()),
    };
    components.extend(kind.map(|kind| Component { measure: &c::SLEEP_KIND, value: Value::Code(kind) }));
    let session = Reading { status, modified, components, ..row.reading(&c::SLEEP, &id, &at, asleep) };
    let template = Reading { components: Vec::new(), local_date: None, ..session.clone() };
    out.push(session);
    let rows = data.read::<Vec<&RawValue>>("stages")?.unwrap_or_default();
    json::each(&rows, "sleep.stages", out, |fields, out| stage(fields, &template, (start, end), zone, out));
    Ok(())
}

/// Whether Google is done with the session, and what kind it is.
fn metadata<'a>(
    data: &mut Fields<'a>,
    row: &Row<'a>,
    out: &mut Normalized<'a>,
) -> Result<(Status, Option<&'static Concept>), Reject> {
    let Some(mut metadata) = data.read::<Fields>("metadata")? else { return Ok((Status::Final, None)) };
    let processed = metadata.read::<bool>("processed")?;
    let stages = metadata.word("stagesStatus")?;
    let settled = match stages.as_deref() {
        Some("SUCCEEDED" | "TIMEOUT" | "PROCESSING_INTERNAL_ERROR") => Some(true),
        Some(status) if status.starts_with("REJECTED_") => Some(true),
        Some(other) => {
            out.unknown(format!("stagesStatus {}", label(other)));
            Some(false)
        }
        None => None,
    };
    // `false` may be left out of the wire, so for a night of Google's own devices silence says "not yet"; other apps' are never processed.
    let done = processed.or(settled).unwrap_or(!row.platform.is_empty() || row.method == Method::Manual);
    let nap = metadata.read::<bool>("nap")?.unwrap_or_default();
    let main = metadata.read::<bool>("mainSleep")?.unwrap_or_default();
    metadata.tell("sleep metadata", &["manuallyEdited", "externalId"], out);
    let kind: Option<&Concept> = if nap { Some(&c::KIND_NAP) } else { main.then_some(&c::KIND_MAIN) };
    Ok((if done { Status::Final } else { Status::Preliminary }, kind))
}

/// The time asleep, and the rest as components. A merged answer may tell a stage twice: the first counts, nothing is added up.
fn summarized<'a>(mut summary: Fields<'a>, out: &mut Normalized<'a>) -> Result<(Value<'a>, Vec<Component<'a>>), Reject> {
    let mut minutes = |name: &str| summary.decimal(name)?.map(|value| count(value, name)).transpose();
    let asleep = minutes("minutesAsleep")?.unwrap_or(Value::Absent(Absent::Unknown));
    let mut components: Vec<Component> = Vec::new();
    let wholes: [(&str, &Measure); 3] =
        [("minutesInSleepPeriod", &c::TIME_IN_BED), ("minutesToFallAsleep", &c::SLEEP_LATENCY), ("minutesAwake", &c::AWAKE)];
    for (name, measure) in wholes {
        components.extend(minutes(name)?.map(|value| Component { measure, value }));
    }
    for row in summary.read::<Vec<&RawValue>>("stagesSummary")?.unwrap_or_default() {
        let mut row: Fields = json::parse(row.get().as_bytes()).map_err(|r| r.under("stagesSummary"))?;
        let measure = match row.word("type").map_err(|r| r.under("stagesSummary"))?.as_deref() {
            Some("DEEP") => &c::SLEEP_DEEP,
            Some("LIGHT") => &c::SLEEP_LIGHT,
            Some("REM") => &c::SLEEP_REM,
            Some("RESTLESS") => &c::SLEEP_RESTLESS,
            Some("AWAKE") => &c::AWAKE,
            // The value of the whole.
            Some("ASLEEP") => continue,
            other => {
                out.unknown(format!("sleep stage {}", other.map_or("(absent)", label)));
                continue;
            }
        };
        if components.iter().all(|component| component.measure != measure) {
            let minutes = row.decimal("minutes").map_err(|r| r.under("stagesSummary"))?.unwrap_or_default();
            components.push(Component { measure, value: count(minutes, "stagesSummary")? });
        }
    }
    summary.tell("sleep summary", &["minutesAfterWakeUp"], out);
    Ok((asleep, components))
}

/// A stage. Its start tells it from the others of its session: a count would move when the night is computed again.
fn stage<'a>(
    mut fields: Fields<'a>,
    session: &Reading<'a>,
    (first, last): (Stamp, Stamp),
    zone: Option<&TimeZone>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let (start, end) = when::interval(&mut fields, zone)?;
    // Google leaves the offsets of stages out at times: the session's end that is nearer knows better than the profile.
    let near = |stamp: Stamp| {
        let session = if stamp.micros - first.micros < last.micros - stamp.micros { first } else { last };
        let better = stamp.origin != OffsetOrigin::Source && session.origin == OffsetOrigin::Source;
        if better { Stamp { micros: stamp.micros, ..session } } else { stamp }
    };
    let word = fields.word("type")?;
    let concept = match word.as_deref() {
        Some("AWAKE") => &c::STAGE_AWAKE,
        Some("LIGHT") => &c::STAGE_LIGHT,
        Some("DEEP") => &c::STAGE_DEEP,
        Some("REM") => &c::STAGE_REM,
        Some("ASLEEP") => &c::STAGE_ASLEEP,
        Some("RESTLESS") => &c::STAGE_RESTLESS,
        None => &c::STAGE_UNKNOWN,
        Some(other) => {
            out.unknown(format!("sleep stage {}", label(other)));
            &c::STAGE_UNKNOWN
        }
    };
    out.push(Reading {
        measure: &c::SLEEP_STAGE,
        record_id: Cow::Owned(format!("{}#{}", session.record_id, when::instant(start))),
        effective: Effective::During(near(start), near(end)),
        value: Value::Code(concept),
        ..session.clone()
    });
    fields.tell("sleep stage", &["createTime", "updateTime"], out);
    Ok(())
}

/// An exercise: Google's word for its kind, and the metrics of the whole as components.
///
/// # Errors
/// Where the session cannot be understood.
pub fn exercise<'a>(
    data: &mut Fields<'a>,
    row: &Row<'a>,
    zone: Option<&TimeZone>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let (start, end) = interval(data, zone)?;
    let kind = data.word("exerciseType")?.map_or(Value::Panel, Value::Text);
    let modified = updated(data)?;
    let mut components = Vec::new();
    if let Some(active) = data.text("activeDuration")? {
        let minutes = duration_minutes(&active).map_err(|r| r.at("activeDuration"))?;
        components.push(Component { measure: &c::EXERCISE_DURATION, value: Value::Quantity(minutes) });
    }
    if let Some(metrics) = data.read::<Fields>("metricsSummary")? {
        summary(metrics, &mut components, out).map_err(|r| r.under("metricsSummary"))?;
    }
    let id = row.id(start, Some(end));
    let at = At { effective: Effective::During(start, end), id: id.clone(), date: None };
    out.push(Reading { modified, components, ..row.reading(&c::EXERCISE, &id, &at, kind) });
    Ok(())
}

fn summary<'a>(mut metrics: Fields<'a>, components: &mut Vec<Component<'a>>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let numbers: [(&str, &Measure, u32); 7] = [
        ("caloriesKcal", &c::ENERGY, 0),
        ("distanceMillimeters", &c::DISTANCE, 3),
        ("steps", &c::STEPS_INTERVAL, 0),
        ("averageHeartRateBeatsPerMinute", &c::WORKOUT_HEART_RATE_AVERAGE, 0),
        ("elevationGainMillimeters", &c::ELEVATION_GAIN, 3),
        ("activeZoneMinutes", &c::ACTIVE_ZONE_MINUTES, 0),
        ("runVo2Max", &c::VO2_MAX, 0),
    ];
    for (name, measure, shift) in numbers {
        let Some(number) = metrics.decimal(name)? else { continue };
        // No heart stands still: for these, zero means that there was no sensor.
        let nothing = number.is_zero() && (measure == &c::WORKOUT_HEART_RATE_AVERAGE || measure == &c::VO2_MAX);
        let value = if nothing { Value::Absent(Absent::Unknown) } else { count(shifted(number, shift)?, name)? };
        components.push(Component { measure, value });
    }
    if let Some(mut zones) = metrics.read::<Fields>("heartRateZoneDurations")? {
        let names: [(&str, &Measure); 4] = [
            ("lightTime", &c::HEART_RATE_ZONE_LIGHT),
            ("moderateTime", &c::HEART_RATE_ZONE_MODERATE),
            ("vigorousTime", &c::HEART_RATE_ZONE_INTENSE),
            ("peakTime", &c::HEART_RATE_ZONE_PEAK),
        ];
        for (name, measure) in names {
            let Some(text) = zones.text(name)? else { continue };
            let minutes = duration_minutes(&text).map_err(|r| r.at(name).under("heartRateZoneDurations"))?;
            components.push(Component { measure, value: Value::Quantity(minutes) });
        }
        zones.tell("heartRateZoneDurations", &[], out);
    }
    let left = ["averageSpeedMillimetersPerSecond", "averagePaceSecondsPerMeter", "totalSwimLengths", "mobilityMetrics"];
    metrics.tell("metricsSummary", &left, out);
    Ok(())
}

/// Google's own time of the last change.
fn updated(data: &mut Fields<'_>) -> Result<Option<i64>, Reject> {
    let text = data.text("updateTime")?;
    let stamp = text.map(|text| time::rfc3339(&text)).transpose();
    stamp.map(|stamp| stamp.map(|stamp| stamp.micros)).map_err(|r| Reject { code: code::BAD_TIME, ..r.at("updateTime") })
}

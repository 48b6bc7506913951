//! Nights with their stages and series, and the heart rate of the day.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;

use crate::fields::{Fields, Part, Scale, label};
use crate::json::Number;
use crate::{series, time};

static PARTS: &[Part] = &[
    ("deep_sleep_duration", &SLEEP_DEEP, Scale::Seconds),
    ("light_sleep_duration", &SLEEP_LIGHT, Scale::Seconds),
    ("rem_sleep_duration", &SLEEP_REM, Scale::Seconds),
    ("awake_time", &AWAKE, Scale::Seconds),
    ("latency", &SLEEP_LATENCY, Scale::Seconds),
    ("time_in_bed", &TIME_IN_BED, Scale::Seconds),
    ("efficiency", &SLEEP_EFFICIENCY, Scale::As),
];

static FIGURES: &[(&str, &Measure)] = &[
    ("average_heart_rate", &HEART_RATE_SLEEP_AVERAGE),
    ("lowest_heart_rate", &HEART_RATE_MIN),
    ("average_breath", &RESPIRATORY_RATE),
];

/// Known, and without a place of their own: the heart rate has its own stream, the scores theirs.
const LEFT: &[&str] = &[
    "heart_rate",
    "average_hrv",
    "movement_30_sec",
    "period",
    "readiness",
    "readiness_score_delta",
    "sleep_score_delta",
    "restless_periods",
    "low_battery_alert",
    "sleep_algorithm_version",
    "sleep_analysis_reason",
    "sleep_phase_30_sec",
    "app_sleep_phase_5_min",
    "ring_id",
];

const FIVE_MINUTES: i64 = 300_000_000;

struct Night<'a> {
    id: Cow<'a, str>,
    day: Option<Cow<'a, str>>,
    start: Stamp,
    during: Effective,
}

impl<'a> Night<'a> {
    fn reading(&self, measure: &'static Measure, value: Value<'a>) -> Reading<'a> {
        Reading {
            local_date: self.day.clone(),
            method: Method::Device,
            ..Reading::new(measure, self.id.clone(), self.during, value)
        }
    }
}

pub(super) fn night<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let start = time::rfc3339(&row.need::<Cow<'a, str>>("bedtime_start")?).map_err(|r| r.at("bedtime_start"))?;
    let end = time::rfc3339(&row.need::<Cow<'a, str>>("bedtime_end")?).map_err(|r| r.at("bedtime_end"))?;
    let during = time::between(start, end).map_err(|r| r.at("bedtime_end"))?;
    let night = Night { id: row.need("id")?, day: row.text("day")?, start, during };
    if let Some(day) = &night.day {
        time::date(day).map_err(|r| r.at("day"))?;
    }
    let kind = match row.text("type")?.as_deref() {
        Some("long_sleep" | "sleep") => &KIND_MAIN,
        Some("late_nap") => &KIND_NAP,
        Some("deleted") => {
            // Withdrawn by the person, and still listed.
            let gone = night.reading(&SLEEP, Value::Absent(Absent::Unknown));
            out.push(Reading { status: Status::EnteredInError, ..gone });
            return Ok(());
        }
        other => {
            // A time of rest that was not found to be sleep is no sleep duration.
            out.unknown(format!("sleep type {}", label(other.unwrap_or("absent"))));
            return Ok(());
        }
    };
    let mut components = row.components(PARTS)?;
    components.push(Component { measure: &SLEEP_KIND, value: Value::Code(kind) });
    let asleep = row.scaled("total_sleep_duration", Scale::Seconds)?;
    let asleep = asleep.map_or(Value::Absent(Absent::Unknown), Value::Quantity);
    out.push(Reading { components, ..night.reading(&SLEEP, asleep) });
    for (name, measure) in FIGURES {
        if let Some(value) = row.decimal(name)?.filter(|v| !v.is_zero()) {
            out.push(night.reading(measure, Value::Quantity(value)));
        }
    }
    if let Some(values) = row.read::<Fields<'a>>("hrv")? {
        variability(&night, values, out).map_err(|r| r.under("hrv"))?;
    }
    if let Some(phases) = row.text("sleep_phase_5_min")? {
        stages(&night, &phases, out);
    }
    row.tell("sleep", LEFT, out);
    Ok(())
}

/// RMSSD at even distances, with gaps.
fn variability<'a>(night: &Night<'a>, mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let interval: Decimal = row
        .decimal("interval")?
        .filter(|i| i.is_sign_positive() && !i.is_zero())
        .ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected seconds between the items").at("interval"))?;
    let first = time::rfc3339(&row.need::<Cow<'a, str>>("timestamp")?).map_err(|r| r.at("timestamp"))?;
    let items: Vec<Option<Number<'a>>> = row.need("items")?;
    let period_ms = interval.checked_mul(Decimal::ONE_THOUSAND).unwrap_or(interval).normalize();
    let items = items.iter().map(|item| item.as_ref().map(Number::decimal).transpose());
    for piece in series::pieces(&night.id, first, period_ms, items)? {
        let effective = time::between(piece.start, piece.last)?;
        let reading = night.reading(&HRV_RMSSD, Value::Samples(piece.samples));
        out.push(Reading { effective, record_id: piece.record_id, ..reading });
    }
    Ok(())
}

/// One digit for each five minutes from bedtime on; runs of the same are one stage.
fn stages<'a>(night: &Night<'a>, phases: &str, out: &mut Normalized<'a>) {
    let mut at = night.start.micros;
    let digits: Vec<u8> = phases.bytes().collect();
    for (index, run) in digits.chunk_by(|a, b| a == b).enumerate() {
        let length = i64::try_from(run.len()).unwrap_or(0).saturating_mul(FIVE_MINUTES);
        let (from, to) = (at, at.saturating_add(length));
        at = to;
        let stage = match run[0] {
            b'1' => &STAGE_DEEP,
            b'2' => &STAGE_LIGHT,
            b'3' => &STAGE_REM,
            b'4' => &STAGE_AWAKE,
            _ => {
                out.unknown("sleep phase");
                continue;
            }
        };
        let during = Effective::During(Stamp { micros: from, ..night.start }, Stamp { micros: to, ..night.start });
        out.push(Reading {
            method: Method::Device,
            ..Reading::new(&SLEEP_STAGE, format!("{}:{index}", night.id), during, Value::Code(stage))
        });
    }
}

pub(super) fn heart_rate<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let text: Cow<'a, str> = row.need("timestamp")?;
    let at = time::rfc3339(&text).map_err(|r| r.at("timestamp"))?;
    let bpm = row.decimal("bpm")?.filter(|bpm| bpm.is_sign_positive() && !bpm.is_zero());
    let source = row.text("source")?.unwrap_or_default();
    row.tell("heartrate", &["timestamp_unix"], out);
    let Some(bpm) = bpm else {
        out.unknown("heart rate of nought");
        return Ok(());
    };
    // Two ways of measuring may overlap in one second.
    let id = format!("{}|{}", second(at), label(&source));
    out.push(Reading { method: Method::Device, ..Reading::new(&HEART_RATE, id, Effective::At(at), Value::Quantity(bpm)) });
    Ok(())
}

/// Epoch seconds: the offset is not part of who a sample is.
fn second(at: Stamp) -> i64 {
    at.micros.div_euclid(1_000_000)
}

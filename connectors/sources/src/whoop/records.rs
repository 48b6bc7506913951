//! Records with their scores. A score is absent until the record is scored, and the record is then sent again.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::{Method, Status};
use headwater_schemas::raw::Raw;
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields::{Fields, Part, Scale, label};
use crate::{json, time};

/// Known, and without a place of its own.
const LEFT: &[&str] = &["user_id", "created_at", "v1_id", "cycle_id", "sport_id", "sleep_id"];

pub(super) fn normalize<'a>(raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    if raw.stream == "body_measurement" {
        return body(raw, out);
    }
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        records: Option<Vec<&'a RawValue>>,
    }
    let take = match raw.stream {
        "sleep" => night,
        "recovery" => recovery,
        "cycle" => cycle,
        "workout" => workout,
        _ => return Err(Reject::new(code::UNKNOWN_STREAM, "expected a stream of WHOOP")),
    };
    let parsed: Body<'a> = json::parse(raw.body)?;
    let rows = parsed.records.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "expected records").at("records"))?;
    json::each::<Fields<'a>>(&rows, "records", out, take);
    Ok(())
}

/// What every record says about itself.
struct Head<'a> {
    start: Stamp,
    end: Option<Stamp>,
    modified: i64,
    state: State,
    score: Option<Fields<'a>>,
}

#[derive(PartialEq, Eq)]
enum State {
    Scored,
    Pending,
    Unscorable,
}

impl<'a> Head<'a> {
    fn read(row: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<Self, Reject> {
        let offset = row.text("timezone_offset")?;
        let created = row.text("created_at")?;
        let start = match row.text("start")? {
            Some(start) => start,
            // A recovery has no time but that of its making.
            None => created.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, "missing field start").at("start"))?,
        };
        let start = time::beside(&start, offset.as_deref()).map_err(|r| r.at("start"))?;
        let end = row.text("end")?.map(|end| time::beside(&end, offset.as_deref())).transpose().map_err(|r| r.at("end"))?;
        let modified = time::rfc3339(&row.need::<Cow<'a, str>>("updated_at")?).map_err(|r| r.at("updated_at"))?.micros;
        let state = match row.text("score_state")?.as_deref() {
            Some("SCORED") => State::Scored,
            Some("PENDING_SCORE") => State::Pending,
            Some("UNSCORABLE") => State::Unscorable,
            other => {
                out.unknown(format!("score_state {}", label(other.unwrap_or("absent"))));
                State::Pending
            }
        };
        let score = row.read::<Fields<'a>>("score")?.filter(|_| state == State::Scored);
        Ok(Self { start, end, modified, state, score })
    }

    fn during(&self) -> Result<Effective, Reject> {
        // What has no end goes on: so far it reaches to its last change.
        let end = self.end.unwrap_or(Stamp { micros: self.modified.max(self.start.micros), ..self.start });
        time::between(self.start, end).map_err(|r| r.at("end"))
    }

    fn status(&self) -> Status {
        if self.state == State::Pending || self.end.is_none() { Status::Preliminary } else { Status::Final }
    }

    fn absent(&self) -> Value<'a> {
        Value::Absent(if self.state == State::Unscorable { Absent::Error } else { Absent::Unknown })
    }

    fn reading(&self, measure: &'static Measure, id: &str, effective: Effective, value: Value<'a>) -> Reading<'a> {
        Reading {
            status: self.status(),
            method: Method::Device,
            modified: Some(self.modified),
            ..Reading::new(measure, id.to_owned(), effective, value)
        }
    }
}

static STAGES: &[Part] = &[
    ("total_slow_wave_sleep_time_milli", &SLEEP_DEEP, Scale::Millis),
    ("total_light_sleep_time_milli", &SLEEP_LIGHT, Scale::Millis),
    ("total_rem_sleep_time_milli", &SLEEP_REM, Scale::Millis),
];

static NIGHT: &[Part] = &[
    ("total_awake_time_milli", &AWAKE, Scale::Millis),
    ("total_in_bed_time_milli", &TIME_IN_BED, Scale::Millis),
    ("disturbance_count", &AWAKENINGS, Scale::As),
    ("sleep_cycle_count", &SLEEP_CYCLES, Scale::As),
];

static FIGURES: &[Part] = &[
    ("sleep_performance_percentage", &SLEEP_PERFORMANCE, Scale::As),
    ("sleep_consistency_percentage", &SLEEP_CONSISTENCY, Scale::As),
    ("sleep_efficiency_percentage", &SLEEP_EFFICIENCY, Scale::As),
];

fn night<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("id")?;
    let mut head = Head::read(&mut row, out)?;
    let during = head.during()?;
    let nap = row.read::<bool>("nap")?;
    let (mut components, mut asleep) = (Vec::new(), None);
    if let Some(mut score) = head.score.take() {
        let mut summary = score.inner("stage_summary").map_err(|r| r.under("score"))?;
        components = summary.components(STAGES).map_err(|r| r.under("score.stage_summary"))?;
        asleep = sum(&components);
        components.extend(summary.components(NIGHT).map_err(|r| r.under("score.stage_summary"))?);
        components.extend(score.components(FIGURES).map_err(|r| r.under("score"))?);
        if let Some(rate) = positive(score.decimal("respiratory_rate").map_err(|r| r.under("score"))?) {
            out.push(head.reading(&RESPIRATORY_RATE, &id, during, Value::Quantity(rate)));
        }
        summary.tell("stage_summary", &["total_no_data_time_milli"], out);
        score.tell("sleep score", &["sleep_needed"], out);
    }
    let kind = nap.map(|nap| if nap { &KIND_NAP } else { &KIND_MAIN });
    components.extend(kind.map(|kind| Component { measure: &SLEEP_KIND, value: Value::Code(kind) }));
    let value = asleep.map_or_else(|| head.absent(), Value::Quantity);
    out.push(Reading { components, ..head.reading(&SLEEP, &id, during, value) });
    row.tell("sleep", LEFT, out);
    Ok(())
}

/// The sum of quantities, where there is one.
fn sum(components: &[Component<'_>]) -> Option<Decimal> {
    let number = |c: &Component<'_>| if let Value::Quantity(v) = &c.value { Some(*v) } else { None };
    components.iter().filter_map(number).map(Some).reduce(|a, b| a?.checked_add(b?)).flatten()
}

fn positive(value: Option<Decimal>) -> Option<Decimal> {
    value.filter(|v| v.is_sign_positive() && !v.is_zero())
}

/// Nought is no reading in any of these but the score.
static RECOVERY: &[(&str, &Measure)] = &[
    ("resting_heart_rate", &RESTING_HEART_RATE),
    ("hrv_rmssd_milli", &HRV_RMSSD),
    ("spo2_percentage", &SPO2),
    ("skin_temp_celsius", &SKIN_TEMPERATURE),
];

fn recovery<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("sleep_id")?;
    let mut head = Head::read(&mut row, out)?;
    head.end = Some(head.start);
    let at = Effective::At(head.start);
    match head.score.take() {
        Some(mut score) => {
            let calibrating = score.read::<bool>("user_calibrating")? == Some(true);
            let note = calibrating.then_some("the strap was still learning this person");
            if let Some(value) = score.decimal("recovery_score")? {
                out.push(Reading { note, ..head.reading(&RECOVERY_SCORE, &id, at, Value::Quantity(value)) });
            }
            for (name, measure) in RECOVERY {
                if let Some(value) = positive(score.decimal(name)?) {
                    out.push(head.reading(measure, &id, at, Value::Quantity(value)));
                }
            }
            score.tell("recovery score", &[], out);
        }
        None => out.push(head.reading(&RECOVERY_SCORE, &id, at, head.absent())),
    }
    row.tell("recovery", LEFT, out);
    Ok(())
}

fn cycle<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id = row.need::<i64>("id")?.to_string();
    let mut head = Head::read(&mut row, out)?;
    let during = head.during()?;
    match head.score.take() {
        Some(mut score) => {
            for (name, measure, scale) in [
                ("strain", &STRAIN, Scale::As),
                ("kilojoule", &ENERGY, Scale::Kilojoules),
                ("average_heart_rate", &HEART_RATE_DAY_AVERAGE, Scale::As),
            ] {
                if let Some(value) = score.scaled(name, scale)?.filter(|v| measure == &STRAIN || !v.is_zero()) {
                    out.push(Reading {
                        note: Some("of a cycle from waking to waking, not of a calendar day"),
                        ..head.reading(measure, &id, during, Value::Quantity(value))
                    });
                }
            }
            // The highest of a cycle is the highest of no 24 hours.
            score.tell("cycle score", &["max_heart_rate"], out);
        }
        None => out.push(head.reading(&STRAIN, &id, during, head.absent())),
    }
    row.tell("cycle", LEFT, out);
    Ok(())
}

static WORKOUT: &[Part] = &[
    ("kilojoule", &ENERGY, Scale::Kilojoules),
    ("distance_meter", &DISTANCE, Scale::As),
    ("average_heart_rate", &WORKOUT_HEART_RATE_AVERAGE, Scale::As),
    ("max_heart_rate", &WORKOUT_HEART_RATE_MAX, Scale::As),
    ("altitude_gain_meter", &ELEVATION_GAIN, Scale::As),
    ("strain", &STRAIN, Scale::As),
];

fn workout<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let id: Cow<'a, str> = row.need("id")?;
    let mut head = Head::read(&mut row, out)?;
    let during = head.during()?;
    let kind = row.text("sport_name")?.unwrap_or(Cow::Borrowed("activity"));
    let length = during.end().map_or(0, |end| end.micros - head.start.micros) / 1_000_000;
    let duration = Scale::Seconds.apply(Decimal::from(length));
    let mut components = vec![Component { measure: &EXERCISE_DURATION, value: Value::Quantity(duration) }];
    if let Some(mut score) = head.score.take() {
        components.extend(score.components(WORKOUT).map_err(|r| r.under("score"))?);
        score.tell("workout score", &["percent_recorded", "altitude_change_meter", "zone_durations", "zone_duration"], out);
    }
    out.push(Reading { components, ..head.reading(&EXERCISE, &id, during, Value::Text(kind)) });
    row.tell("workout", LEFT, out);
    Ok(())
}

/// The person's own words about their body. The answer has neither id nor time: it is of the window it was asked in, as seen at that moment.
fn body<'a>(raw: &Raw<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let mut row: Fields<'a> = json::parse(raw.body)?;
    let at = Effective::At(time::with_offset(raw.fetched_at, None)?);
    let id = crate::rest::day(raw.window_start.unwrap_or(raw.fetched_at));
    for (name, measure, scale) in [("height_meter", &HEIGHT, Scale::Hundred), ("weight_kilogram", &WEIGHT, Scale::As)] {
        if let Some(value) = positive(row.scaled(name, scale)?) {
            out.push(Reading { method: Method::Manual, ..Reading::new(measure, id.clone(), at, Value::Quantity(value)) });
        }
    }
    row.tell("body", &["max_heart_rate"], out);
    Ok(())
}

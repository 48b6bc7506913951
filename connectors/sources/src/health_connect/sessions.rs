//! Nights and exercise.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::reading::{Absent, Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::fields::{Fields, Scale, label, missing};
use crate::phone::{self, Head};
use crate::{json, time};

type Span = (Stamp, Option<Stamp>);

fn during((start, end): Span) -> Result<Effective, Reject> {
    time::between(start, end.ok_or_else(|| missing("endTime"))?).map_err(|r| r.at("endTime"))
}

fn minutes(micros: i64) -> Value<'static> {
    Value::Quantity(Scale::Seconds.apply(Decimal::from(micros / 1_000_000)))
}

/// A stage by its name, or by the number of the platform's constants.
fn stage(word: &str) -> Option<&'static Concept> {
    Some(match word.strip_prefix("STAGE_TYPE_").unwrap_or(word) {
        "AWAKE" | "AWAKE_IN_BED" | "OUT_OF_BED" | "1" | "3" | "7" => &STAGE_AWAKE,
        "SLEEPING" | "2" => &STAGE_ASLEEP,
        "LIGHT" | "4" => &STAGE_LIGHT,
        "DEEP" | "5" => &STAGE_DEEP,
        "REM" | "6" => &STAGE_REM,
        "UNKNOWN" | "0" => &STAGE_UNKNOWN,
        _ => return None,
    })
}

/// The night is the sum of its stages, where it has any: the session itself is time in bed.
pub(super) fn sleep<'a>(row: &mut Fields<'a>, head: &Head<'a>, span: Span, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let whole = during(span)?;
    let stages: Vec<&'a RawValue> = row.read("stages")?.unwrap_or_default();
    let _ = (row.take("title"), row.take("notes"));
    let mut sums =
        [(&SLEEP_DEEP, &STAGE_DEEP, 0), (&SLEEP_LIGHT, &STAGE_LIGHT, 0), (&SLEEP_REM, &STAGE_REM, 0), (&AWAKE, &STAGE_AWAKE, 0)];
    let mut asleep = 0;
    for (index, raw) in stages.iter().enumerate() {
        let under = |r: Reject| Reject { line: None, column: None, ..r }.under(&format!("stages[{index}]"));
        let mut part: Fields<'a> = json::parse(raw.get().as_bytes()).map_err(under)?;
        let from = phone::stamp(&mut part, "startTime", "").map_err(under)?.ok_or_else(|| under(missing("startTime")))?;
        let to = phone::stamp(&mut part, "endTime", "").map_err(under)?.ok_or_else(|| under(missing("endTime")))?;
        let zoned = |at: Stamp| if at.offset.is_none() { Stamp { micros: at.micros, ..span.0 } } else { at };
        let segment = time::between(zoned(from), zoned(to)).map_err(under)?;
        let word: Cow<'a, str> = match part.take("stage") {
            Some(raw) if raw.get().starts_with('"') => json::parse(raw.get().as_bytes()).map_err(under)?,
            Some(raw) => Cow::Borrowed(raw.get()),
            None => return Err(under(missing("stage"))),
        };
        let stage = stage(&word).unwrap_or_else(|| {
            out.unknown(format!("sleep stage {}", label(&word)));
            &STAGE_UNKNOWN
        });
        let length = to.micros - from.micros;
        if let Some(sum) = sums.iter_mut().find(|(_, concept, _)| *concept == stage) {
            sum.2 += length;
        }
        if [&STAGE_DEEP, &STAGE_LIGHT, &STAGE_REM, &STAGE_ASLEEP].contains(&stage) {
            asleep += length;
        }
        let reading = head.reading(&SLEEP_STAGE, segment, Value::Code(stage));
        out.push(Reading { record_id: format!("{}:{index}", head.id).into(), ..reading });
    }
    let bed = whole.end().map_or(0, |end| end.micros - span.0.micros);
    let mut components = vec![Component { measure: &TIME_IN_BED, value: minutes(bed) }];
    components.extend(sums.iter().filter(|s| s.2 > 0).map(|s| Component { measure: s.0, value: minutes(s.2) }));
    let value = if asleep > 0 { minutes(asleep) } else { Value::Absent(Absent::Unknown) };
    out.push(Reading { components, ..head.reading(&SLEEP, whole, value) });
    Ok(())
}

pub(super) fn exercise<'a>(row: &mut Fields<'a>, head: &Head<'a>, span: Span, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let whole = during(span)?;
    let kind: Cow<'a, str> = match row.take("exerciseType") {
        Some(raw) if raw.get().starts_with('"') => json::parse(raw.get().as_bytes())?,
        Some(raw) => Cow::Owned(format!("type {}", raw.get())),
        None => return Err(Reject::new(code::UNEXPECTED_SHAPE, "missing field exerciseType").at("exerciseType")),
    };
    for name in ["title", "notes", "segments", "laps", "exerciseRoute", "exerciseRouteResult", "plannedExerciseSessionId"] {
        let _ = row.take(name);
    }
    let kind = match kind {
        Cow::Borrowed(kind) => Cow::Borrowed(kind.strip_prefix("EXERCISE_TYPE_").unwrap_or(kind)),
        owned => owned,
    };
    let length = whole.end().map_or(0, |end| end.micros - span.0.micros);
    let components = vec![Component { measure: &EXERCISE_DURATION, value: minutes(length) }];
    out.push(Reading { components, ..head.reading(&EXERCISE, whole, Value::Text(kind)) });
    Ok(())
}

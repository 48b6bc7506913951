//! Workouts, as exercise panels.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Value};
use headwater_schemas::reject::Reject;

use super::samples::head;
use crate::fields::{Fields, missing};
use crate::units::convert;

/// Name of the amount, and what it is.
static AMOUNTS: &[(&str, &Measure)] = &[
    ("duration", &EXERCISE_DURATION),
    ("energy", &ENERGY),
    ("distance", &DISTANCE),
    ("steps", &STEPS_INTERVAL),
    ("heartRateAverage", &WORKOUT_HEART_RATE_AVERAGE),
    ("heartRateMaximum", &WORKOUT_HEART_RATE_MAX),
    ("heartRateMinimum", &WORKOUT_HEART_RATE_MIN),
    ("elevation", &ELEVATION_GAIN),
];

pub(super) fn workout<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let kind = match row.need::<Cow<'a, str>>("type")? {
        Cow::Borrowed(kind) => Cow::Borrowed(kind.strip_prefix("HKWorkoutActivityType").unwrap_or(kind)),
        Cow::Owned(kind) => Cow::Owned(kind.strip_prefix("HKWorkoutActivityType").unwrap_or(&kind).to_owned()),
    };
    let (head, start, end) = head(&mut row, out)?;
    let during = Effective::During(start, end.filter(|e| e.micros >= start.micros).ok_or_else(|| missing("end"))?);
    let mut components = Vec::new();
    for (name, measure) in AMOUNTS {
        // `{"value": 31.5, "unit": "min"}`
        let mut amount = row.inner(name)?;
        if let Some(value) = amount.decimal("value").map_err(|r| r.under(name))? {
            let unit: Cow<'a, str> = amount.need("unit").map_err(|r| r.under(name))?;
            let value = convert(value, &unit, measure).map_err(|r| r.under(name))?;
            components.push(Component { measure, value: Value::Quantity(value) });
        }
    }
    row.tell("workout", &["creationDate", "metadata", "events", "route"], out);
    out.push(Reading { components, ..head.reading(&EXERCISE, during, Value::Text(kind)) });
    Ok(())
}

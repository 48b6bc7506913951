//! Series keyed by the seconds since the summary's start, as text.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;

use super::summaries::{COMMON, Head};
use crate::fields::Fields;

/// Which numbers of a series are readings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Real {
    /// Above nought.
    Positive,
    /// Nought and above: below are codes for "not measured".
    NotNegative,
}

/// Each value of a series at its own moment, by which it is known.
pub(super) fn series<'a>(
    row: &mut Fields<'a>,
    name: &'static str,
    measure: &'static Measure,
    real: Real,
    head: &Head<'a>,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    let Some(mut points) = row.read::<Fields<'a>>(name)? else { return Ok(()) };
    let names: Vec<String> = points.names().map(str::to_owned).collect();
    for key in names {
        let wrong = || Reject::new(code::BAD_TIME, "expected seconds since the start as key").at(name);
        let offset: i64 = key.parse().ok().filter(|s| (0..=7 * 86_400).contains(s)).ok_or_else(wrong)?;
        let Some(value) = points.decimal(&key).map_err(|r| r.under(name))? else { continue };
        let taken = match real {
            Real::Positive => value > Decimal::ZERO,
            Real::NotNegative => value >= Decimal::ZERO,
        };
        if taken {
            let at = Stamp { micros: head.start.micros + offset * 1_000_000, ..head.start };
            out.push(Reading {
                device: head.device.clone(),
                method: Method::Device,
                ..Reading::new(measure, at.micros.div_euclid(1_000_000).to_string(), Effective::At(at), Value::Quantity(value))
            });
        }
    }
    Ok(())
}

pub(super) fn stress<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    series(&mut row, "timeOffsetStressLevelValues", &STRESS_LEVEL, Real::NotNegative, &head, out)?;
    series(&mut row, "timeOffsetBodyBatteryValues", &BODY_BATTERY, Real::NotNegative, &head, out)?;
    row.tell("stressDetails", &[COMMON, &["bodyBatteryDynamicFeedbackEvent", "bodyBatteryActivityEvents"]].concat(), out);
    Ok(())
}

pub(super) fn pulseox<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    series(&mut row, "timeOffsetSpo2Values", &SPO2, Real::Positive, &head, out)?;
    row.tell("pulseox", &[COMMON, &["onDemand"]].concat(), out);
    Ok(())
}

pub(super) fn respiration<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    series(&mut row, "timeOffsetEpochToBreaths", &RESPIRATORY_RATE, Real::Positive, &head, out)?;
    row.tell("allDayRespiration", COMMON, out);
    Ok(())
}

/// RMSSD throughout.
pub(super) fn variability<'a>(mut row: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let head = Head::read(&mut row, out)?;
    if let Some(average) = row.decimal("lastNightAvg")?.filter(|v| *v > Decimal::ZERO) {
        let night = head.reading(&HRV_RMSSD, Effective::During(head.start, head.end), Value::Quantity(average));
        out.push(Reading { record_id: Cow::Owned(format!("{}:night", head.id)), ..night });
    }
    series(&mut row, "hrvValues", &HRV_RMSSD, Real::Positive, &head, out)?;
    row.tell("hrv", &[COMMON, &["lastNight5MinHigh"]].concat(), out);
    Ok(())
}

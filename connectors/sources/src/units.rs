//! Units as phones and files write them, into the unit of a measure. A unit that is not known is refused: a number under the wrong unit is
//! worse than none.

use headwater_schemas::codes::Measure;
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;

/// `value × numerator ÷ denominator`, after `offset` was added.
struct Rule {
    from: &'static str,
    to: &'static str,
    offset: i64,
    numerator: Decimal,
    denominator: Decimal,
}

const fn dec(lo: u32, scale: u32) -> Decimal {
    Decimal::from_parts(lo, 0, 0, false, scale)
}

const fn times(from: &'static str, to: &'static str, numerator: Decimal) -> Rule {
    Rule { from, to, offset: 0, numerator, denominator: Decimal::ONE }
}

const fn over(from: &'static str, to: &'static str, denominator: Decimal) -> Rule {
    Rule { from, to, offset: 0, numerator: Decimal::ONE, denominator }
}

static RULES: &[Rule] = &[
    times("count/min", "/min", Decimal::ONE),
    times("beats/min", "/min", Decimal::ONE),
    times("bpm", "/min", Decimal::ONE),
    times("count/s", "/min", dec(60, 0)),
    times("count", "{steps}", Decimal::ONE),
    times("count", "{flights}", Decimal::ONE),
    times("count", "{strokes}", Decimal::ONE),
    times("count", "{count}", Decimal::ONE),
    times("g", "kg", dec(1, 3)),
    times("lb", "kg", dec(45_359_237, 8)),
    times("st", "kg", dec(635_029_318, 8)),
    times("oz", "kg", dec(28_349_523, 9)),
    times("m", "cm", dec(100, 0)),
    times("mm", "cm", dec(1, 1)),
    times("in", "cm", dec(254, 2)),
    times("ft", "cm", dec(3048, 2)),
    times("km", "m", dec(1000, 0)),
    times("cm", "m", dec(1, 2)),
    times("mi", "m", dec(1_609_344, 3)),
    times("ft", "m", dec(3048, 4)),
    times("yd", "m", dec(9144, 4)),
    times("Cal", "kcal", Decimal::ONE),
    times("cal", "kcal", dec(1, 3)),
    over("kJ", "kcal", dec(4184, 3)),
    over("J", "kcal", dec(4184, 0)),
    times("Cal", "kcal/d", Decimal::ONE),
    times("kcal", "kcal/d", Decimal::ONE),
    over("kJ", "kcal/d", dec(4184, 3)),
    times("hr", "min", dec(60, 0)),
    times("h", "min", dec(60, 0)),
    over("s", "min", dec(60, 0)),
    over("ms", "min", dec(60_000, 0)),
    times("s", "ms", dec(1000, 0)),
    times("degC", "Cel", Decimal::ONE),
    Rule { from: "degF", to: "Cel", offset: -32, numerator: dec(5, 0), denominator: dec(9, 0) },
    Rule { from: "[degF]", to: "Cel", offset: -32, numerator: dec(5, 0), denominator: dec(9, 0) },
    times("mmHg", "mm[Hg]", Decimal::ONE),
    times("kPa", "mm[Hg]", dec(750_062, 5)),
    times("mL", "L", dec(1, 3)),
    times("mL/min·kg", "mL/kg/min", Decimal::ONE),
    times("ml/(kg*min)", "mL/kg/min", Decimal::ONE),
    over("km/hr", "m/s", dec(36, 1)),
    over("km/h", "m/s", dec(36, 1)),
    times("steps", "{steps}", Decimal::ONE),
    times("score", "{score}", Decimal::ONE),
];

/// The value in the unit of the measure, exactly where the rule is exact, else to six places.
///
/// # Errors
/// `unexpected_shape` when nothing leads from the one unit to the other.
pub fn convert(value: Decimal, from: &str, measure: &'static Measure) -> Result<Decimal, Reject> {
    let to = measure.unit.map_or("", |unit| unit.ucum);
    if from == to {
        return Ok(value);
    }
    let rule = RULES.iter().find(|rule| rule.from == from && rule.to == to);
    let rule =
        rule.ok_or_else(|| Reject::new(code::UNEXPECTED_SHAPE, format!("expected a unit that leads to {to}")).at("unit"))?;
    if rule.offset == 0 && rule.numerator == Decimal::ONE && rule.denominator == Decimal::ONE {
        // Another name of the same unit: the digits stay as they were sent.
        return Ok(value);
    }
    let shifted = value.checked_add(Decimal::from(rule.offset));
    let scaled = shifted.and_then(|v| v.checked_mul(rule.numerator)).and_then(|v| v.checked_div(rule.denominator));
    let scaled = scaled.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected a number of at most 28 digits").at("value"))?;
    Ok(if rule.offset == 0 && rule.denominator == Decimal::ONE { scaled.normalize() } else { scaled.round_dp(6).normalize() })
}

#[cfg(test)]
mod tests {
    use headwater_schemas::codes::*;

    use super::*;

    fn to(value: &str, from: &str, measure: &'static Measure) -> String {
        convert(value.parse().unwrap(), from, measure).unwrap().to_string()
    }

    #[test]
    fn units_of_phones_become_those_of_the_measure() {
        for (value, from, measure, expected) in [
            ("61.50", "kg", &WEIGHT, "61.50"),
            ("150", "lb", &WEIGHT, "68.0388555"),
            ("5.9", "ft", &HEIGHT, "179.832"),
            ("3.1", "mi", &DISTANCE, "4988.9664"),
            ("418.4", "kJ", &ENERGY, "100"),
            ("98.6", "degF", &BODY_TEMPERATURE, "37"),
            ("16", "kPa", &SYSTOLIC, "120.00992"),
            ("250", "mL", &HYDRATION, "0.25"),
            ("90", "s", &EXERCISE_DURATION, "1.5"),
        ] {
            assert_eq!(to(value, from, measure), expected, "{value} {from}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_and_mass_is_never_taken_for_substance() {
        assert!(convert(Decimal::ONE, "stone", &WEIGHT).is_err());
        assert!(convert(Decimal::ONE, "mg/dL", &GLUCOSE_BLOOD_MOLAR).is_err());
        assert!(convert(Decimal::ONE, "", &WEIGHT).is_err());
        assert!(convert(Decimal::MAX, "lb", &WEIGHT).is_ok() && convert(Decimal::MAX, "km", &DISTANCE).is_err());
    }
}

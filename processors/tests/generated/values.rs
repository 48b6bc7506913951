//! Every form of a value, on every measure a source could put it on: a person's own source may say a word or a panel of anything.

use super::*;
use headwater_schemas::codes::{BLOOD_PRESSURE, DIASTOLIC, ECG, ECG_LEAD_I, EXERCISE, SLEEP, SYSTOLIC};
use headwater_schemas::reading::{Absent, Comparator, Samples};
use proptest::collection::vec;
use rust_decimal::Decimal;

type Parts = Vec<Component<'static>>;

/// A value of the measure, with the components it comes with.
pub fn of(measure: &'static Measure) -> BoxedStrategy<(Value<'static>, Parts)> {
    let alone = single(measure);
    if measure == &BLOOD_PRESSURE {
        return prop_oneof![
            8 => halves().prop_map(|parts| (Value::Panel, parts)),
            1 => absent().prop_map(|value| (value, vec![])),
            1 => text().prop_map(|word| (Value::Text(word), vec![])),
        ]
        .boxed();
    }
    let (kinds, often): (Vec<_>, f64) = if measure == &SLEEP {
        (named("sleep"), 0.8)
    } else if measure == &EXERCISE {
        (codes::ALL.iter().copied().filter(|m| m.unit.is_some()).collect(), 0.8)
    } else if measure == &ECG {
        (vec![&ECG_LEAD_I], 0.8)
    } else {
        (codes::ALL.to_vec(), 0.1)
    };
    let parts = vec(select(kinds).prop_flat_map(part), 1..6);
    (alone, option::weighted(often, (parts, any::<bool>())))
        .prop_map(|(value, parts)| match parts {
            Some((parts, true)) => (Value::Panel, parts),
            Some((parts, false)) => (value, parts),
            None => (value, vec![]),
        })
        .boxed()
}

/// With few digits as most have them, and with as many as a decimal holds.
pub fn decimal() -> BoxedStrategy<Decimal> {
    let any_digits = (0u32..=28).prop_flat_map(|digits| (0..10i128.pow(digits), 0u32..=28, any::<bool>()));
    prop_oneof![
        3 => (0i64..100_000, 0u32..=3).prop_map(|(number, scale)| Decimal::new(number, scale)),
        1 => (-1000i64..1000, 0u32..=3).prop_map(|(number, scale)| Decimal::new(number, scale)),
        1 => any_digits.prop_map(|(number, scale, negative)| {
            Decimal::from_i128_with_scale(if negative { -number } else { number }, scale)
        }),
    ]
    .boxed()
}

/// Words, and what else may stand where a word is expected.
pub fn text() -> BoxedStrategy<Cow<'static, str>> {
    const ODD: &[&str] = &[
        "",
        " ",
        " \t\r\n",
        " leading and trailing ",
        "two\nlines\tand a tab",
        "\"quoted\" \\ and \\u0041",
        "</div><script>alert(1)</script>&amp;",
        "\u{0}",
        "\u{1}\u{1f}",
        "a\u{7f}b\u{85}c\u{9f}",
        "\u{feff}",
        "\u{feff}mark",
        "\u{2028}\u{2029}\u{200b}",
        "\u{a0}",
        "\u{202e}thgir",
        "e\u{301}\u{1F468}\u{200d}\u{1F469}\u{200d}\u{1F467}",
        "\u{ffff}\u{10ffff}",
        "\u{e000}",
        "体重計",
        "مقياس",
    ];
    prop_oneof![
        4 => "[A-Za-z][A-Za-z0-9 _.-]{0,20}[a-z]".prop_map(Cow::Owned),
        1 => "\\PC{1,40}".prop_map(Cow::Owned),
        1 => vec(any::<char>(), 1..20).prop_map(|chars| Cow::Owned(chars.into_iter().collect())),
        2 => select(ODD).prop_map(Cow::Borrowed),
    ]
    .boxed()
}

/// A value that stands alone.
fn single(measure: &'static Measure) -> BoxedStrategy<Value<'static>> {
    if measure.unit.is_none() {
        return prop_oneof![4 => select(codes::CONCEPTS).prop_map(Value::Code), 4 => text().prop_map(Value::Text), 2 => absent()]
            .boxed();
    }
    let comparator = select(&[Comparator::Less, Comparator::Greater][..]);
    prop_oneof![
        8 => decimal().prop_map(Value::Quantity),
        2 => (comparator, decimal()).prop_map(|(comparator, number)| Value::Limit(comparator, number)),
        1 => (decimal(), decimal()).prop_map(|(a, b)| Value::Range(a.min(b), a.max(b))),
        1 => samples(),
        2 => absent(),
        1 => text().prop_map(Value::Text),
    ]
    .boxed()
}

fn part(measure: &'static Measure) -> BoxedStrategy<Component<'static>> {
    single(measure).prop_map(move |value| Component { measure, value }).boxed()
}

/// Both halves of a blood pressure, or one, measured or not, and what devices give with it.
fn halves() -> BoxedStrategy<Parts> {
    let half = |measure| {
        prop_oneof![6 => decimal().prop_map(Value::Quantity), 1 => absent()].prop_map(move |value| Component { measure, value })
    };
    let beside = option::weighted(0.2, part(&codes::HEART_RATE));
    (half(&SYSTOLIC), half(&DIASTOLIC), beside, 0..6)
        .prop_map(|(systolic, diastolic, beside, which)| match which {
            0 => vec![systolic],
            1 => vec![diastolic],
            2 => beside.into_iter().collect(),
            _ => [systolic, diastolic].into_iter().chain(beside).collect(),
        })
        .boxed()
}

fn samples() -> BoxedStrategy<Value<'static>> {
    let item = prop_oneof![4 => decimal().prop_map(|d| d.to_string()), 1 => select(&["E", "L", "U"][..]).prop_map(str::to_owned)];
    let period =
        prop_oneof![(1i64..4_000_000_000, 0u32..=3).prop_map(|(number, scale)| Decimal::new(number, scale)), Just(Decimal::ONE)];
    (period, vec(item, 1..60))
        .prop_map(|(period_ms, items)| Value::Samples(Samples { period_ms, data: Cow::Owned(items.join(" ")) }))
        .boxed()
}

fn absent() -> impl Strategy<Value = Value<'static>> {
    select(&[Absent::Unknown, Absent::Error, Absent::NotPerformed][..]).prop_map(Value::Absent)
}

fn named(start: &str) -> Vec<&'static Measure> {
    codes::ALL.iter().copied().filter(|m| m.slug.starts_with(start)).collect()
}

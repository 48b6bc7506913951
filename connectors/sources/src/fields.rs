//! A JSON object, field by field: what is taken is understood, what is left over is told as unknown and never fatal.

use std::borrow::Cow;
use std::fmt;

use headwater_schemas::codes::{self, Measure};
use headwater_schemas::reading::{Absent, Component, Normalized, Value};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json;

/// How a provider's number comes into the unit of its measure. All of these are exact, but for divisions that do not end: four places there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    As,
    /// Seconds to minutes.
    Seconds,
    /// Milliseconds to minutes.
    Millis,
    /// 0.97 to 97 %.
    Fraction,
    /// Kilojoules to kilocalories of 4.184.
    Kilojoules,
    /// Grams to kilograms, millilitres to litres.
    Thousandth,
    /// Kilometres to metres.
    Thousand,
    /// Metres to centimetres.
    Hundred,
}

impl Scale {
    /// A number of the payload.
    ///
    /// # Errors
    /// `bad_number` when it is too large to be scaled.
    pub fn of(self, value: Decimal) -> Result<Decimal, Reject> {
        let over = |by: Decimal| value.checked_div(by).map(|v| v.round_dp(4).normalize());
        let times = |by: Decimal| value.checked_mul(by).map(|v| v.normalize());
        let scaled = match self {
            Self::As => Some(value),
            Self::Seconds => over(Decimal::from(60)),
            Self::Millis => over(Decimal::from(60_000)),
            Self::Fraction | Self::Hundred => times(Decimal::ONE_HUNDRED),
            Self::Kilojoules => over(Decimal::from_parts(4184, 0, 0, false, 3)),
            Self::Thousandth => times(Decimal::from_parts(1, 0, 0, false, 3)),
            Self::Thousand => times(Decimal::ONE_THOUSAND),
        };
        scaled.ok_or_else(|| Reject::new(code::BAD_NUMBER, "expected a number that can be converted"))
    }

    /// A number of our own making: seconds between two moments.
    pub fn apply(self, value: Decimal) -> Decimal {
        self.of(value).unwrap_or(value)
    }
}

/// The halves of a blood pressure. One that is missing is said to be; nought is no pressure.
///
/// # Errors
/// `unexpected_shape` when both are.
pub fn blood_pressure<'a>(systolic: Option<Decimal>, diastolic: Option<Decimal>) -> Result<Vec<Component<'a>>, Reject> {
    let [systolic, diastolic] = [systolic, diastolic].map(|half| half.filter(|v| *v > Decimal::ZERO));
    if systolic.is_none() && diastolic.is_none() {
        return Err(Reject::new(code::UNEXPECTED_SHAPE, "expected systolic, diastolic, or both"));
    }
    let half = |measure, value: Option<Decimal>| Component {
        measure,
        value: value.map_or(Value::Absent(Absent::Unknown), Value::Quantity),
    };
    Ok(vec![half(&codes::SYSTOLIC, systolic), half(&codes::DIASTOLIC, diastolic)])
}

/// A field of a row (a path with dots), what it measures, and how it is scaled.
pub type Part = (&'static str, &'static Measure, Scale);

pub struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Takes a field out. `null` is the same as absent, as proto3 JSON has it.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.0.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.0.swap_remove(at);
        (value.get() != "null").then_some(value)
    }

    /// Takes a field out that must be there.
    ///
    /// # Errors
    /// `unexpected_shape` when it is not, or is none of the kind.
    pub fn need<T: serde::Deserialize<'a>>(&mut self, name: &'static str) -> Result<T, Reject> {
        self.read(name)?.ok_or_else(|| missing(name))
    }

    /// # Errors
    /// `unexpected_shape` when the value is none of the kind.
    pub fn read<T: serde::Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>, Reject> {
        self.take(name).map(|raw| json::parse(raw.get().as_bytes()).map_err(|r| place(r, name))).transpose()
    }

    /// An inner object; without fields where there is none.
    ///
    /// # Errors
    /// `unexpected_shape` when it is no object.
    pub fn inner(&mut self, name: &str) -> Result<Self, Reject> {
        Ok(self.read::<Self>(name)?.unwrap_or(Self(Vec::new())))
    }

    /// Text; empty is absent, as proto3 JSON has it.
    ///
    /// # Errors
    /// `unexpected_shape` when it is no text.
    pub fn text(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Reject> {
        Ok(self.read::<Text>(name)?.map(|text| text.0).filter(|text| !text.is_empty()))
    }

    /// A word of an enumeration; `…_UNSPECIFIED` is absent.
    ///
    /// # Errors
    /// `unexpected_shape` when it is no text.
    pub fn word(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, Reject> {
        Ok(self.text(name)?.filter(|word| !word.ends_with("_UNSPECIFIED")))
    }

    /// A number at a path with dots, with the digits it was sent with.
    ///
    /// # Errors
    /// `unexpected_shape` or `bad_number`.
    pub fn decimal(&mut self, path: &str) -> Result<Option<Decimal>, Reject> {
        if let Some((outer, inner)) = path.split_once('.') {
            let Some(mut fields) = self.read::<Fields>(outer)? else { return Ok(None) };
            return fields.decimal(inner).map_err(|r| r.under(outer));
        }
        let number = self.read::<json::Number>(path)?;
        number.map(|number| number.decimal().map_err(|r| place(r, path))).transpose()
    }

    /// A number in the unit of a measure.
    ///
    /// # Errors
    /// `unexpected_shape` or `bad_number`.
    pub fn scaled(&mut self, path: &str, scale: Scale) -> Result<Option<Decimal>, Reject> {
        self.decimal(path)?.map(|value| scale.of(value).map_err(|r| place(r, path))).transpose()
    }

    /// The components of a panel that are there.
    ///
    /// # Errors
    /// `unexpected_shape` or `bad_number`.
    pub fn components(&mut self, parts: &[Part]) -> Result<Vec<Component<'a>>, Reject> {
        let mut components = Vec::with_capacity(parts.len());
        for (path, measure, scale) in parts {
            let value = self.scaled(path, *scale)?;
            components.extend(value.map(|value| Component { measure, value: Value::Quantity(value) }));
        }
        Ok(components)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_ref())
    }

    /// Tells what nobody took. `left` is known and has no place.
    pub fn tell(self, of: &str, left: &[&str], out: &mut Normalized<'_>) {
        for (name, _) in self.0.iter().filter(|(name, _)| !left.contains(&name.as_ref())) {
            out.unknown(format!("{of} {}", label(name)));
        }
    }
}

/// A word of the payload that may be counted: names and enumeration words pass, anything else might be somebody's data.
pub fn label(word: &str) -> &str {
    let plain = word.len() <= 64 && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if plain && word.starts_with(|c: char| c.is_ascii_alphabetic()) { word } else { "(not a name)" }
}

/// A key of the payload as a path may name it: a name, or a number such as an epoch.
pub fn key(word: &str) -> &str {
    if word.len() <= 20 && word.bytes().all(|b| b.is_ascii_digit()) { word } else { label(word) }
}

pub fn missing(name: &'static str) -> Reject {
    Reject::new(code::UNEXPECTED_SHAPE, format!("missing field {name}")).at(name)
}

/// Line and column of a field's own parser count from the field's start and are of no use.
fn place(mut reject: Reject, name: &str) -> Reject {
    (reject.line, reject.column) = (None, None);
    reject.under(name)
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    list.push((name.0, value));
                }
                Ok(Fields(list))
            }
        }
        deserializer.deserialize_map(Take)
    }
}

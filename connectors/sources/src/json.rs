//! Reading providers' JSON: borrowed, typed, row by row, with the place of every offence.

use std::borrow::Cow;

use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Parses a body, or a row of it.
///
/// # Errors
/// `malformed_json` with line and column when the text is no JSON; `unexpected_shape` with the JSON path when it is another JSON.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Reject> {
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

/// Parses twice only when the first time failed: keeping track of the path costs, and errors are rare.
fn explain<'a, T: Deserialize<'a>>(body: &'a [u8], error: &serde_json::Error) -> Reject {
    if !error.is_data() {
        let what = if error.is_eof() { "the text ends too early" } else { "not JSON" };
        return Reject::new(code::MALFORMED_JSON, what).position(error.line(), error.column());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = serde_path_to_error::deserialize::<_, T>(&mut json).err();
    let path = found.map(|e| plain(e.path())).filter(|path| path != ".");
    let reject = Reject::new(code::UNEXPECTED_SHAPE, shape(&error.to_string())).position(error.line(), error.column());
    match path {
        Some(path) => reject.at(path),
        None => reject,
    }
}

/// A path whose names are names: a key of the payload may be anything, and an object may have people for keys.
fn plain(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut out = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => out.push_str(&format!("[{index}]")),
            Segment::Map { key } => {
                out.push_str(if out.is_empty() { "" } else { "." });
                out.push_str(crate::fields::key(key));
            }
            Segment::Enum { variant } => out.push_str(variant),
            Segment::Unknown => out.push('?'),
        }
    }
    if out.is_empty() { ".".into() } else { out }
}

/// serde's message without the value it quotes: `invalid type: string "x", expected f64` keeps only kinds.
fn shape(message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or(message);
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(open) = rest.find(['"', '`']) {
        let quote = rest[open..].chars().next().expect("a quote was found");
        let inside = &rest[open + 1..];
        // Backquotes hold names from our own types (fields, variants) or numbers of the payload; only the names are kept.
        let end = if quote == '"' { inside.rfind('"') } else { inside.find('`') };
        let Some(end) = end else { break };
        out.push_str(&rest[..open]);
        if quote == '`' && inside[..end].starts_with(|c: char| c.is_ascii_alphabetic()) && out.ends_with("field ") {
            out.push_str(&inside[..end]);
        } else {
            out.push('…');
        }
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    out
}

/// Parses each row by itself, so that one bad row does not take its page with it. `prefix` is the path of the list.
pub fn each<'a, T: Deserialize<'a>>(
    rows: &[&'a RawValue],
    prefix: &str,
    out: &mut Normalized<'a>,
    mut take: impl FnMut(T, &mut Normalized<'a>) -> Result<(), Reject>,
) {
    for (index, row) in rows.iter().enumerate() {
        let before = (out.readings.len(), out.doses.len(), out.devices.len());
        let taken = parse::<T>(row.get().as_bytes()).and_then(|parsed| take(parsed, out));
        if let Err(mut reject) = taken {
            out.readings.truncate(before.0);
            out.doses.truncate(before.1);
            out.devices.truncate(before.2);
            // Line and column of a row's own parser count from the row's start, which nobody can find again.
            (reject.line, reject.column) = (None, None);
            out.problems.push(reject.under(&format!("{prefix}[{index}]")));
        }
    }
}

/// A number with its digits as they were sent; providers put some in quotes (64-bit integers, daily series).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        let text = raw.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(raw);
        if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            Ok(Self(Cow::Borrowed(text)))
        } else {
            Err(serde::de::Error::custom("expected a number"))
        }
    }
}

impl Number<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number with the digits of the source: `61.50` stays `61.50`.
    ///
    /// # Errors
    /// `bad_number` when it is none or has more than 28 digits.
    pub fn decimal(&self) -> Result<Decimal, Reject> {
        Decimal::from_str_exact(&self.0)
            .or_else(|_| Decimal::from_scientific(&self.0))
            .map_err(|_| Reject::new(code::BAD_NUMBER, "expected a decimal of at most 28 digits"))
    }

    /// # Errors
    /// `bad_number` when it is no whole number of 64 bits.
    pub fn integer(&self) -> Result<i64, Reject> {
        self.0.parse().map_err(|_| Reject::new(code::BAD_NUMBER, "expected a whole number of 64 bits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        list: Vec<Inner<'a>>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        value: Number<'a>,
    }

    #[test]
    fn digits_survive() {
        let outer: Outer = parse(br#"{"list":[{"value":61.50},{"value":"-7"},{"value":1e2}]}"#).unwrap();
        let digits: Vec<_> = outer.list.iter().map(|i| i.value.decimal().unwrap().to_string()).collect();
        assert_eq!(digits, ["61.50", "-7", "100"]);
    }

    #[test]
    fn an_error_names_its_place_and_never_the_payload() {
        let reject = parse::<Outer>(br#"{"list":[{"value":1},{"value":"secret"}]}"#).unwrap_err();
        assert_eq!((reject.code, reject.path.as_deref()), (code::UNEXPECTED_SHAPE, Some("list[1].value")));
        assert!(!reject.to_string().contains("secret"));
        let reject = parse::<Outer>(br#"{"list":"a \"secret\" list"}"#).unwrap_err();
        assert_eq!(reject.path.as_deref(), Some("list"));
        assert!(!reject.to_string().contains("secret"), "{reject}");
        let reject = parse::<Outer>(br#"{"list":[{}]}"#).unwrap_err();
        assert!(reject.detail.contains("missing field value"), "{reject}");
    }

    #[test]
    fn text_that_is_cut_off_is_told_by_line_and_column() {
        let reject = parse::<Outer>(b"{\"list\":[\n{\"value\":").unwrap_err();
        assert_eq!((reject.code, reject.line), (code::MALFORMED_JSON, Some(2)));
    }
}

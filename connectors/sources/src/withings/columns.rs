//! Rows whose columns come only when they are asked for: numbers and texts by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use headwater_schemas::reading::Normalized;
use headwater_schemas::reject::Reject;
use rust_decimal::Decimal;
use serde_json::value::RawValue;

use crate::json;
use crate::json::Number;

/// A row, column by column.
pub(super) type Row<'a> = BTreeMap<&'a str, &'a RawValue>;

/// A text where there is one.
pub(super) fn word<'a>(columns: &Row<'a>, name: &str) -> Option<Cow<'a, str>> {
    let raw = columns.get(name)?.get();
    let text = raw.strip_prefix('"')?.strip_suffix('"')?;
    // PHP writes `Europe\/Paris`.
    if text.contains('\\') { json::parse::<String>(raw.as_bytes()).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(text)) }
}

/// A number where there is one; null and absence are nothing.
pub(super) fn number(raw: Option<&RawValue>) -> Result<Option<Decimal>, Reject> {
    match raw {
        None => Ok(None),
        Some(raw) if raw.get() == "null" => Ok(None),
        Some(raw) => json::parse::<Number<'_>>(raw.get().as_bytes())?.decimal().map(Some),
    }
}

/// Seconds in minutes, to four places where they do not divide.
pub(super) fn minutes(seconds: Decimal) -> Decimal {
    (seconds / Decimal::from(60)).round_dp(4).normalize()
}

pub(super) fn unknown<'a, 'k>(
    names: impl Iterator<Item = &'k &'a str>,
    known: impl Fn(&str) -> bool,
    what: &str,
    out: &mut Normalized<'a>,
) where
    'a: 'k,
{
    for name in names.filter(|name| !known(name)) {
        out.unknown(format!("{what} {}", crate::fields::label(name)));
    }
}

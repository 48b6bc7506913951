//! Times of records as they are written outside.

use headwater_schemas::Reject;
use headwater_schemas::reject::code;
use jiff::Timestamp;

/// # Errors
/// When the time is outside what can be written.
pub(crate) fn time(micros: i64, field: &str) -> Result<Timestamp, Reject> {
    Timestamp::from_microsecond(micros)
        .map_err(|_| Reject::new(code::BAD_TIME, "expected microseconds since the epoch within the years 1 to 9999").at(field))
}

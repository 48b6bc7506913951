//! What FHIR R4 has no element for: extensions of our own, each published as `docs/fhir/structuredefinition-<name>.json`.

/// How a pump came to give a dose: a code of [`crate::codes::LOCAL_VALUES`].
pub const INSULIN_DELIVERY: &str = "urn:headwater:extension:insulin-delivery";
/// Of an amount of insulin, the units for at once.
pub const INSULIN_NORMAL: &str = "urn:headwater:extension:insulin-normal";
/// Of an amount of insulin, the units for over a time.
pub const INSULIN_EXTENDED: &str = "urn:headwater:extension:insulin-extended";
/// Units that were programmed.
pub const EXPECTED_DOSE: &str = "urn:headwater:extension:expected-dose";
/// How long a dose was programmed to take.
pub const EXPECTED_DURATION: &str = "urn:headwater:extension:expected-duration";
/// From one value of a sensor to the next.
pub const SAMPLE_INTERVAL: &str = "urn:headwater:extension:sample-interval";
/// Whether a sensor's value was handed in later.
pub const BACKFILLED: &str = "urn:headwater:extension:backfilled";

pub static ALL: &[&str] =
    &[INSULIN_DELIVERY, INSULIN_NORMAL, INSULIN_EXTENDED, EXPECTED_DOSE, EXPECTED_DURATION, SAMPLE_INTERVAL, BACKFILLED];

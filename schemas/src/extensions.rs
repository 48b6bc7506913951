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

/// Which of its states a resource is that has no `issued`: a later one supersedes.
pub const VERSION: &str = "urn:headwater:extension:version";

pub static ALL: &[&str] =
    &[VERSION, INSULIN_DELIVERY, INSULIN_NORMAL, INSULIN_EXTENDED, EXPECTED_DOSE, EXPECTED_DURATION, SAMPLE_INTERVAL, BACKFILLED];

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;
    use crate::reading::Delivery;

    fn published(file: &str) -> Value {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/fhir").join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    #[test]
    fn every_extension_is_published_and_nothing_else_is() {
        for url in ALL {
            let name = url.strip_prefix("urn:headwater:extension:").expect("one of ours");
            let definition = published(&format!("structuredefinition-{name}.json"));
            assert_eq!((definition["url"].as_str(), definition["type"].as_str()), (Some(*url), Some("Extension")), "{name}");
            assert_eq!(definition["differential"]["element"][2]["fixedUri"], *url, "{name}");
        }
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/fhir");
        let files = std::fs::read_dir(folder).expect("docs/fhir").map(|f| f.expect("a file").file_name());
        let definitions = files.filter(|name| name.to_string_lossy().starts_with("structuredefinition-")).count();
        assert_eq!(definitions, ALL.len());
    }

    #[test]
    fn every_way_of_delivery_is_in_the_published_value_set() {
        let set = published("valueset-insulin-delivery.json");
        let include = &set["compose"]["include"][0];
        let codes: Vec<&str> =
            include["concept"].as_array().expect("a list").iter().filter_map(|concept| concept["code"].as_str()).collect();
        assert_eq!(include["system"], crate::codes::LOCAL_VALUES);
        assert_eq!(codes, Delivery::ALL.iter().map(|delivery| delivery.concept().code).collect::<Vec<_>>());
    }
}

//! A searchset Bundle, written once: stored resources are put in as they are, with the version and time of what stands here.

use std::fmt::Write as _;

use headwater_store::StoredObservation;
use serde_json::json;

use super::Resource;
use crate::v1::time;

pub(super) struct Bundle<'a> {
    /// `https://health.example.org/fhir`
    base: &'a str,
    text: String,
    entries: usize,
}

impl<'a> Bundle<'a> {
    /// `links` are relation and address.
    pub fn new(base: &'a str, links: &[(&str, String)]) -> Self {
        let links: Vec<_> = links.iter().map(|(relation, url)| json!({ "relation": relation, "url": url })).collect();
        let text = format!(r#"{{"resourceType":"Bundle","type":"searchset","link":{}"#, json!(links));
        Self { base, text, entries: 0 }
    }

    pub fn observation(&mut self, row: &StoredObservation) {
        self.entry("Observation", &row.id.to_string(), &row.fhir, Some((row.version, row.stored_at)));
    }

    pub fn entry(&mut self, kind: &str, id: &str, resource: &str, version: Option<(i64, i64)>) {
        self.text.push_str(if self.entries == 0 { r#","entry":["# } else { "," });
        self.entries += 1;
        let _ = write!(self.text, r#"{{"fullUrl":"{}/{kind}/{id}","resource":"#, self.base);
        const META: &str = r#""meta":{"#;
        match (version, resource.split_once(META)) {
            (Some((version, stored_at)), Some((before, after))) => {
                let at = time(stored_at);
                let _ = write!(self.text, r#"{before}{META}"versionId":"{version}","lastUpdated":"{at}",{after}"#);
            }
            _ => self.text.push_str(resource),
        }
        self.text.push_str(r#","search":{"mode":"match"}}"#);
    }

    pub fn finish(mut self) -> Resource {
        self.text.push_str(if self.entries == 0 { "}" } else { "]}" });
        Resource(self.text)
    }
}

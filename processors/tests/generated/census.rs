//! What occurred how often: a generator that never draws a thing proves nothing of it.

use std::collections::BTreeMap;

use super::*;

pub struct Census(BTreeMap<String, usize>);

impl Census {
    /// Everything that must occur, at nought.
    pub fn new() -> Self {
        let measures =
            codes::ALL.iter().map(|m| m.slug).chain(codes::MEDICATIONS.iter().copied()).map(|slug| format!("measure {slug}"));
        let concepts = codes::CONCEPTS.iter().map(|concept| format!("code {}", concept.code));
        let forms =
            ["Quantity", "Limit", "Range", "Code", "Text", "Samples", "Absent", "Panel"].map(|form| format!("value {form}"));
        let absent = ["Unknown", "Error", "NotPerformed"].map(|reason| format!("absent {reason}"));
        let status = ["preliminary", "final", "amended", "entered-in-error", "unknown"].map(|status| format!("status {status}"));
        let kinds =
            ["Observation", "MedicationAdministration", "Device", "withdrawal", "correction"].map(|kind| format!("kind {kind}"));
        let all = measures.chain(concepts).chain(forms).chain(absent).chain(status).chain(kinds);
        Self(all.map(|what| (what, 0)).collect())
    }

    pub fn count(&mut self, case: &Case) {
        match &case.said {
            Said::Reading(reading) => {
                self.one("kind", "Observation");
                self.one("measure", reading.measure.slug);
                self.one("status", &reading.status.to_string());
                self.value(&reading.value);
                reading.components.iter().for_each(|part| self.value(&part.value));
                if case.previous_start.is_some() {
                    self.one("kind", "correction");
                }
            }
            Said::Dose(dose) => {
                self.one("kind", "MedicationAdministration");
                self.one("measure", dose.data_type);
            }
            Said::Device(_) => self.one("kind", "Device"),
            Said::Gone(_) => self.one("kind", "withdrawal"),
        }
    }

    /// What was expected and never came.
    pub fn missing(&self) -> Vec<&str> {
        self.0.iter().filter(|(_, count)| **count == 0).map(|(what, _)| what.as_str()).collect()
    }

    fn value(&mut self, value: &Value<'_>) {
        let form = format!("{value:?}");
        self.one("value", form.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default());
        match value {
            Value::Code(concept) => self.one("code", concept.code),
            Value::Absent(reason) => self.one("absent", &format!("{reason:?}")),
            _ => {}
        }
    }

    fn one(&mut self, kind: &str, what: &str) {
        *self.0.entry(format!("{kind} {what}")).or_default() += 1;
    }
}

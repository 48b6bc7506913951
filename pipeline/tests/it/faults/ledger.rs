//! What was brought to the doors and accepted, and so what must stand in the store.

use std::collections::{BTreeMap, BTreeSet};

/// One thing measured: a person, a type, a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub subject: String,
    pub data_type: &'static str,
    /// Microseconds since the epoch.
    pub start: i64,
}

/// The values it was given, oldest first: the last one must stand in the end.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    pub keys: BTreeMap<Key, Vec<f64>>,
}

/// How the store differs from the ledger.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Difference {
    pub missing: Vec<Key>,
    /// An older value stands where a newer one was accepted.
    pub stale: Vec<Key>,
    /// A value that was never brought.
    pub wrong: Vec<Key>,
    /// More than one row of the same thing.
    pub doubled: Vec<Key>,
}

impl Difference {
    /// Nothing that waiting could mend.
    pub fn settled(&self) -> bool {
        self.missing.is_empty() && self.stale.is_empty()
    }
}

impl Ledger {
    pub fn put(&mut self, key: Key, value: f64) {
        self.keys.entry(key).or_default().push(value);
    }

    /// Whose rows of which types in which time are to be looked at.
    pub fn spans(&self) -> BTreeMap<(String, &'static str), (i64, i64)> {
        let mut spans = BTreeMap::new();
        for key in self.keys.keys() {
            let span = spans.entry((key.subject.clone(), key.data_type)).or_insert((key.start, key.start));
            *span = (span.0.min(key.start), span.1.max(key.start));
        }
        spans
    }

    /// `rows` are key and value of what stands in the store.
    pub fn compare(&self, rows: &[(Key, Option<f64>)]) -> Difference {
        let mut difference = Difference::default();
        let mut seen: BTreeSet<&Key> = BTreeSet::new();
        for (key, value) in rows {
            let Some(values) = self.keys.get(key) else { continue };
            if !seen.insert(key) {
                difference.doubled.push(key.clone());
            }
            let same = |expected: &f64| value.is_some_and(|value| (value - expected).abs() < 1e-6);
            if values.last().is_some_and(same) {
                continue;
            }
            let list = if values.iter().any(same) { &mut difference.stale } else { &mut difference.wrong };
            list.push(key.clone());
        }
        difference.missing = self.keys.keys().filter(|key| !seen.contains(key)).cloned().collect();
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(start: i64) -> Key {
        Key { subject: "a".into(), data_type: "heart-rate", start }
    }

    /// A checker that sees nothing proves nothing.
    #[test]
    fn each_kind_of_difference_is_seen() {
        let mut ledger = Ledger::default();
        for start in 1..=5 {
            ledger.put(key(start), 60.0);
        }
        ledger.put(key(2), 61.0);
        let rows = [(key(1), Some(60.0)), (key(2), Some(60.0)), (key(3), Some(99.0)), (key(4), Some(60.0)), (key(4), Some(60.0))];
        let seen = ledger.compare(&rows);
        assert_eq!(seen, Difference { missing: vec![key(5)], stale: vec![key(2)], wrong: vec![key(3)], doubled: vec![key(4)] });
        assert!(ledger.compare(&[(key(9), None)]).missing.len() == 5, "what is not ours is passed over");
    }
}

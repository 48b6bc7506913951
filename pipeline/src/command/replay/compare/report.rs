//! What differs, by provider and data type.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::{Entry, Field, Verdict};

/// Numbers of ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    pub same: u64,
    pub added: u64,
    /// They stand, were made from raw records of the range, and the candidate makes none of them. Promoting leaves them.
    pub gone: u64,
    pub changed: u64,
    /// Of the changed, in what: one may count in several.
    pub value: u64,
    pub unit: u64,
    pub time: u64,
    pub code: u64,
    /// In none of these.
    pub other: u64,
    /// A newer state of the source stands there than the range has: not compared.
    pub superseded: u64,
    /// Of the changed, those that would not replace what stands, because the mapper version was not raised.
    pub stuck: u64,
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub name: String,
    /// What stands has begun to expire: an id whose states are all gone from the topic counts as added.
    pub expired: bool,
    /// By provider and data type.
    pub rows: BTreeMap<String, BTreeMap<String, Row>>,
}

impl Report {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), expired: false, rows: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, provider: &str, data_type: &str, entry: &Entry) {
        let types = self.rows.entry(provider.to_owned()).or_default();
        let row = types.entry(data_type.to_owned()).or_default();
        match entry.verdict() {
            Verdict::Same => row.same += 1,
            Verdict::Added => row.added += 1,
            Verdict::Gone => row.gone += 1,
            Verdict::Superseded => row.superseded += 1,
            Verdict::Changed => row.change(entry),
        }
    }

    /// Nothing differs.
    pub fn same(&self) -> bool {
        self.rows.values().flat_map(BTreeMap::values).all(Row::unchanged)
    }

    /// The row of a provider's data type.
    pub fn row(&self, provider: &str, data_type: &str) -> Row {
        self.rows.get(provider).and_then(|types| types.get(data_type)).copied().unwrap_or_default()
    }
}

impl Row {
    pub fn unchanged(&self) -> bool {
        self.added + self.gone + self.changed == 0
    }

    fn change(&mut self, entry: &Entry) {
        self.changed += 1;
        self.stuck += u64::from(entry.stuck());
        let Some((candidate, standing)) = entry.candidate.zip(entry.standing) else { return };
        let differs = |field| candidate.differs(&standing, field);
        let mut named = false;
        for (field, count) in [
            (Field::Value, &mut self.value),
            (Field::Unit, &mut self.unit),
            (Field::Time, &mut self.time),
            (Field::Code, &mut self.code),
        ] {
            *count += u64::from(differs(field));
            named |= differs(field);
        }
        // The resource says all that the columns say: its own difference is one only where they agree.
        self.other += u64::from(differs(Field::Other) || (!named && differs(Field::Fhir)));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEAD: [&str; 9] = ["same", "added", "gone", "changed", "value", "unit", "time", "code", "other"];
        write!(f, "{:<18} {:<28}", "provider", "data type")?;
        HEAD.iter().try_for_each(|head| write!(f, " {head:>8}"))?;
        let (mut superseded, mut stuck) = (0, 0);
        for (provider, types) in &self.rows {
            for (data_type, r) in types {
                write!(f, "\n{provider:<18} {data_type:<28}")?;
                let counts = [r.same, r.added, r.gone, r.changed, r.value, r.unit, r.time, r.code, r.other];
                counts.iter().try_for_each(|count| write!(f, " {count:>8}"))?;
                superseded += r.superseded;
                stuck += r.stuck;
            }
        }
        if self.rows.is_empty() {
            write!(f, "\nnothing was made, and nothing stands")?;
        }
        if superseded > 0 {
            write!(f, "\n{superseded} not compared: a newer state of the source stands there")?;
        }
        if stuck > 0 {
            write!(f, "\n{stuck} of the changed would not replace what stands: raise the mapper version")?;
        }
        if self.expired {
            write!(f, "\nthe topics no longer hold all that was ever there: what expired from them counts as added")?;
        }
        Ok(())
    }
}

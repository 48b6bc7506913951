//! Whether one schema may follow others.

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde::{Deserialize, Serialize};

/// Confluent's compatibility levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    fn backward(self) -> bool {
        matches!(self, Self::Backward | Self::BackwardTransitive | Self::Full | Self::FullTransitive)
    }

    fn forward(self) -> bool {
        matches!(self, Self::Forward | Self::ForwardTransitive | Self::Full | Self::FullTransitive)
    }

    fn transitive(self) -> bool {
        matches!(self, Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive)
    }
}

/// Whether `new` may follow `earlier` (oldest first) at this level.
///
/// # Errors
/// Which direction fails, against which version, and why.
pub fn compatible(level: Level, new: &str, earlier: &[&str]) -> Result<(), String> {
    let parse = |text: &str| Schema::parse_str(text).map_err(|e| format!("not an Avro schema: {e}"));
    let new = parse(new)?;
    let skip = if level.transitive() { 0 } else { earlier.len().saturating_sub(1) };
    for (index, old) in earlier.iter().enumerate().skip(skip) {
        let (old, version) = (parse(old)?, index + 1);
        if level.backward() {
            reads(&old, &new).map_err(|why| format!("records of version {version} cannot be read with the new schema: {why}"))?;
        }
        if level.forward() {
            reads(&new, &old).map_err(|why| format!("new records cannot be read with version {version}: {why}"))?;
        }
    }
    Ok(())
}

/// Whether every record of `writer` can be read with `reader`. What may fail for some records counts as failing.
fn reads(writer: &Schema, reader: &Schema) -> Result<(), String> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => Ok(()),
        Ok(Compatibility::Partial) => Err("some values have no place in the reader's schema".into()),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_schemas::topics;

    fn change(schema: &str, change: impl FnOnce(&mut Vec<serde_json::Value>)) -> String {
        let mut json: serde_json::Value = serde_json::from_str(schema).unwrap();
        change(json["fields"].as_array_mut().unwrap());
        json.to_string()
    }

    #[test]
    fn every_schema_may_follow_itself() {
        for schema in topics::ALL.iter().filter_map(|t| t.schema) {
            compatible(Level::FullTransitive, schema, &[schema]).unwrap();
        }
    }

    #[test]
    fn a_field_with_a_default_may_come_and_a_required_one_may_not() {
        let ours = topics::COVERAGE.schema.unwrap();
        let optional =
            change(ours, |fields| fields.push(serde_json::json!({"name": "note", "type": ["null", "string"], "default": null})));
        compatible(Level::FullTransitive, &optional, &[ours]).unwrap();
        let required = change(ours, |fields| fields.push(serde_json::json!({"name": "note", "type": "string"})));
        assert!(compatible(Level::FullTransitive, &required, &[ours]).unwrap_err().contains("version 1"));
    }

    #[test]
    fn transitive_looks_at_all_versions() {
        let ours = topics::COVERAGE.schema.unwrap();
        let added = change(ours, |f| f.push(serde_json::json!({"name": "note", "type": ["null", "string"], "default": null})));
        let retyped = change(ours, |f| f.push(serde_json::json!({"name": "note", "type": ["null", "long"], "default": null})));
        compatible(Level::Full, &retyped, &[&added, ours]).unwrap();
        compatible(Level::FullTransitive, &retyped, &[&added, ours]).unwrap_err();
    }
}

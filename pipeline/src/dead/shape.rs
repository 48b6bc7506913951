//! What a body looks like, without a value of it: names and kinds.

use serde_json::{Map, Value};

/// More names than this in one object are data (ids, times), and not names.
const MANY: usize = 64;
const LONG: usize = 48;

/// The shape of a JSON text; `None` where it is none.
pub fn of(text: &[u8]) -> Option<Value> {
    serde_json::from_slice::<Value>(text).ok().map(|value| shape(&value))
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => Value::Array(items.iter().map(shape).reduce(both).into_iter().collect()),
        Value::Object(fields) => {
            let mut out: Map<String, Value> = Map::new();
            for (name, value) in fields {
                let name = if fields.len() <= MANY && is_name(name) { name.as_str() } else { "*" };
                let value = shape(value);
                let value = match out.remove(name) {
                    Some(other) => both(other, value),
                    None => value,
                };
                out.insert(name.to_owned(), value);
            }
            Value::Object(out)
        }
    }
}

/// Keys of some objects are data themselves: a person's number, a time. A name is a word with few digits.
fn is_name(key: &str) -> bool {
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    key.len() <= LONG
        && digits <= 2
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'))
}

/// One shape for two: fields of either, and `a|b` where the kinds differ.
fn both(a: Value, b: Value) -> Value {
    match (a, b) {
        (a, b) if a == b => a,
        (Value::Object(mut a), Value::Object(b)) => {
            for (name, value) in b {
                let value = match a.remove(&name) {
                    Some(other) => both(other, value),
                    None => value,
                };
                a.insert(name, value);
            }
            Value::Object(a)
        }
        (Value::Array(a), Value::Array(b)) => Value::Array(a.into_iter().chain(b).reduce(both).into_iter().collect()),
        (a, b) => {
            let word = |value: Value| match value {
                Value::String(word) => word,
                Value::Array(_) => "list".to_owned(),
                _ => "object".to_owned(),
            };
            let (a, b) = (word(a), word(b));
            let mut words: Vec<&str> = a.split('|').chain(b.split('|')).collect();
            words.sort_unstable();
            words.dedup();
            words.join("|").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_names_and_kinds_and_no_value() {
        let text = br#"{"user":"u-77","points":[{"kg":71.5,"at":"2026-06-01"},{"kg":"heavy","note":null},{"at":[1,2]}],
            "by_time":{"2026-06-01T10:00:00Z":61,"1780272000":62},"people":{"ann@example.org":{"pulse":61}},"none":[]}"#;
        let expected = serde_json::json!({
            "user": "string",
            "points": [{"kg": "number|string", "at": "list|string", "note": "null"}],
            "by_time": {"*": "number"},
            "people": {"*": {"pulse": "number"}},
            "none": [],
        });
        assert_eq!(of(text).expect("JSON"), expected);
        assert_eq!(of(b"{\"cut"), None);
    }
}

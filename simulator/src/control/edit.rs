//! How a change by hand becomes JSON as the providers write it.

use serde_json::{Value, json};

use super::{Addition, Content, ControlError};
use crate::google_health::{shape, types};
use crate::people::{Profile, Provider};
use crate::record::Origin;
use crate::withings::data;

/// The merge patch that sets the main number.
pub(super) fn value_patch(provider: Provider, stream: &str, body: &Value, value: f64) -> Result<Value, ControlError> {
    let none = || ControlError::NoValue(stream.to_owned());
    if provider == Provider::Withings {
        return data::main_value(stream, body, value).ok_or_else(none);
    }
    let kind = types::find(stream).ok_or_else(none)?;
    let (field, whole) = kind.value.ok_or_else(none)?;
    Ok(json!({kind.camel(): {field: number(value, whole)}}))
}

fn number(value: f64, whole: bool) -> Value {
    if whole { json!((value.round() as i64).to_string()) } else { json!(value) }
}

/// The time of change, where the API shows one.
pub(super) fn stamp(provider: Provider, stream: &str, patch: &mut Value, now: i64) {
    match (provider, stream) {
        (Provider::Withings, _) => patch["modified"] = json!(now),
        (Provider::Whoop, _) => patch["updated_at"] = json!(shape::stamp(now)),
        (other, _) if crate::rest::ALL.contains(&other) => {}
        (_, "sleep" | "exercise") => patch[stream]["updateTime"] = json!(shape::stamp(now)),
        _ => {}
    }
}

/// Two merge patches in one. Unlike applying a patch, a null is kept: it still has to remove something later.
pub(super) fn add_patch(held: &mut Value, more: &Value) {
    match (held, more) {
        (Value::Object(held), Value::Object(more)) => {
            for (name, change) in more {
                add_patch(held.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        (held, more) => *held = more.clone(),
    }
}

pub(super) fn new_body(who: &Profile, stream: &str, addition: &Addition, id: u64, now: i64) -> Result<Value, ControlError> {
    let provider = who.person.provider;
    let mut body = match &addition.content {
        Content::Body(body) => body.clone(),
        Content::Value(value) if provider == Provider::Withings && stream == "measures" => json!({
            "attrib": 0, "date": addition.start, "category": 1, "deviceid": who.scale_id, "hash_deviceid": who.scale_id,
            "measures": [{"value": (value * 1000.0).round() as i64, "type": 1, "unit": -3, "algo": 0, "fm": 3}],
            "modelid": 6, "model": "Body Cardio", "comment": null,
        }),
        Content::Value(value) => {
            let none = || ControlError::NoValue(stream.to_owned());
            let kind = types::find(stream).filter(|_| provider == Provider::GoogleHealth).ok_or_else(none)?;
            let (field, whole) = kind.value.ok_or_else(none)?;
            let mut point = match kind.shape {
                types::Shape::Interval => json!({"interval": shape::interval(who, addition.start, addition.end)}),
                types::Shape::Sample => json!({"sampleTime": shape::sample(who, addition.start)}),
                types::Shape::Daily => json!({"date": shape::date(who.date_of(addition.start))}),
                _ => return Err(none()),
            };
            point[field] = number(*value, whole);
            json!({"dataSource": shape::source(Origin::Band, "PASSIVELY_MEASURED"), kind.camel(): point})
        }
    };
    let name = format!("users/{}/dataTypes/{stream}/dataPoints/{id}", who.person.user_id);
    let defaults = match (provider, stream) {
        (Provider::Withings, "measures") => json!({"grpid": id, "created": now, "modified": now}),
        (Provider::Withings, _) => json!({"id": id, "modified": now}),
        (_, "sleep" | "exercise") => json!({"name": name}),
        _ => json!({}),
    };
    if let (Value::Object(fields), Value::Object(defaults)) = (&mut body, defaults) {
        for (name, value) in defaults {
            fields.entry(name).or_insert(value);
        }
    }
    Ok(body)
}

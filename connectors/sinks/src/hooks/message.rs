//! One connection event as a webhook: its id and its body. Both come from the record alone, so that every attempt sends the same.

use headwater_schemas::connection::Connection;
use headwater_schemas::{Reject, ids};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::time::time;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub id: Uuid,
    pub connection: Uuid,
    /// JSON.
    pub body: Vec<u8>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    connection_id: Uuid,
    provider: &'a str,
    subject_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

impl Message {
    /// # Errors
    /// When a time of the record is outside the years 1 to 9999.
    pub(super) fn of(event: &Connection<'_>) -> Result<Self, Reject> {
        let body = Body {
            r#type: format!("connection.{}", event.state),
            timestamp: time(event.at, "at")?,
            data: Data {
                connection_id: event.connection_id,
                provider: event.provider,
                subject_id: event.subject_id,
                stream: event.stream,
                since: event.since.map(|since| time(since, "since")).transpose()?,
            },
        };
        let body = serde_json::to_vec(&body).expect("text, ids and times have a JSON form");
        Ok(Self { id: id(event), connection: event.connection_id, body })
    }
}

/// UUIDv5 of what makes the event one. Each part is ended by a zero byte, as everywhere in our ids; the stream is last because it may lack.
fn id(event: &Connection<'_>) -> Uuid {
    let (connection, at) = (event.connection_id.to_string(), event.at.to_string());
    let parts = ["hook", &connection, event.subject_id, event.state.as_str(), &at];
    let mut name = Vec::new();
    for part in parts.into_iter().chain(event.stream) {
        name.extend_from_slice(part.as_bytes());
        name.push(0);
    }
    Uuid::new_v5(&ids::NAMESPACE, &name)
}

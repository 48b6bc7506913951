//! What both stores do alike when a row becomes columns: sealing, states, and the parts of an observation that are lists.

use headwater_schemas::observation::{Component, Status};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::rows::{Connection, ConnectionState, Tokens};
use crate::seal::{Keyring, Kind, Place};
use crate::{Result, Unavailable};

/// The status of rows that [`crate::Store::latest`] passes over.
pub const WITHDRAWN: &str = Status::EnteredInError.as_str();

pub fn seal_user(keys: &Keyring, connection: &Connection) -> Result<Vec<u8>> {
    seal(keys, &user(connection.id), &SecretString::from(connection.provider_user.as_str()))
}

pub fn open_user(keys: &Keyring, id: Uuid, blob: &[u8]) -> Result<String> {
    Ok(open(keys, &user(id), blob)?.expose_secret().to_owned())
}

/// The access token, and the refresh token where there is one.
pub fn seal_tokens(keys: &Keyring, id: Uuid, tokens: &Tokens) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let access = seal(keys, &token(id, Kind::Access, tokens.generation), &tokens.access)?;
    let refresh = tokens.refresh.as_ref().map(|r| seal(keys, &token(id, Kind::Refresh, tokens.generation), r)).transpose()?;
    Ok((access, refresh))
}

/// A token pair as it is kept.
pub struct SealedTokens {
    pub access: Vec<u8>,
    pub refresh: Option<Vec<u8>>,
    pub expires_at: Option<i64>,
    pub generation: i64,
}

impl SealedTokens {
    pub fn open(&self, keys: &Keyring, id: Uuid) -> Result<Tokens> {
        let opened = |kind, blob: &[u8]| open(keys, &token(id, kind, self.generation), blob);
        Ok(Tokens {
            access: opened(Kind::Access, &self.access)?,
            refresh: self.refresh.as_deref().map(|blob| opened(Kind::Refresh, blob)).transpose()?,
            expires_at: self.expires_at,
            generation: self.generation,
        })
    }
}

pub fn state(symbol: &str) -> Result<ConnectionState> {
    ConnectionState::from_symbol(symbol).ok_or_else(|| Unavailable::new(format!("a connection has the unknown state {symbol:?}")))
}

/// Components as a JSON array; `None` when there is none. Absent values are left out.
pub fn components(of: &[Component<'_>]) -> Option<String> {
    if of.is_empty() {
        return None;
    }
    Some(Value::Array(of.iter().map(component).collect()).to_string())
}

fn component(c: &Component<'_>) -> Value {
    let mut map = Map::new();
    map.insert("data_type".into(), c.data_type.into());
    map.insert("code".into(), c.code.into());
    if let Some(value) = c.value {
        map.insert("value".into(), value.into());
    }
    let texts =
        [("value_text", c.value_text), ("unit", c.unit), ("value_code", c.value_code), ("absent_reason", c.absent_reason)];
    for (name, text) in texts.into_iter().filter_map(|(name, text)| text.map(|t| (name, t))) {
        map.insert(name.into(), text.into());
    }
    Value::Object(map)
}

fn user(id: Uuid) -> Place {
    Place { table: "connections", connection: id, kind: Kind::User, generation: 0 }
}

fn token(id: Uuid, kind: Kind, generation: i64) -> Place {
    Place { table: "tokens", connection: id, kind, generation }
}

fn seal(keys: &Keyring, place: &Place, secret: &SecretString) -> Result<Vec<u8>> {
    keys.seal(place, secret)
        .map_err(|e| Unavailable::new(format!("{} of a connection in {}: {e}", place.kind.as_str(), place.table)))
}

fn open(keys: &Keyring, place: &Place, blob: &[u8]) -> Result<SecretString> {
    keys.open(place, blob).map_err(|e| {
        Unavailable::new(format!("{} of connection {} in {}: {e}", place.kind.as_str(), place.connection, place.table))
    })
}

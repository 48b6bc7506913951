//! What both stores do alike when a row becomes columns: sealing, states, and the parts of an observation that are lists.

use std::sync::Arc;

use headwater_schemas::observation::{Component, Status};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::rows::{Connection, ConnectionState, Identity, Subject, Tokens};
use crate::seal::{self, DataKey, Kind, Place};
use crate::vault::{KeyRows, Owner, Vault};
use crate::{Result, Unavailable};

/// The status of rows that [`crate::Store::latest`] passes over.
pub const WITHDRAWN: &str = Status::EnteredInError.as_str();

pub fn seal_user(key: &DataKey, connection: &Connection) -> Result<Vec<u8>> {
    seal(key, &user(&connection.id), connection.provider_user.as_bytes())
}

/// A connection as it is kept: whose account it is, sealed.
pub struct SealedConnection {
    pub connection: Connection,
    pub user: Vec<u8>,
}

impl SealedConnection {
    pub async fn open(self, vault: &Vault, rows: &dyn KeyRows) -> Result<Connection> {
        let id = self.connection.id;
        let key = key_of(vault, rows, &Owner::Connection(id), &self.user).await?;
        let provider_user = text(open(&key, &user(&id), &self.user)?, &user(&id))?;
        Ok(Connection { provider_user, ..self.connection })
    }
}

/// The access token, and the refresh token where there is one.
pub fn seal_tokens(key: &DataKey, id: Uuid, tokens: &Tokens) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let sealed =
        |kind, token: &SecretString| seal(key, &token_place(&id, kind, tokens.generation), token.expose_secret().as_bytes());
    let access = sealed(Kind::Access, &tokens.access)?;
    let refresh = tokens.refresh.as_ref().map(|r| sealed(Kind::Refresh, r)).transpose()?;
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
    pub async fn open(&self, vault: &Vault, rows: &dyn KeyRows, id: Uuid) -> Result<Tokens> {
        let key = key_of(vault, rows, &Owner::Connection(id), &self.access).await?;
        let opened = |kind, blob: &[u8]| {
            let place = token_place(&id, kind, self.generation);
            Ok::<_, Unavailable>(SecretString::from(text(open(&key, &place, blob)?, &place)?))
        };
        Ok(Tokens {
            access: opened(Kind::Access, &self.access)?,
            refresh: self.refresh.as_deref().map(|blob| opened(Kind::Refresh, blob)).transpose()?,
            expires_at: self.expires_at,
            generation: self.generation,
        })
    }
}

/// Who a subject is elsewhere: `system` and `value`, each ended by its length.
fn seal_identity(key: &DataKey, subject: &str, identity: &Identity) -> Result<Vec<u8>> {
    let plain = Zeroizing::new(format!("{}\n{}{}", identity.system.len(), identity.system, identity.value));
    seal(key, &identity_place(subject), plain.as_bytes())
}

async fn open_identity(vault: &Vault, rows: &dyn KeyRows, subject: &str, blob: &[u8]) -> Result<Identity> {
    let place = identity_place(subject);
    let key = key_of(vault, rows, &Owner::Subject(subject.to_owned()), blob).await?;
    let plain = Zeroizing::new(text(open(&key, &place, blob)?, &place)?);
    let parts = || {
        let (length, rest) = plain.split_once('\n')?;
        rest.split_at_checked(length.parse().ok()?)
    };
    let (system, value) = parts().ok_or_else(|| Unavailable::new("an identity has another layout than this version expects"))?;
    Ok(Identity { system: system.to_owned(), value: value.to_owned() })
}

/// A subject's sealed identity and what it is found by.
pub async fn sealed_identity(vault: &Vault, rows: &dyn KeyRows, subject: &Subject) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let Some(identity) = &subject.identity else { return Ok(None) };
    let key = vault.key(rows, &Owner::Subject(subject.id.clone()), subject.created_at).await?;
    Ok(Some((seal_identity(&key, &subject.id, identity)?, identity_mark(vault, rows, identity).await?)))
}

/// What an identity is found by.
pub async fn identity_mark(vault: &Vault, rows: &dyn KeyRows, identity: &Identity) -> Result<Vec<u8>> {
    let key = vault.key(rows, &Owner::Service, 0).await?;
    Ok(key.mark(format!("{}\n{}{}", identity.system.len(), identity.system, identity.value).as_bytes()).to_vec())
}

/// A subject as it is kept.
pub async fn opened_subject(
    vault: &Vault,
    rows: &dyn KeyRows,
    id: &str,
    row: Option<(Option<Vec<u8>>, i64)>,
) -> Result<Option<Subject>> {
    let Some((identity, created_at)) = row else { return Ok(None) };
    let identity = match identity {
        Some(blob) => Some(open_identity(vault, rows, id, &blob).await?),
        None => None,
    };
    Ok(Some(Subject { id: id.to_owned(), identity, created_at }))
}

pub async fn seal_pending(vault: &Vault, rows: &dyn KeyRows, row: &[u8; 32], body: &[u8], now: i64) -> Result<Vec<u8>> {
    seal(&*vault.key(rows, &Owner::Service, now).await?, &pending(row), body)
}

pub async fn open_pending(
    vault: &Vault,
    rows: &dyn KeyRows,
    row: &[u8; 32],
    blob: Option<Vec<u8>>,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(blob) = blob else { return Ok(None) };
    let key = key_of(vault, rows, &Owner::Service, &blob).await?;
    open(&key, &pending(row), &blob).map(Some)
}

async fn key_of(vault: &Vault, rows: &dyn KeyRows, owner: &Owner, blob: &[u8]) -> Result<Arc<DataKey>> {
    let id = seal::data_key_of(blob).map_err(|e| Unavailable::new(format!("a value of {}: {e}", owner.kind())))?;
    let gone = || Unavailable::new(format!("a value of {}: its data key {id} is not there", owner.kind()));
    vault.opening(rows, owner, id).await?.ok_or_else(gone)
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

fn user(id: &Uuid) -> Place<'_> {
    Place { table: "connections", row: id.as_bytes(), kind: Kind::User, generation: 0 }
}

fn token_place(id: &Uuid, kind: Kind, generation: i64) -> Place<'_> {
    Place { table: "tokens", row: id.as_bytes(), kind, generation }
}

fn identity_place(subject: &str) -> Place<'_> {
    Place { table: "subjects", row: subject.as_bytes(), kind: Kind::Identity, generation: 0 }
}

fn pending(row: &[u8; 32]) -> Place<'_> {
    Place { table: "pending", row, kind: Kind::Pending, generation: 0 }
}

fn seal(key: &DataKey, place: &Place<'_>, secret: &[u8]) -> Result<Vec<u8>> {
    key.seal(place, secret).map_err(|e| Unavailable::new(format!("{} in {}: {e}", place.kind.as_str(), place.table)))
}

fn open(key: &DataKey, place: &Place<'_>, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    key.open(place, blob).map_err(|e| unopened(place, e))
}

fn text(plain: Zeroizing<Vec<u8>>, place: &Place<'_>) -> Result<String> {
    seal::text(plain).map_err(|e| unopened(place, e))
}

fn unopened(place: &Place<'_>, why: seal::Unopened) -> Unavailable {
    Unavailable::new(format!("{} in {}: {why}", place.kind.as_str(), place.table))
}

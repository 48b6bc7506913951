//! What can be connected.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::Api;

#[derive(Serialize, ToSchema)]
pub struct Provider {
    id: &'static str,
    name: &'static str,
    /// What is asked for.
    scopes: Vec<&'static str>,
    streams: Vec<StreamDoc>,
    /// How far back a first connection looks, in days.
    history_days: i64,
}

#[derive(Serialize, ToSchema)]
pub struct StreamDoc {
    id: &'static str,
    doc: &'static str,
    /// Data types that come out of it.
    data_types: Vec<&'static str>,
}

/// The configured providers
#[utoipa::path(get, path = "/v1/providers", tag = "connections", responses((status = 200, body = Vec<Provider>)))]
pub async fn list(State(api): State<Arc<Api>>) -> Json<Vec<Provider>> {
    const DAY: i64 = 86_400_000_000;
    let providers = api.accounts.providers().into_iter().map(|profile| Provider {
        id: profile.id,
        name: profile.name,
        scopes: profile.oauth.as_ref().map(|oauth| oauth.scopes.to_vec()).unwrap_or_default(),
        streams: profile
            .streams
            .iter()
            .map(|s| StreamDoc { id: s.id, doc: s.doc, data_types: s.becomes.iter().map(|m| m.slug).collect() })
            .collect(),
        history_days: api.accounts.history(profile.id).unwrap_or_default() / DAY,
    });
    Json(providers.collect())
}

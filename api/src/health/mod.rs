//! Observations in plain JSON, CSV and NDJSON, and as they come: for analysts and apps that do not speak FHIR.

mod export;
mod live;
mod observations;
mod row;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use headwater_schemas::codes;

pub(crate) use export::{__path_export, export};
pub(crate) use live::{__path_live, live};
pub use live::{Deaf, Feed, News, Place};
pub(crate) use observations::{__path_latest, __path_range, latest, range};

use crate::problem::Problem;
use crate::reading::all_types;
use crate::state::Api;

pub(crate) fn router() -> Router<Arc<Api>> {
    Router::new()
        .route("/health/observations", get(range))
        .route("/health/observations/latest", get(latest))
        .route("/health/export", get(export))
        .route("/health/live", get(live))
}

/// Data types separated by commas; all where none are given.
fn types(given: Option<&str>) -> Result<Vec<&'static str>, Problem> {
    let Some(list) = given else { return Ok(all_types()) };
    let known = |slug| codes::by_slug(slug).map(|measure| measure.slug);
    let types: Option<Vec<&'static str>> = list.split(',').map(known).collect();
    let mut types = types.ok_or_else(|| Problem::parameter("type", "data types of `headwater streams`, separated by commas"))?;
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

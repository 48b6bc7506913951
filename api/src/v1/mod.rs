//! The API of platforms: JSON over bearer tokens.

pub(crate) mod connections;
mod described;
mod invitations;
mod providers;
mod subjects;
mod uploaders;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::routing::{delete, get, post};
use headwater_schemas::ids;
use serde::{Deserialize, Serialize};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_swagger_ui::SwaggerUi;
use uuid::Uuid;

use crate::problem::Problem;
use crate::state::Api;
use described::Described;

pub(crate) fn router() -> Router<Arc<Api>> {
    Router::new()
        .route("/v1/providers", get(providers::list))
        .route("/v1/connections", get(connections::list).post(connections::begin))
        .route("/v1/connections/{id}", get(connections::one).delete(connections::disconnect))
        .route("/v1/connections/{id}/sync", post(connections::sync))
        .route("/v1/connections/{id}/deactivate", post(connections::deactivate))
        .route("/v1/connections/{id}/reactivate", post(connections::reactivate))
        .route("/v1/uploaders", post(uploaders::enroll))
        .route("/v1/account-links", post(invitations::account_link))
        .route("/v1/invitations", post(invitations::invite))
        .route("/v1/subjects", post(subjects::create))
        .route("/v1/subjects/{subject}", delete(subjects::erase))
        .route("/v1/subjects/{subject}/erasure", get(subjects::erasure))
        .route("/v1/subjects/{subject}/consent", get(subjects::consent).put(subjects::agree))
}

/// The description, and a page to browse it.
pub(crate) fn docs() -> Router<Arc<Api>> {
    Router::new().merge(SwaggerUi::new("/docs").url("/openapi.json", Description::openapi()))
}

pub(crate) fn openapi() -> String {
    Description::openapi().to_pretty_json().unwrap_or_default()
}

/// Connections of wearable accounts, consent, and observations of one person.
#[derive(OpenApi)]
#[openapi(
    info(title = "Headwater", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    paths(
        providers::list,
        connections::list,
        connections::begin,
        connections::one,
        connections::disconnect,
        connections::sync,
        connections::deactivate,
        connections::reactivate,
        uploaders::enroll,
        invitations::account_link,
        invitations::invite,
        subjects::create,
        subjects::erase,
        subjects::erasure,
        subjects::consent,
        subjects::agree,
        crate::health::range,
        crate::health::latest,
        crate::health::export,
        crate::health::live,
        crate::fhir::observation_search,
        crate::fhir::lastn,
        crate::fhir::device_search,
        crate::fhir::patient_read,
        crate::fhir::metadata,
    ),
    components(schemas(ProblemDocument, OperationOutcome)),
    modifiers(&Bearer, &Described),
    security(("bearer" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        if let Some(components) = &mut openapi.components {
            components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        }
    }
}

/// An error (RFC 9457).
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what `Problem` writes")]
struct ProblemDocument {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
}

/// An error (FHIR R4).
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "describes what `fhir` makes of a `Problem`")]
struct OperationOutcome {
    resource_type: String,
    issue: Vec<Issue>,
}

#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what `fhir` makes of a `Problem`")]
struct Issue {
    severity: String,
    code: String,
    diagnostics: String,
}

/// A subject as a platform may name one: by the id it has here, or by who the person is elsewhere.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExternalIdentity {
    /// A URI, as in FHIR's Identifier.
    #[schema(example = "https://clinic.example/mrn", pattern = ":", max_length = 256)]
    system: String,
    #[schema(min_length = 1, max_length = 256)]
    value: String,
}

/// What [`subject_id`] takes.
const SUBJECT: &str = "^[A-Za-z0-9.-]{1,64}$";

/// A subject is a FHIR Patient, so its id is one that FHIR takes.
pub(crate) fn subject_id(text: &str) -> Result<&str, Problem> {
    if ids::is_fhir(text) { Ok(text) } else { Err(Problem::parameter("subject", "1 to 64 letters, digits, - or .")) }
}

/// The connection that an address names.
fn connection_id(given: Result<Path<Uuid>, PathRejection>) -> Result<Uuid, Problem> {
    given.map(|Path(id)| id).map_err(|_| Problem::parameter("id", "the UUID of a connection"))
}

/// The subject that an address names.
pub(crate) fn subject_of(given: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Path(subject) = given.map_err(|_| Problem::parameter("subject", "1 to 64 letters, digits, - or ."))?;
    subject_id(&subject)?;
    Ok(subject)
}

/// RFC 3339.
pub(crate) fn time(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map(|t| t.to_string()).unwrap_or_default()
}

/// A request's body, or what is wrong with it.
pub(crate) fn body<T>(given: Result<axum::Json<T>, axum::extract::rejection::JsonRejection>) -> Result<T, Problem> {
    given.map(|axum::Json(value)| value).map_err(|e| Problem::new(e.status().as_u16(), "bad body", e.body_text()))
}

/// A request's query, or what is wrong with it.
pub(crate) fn query<T>(given: Result<axum::extract::Query<T>, axum::extract::rejection::QueryRejection>) -> Result<T, Problem> {
    given.map(|axum::extract::Query(value)| value).map_err(|e| Problem::new(400, "bad parameter", e.body_text()))
}

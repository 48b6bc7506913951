//! People: who they are elsewhere, what they agreed to, and removing them.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use headwater_ingest::account::Agreed;
use headwater_store::{ErasureStep, Identity, Subject};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ExternalIdentity, body, subject_of, time};
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::state::{Act, Api};

#[derive(Debug, Serialize, ToSchema)]
pub struct SubjectDoc {
    subject: String,
    /// False where the person was known.
    created: bool,
}

/// The subject of an identity, made where there is none
#[utoipa::path(post, path = "/v1/subjects", tag = "subjects", request_body = ExternalIdentity,
    responses((status = 200, body = SubjectDoc), (status = 201, body = SubjectDoc), (status = 403)))]
pub async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Json<ExternalIdentity>, JsonRejection>,
) -> Result<(StatusCode, Json<SubjectDoc>), Problem> {
    let given = body(given)?;
    api.allow(&caller, Action::ListAll, "create_subject", "").await?;
    if !given.system.contains(':')
        || given.system.chars().count() > 256
        || given.value.is_empty()
        || given.value.chars().count() > 256
    {
        return Err(Problem::parameter("identity", "a system that is a URI and a value, up to 256 characters each"));
    }
    let identity = Identity { system: given.system, value: given.value };
    for _ in 0..2 {
        if let Some(subject) = api.store.subject_by_identity(&identity).await? {
            let act =
                Act { actor: &caller.actor, action: "read_subject", subject: Some(&subject), connection: None, detail: None };
            api.done(act).await?;
            return Ok((StatusCode::OK, Json(SubjectDoc { subject, created: false })));
        }
        // Random: nothing of the identity can be told from it.
        let id = Uuid::new_v4().to_string();
        let row = Subject { id: id.clone(), identity: Some(identity.clone()), created_at: api.accounts.now() };
        if api.store.put_subject(&row).await? {
            let act = Act { actor: &caller.actor, action: "create_subject", subject: Some(&id), connection: None, detail: None };
            api.done(act).await?;
            return Ok((StatusCode::CREATED, Json(SubjectDoc { subject: id, created: true })));
        }
    }
    Err(Problem::new(409, "busy", "somebody else makes the same subject; try again"))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    granted: bool,
    /// Data types that may be processed; empty means all.
    #[serde(default)]
    data_types: Vec<String>,
    /// Sinks that may receive them, by name; empty means all.
    #[serde(default)]
    recipients: Vec<String>,
    /// RFC 3339; without end where absent.
    #[schema(format = DateTime)]
    until: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Consent {
    /// 0 where the subject decided nothing: then everything is granted by connecting.
    version: i64,
    granted: bool,
    data_types: Vec<String>,
    recipients: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<String>,
}

impl Consent {
    fn of(version: i64, agreed: Agreed) -> Self {
        Self {
            version,
            granted: agreed.granted,
            data_types: agreed.data_types,
            recipients: agreed.recipients,
            until: agreed.until.map(time),
            decided_at: Some(time(agreed.at)),
        }
    }
}

/// What a subject agreed to
#[utoipa::path(get, path = "/v1/subjects/{subject}/consent", tag = "subjects", params(("subject" = String, Path)),
    responses((status = 200, body = Consent), (status = 403)))]
pub async fn consent(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    subject: Result<Path<String>, PathRejection>,
) -> Result<Json<Consent>, Problem> {
    let subject = &subject_of(subject)?;
    api.allow(&caller, Action::ReadConnection, "read_consent", subject).await?;
    let consent = match api.accounts.agreed(subject).await? {
        None => Consent { version: 0, granted: true, data_types: vec![], recipients: vec![], until: None, decided_at: None },
        Some((version, agreed)) => Consent::of(version, agreed),
    };
    api.done(Act { actor: &caller.actor, action: "read_consent", subject: Some(subject), connection: None, detail: None })
        .await?;
    Ok(Json(consent))
}

/// Record what a subject agrees to
#[utoipa::path(put, path = "/v1/subjects/{subject}/consent", tag = "subjects", params(("subject" = String, Path)), request_body = Decision,
    responses((status = 200, body = Consent), (status = 400), (status = 403), (status = 409)))]
pub async fn agree(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    subject: Result<Path<String>, PathRejection>,
    given: Result<Json<Decision>, JsonRejection>,
) -> Result<Json<Consent>, Problem> {
    let subject = &subject_of(subject)?;
    let decision = body(given)?;
    api.allow(&caller, Action::Consent, "consent", subject).await?;
    let until = decision.until.as_deref().map(|text| text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_microsecond));
    let until = until.transpose().map_err(|_| Problem::parameter("until", "a time such as 2027-01-01T00:00:00Z"))?;
    let agreed = Agreed {
        granted: decision.granted,
        data_types: decision.data_types,
        recipients: decision.recipients,
        until,
        actor: caller.actor.clone(),
        at: api.accounts.now(),
    };
    let version = api.accounts.agree(subject, &agreed).await?;
    let detail = Some(if agreed.granted { "granted" } else { "withdrawn" });
    api.done(Act { actor: &caller.actor, action: "consent", subject: Some(subject), connection: None, detail }).await?;
    Ok(Json(Consent::of(version, agreed)))
}

/// The proof of an erasure.
#[derive(Debug, Serialize, ToSchema)]
pub struct Proof {
    subject: String,
    /// `running` until the sinks have swept what was written meanwhile and found nothing left; then `complete`.
    status: &'static str,
    steps: Vec<Step>,
    /// What was written in clear before and cannot be edited, with its retention.
    retained: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Step {
    step: String,
    at: String,
    count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Erase a subject everywhere
#[utoipa::path(delete, path = "/v1/subjects/{subject}", tag = "subjects", params(("subject" = String, Path)),
    responses((status = 202, body = Proof), (status = 403)))]
pub async fn erase(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    subject: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<Proof>), Problem> {
    let subject = &subject_of(subject)?;
    api.allow(&caller, Action::Erase, "erase", subject).await?;
    let steps = api.accounts.erase(subject, &caller.actor).await?;
    api.done(Act { actor: &caller.actor, action: "erase", subject: Some(subject), connection: None, detail: None }).await?;
    Ok((StatusCode::ACCEPTED, Json(proof(subject, steps))))
}

/// The proof of an erasure
#[utoipa::path(get, path = "/v1/subjects/{subject}/erasure", tag = "subjects", params(("subject" = String, Path)),
    responses((status = 200, body = Proof), (status = 403), (status = 404)))]
pub async fn erasure(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    subject: Result<Path<String>, PathRejection>,
) -> Result<Json<Proof>, Problem> {
    let subject = &subject_of(subject)?;
    api.allow(&caller, Action::Erase, "read_erasure", subject).await?;
    let steps = api.accounts.erasure(subject).await?;
    if steps.is_empty() {
        return Err(Problem::new(404, "not found", "this subject was not erased"));
    }
    api.done(Act { actor: &caller.actor, action: "read_erasure", subject: Some(subject), connection: None, detail: None })
        .await?;
    Ok(Json(proof(subject, steps)))
}

fn proof(subject: &str, steps: Vec<ErasureStep>) -> Proof {
    use headwater_schemas::topics::{Cleanup, DEAD, MEDICATION, OBSERVATION};
    let complete = steps.iter().any(|s| s.step == "left" && s.count == 0);
    let days = |topic: &headwater_schemas::Topic| match topic.cleanup {
        Cleanup::Delete { days: Some(days) } => format!("{}: records from before, at most {days} days", topic.stage),
        Cleanup::Delete { days: None } | Cleanup::Compact => format!("{}: records from before", topic.stage),
    };
    let steps = steps.into_iter().map(|s| Step { step: s.step, at: time(s.at), count: s.count, note: s.note });
    Proof {
        subject: subject.to_owned(),
        status: if complete { "complete" } else { "running" },
        steps: steps.collect(),
        retained: vec![
            days(&OBSERVATION),
            days(&MEDICATION),
            days(&DEAD),
            "coverage: which spans of time were looked through, without a value".to_owned(),
            "audit: who did what, kept as evidence".to_owned(),
        ],
    }
}

//! The registry of `headwater dev`: the part of Confluent's API that clients use, Avro only, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use apache_avro::Schema;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::{self, Level};

#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    /// Text by id; ids count from 1.
    texts: Vec<String>,
    subjects: BTreeMap<String, Subject>,
    default_level: Option<Level>,
}

#[derive(Default)]
struct Subject {
    /// Schema ids in the order of versions.
    versions: Vec<u32>,
    level: Option<Level>,
}

/// Routes of the registry.
pub fn router() -> Router {
    Router::new()
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(look_up))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version))
        .route("/schemas/ids/{id}", get(by_id))
        .route("/schemas/types", get(async || Json(["AVRO"])))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible))
        .route("/config", get(default_level).put(set_default_level))
        .route("/config/{subject}", get(level).put(set_level))
        .layer(DefaultBodyLimit::max(1024 * 1024))
        .with_state(Registry::default())
}

/// Confluent's error body.
struct Refused {
    status: StatusCode,
    code: u32,
    message: String,
}

impl Refused {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn no_subject(subject: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, 40401, format!("subject {subject} not found"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error_code": self.code, "message": self.message }))).into_response()
    }
}

type Answer<T> = Result<Json<T>, Refused>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Supplied {
    schema: String,
    schema_type: Option<String>,
}

impl Supplied {
    fn parse(&self) -> Result<Schema, Refused> {
        let refused = |message: String| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, 42201, message);
        if self.schema_type.as_deref().is_some_and(|kind| kind != "AVRO") {
            return Err(refused("expected schemaType AVRO".into()));
        }
        Schema::parse_str(&self.schema).map_err(|e| refused(format!("not an Avro schema: {e}")))
    }
}

#[derive(Serialize)]
struct Version {
    subject: String,
    id: u32,
    version: usize,
    schema: String,
}

#[derive(Serialize, Deserialize)]
struct LevelBody {
    #[serde(alias = "compatibilityLevel")]
    compatibility: Level,
}

impl Registry {
    fn content(&self) -> MutexGuard<'_, Content> {
        self.0.lock().expect("nothing panics under this lock")
    }
}

impl Content {
    fn text(&self, id: u32) -> Option<&String> {
        self.texts.get(usize::try_from(id).ok()?.checked_sub(1)?)
    }

    fn subject(&self, name: &str) -> Result<&Subject, Refused> {
        self.subjects.get(name).filter(|s| !s.versions.is_empty()).ok_or_else(|| Refused::no_subject(name))
    }

    fn texts_of(&self, name: &str) -> Vec<&str> {
        self.subjects
            .get(name)
            .into_iter()
            .flat_map(|s| &s.versions)
            .filter_map(|id| self.text(*id))
            .map(String::as_str)
            .collect()
    }

    fn level(&self, name: &str) -> Level {
        self.subjects.get(name).and_then(|s| s.level).or(self.default_level).unwrap_or(Level::Backward)
    }

    /// Which version of the subject this schema is, if it is one.
    fn position(&self, name: &str, schema: &Schema) -> Option<usize> {
        self.texts_of(name).iter().position(|text| Schema::parse_str(text).is_ok_and(|s| s == *schema))
    }

    fn version(&self, name: &str, version: &str) -> Result<Version, Refused> {
        let subject = self.subject(name)?;
        let number = match version {
            "latest" | "-1" => subject.versions.len(),
            other => other
                .parse()
                .map_err(|_| Refused::new(StatusCode::UNPROCESSABLE_ENTITY, 42202, "expected a version number or latest"))?,
        };
        let id = number.checked_sub(1).and_then(|i| subject.versions.get(i)).copied();
        let id = id.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, 40402, format!("version {number} not found")))?;
        Ok(Version { subject: name.to_owned(), id, version: number, schema: self.text(id).cloned().unwrap_or_default() })
    }
}

async fn subjects(State(registry): State<Registry>) -> Json<Vec<String>> {
    Json(registry.content().subjects.iter().filter(|(_, s)| !s.versions.is_empty()).map(|(name, _)| name.clone()).collect())
}

async fn versions(State(registry): State<Registry>, Path(name): Path<String>) -> Answer<Vec<usize>> {
    Ok(Json((1..=registry.content().subject(&name)?.versions.len()).collect()))
}

async fn version(State(registry): State<Registry>, Path((name, version)): Path<(String, String)>) -> Answer<Version> {
    registry.content().version(&name, &version).map(Json)
}

async fn by_id(State(registry): State<Registry>, Path(id): Path<u32>) -> Answer<Value> {
    let content = registry.content();
    let text = content.text(id).ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, 40403, format!("schema {id} not found")))?;
    Ok(Json(json!({ "schema": text })))
}

async fn look_up(State(registry): State<Registry>, Path(name): Path<String>, Json(supplied): Json<Supplied>) -> Answer<Version> {
    let schema = supplied.parse()?;
    let content = registry.content();
    content.subject(&name)?;
    let position =
        content.position(&name, &schema).ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, 40403, "schema not found"))?;
    content.version(&name, &(position + 1).to_string()).map(Json)
}

async fn register(State(registry): State<Registry>, Path(name): Path<String>, Json(supplied): Json<Supplied>) -> Answer<Value> {
    let schema = supplied.parse()?;
    let mut content = registry.content();
    if let Some(position) = content.position(&name, &schema) {
        return Ok(Json(json!({ "id": content.subjects[&name].versions[position] })));
    }
    check::compatible(content.level(&name), &supplied.schema, &content.texts_of(&name)).map_err(|why| {
        Refused::new(StatusCode::CONFLICT, 409, format!("incompatible with an earlier schema of {name}: {why}"))
    })?;
    let known = content.texts.iter().position(|text| *text == supplied.schema);
    let index = known.unwrap_or_else(|| {
        content.texts.push(supplied.schema);
        content.texts.len() - 1
    });
    let id = u32::try_from(index + 1).map_err(|_| Refused::new(StatusCode::INSUFFICIENT_STORAGE, 50001, "no ids left"))?;
    content.subjects.entry(name).or_default().versions.push(id);
    Ok(Json(json!({ "id": id })))
}

async fn compatible(
    State(registry): State<Registry>,
    Path((name, version)): Path<(String, String)>,
    Json(supplied): Json<Supplied>,
) -> Answer<Value> {
    supplied.parse()?;
    let content = registry.content();
    let upto = content.version(&name, &version)?.version;
    let result = check::compatible(content.level(&name), &supplied.schema, &content.texts_of(&name)[..upto]);
    Ok(Json(json!({ "is_compatible": result.is_ok(), "messages": result.err().into_iter().collect::<Vec<_>>() })))
}

async fn default_level(State(registry): State<Registry>) -> Json<Value> {
    Json(json!({ "compatibilityLevel": registry.content().default_level.unwrap_or(Level::Backward) }))
}

async fn set_default_level(State(registry): State<Registry>, Json(body): Json<LevelBody>) -> Json<LevelBody> {
    registry.content().default_level = Some(body.compatibility);
    Json(body)
}

async fn level(State(registry): State<Registry>, Path(name): Path<String>) -> Answer<Value> {
    let content = registry.content();
    let level = content.subjects.get(&name).and_then(|s| s.level);
    let level =
        level.ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, 40408, format!("subject {name} has no level of its own")))?;
    Ok(Json(json!({ "compatibilityLevel": level })))
}

async fn set_level(State(registry): State<Registry>, Path(name): Path<String>, Json(body): Json<LevelBody>) -> Json<LevelBody> {
    registry.content().subjects.entry(name).or_default().level = Some(body.compatibility);
    Json(body)
}

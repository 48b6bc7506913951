//! What stands in the server's answers, as far as we ask for it.

use reqwest::StatusCode;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Bundle {
    #[serde(default)]
    pub entry: Vec<Entry>,
    #[serde(default)]
    pub link: Vec<Link>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Link {
    pub relation: String,
    pub url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub response: Option<Response>,
    pub resource: Option<Resource>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Response {
    /// `201 Created`
    pub status: String,
    pub outcome: Option<Outcome>,
}

/// A resource that stands there: which, and which of its states.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    pub resource_type: String,
    #[serde(default)]
    pub id: String,
    pub meta: Option<Meta>,
    issued: Option<String>,
    #[serde(default)]
    extension: Vec<Extension>,
    #[serde(default)]
    pub identifier: Vec<Identifier>,
    #[serde(default)]
    link: Vec<PatientLink>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub version_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PatientLink {
    other: Reference,
}

#[derive(Debug, Deserialize)]
struct Reference {
    reference: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Identifier {
    pub system: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    #[serde(default)]
    url: String,
    value_instant: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Outcome {
    #[serde(default)]
    issue: Vec<Issue>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    #[serde(default)]
    severity: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    expression: Vec<String>,
}

impl Resource {
    /// Whether it has an identifier of ours.
    pub fn is_ours(&self) -> bool {
        let mut systems = self.identifier.iter().filter_map(|identifier| identifier.system.as_deref());
        systems.any(|system| system.starts_with("urn:headwater:"))
    }

    /// The ids of the patients that this one is linked with.
    pub fn linked(&self) -> impl Iterator<Item = &str> {
        let references = self.link.iter().filter_map(|link| link.other.reference.as_deref());
        references.filter_map(|reference| reference.strip_prefix("Patient/")).map(|id| id.split('/').next().unwrap_or(id))
    }

    /// Our version, microseconds: nothing where somebody else wrote it, or we only held its place.
    pub fn version(&self) -> Option<i64> {
        let extension = self.extension.iter().find(|e| e.url == headwater_schemas::extensions::VERSION);
        let text = self.issued.as_deref().or(extension.and_then(|e| e.value_instant.as_deref()))?;
        text.parse::<jiff::Timestamp>().ok().map(|at| at.as_microsecond())
    }
}

impl Response {
    /// Servers say `201` or `201 Created`.
    pub fn status(&self) -> Option<StatusCode> {
        self.status.get(..3).and_then(|code| code.parse::<u16>().ok()).and_then(|code| StatusCode::from_u16(code).ok())
    }
}

impl Outcome {
    pub fn of(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The errors in words of closed sets: an outcome's own text may quote what was measured.
    pub fn words(&self) -> String {
        let errors = self.issue.iter().filter(|issue| matches!(&*issue.severity, "error" | "fatal"));
        let word =
            |text: &str| text.chars().filter(|c| c.is_ascii_alphanumeric() || "-.[]".contains(*c)).take(80).collect::<String>();
        let say = |issue: &Issue| match issue.expression.first() {
            Some(expression) => format!(", {} at {}", word(&issue.code), word(expression)),
            None => format!(", {}", word(&issue.code)),
        };
        errors.take(3).map(say).collect()
    }
}

/// The answer as a bundle.
pub(super) fn bundle(body: &[u8]) -> Option<Bundle> {
    serde_json::from_slice(body).ok()
}

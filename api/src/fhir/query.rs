//! The parameters of a search, as they came and what they mean.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use headwater_schemas::codes::{self, Measure};

use super::date::{self, Comparison};
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::state::{Act, Api};
use crate::v1::subject_id;

pub(super) const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// Name and value, in their order, each known to be offered.
pub(super) struct Parameters(Vec<(String, String)>);

/// Who asks for what, not yet looked at.
pub(crate) struct Asked {
    api: Arc<Api>,
    caller: Arc<Caller>,
    words: Words,
}

impl FromRequestParts<Arc<Api>> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Arc<Caller>>().cloned();
        // The guard before every search puts it there.
        let caller = caller.ok_or_else(|| Problem::new(401, "unauthorized", "a bearer token is required"))?;
        Ok(Self { api: api.clone(), caller, words: Words(parts.uri.query().unwrap_or_default().to_owned()) })
    }
}

impl Asked {
    /// # Errors
    /// When a parameter is none of `offered`, or the caller may not read of the patient.
    pub(super) async fn search(self, offered: &[&str], action: &'static str) -> Result<Search, Problem> {
        let given = self.words.offered(offered)?;
        let patient = given.patient()?.to_owned();
        self.api.allow(&self.caller, Action::ReadObservations, action, &patient).await?;
        let base = format!("{}/fhir", self.api.settings.public_url);
        Ok(Search { api: self.api, caller: self.caller, action, given, patient, base })
    }
}

/// A search of one person's resources, which the caller may see.
pub(super) struct Search {
    pub api: Arc<Api>,
    caller: Arc<Caller>,
    action: &'static str,
    pub given: Parameters,
    pub patient: String,
    /// `https://health.example.org/fhir`
    pub base: String,
}

impl Search {
    /// Leaves the record of it, before the answer is given.
    pub async fn done(&self) -> Result<(), Problem> {
        let (actor, subject) = (self.caller.actor.as_str(), Some(self.patient.as_str()));
        self.api.done(Act { actor, action: self.action, subject, connection: None, detail: Some("fhir") }).await
    }

    /// The address of this search with another value of one parameter.
    pub fn link(&self, kind: &str, name: &str, value: &str) -> String {
        format!("{}/{kind}?{}", self.base, self.given.with(name, value))
    }
}

/// The words of a request's query.
struct Words(String);

impl Words {
    /// # Errors
    /// When a parameter is none of `offered`.
    fn offered(&self, offered: &[&str]) -> Result<Parameters, Problem> {
        let mut found = Vec::new();
        for (name, value) in form_urlencoded::parse(self.0.as_bytes()) {
            if matches!(&*name, "_format" | "_pretty") {
                json_is_asked(&name, &value)?;
            } else if !offered.contains(&&*name) {
                let detail = format!("a parameter that is not offered here, expected one of {}", offered.join(", "));
                return Err(Problem::new(400, "bad parameter", detail));
            } else if !value.is_empty() {
                found.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Parameters(found))
    }
}

fn json_is_asked(name: &str, value: &str) -> Result<(), Problem> {
    // A plus that was not escaped has become a blank.
    let json = ["json", "application/json", "application/fhir+json", "application/fhir json", "text/json"].contains(&value);
    if name == "_pretty" || json { Ok(()) } else { Err(Problem::parameter("_format", "json")) }
}

impl Parameters {
    pub fn one<'p>(&'p self, name: &str) -> Result<Option<&'p str>, Problem> {
        let mut values = self.0.iter().filter(|(found, _)| found == name).map(|(_, value)| &**value);
        let first = values.next();
        if values.next().is_some() { Err(Problem::parameter(name, "it once")) } else { Ok(first) }
    }

    pub fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The one person that is asked about: `patient`, or `subject`, which may say that it is a patient.
    pub fn patient(&self) -> Result<&str, Problem> {
        let given = match (self.one("patient")?, self.one("subject")?) {
            (Some(patient), None) => patient,
            (None, Some(subject)) => subject,
            (Some(_), Some(_)) => return Err(Problem::parameter("patient", "either patient or subject")),
            (None, None) => return Err(Problem::parameter("patient", "whose resources are asked for")),
        };
        let id = given.rsplit_once("Patient/").map_or(given, |(_, id)| id);
        subject_id(id).map_err(|_| Problem::parameter("patient", "the id of a Patient"))
    }

    /// The types that `code` and `category` leave.
    pub fn measures(&self) -> Result<Vec<&'static Measure>, Problem> {
        let mut measures: Vec<&'static Measure> = codes::ALL.to_vec();
        for given in self.all("code") {
            let tokens = tokens("code", given)?;
            measures
                .retain(|measure| measure.coding.iter().any(|coding| tokens.iter().any(|t| t.is(coding.system, coding.code))));
        }
        for given in self.all("category") {
            let tokens = tokens("category", given)?;
            measures.retain(|measure| tokens.iter().any(|token| token.is(CATEGORY, measure.category.as_str())));
        }
        Ok(measures)
    }

    /// The statuses asked for; `None` for any.
    pub fn statuses(&self) -> Result<Option<Vec<&str>>, Problem> {
        self.one("status")?.map(|given| Ok(tokens("status", given)?.into_iter().map(|token| token.code).collect())).transpose()
    }

    pub fn comparisons(&self, name: &str) -> Result<Vec<Comparison>, Problem> {
        let parse = |given| Comparison::parse(given).ok_or_else(|| Problem::parameter(name, date::EXPECTED));
        self.all(name).map(parse).collect()
    }

    pub fn count(&self, otherwise: usize, most: usize) -> Result<usize, Problem> {
        let name = "_count";
        match self.one(name)? {
            None => Ok(otherwise),
            // A server may give less than it was asked for.
            Some(given) => match given.parse::<u32>() {
                Ok(count) if count > 0 => Ok((count as usize).min(most)),
                _ => Err(Problem::parameter(name, "a number from 1")),
            },
        }
    }

    /// The same search with another value of one parameter, as a query.
    pub fn with(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(found, _)| found != name));
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

/// `system|code`, `|code` for one without a system, or `code` of any.
struct Token<'t> {
    system: Option<&'t str>,
    code: &'t str,
}

impl Token<'_> {
    fn is(&self, system: &str, code: &str) -> bool {
        self.system.is_none_or(|asked| asked == system) && (self.code.is_empty() || self.code == code)
    }
}

fn tokens<'t>(name: &str, given: &'t str) -> Result<Vec<Token<'t>>, Problem> {
    let token = |text: &'t str| match text.split_once('|') {
        Some((system, code)) => Token { system: Some(system), code },
        None => Token { system: None, code: text },
    };
    let tokens: Vec<Token<'_>> = given.split(',').map(token).collect();
    if tokens.iter().all(|token| token.system.is_some_and(|s| !s.is_empty()) || !token.code.is_empty()) {
        Ok(tokens)
    } else {
        Err(Problem::parameter(name, "code or system|code, several separated by commas"))
    }
}

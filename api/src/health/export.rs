//! A person's observations as one file, written while it is read: what is held in memory is a page, however long the file.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, stream};
use headwater_store::{Order, StoredObservation};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::observations::instant;
use super::row::{COLUMNS, Item, fields};
use super::types;
use crate::auth::{Action, Caller};
use crate::problem::Problem;
use crate::reading::{Ask, Place, Sequence};
use crate::state::{Act, Api};
use crate::v1::{query, subject_id};

/// Rows that are written at once.
const PIECE: usize = 1000;

#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Export {
    subject: String,
    /// Data types separated by commas; all where absent.
    #[serde(rename = "type")]
    data_types: Option<String>,
    /// RFC 3339, included.
    #[param(format = DateTime)]
    from: Option<String>,
    /// RFC 3339, excluded.
    #[param(format = DateTime)]
    to: Option<String>,
    provider: Option<String>,
    #[param(inline)]
    format: Format,
    /// Whether each line of NDJSON holds the FHIR R4 resource, too.
    #[serde(default)]
    resource: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Ndjson,
}

/// What is left of a file.
struct File {
    api: Arc<Api>,
    asked: Export,
    types: Vec<&'static str>,
    range: (i64, i64),
    after: Option<Place>,
    begun: bool,
}

/// A file of observations, the oldest first
///
/// It ends early, without the end of a chunked answer, when the store fails on the way.
#[utoipa::path(get, path = "/health/export", tag = "health", params(Export),
    responses((status = 200, content((String = "text/csv"), (String = "application/x-ndjson")))))]
pub(crate) async fn export(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Arc<Caller>>,
    given: Result<Query<Export>, QueryRejection>,
) -> Result<Response, Problem> {
    let asked = query(given)?;
    subject_id(&asked.subject)?;
    api.allow(&caller, Action::ReadObservations, "export_observations", &asked.subject).await?;
    let types = types(asked.data_types.as_deref())?;
    let from = instant("from", asked.from.as_deref())?.unwrap_or(i64::MIN);
    let to = instant("to", asked.to.as_deref())?.unwrap_or(i64::MAX);
    let (subject, detail) = (Some(asked.subject.as_str()), asked.data_types.as_deref());
    api.done(Act { actor: &caller.actor, action: "export_observations", subject, connection: None, detail }).await?;
    let (kind, name) = match asked.format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"observations.csv\""),
        Format::Ndjson => ("application/x-ndjson", "attachment; filename=\"observations.ndjson\""),
    };
    let file = File { api, asked, types, range: (from, to), after: None, begun: false };
    // The first piece is awaited: a store that is down is told by the status.
    let (first, rest) = file.piece().await?;
    let rest = stream::try_unfold(rest, |rest| async move {
        match rest {
            None => Ok(None),
            Some(file) => file.piece().await.map(Some).map_err(|_| std::io::Error::other("the store does not answer")),
        }
    });
    let body = Body::from_stream(stream::once(async { Ok(first) }).chain(rest));
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], body).into_response())
}

impl File {
    /// The next piece, and what is left after it.
    async fn piece(mut self) -> Result<(Vec<u8>, Option<Self>), Problem> {
        let ask = Ask {
            subject: &self.asked.subject,
            types: self.types.clone(),
            from: self.range.0,
            to: self.range.1,
            order: Order::OldestFirst,
            after: self.after,
            expect: PIECE,
        };
        let mut sequence = Sequence::new(&*self.api.store, ask).await?;
        let mut rows = Vec::with_capacity(PIECE);
        let mut ended = false;
        for _ in 0..PIECE {
            let Some(row) = sequence.next().await? else {
                ended = true;
                break;
            };
            self.after = Some((row.start, row.id));
            if self.asked.provider.as_ref().is_none_or(|provider| *provider == row.provider) {
                rows.push(row);
            }
        }
        drop(sequence);
        let bytes = match self.asked.format {
            Format::Csv => csv_lines(&rows, !self.begun)?,
            Format::Ndjson => json_lines(rows, self.asked.resource)?,
        };
        self.begun = true;
        Ok((bytes, (!ended).then_some(self)))
    }
}

fn csv_lines(rows: &[StoredObservation], head: bool) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(rows.len() * 200));
    let damaged = || Problem::new(500, "damaged row", "a row is no line of CSV");
    if head {
        writer.write_record(COLUMNS).map_err(|_| damaged())?;
    }
    for row in rows {
        writer.write_record(fields(row)).map_err(|_| damaged())?;
    }
    writer.into_inner().map_err(|_| damaged())
}

fn json_lines(rows: Vec<StoredObservation>, resource: bool) -> Result<Vec<u8>, Problem> {
    let mut lines = Vec::with_capacity(rows.len() * 400);
    for row in rows {
        let item = Item::of(row, resource)?;
        serde_json::to_writer(&mut lines, &item).map_err(|_| Problem::new(500, "damaged row", "a row is no JSON"))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

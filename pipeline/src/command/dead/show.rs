//! `headwater dead show`: what a letter is, and its bytes only where they are asked for.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_store::body;
use headwater_store::vault::Owner;
use rdkafka::message::Message as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::app::App;
use crate::dead::letter::{At, Letter};
use crate::dead::read::{self, Bodies};
use crate::dead::select::Filter;
use crate::dead::shape;

/// Tell of letters what is no value: the reason, the envelope, the shape of the body
#[derive(Debug, Args)]
pub struct Show {
    /// WORKER POSITION of one letter, or the FINGERPRINT of a group, as `list` prints them
    #[arg(num_args = 0..=2, value_names = ["WORKER", "POSITION"])]
    letter: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Of one raw record, the provider's own bytes to stdout, exactly: a person's data
    #[arg(long, conflicts_with = "envelope")]
    body: bool,
    /// Of one record, all of its bytes to stdout, exactly: a person's data
    #[arg(long)]
    envelope: bool,
}

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Show {
    /// # Errors
    /// When the cluster does not answer or there is no such letter.
    pub fn run(&self, app: &App) -> anyhow::Result<()> {
        let letters = self.which(app)?;
        if !self.body && !self.envelope {
            if letters.len() > self.limit {
                eprintln!("{} of {} letters, see --limit", self.limit, letters.len());
            }
            return letters.iter().take(self.limit).try_for_each(|letter| {
                let value = value(app, letter)?;
                println!("{}", serde_json::to_string_pretty(&told(app, letter, &value)?)?);
                Ok(())
            });
        }
        let [letter] = letters.as_slice() else {
            anyhow::bail!("{} letters fit: the bytes of one are given, name it by WORKER POSITION", letters.len());
        };
        let value = value(app, letter)?;
        let what = if self.body { "the provider's own bytes" } else { "the whole record" };
        eprintln!("{} {}: {what} on stdout, a person's data", letter.worker, letter.position);
        let mut out = std::io::stdout();
        if self.envelope {
            return Ok(out.write_all(&value)?);
        }
        let (mut bodies, mut scratch) = (Bodies::new(app), Vec::new());
        let raw = raw(&mut bodies, letter, &value, &mut scratch)
            .context("expected a raw record that can be read: --envelope gives the bytes")?;
        match opened(app, &raw)? {
            Some(opened) => out.write_all(&opened)?,
            None => out.write_all(raw.body)?,
        }
        Ok(())
    }

    fn which(&self, app: &App) -> anyhow::Result<Vec<Letter>> {
        if let [worker, position] = self.letter.as_slice() {
            let (name, position): (_, At) = (super::name(worker)?, position.parse()?);
            let mut letters = super::found(app, Some(name))?;
            letters.retain(|letter| letter.position == position && self.filter.takes(letter));
            anyhow::ensure!(!letters.is_empty(), "no dead letter of {worker} at {position}");
            return Ok(letters);
        }
        anyhow::ensure!(!self.letter.is_empty() || self.filter.narrows(), "expected WORKER POSITION, a FINGERPRINT or a filter");
        let which = super::Which { fingerprint: self.letter.first().cloned(), filter: self.filter.clone() };
        let letters = which.open(app)?;
        anyhow::ensure!(!letters.is_empty(), "no letter fits that is not settled");
        Ok(letters)
    }
}

fn value(app: &App, letter: &Letter) -> anyhow::Result<Vec<u8>> {
    let mut found = None;
    read::each(app, letter.worker, Some((letter.position, letter.position)), |message| {
        found = Some(message.payload().unwrap_or_default().to_vec());
        Ok(())
    })?;
    found.with_context(|| format!("the letter at {} is gone", letter.position))
}

fn raw<'b>(bodies: &mut Bodies<'_>, letter: &Letter, value: &'b [u8], scratch: &'b mut Vec<u8>) -> Option<Raw<'b>> {
    let (topic, body) = bodies.body(letter.origin()?.topic, value, scratch)?;
    (topic == &topics::RAW).then(|| Raw::decode(body).ok())?
}

/// Everything that is neither health data nor says whose it is.
fn told(app: &App, letter: &Letter, value: &[u8]) -> anyhow::Result<Value> {
    let mut told = serde_json::to_value(letter)?;
    let (mut bodies, mut scratch) = (Bodies::new(app), Vec::new());
    let Some(raw) = raw(&mut bodies, letter, value, &mut scratch) else {
        told["body"] = looks(value);
        return Ok(told);
    };
    let time = |micros: i64| jiff::Timestamp::from_microsecond(micros).map(|at| at.to_string()).unwrap_or_default();
    told["envelope"] = json!({
        "provider": raw.provider,
        "stream": raw.stream,
        "lane": raw.lane.as_str(),
        "origin": raw.origin.as_str(),
        "fetched_at": time(raw.fetched_at),
        "window_start": raw.window_start.map(time),
        "window_end": raw.window_end.map(time),
        "http_status": raw.http_status,
        "content_type": raw.content_type,
        "sealed": raw.encryption.is_some(),
    });
    told["body"] = match opened(app, &raw) {
        Ok(Some(opened)) => looks(&opened),
        Ok(None) => looks(raw.body),
        Err(why) => json!({ "bytes": raw.body.len(), "sealed": format!("{why:#}") }),
    };
    Ok(told)
}

fn looks(bytes: &[u8]) -> Value {
    match shape::of(bytes) {
        Some(shape) => json!({ "bytes": bytes.len(), "shape": shape }),
        None => json!({ "bytes": bytes.len() }),
    }
}

/// The provider's bytes of a record whose body is sealed. The person's key is in the store, unless the person was erased.
fn opened(app: &App, raw: &Raw<'_>) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(sealed) = &raw.encryption else { return Ok(None) };
    let id = body::key_id(sealed).context("the body is sealed in a way this build does not know")?;
    let owner = Owner::Subject(raw.subject_id.to_owned());
    let look = async { anyhow::Ok(app.store().await?.opening_key(&owner, id).await?) };
    let looked = tokio::runtime::Handle::current().block_on(async { tokio::time::timeout(PATIENCE, look).await });
    let key = looked.context("the body is sealed and the store with its key does not answer")??;
    let key = key.context("the body is sealed and its key is not there: was the person erased?")?;
    Ok(Some(body::open(&key, raw)?))
}

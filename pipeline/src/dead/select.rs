//! Which letters are meant, and which of them fail in the same way.

use std::collections::BTreeMap;

use clap::Args;
use jiff::{Span, Timestamp};
use serde::Serialize;

use super::letter::{At, Letter};

/// Filters that `list`, `show`, `replay` and `drop` share.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only this worker's
    #[arg(long)]
    pub worker: Option<String>,
    /// Only with this code
    #[arg(long)]
    pub code: Option<String>,
    /// Only of this provider
    #[arg(long)]
    pub provider: Option<String>,
    /// Only of this stream of the provider
    #[arg(long)]
    pub stream: Option<String>,
    /// Only those buried since: a time (2026-06-01T00:00:00Z) or how long ago (2h, 3d)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Only those buried before, in the same way
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether it leaves anything out.
    pub fn narrows(&self) -> bool {
        let Self { worker, code, provider, stream, since, until } = self;
        [worker, code, provider, stream].into_iter().any(Option::is_some) || since.is_some() || until.is_some()
    }

    pub fn takes(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| wanted.is_none() || wanted.as_deref() == found;
        is(&self.worker, Some(letter.worker))
            && is(&self.code, Some(&letter.code))
            && is(&self.provider, letter.provider.as_deref())
            && is(&self.stream, letter.stream.as_deref())
            && self.since.is_none_or(|since| letter.at >= since)
            && self.until.is_none_or(|until| letter.at < until)
    }
}

/// A time, or how long ago.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let ago: Span =
        text.parse().map_err(|_| "expected a time such as 2026-06-01T00:00:00Z or a duration such as 2h".to_owned())?;
    let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    now.checked_sub(ago.abs()).map(|at| at.timestamp()).map_err(|e| e.to_string())
}

/// Letters that fail in the same way: of one worker, provider, path and code.
#[derive(Debug, Serialize)]
pub struct Group {
    pub fingerprint: String,
    pub count: usize,
    pub worker: &'static str,
    pub provider: Option<String>,
    pub code: String,
    pub path: Option<String>,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The newest of them.
    pub sample: Sample,
}

#[derive(Debug, Serialize)]
pub struct Sample {
    pub position: At,
    pub origin: String,
    pub detail: String,
}

/// The groups, largest first.
pub fn groups(letters: &[Letter]) -> Vec<Group> {
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for letter in letters {
        let sample = || Sample { position: letter.position, origin: letter.origin.clone(), detail: letter.detail.clone() };
        let group = groups.entry(&letter.fingerprint).or_insert_with(|| Group {
            fingerprint: letter.fingerprint.clone(),
            count: 0,
            worker: letter.worker,
            provider: letter.provider.clone(),
            code: letter.code.clone(),
            path: letter.any_path(),
            first: letter.at,
            last: letter.at,
            sample: sample(),
        });
        group.count += 1;
        group.first = group.first.min(letter.at);
        if letter.at >= group.last {
            (group.last, group.sample) = (letter.at, sample());
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.fingerprint.cmp(&b.fingerprint)));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(moment("2026-06-01T00:00:00Z"), Ok(Timestamp::from_second(1_780_272_000).expect("a time")));
        for (text, seconds) in [("2h", 7200), ("3d", 259_200), ("90m", 5400), ("1h 30m", 5400)] {
            let ago = Timestamp::now().as_second() - moment(text).expect("a duration").as_second();
            assert!((seconds..seconds + 60).contains(&ago), "{text} is {ago} s ago");
        }
        assert!(moment("yesterday").unwrap_err().contains("expected a time"));
    }
}

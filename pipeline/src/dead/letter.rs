//! A dead letter: the record verbatim, and the reason in its headers. The one place that knows these headers.

use headwater_schemas::{Outbox, Position, Reject, topics};

use crate::log::Record;

/// Names of the headers.
pub mod header {
    /// `topic:partition:offset` of the record that was refused.
    pub const ORIGIN: &str = "headwater-origin";
    pub const WORKER: &str = "headwater-worker";
    pub const CODE: &str = "headwater-code";
    pub const DETAIL: &str = "headwater-detail";
    pub const PATH: &str = "headwater-path";
    pub const PLACE: &str = "headwater-place";
    pub const PROBLEMS: &str = "headwater-problems";
    /// Makes a record a marker instead of a letter: `replayed` or `dropped`.
    pub const SETTLED: &str = "headwater-settled";
    /// `partition:offset` of the letter that a marker settles.
    pub const LETTER: &str = "headwater-letter";
}

/// Puts the record, verbatim, to the dead letters of this worker.
pub fn bury(worker: &'static str, record: &Record<'_>, reject: &Reject, problems: usize, out: &mut Outbox) {
    let Position { topic, partition, offset } = record.position;
    let mut headers = vec![
        (header::ORIGIN, format!("{topic}:{partition}:{offset}")),
        (header::WORKER, worker.to_owned()),
        (header::CODE, reject.code.to_owned()),
        (header::DETAIL, reject.detail.clone()),
        (header::PROBLEMS, problems.to_string()),
    ];
    if let Some(path) = &reject.path {
        headers.push((header::PATH, path.clone()));
    }
    if let (Some(line), Some(column)) = (reject.line, reject.column) {
        headers.push((header::PLACE, format!("line {line}, column {column}")));
    }
    out.put_with(&topics::DEAD, Some(worker), record.key, headers, |bytes| {
        bytes.extend_from_slice(record.value.unwrap_or_default());
    });
}

/// A path in which an array's index says nothing: `groups[12].value` becomes `groups[*].value`.
pub fn any_index(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at + 1);
        out.push_str(before);
        let digits = from.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && from[digits..].starts_with(']') {
            out.push('*');
            rest = &from[digits..];
        } else {
            rest = from;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_does_not_tell_two_paths_apart_and_a_name_does() {
        assert_eq!(any_index("body.groups[12].measures[0].value"), "body.groups[*].measures[*].value");
        assert_eq!(any_index("[3]"), "[*]");
        assert_eq!(any_index("a[b].c[1"), "a[b].c[1");
        assert_eq!(any_index("plain"), "plain");
    }
}

//! One arena per batch for everything that is to be appended: no allocation per record once the buffers have grown.

use std::ops::Range;

use crate::topics::Topic;

/// Where a record came from. Partition and offset are −1 where it came from no log (a file, a test).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

impl Position<'static> {
    pub const NONE: Self = Position { topic: "", partition: -1, offset: -1 };
}

/// An outgoing record; `body` is the Avro body without its frame, or the verbatim value where the topic has no schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub topic: &'static Topic,
    /// The family's word, where the topic is one.
    pub member: Option<&'static str>,
    /// Index of the input record this one was made from.
    pub cause: usize,
    key: Range<usize>,
    /// `None` for a tombstone.
    body: Option<Range<usize>>,
    headers: Range<usize>,
}

impl Outgoing {
    pub fn is_tombstone(&self) -> bool {
        self.body.is_none()
    }
}

/// Outgoing records of one batch, in order.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    records: Vec<Outgoing>,
    headers: Vec<(&'static str, String)>,
    cause: usize,
    mark: Option<(&'static str, &'static str)>,
}

impl Outbox {
    /// A header that every record gets that is put from now on, also after [`Outbox::clear`].
    pub fn mark(&mut self, key: &'static str, value: &'static str) {
        self.mark = Some((key, value));
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.headers.clear();
        self.cause = 0;
    }

    /// Says which input the records that follow are made from.
    pub fn cause(&mut self, index: usize) {
        self.cause = index;
    }

    /// Appends one record whose body `write` puts into the buffer.
    pub fn put(&mut self, topic: &'static Topic, member: Option<&'static str>, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.put_with(topic, member, key, Vec::new(), write);
    }

    /// Removes what stands under this key on a compacted topic.
    pub fn put_tombstone(&mut self, topic: &'static Topic, member: Option<&'static str>, key: &[u8]) {
        self.put(topic, member, key, |_| {});
        if let Some(record) = self.records.last_mut() {
            record.body = None;
        }
    }

    /// The same with headers, which never carry health data.
    pub fn put_with(
        &mut self,
        topic: &'static Topic,
        member: Option<&'static str>,
        key: &[u8],
        headers: Vec<(&'static str, String)>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        write(&mut self.bytes);
        let first = self.headers.len();
        self.headers.extend(headers);
        self.headers.extend(self.mark.map(|(key, value)| (key, value.to_owned())));
        self.records.push(Outgoing {
            topic,
            member,
            cause: self.cause,
            key: start..middle,
            body: Some(middle..self.bytes.len()),
            headers: first..self.headers.len(),
        });
    }

    pub fn records(&self) -> &[Outgoing] {
        &self.records
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of all keys and bodies.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    pub fn key(&self, record: &Outgoing) -> &[u8] {
        &self.bytes[record.key.clone()]
    }

    /// Empty for a tombstone.
    pub fn body(&self, record: &Outgoing) -> &[u8] {
        record.body.clone().map_or(&[], |body| &self.bytes[body])
    }

    pub fn headers(&self, record: &Outgoing) -> &[(&'static str, String)] {
        &self.headers[record.headers.clone()]
    }

    /// Drops what was put since there were `len` records: a record that turns out to be refused leaves nothing half-said.
    pub fn truncate(&mut self, len: usize) {
        if let Some(first) = self.records.get(len) {
            self.bytes.truncate(first.key.start);
            self.headers.truncate(first.headers.start);
            self.records.truncate(len);
        }
    }
}

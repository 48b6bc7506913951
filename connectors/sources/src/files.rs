//! Files people already have, read as a stream: zips with many documents in them, and lists of any length, row by row. A source says what its
//! files are called and turns them into rows of the shape its streams have; where the rows go is the caller's business.

use std::io::{BufReader, Read, Seek};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use zip::ZipArchive;

/// What people's files of a provider are.
pub struct Files {
    /// As the command calls them, in lower case with hyphens.
    pub name: &'static str,
    /// For people.
    pub doc: &'static str,
    pub read: fn(&mut dyn Open, &Watch<'_>, &mut dyn Rows) -> Result<(), Wrong>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Why a file was not read to its end: it is not what it should be, or whoever takes the rows had enough.
pub type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// An open file.
pub trait Open: Read + Seek {}
impl<F: Read + Seek> Open for F {}

/// Where rows go.
pub trait Rows {
    /// A row of JSON for a stream whose body is `{"<field>":[…]}`.
    ///
    /// # Errors
    /// When it cannot be taken; reading then ends.
    fn row(&mut self, stream: &'static str, field: &str, row: &[u8]) -> Result<(), Wrong>;

    /// Something that stays in the file.
    fn left(&mut self, what: &str);
}

/// Told how far the reading is.
pub struct Watch<'w> {
    /// Bytes in all, once that is known.
    pub total: &'w dyn Fn(u64),
    /// Bytes just read.
    pub read: &'w dyn Fn(u64),
    /// What is being read.
    pub part: &'w dyn Fn(&str),
}

/// The bytes as they are read are told.
pub struct Watched<'w, R> {
    pub inner: R,
    pub watch: &'w Watch<'w>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(into)?;
        (self.watch.read)(read as u64);
        Ok(read)
    }
}

/// Takes one document of a zip: its name without folders, and its text.
type Take<'t> = dyn FnMut(&str, &mut dyn Read, &mut dyn Rows) -> Result<(), Wrong> + 't;

/// Opens a zip, and calls for each document in it whose name fits.
///
/// # Errors
/// When it is no zip, holds nothing that fits, or the call fails.
pub fn zipped(
    file: &mut dyn Open,
    watch: &Watch<'_>,
    rows: &mut dyn Rows,
    wanted: fn(&str) -> bool,
    take: &mut Take<'_>,
) -> Result<(), Wrong> {
    let mut zip = ZipArchive::new(file).map_err(|e| format!("expected a zip: {e}"))?;
    let mut names: Vec<String> =
        zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).filter(|name| wanted(name)).collect();
    // In the same order each time: batches are named by their place.
    names.sort();
    if names.is_empty() {
        return Err("there is nothing in this zip that is known here".into());
    }
    let mut total = 0;
    for name in &names {
        total += zip.by_name(name)?.size();
    }
    (watch.total)(total);
    for name in names {
        let short = name.rsplit('/').next().unwrap_or_default();
        (watch.part)(short);
        let mut reader = BufReader::with_capacity(1 << 16, Watched { inner: zip.by_name(&name)?, watch });
        take(short, &mut reader, rows).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

type Each<'e> = dyn FnMut(&RawValue) -> Result<(), Wrong> + 'e;

/// Calls for each row of a list: the whole document, or the field of that name in it.
///
/// # Errors
/// When the text is no such JSON, or the call fails.
pub fn rows(reader: impl Read, field: Option<&str>, each: &mut Each<'_>) -> Result<(), Wrong> {
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_reader(reader);
    let read = match field {
        Some(field) => Document { field, each, failed: &mut failed }.deserialize(&mut json),
        None => List { each, failed: &mut failed }.deserialize(&mut json),
    };
    match (failed, read) {
        (Some(failed), _) => Err(failed),
        (None, read) => Ok(read?),
    }
}

struct Document<'a, 'e> {
    field: &'a str,
    each: &'a mut Each<'e>,
    failed: &'a mut Option<Wrong>,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an object with {}", self.field)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == self.field {
                map.next_value_seed(List { each: &mut *self.each, failed: &mut *self.failed })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct List<'a, 'e> {
    each: &'a mut Each<'e>,
    failed: &'a mut Option<Wrong>,
}

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(row) = list.next_element::<Box<RawValue>>()? {
            if let Err(error) = (self.each)(&row) {
                *self.failed = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

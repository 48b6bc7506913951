//! Lists in files of any size, row by row.

use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

type Each<'e> = dyn FnMut(&RawValue) -> anyhow::Result<()> + 'e;

/// Calls for each row of a list: the whole document, or the field of that name in it.
///
/// # Errors
/// When the text is no such JSON, or the call fails.
pub fn rows(reader: impl Read, field: Option<&str>, each: &mut Each<'_>) -> anyhow::Result<()> {
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
    failed: &'a mut Option<anyhow::Error>,
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
    failed: &'a mut Option<anyhow::Error>,
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

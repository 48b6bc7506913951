//! Records written with another schema than ours: resolved through `apache-avro` into our own layout, once per record, off the hot path.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

use crate::reject::{Reject, code};

/// Turns bodies of one writer's schema into bodies of ours.
#[derive(Debug)]
pub struct Resolver {
    writer: Schema,
    reader: Schema,
}

impl Resolver {
    /// # Errors
    /// `unresolvable_schema` when either text is no Avro schema or the writer's records cannot be read as ours.
    pub fn new(writer: &str, reader: &str) -> Result<Self, Reject> {
        let parse = |which: &str, text: &str| {
            Schema::parse_str(text)
                .map_err(|e| Reject::new(code::UNRESOLVABLE_SCHEMA, format!("{which}'s schema does not parse: {e}")))
        };
        let (writer, reader) = (parse("writer", writer)?, parse("reader", reader)?);
        apache_avro::schema_compatibility::SchemaCompatibility::can_read(&writer, &reader)
            .map_err(|e| Reject::new(code::UNRESOLVABLE_SCHEMA, format!("our schema cannot read the writer's: {e}")))?;
        Ok(Self { writer, reader })
    }

    /// # Errors
    /// `bad_avro` when the body is no record of the writer's schema.
    pub fn resolve(&self, mut body: &[u8], out: &mut Vec<u8>) -> Result<(), Reject> {
        let bad = |e: apache_avro::Error| Reject::new(code::BAD_AVRO, format!("not a record of the schema it names: {e}"));
        let reader = GenericDatumReader::builder(&self.writer).reader_schema(&self.reader).build().map_err(bad)?;
        let value = reader.read_value(&mut body).map_err(bad)?;
        let writer = GenericDatumWriter::builder(&self.reader).build().map_err(bad)?;
        writer.write_value_ref(out, &value).map_err(bad)?;
        Ok(())
    }
}

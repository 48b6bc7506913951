//! Avro in the Confluent wire format, by serde: a zero byte, the schema id as four bytes big-endian, the datum.

use std::collections::HashMap;

use anyhow::Context as _;
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use schema_registry_converter::async_impl::schema_registry::{SrSettings, get_schema_by_id, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use crate::records::{Observation, Raw};

const OBSERVATION: &str = include_str!("../../../../../schemas/src/observation/v1.avsc");

pub struct Codec {
    registry: SrSettings,
    /// By the id of the schema a value was written with.
    readers: HashMap<u32, GenericDatumReader<'static>>,
    writer: GenericDatumWriter<'static>,
    schema_id: u32,
}

impl Codec {
    /// Registers the observation's schema for the values of `to`.
    pub async fn new(registry: &str, to: &str) -> anyhow::Result<Self> {
        let registry = SrSettings::new(registry.trim_end_matches('/').to_owned());
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, OBSERVATION.to_owned());
        let registered =
            post_schema(&registry, format!("{to}-value"), supplied).await.context("registering the observation's schema")?;
        let writer = GenericDatumWriter::builder(kept(OBSERVATION)?).human_readable(true).build()?;
        Ok(Self { registry, readers: HashMap::new(), writer, schema_id: registered.id })
    }

    pub async fn decode(&mut self, value: &[u8]) -> anyhow::Result<Raw> {
        let [0, a, b, c, d, datum @ ..] = value else { anyhow::bail!("expected a zero byte and a schema id") };
        let id = u32::from_be_bytes([*a, *b, *c, *d]);
        if !self.readers.contains_key(&id) {
            let found = get_schema_by_id(id, &self.registry).await.with_context(|| format!("schema {id}"))?;
            let reader = GenericDatumReader::builder(kept(&found.schema)?).human_readable(true).build()?;
            self.readers.insert(id, reader);
        }
        let mut datum = datum;
        // What is wrong with it may quote it.
        self.readers[&id].read_deser(&mut datum).map_err(|_| anyhow::anyhow!("expected a raw record of schema {id}"))
    }

    pub fn encode(&self, observation: &Observation<'_>) -> anyhow::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(observation.fhir.len() + 512);
        out.push(0);
        out.extend_from_slice(&self.schema_id.to_be_bytes());
        self.writer.write_ser(&mut out, observation)?;
        Ok(out)
    }
}

/// Schemas are few and live as long as the program; readers and writers borrow them.
fn kept(schema: &str) -> anyhow::Result<&'static Schema> {
    Ok(Box::leak(Box::new(Schema::parse_str(schema)?)))
}

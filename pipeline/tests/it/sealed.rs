//! Whose bodies are opened: nobody's that is not asked for.

use std::sync::Arc;

use async_trait::async_trait;
use headwater::consent::ConsentTable;
use headwater::log::Lease as _;
use headwater::log::memory::MemoryLog;
use headwater::work::{Desk, Process};
use headwater_processors::normalize::Normalize;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, ids, wire};
use headwater_store::memory::{Gate, MemoryStore};
use headwater_store::{Unavailable, body};
use uuid::Uuid;

use super::sim::{SCHEMA, TOPIC, registry};

/// Lets nothing through.
struct Shut;

#[async_trait]
impl Gate for Shut {
    async fn before(&self, request: &'static str) -> Result<(), Unavailable> {
        Err(Unavailable::new(format!("{request} is not to be asked for")))
    }
}

#[test]
fn of_streams_that_are_not_asked_for_no_key_is_looked_up_and_nothing_is_opened() {
    let (registry, log) = (registry(), MemoryLog::default());
    let key = Uuid::from_u128(7).simple().to_string();
    for (stream, encryption) in [("events", None), ("sealed", Some(body::note(&key)))] {
        let words = br#"{"records":[{"id":"1","type":"body-weight","start":"2026-03-15T06:00:00Z","value":70.5,"unit":"kg"}]}"#;
        let raw = Raw::of("own_source", stream, (ids::connection("own_source", "a device"), "person-1"), 1, words);
        let mut value = vec![];
        wire::frame(SCHEMA, &mut value);
        Raw { encryption, ..raw }.encode(&mut value);
        log.put(b"person-1", &value);
    }
    let work = |stream: &str| Process {
        desk: Desk { worker: "normalize", registry: registry.clone(), topics: vec![(TOPIC.to_owned(), &topics::RAW)] },
        processor: &Normalize,
        stream: Some(stream.to_owned()),
        consents: Arc::new(ConsentTable::default()),
        store: Arc::new(MemoryStore::default().behind(Arc::new(Shut))),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
    runtime.block_on(async {
        let batch = log.lease(10).next().await.expect("both");
        let mut out = Outbox::default();
        work("events").all(&batch, &mut out).await.expect("the store is not needed");
        let came: Vec<_> = out.records().iter().map(|record| (record.topic == &topics::OBSERVATION, record.cause)).collect();
        assert_eq!(came, [(true, 0)], "the weight, and no dead letter of what is sealed");
        let needed = work("sealed").all(&batch, &mut Outbox::default()).await.expect_err("a key is needed");
        assert_eq!(needed.what, "store", "{needed}");
    });
}

//! Observations and devices into the store: ScyllaDB or Cassandra, or the embedded one.

use std::sync::Arc;

use futures::future::BoxFuture;
use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use headwater_schemas::reject::code;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Reject, Topic};
use headwater_store::Store;

use crate::{Incoming, Sink, Unavailable, Verdict};

pub const NAME: &str = "scylla";

pub struct ScyllaSink {
    store: Arc<dyn Store>,
}

impl ScyllaSink {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

impl Sink for ScyllaSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static Topic] {
        static INPUTS: &[&Topic] = &[&topics::OBSERVATION, &topics::DEVICE];
        INPUTS
    }

    fn write<'a>(&'a self, batch: &'a [Incoming<'a>]) -> BoxFuture<'a, Result<Vec<Verdict>, Unavailable>> {
        Box::pin(async move {
            let (mut observations, mut devices) = (Vec::with_capacity(batch.len()), Vec::new());
            let verdicts = batch
                .iter()
                .map(|incoming| {
                    let decoded = if incoming.topic == &topics::DEVICE {
                        Device::decode(incoming.body).map(|device| devices.push(device))
                    } else {
                        Observation::decode(incoming.body).map(|observation| observations.push(observation))
                    };
                    match decoded {
                        Ok(()) => Verdict::Written,
                        Err(e) => Verdict::Rejected(Reject::new(code::BAD_AVRO, e.to_string())),
                    }
                })
                .collect();
            let unavailable = |e: headwater_store::Unavailable| Unavailable { why: e.why, retry_after: None };
            if !observations.is_empty() {
                self.store.write_observations(&observations).await.map_err(unavailable)?;
            }
            if !devices.is_empty() {
                self.store.write_devices(&devices).await.map_err(unavailable)?;
            }
            Ok(verdicts)
        })
    }
}

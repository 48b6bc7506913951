//! Observations and devices into the store: ScyllaDB or Cassandra, or the embedded one. An erased person's rows are removed from it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headwater_schemas::consent::{Consent, Decision};
use headwater_schemas::device::Device;
use headwater_schemas::observation::Observation;
use headwater_schemas::reject::code;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Reject, Topic};
use headwater_store::{ErasureStep, Store};
use jiff::Timestamp;

use crate::sink::settled;
use crate::{Incoming, Sink, Unavailable, Verdict};

pub const NAME: &str = "scylla";

pub struct ScyllaSink {
    store: Arc<dyn Store>,
    settle: Duration,
}

impl ScyllaSink {
    /// `settle` is how long after an erasure its rows are swept once more: by then whoever was writing has heard of it.
    pub fn new(store: Arc<dyn Store>, settle: Duration) -> Self {
        Self { store, settle }
    }

    /// Removes what was written while the erasure went round, and looks that nothing is left.
    async fn sweep(&self, consent: &Consent<'_>) -> Result<(), Unavailable> {
        settled(consent, self.settle)?;
        let now = Timestamp::now().as_microsecond();
        let swept = self.store.erase_subject(consent.subject_id, now).await.map_err(unavailable)?;
        let left = self.store.erase_subject(consent.subject_id, now).await.map_err(unavailable)?;
        let (swept, left) = (swept.observations + swept.devices, left.observations + left.devices + left.keys);
        let counted = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (step, count, note) in
            [("swept", swept, "rows that were written while the erasure went round"), ("left", left, "rows and keys after that")]
        {
            let step = ErasureStep { step: step.into(), at: now, count: counted(count), note: Some(note.into()) };
            self.store.put_erasure(consent.subject_id, &step).await.map_err(unavailable)?;
        }
        if left > 0 {
            return Err(Unavailable { why: "rows of an erased subject are still written".into(), retry_after: None });
        }
        Ok(())
    }

    async fn consents(&self, batch: &[Incoming<'_>]) -> Result<Vec<Verdict>, Unavailable> {
        let mut verdicts = Vec::with_capacity(batch.len());
        for incoming in batch {
            verdicts.push(match Consent::decode(incoming.body) {
                Ok(consent) => {
                    if consent.decision == Decision::Erased {
                        self.sweep(&consent).await?;
                    }
                    Verdict::Written
                }
                Err(e) => Verdict::Rejected(Reject::new(code::BAD_AVRO, e.to_string())),
            });
        }
        Ok(verdicts)
    }
}

impl Sink for ScyllaSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn inputs(&self) -> &'static [&'static Topic] {
        static INPUTS: &[&Topic] = &[&topics::OBSERVATION, &topics::DEVICE, &topics::CONSENT];
        INPUTS
    }

    fn write<'a>(&'a self, batch: &'a [Incoming<'a>]) -> BoxFuture<'a, Result<Vec<Verdict>, Unavailable>> {
        if batch.first().is_some_and(|incoming| incoming.topic == &topics::CONSENT) {
            return Box::pin(self.consents(batch));
        }
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
            if !observations.is_empty() {
                self.store.write_observations(&observations, Timestamp::now().as_microsecond()).await.map_err(unavailable)?;
            }
            if !devices.is_empty() {
                self.store.write_devices(&devices).await.map_err(unavailable)?;
            }
            Ok(verdicts)
        })
    }
}

fn unavailable(error: headwater_store::Unavailable) -> Unavailable {
    Unavailable { why: error.why, retry_after: None }
}

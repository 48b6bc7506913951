//! `headwater tail`: the normalized stream as a subscriber sees it.

use std::time::{Duration, Instant};

use clap::Args;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::wire;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use serde_json::json;

use super::replay::LANE;
use crate::app::App;

/// Print the observation topic, one JSON object per line.
#[derive(Debug, Args)]
pub struct Tail {
    /// Start with what is there instead of what comes
    #[arg(long)]
    from_beginning: bool,
    /// Print the FHIR resource instead of the columns
    #[arg(long)]
    fhir: bool,
    /// Only this provider's
    #[arg(long)]
    provider: Option<String>,
    /// End after this many
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// End when nothing has come for this long
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
}

impl Tail {
    /// # Errors
    /// When the cluster does not answer.
    pub fn run(self, app: &App) -> anyhow::Result<()> {
        let mut config = app.config.kafka.reader("headwater-tail");
        config
            .set("group.id", format!("headwater-tail-{}", uuid::Uuid::new_v4()))
            .set("fetch.wait.max.ms", app.config.group.fetch_wait_ms.to_string())
            .set("auto.offset.reset", if self.from_beginning { "earliest" } else { "latest" });
        let consumer: BaseConsumer = config.create()?;
        consumer.subscribe(&[&topics::OBSERVATION.name(&app.config.namespace, None)])?;
        let (mut printed, mut last) = (0, Instant::now());
        while self.count.is_none_or(|count| printed < count)
            && self.idle.is_none_or(|idle| last.elapsed() < Duration::from_secs(idle))
        {
            let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
            let message = message?;
            let Some(value) = message.payload() else { continue };
            let observation = Observation::decode(wire::split(value)?.1)?;
            if self.provider.as_deref().is_some_and(|p| p != observation.provider) {
                continue;
            }
            if self.fhir {
                println!("{}", observation.fhir);
            } else {
                println!("{}", columns(&observation, lane(&message)));
            }
            (printed, last) = (printed + 1, Instant::now());
        }
        Ok(())
    }
}

/// What was replayed says so in a header, and not in the record, which is the same as before.
fn lane<'m>(message: &'m BorrowedMessage<'_>) -> Option<&'m str> {
    let header = message.headers()?.iter().find(|header| header.key == LANE.0)?;
    std::str::from_utf8(header.value?).ok()
}

fn columns(o: &Observation<'_>, lane: Option<&str>) -> serde_json::Value {
    let time = |micros: i64| jiff::Timestamp::from_microsecond(micros).map(|t| t.to_string()).unwrap_or_default();
    json!({
        "id": o.id, "subject": o.subject_id, "provider": o.provider, "stream": o.stream, "type": o.data_type, "code": o.code,
        "status": o.status.as_str(), "start": time(o.start), "end": o.end.map(time), "value": o.value_text, "unit": o.unit,
        "value_code": o.value_code, "lane": lane.unwrap_or(o.lane.as_str()),
    })
}

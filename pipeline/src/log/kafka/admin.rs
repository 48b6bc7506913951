//! Topics: what the catalogue wants, what the cluster has, and the difference.

use std::collections::BTreeMap;
use std::time::Duration;

use headwater_schemas::topics::{self, Cleanup, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::Settings;

const TIMEOUT: Duration = Duration::from_secs(20);

/// One step from the cluster as it is to the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Create {
        name: String,
        partitions: i32,
        config: BTreeMap<&'static str, String>,
    },
    /// Keys move to other partitions by this, so order across the change is lost: shown, made only when asked for by name.
    AddPartitions {
        name: String,
        from: usize,
        to: i32,
    },
    Configure {
        name: String,
        property: &'static str,
        from: String,
        to: String,
    },
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create { name, partitions, config } => {
                write!(f, "+ {name}  partitions={partitions}")?;
                config.iter().try_for_each(|(property, value)| write!(f, " {property}={value}"))
            }
            Self::AddPartitions { name, from, to } => write!(f, "~ {name}  partitions {from} -> {to}"),
            Self::Configure { name, property, from, to } => write!(f, "~ {name}  {property} {from} -> {to}"),
        }
    }
}

pub struct Admin {
    client: AdminClient<DefaultClientContext>,
    replication: i32,
}

/// A topic of the catalogue with its full name.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub name: String,
    pub topic: &'static Topic,
}

/// Every topic of the product under `namespace`: families spelled out by provider and worker.
pub fn catalogue(namespace: &str, workers: &[&str]) -> Vec<Wanted> {
    let providers: Vec<&str> = headwater_sources::ALL.iter().map(|s| s.profile().id).collect();
    let mut wanted = Vec::new();
    for topic in topics::ALL.iter().copied() {
        let members: &[&str] = if !topic.family {
            &[]
        } else if topic == &topics::RAW {
            &providers
        } else {
            workers
        };
        match members {
            [] => wanted.push(Wanted { name: topic.name(namespace, None), topic }),
            members => wanted.extend(members.iter().map(|m| Wanted { name: topic.name(namespace, Some(m)), topic })),
        }
    }
    wanted
}

fn config(topic: &Topic) -> BTreeMap<&'static str, String> {
    const DAY_MS: u64 = 86_400_000;
    match topic.cleanup {
        Cleanup::Compact => BTreeMap::from([("cleanup.policy", "compact".into())]),
        Cleanup::Delete { days } => BTreeMap::from([
            ("cleanup.policy", "delete".into()),
            ("retention.ms", days.map_or("-1".into(), |days| (u64::from(days) * DAY_MS).to_string())),
        ]),
    }
}

impl Admin {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(settings: &Settings, replication: i32) -> anyhow::Result<Self> {
        Ok(Self { client: settings.client("headwater-admin").create()?, replication })
    }

    /// What is to be done. Asks the cluster and changes nothing.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn plan(&self, wanted: &[Wanted], partitions: Option<i32>) -> anyhow::Result<Vec<Change>> {
        let metadata = self.client.inner().fetch_metadata(None, TIMEOUT)?;
        let present: BTreeMap<&str, usize> = metadata.topics().iter().map(|t| (t.name(), t.partitions().len())).collect();
        let mut changes = Vec::new();
        for want in wanted {
            let count = partitions.unwrap_or(want.topic.partitions);
            let Some(&has) = present.get(want.name.as_str()) else {
                changes.push(Change::Create { name: want.name.clone(), partitions: count, config: config(want.topic) });
                continue;
            };
            if has < usize::try_from(count)? {
                changes.push(Change::AddPartitions { name: want.name.clone(), from: has, to: count });
            }
            let resource = [ResourceSpecifier::Topic(&want.name)];
            let described = self.client.describe_configs(&resource, &AdminOptions::new().request_timeout(Some(TIMEOUT))).await?;
            let entries = described
                .into_iter()
                .next()
                .and_then(Result::ok)
                .map(|r| r.entry_map().into_iter().map(|(k, v)| (k.to_owned(), v.value.clone())).collect::<BTreeMap<_, _>>());
            for (property, to) in config(want.topic) {
                let from = entries.as_ref().and_then(|e| e.get(property).cloned().flatten()).unwrap_or_default();
                if from != to {
                    changes.push(Change::Configure { name: want.name.clone(), property, from, to });
                }
            }
        }
        Ok(changes)
    }

    /// Deletes groups and topics that are there, and waits until the topics are gone. The groups go first: an offset that is left behind would make
    /// whoever comes next pass over records of a topic that is not the same any more.
    ///
    /// # Errors
    /// When the cluster refuses it, as where a group has members.
    pub async fn remove(&self, topics: &[&str], groups: &[&str]) -> anyhow::Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        if !groups.is_empty() {
            for result in self.client.delete_groups(groups, &options).await? {
                match result {
                    Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
                    Err((name, code)) => anyhow::bail!("cannot delete group {name}: {code}"),
                }
            }
        }
        if topics.is_empty() {
            return Ok(());
        }
        for result in self.client.delete_topics(topics, &options).await? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
                Err((name, code)) => anyhow::bail!("cannot delete {name}: {code}"),
            }
        }
        let until = tokio::time::Instant::now() + TIMEOUT;
        loop {
            let metadata = tokio::task::block_in_place(|| self.client.inner().fetch_metadata(None, TIMEOUT))?;
            if !metadata.topics().iter().any(|t| topics.contains(&t.name())) {
                return Ok(());
            }
            anyhow::ensure!(tokio::time::Instant::now() < until, "topics {topics:?} are still there after {TIMEOUT:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes the changes. Repartitioning only where `repartition` says so.
    ///
    /// # Errors
    /// When the cluster refuses one; those before it are made.
    pub async fn apply(&self, changes: &[Change], repartition: bool) -> anyhow::Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
        for change in changes {
            match change {
                Change::Create { name, partitions, config } => {
                    let topic = config
                        .iter()
                        .fold(NewTopic::new(name, *partitions, TopicReplication::Fixed(self.replication)), |t, (k, v)| {
                            t.set(k, v)
                        });
                    for result in self.client.create_topics([&topic], &options).await? {
                        match result {
                            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                            Err((name, code)) => anyhow::bail!("cannot create {name}: {code}"),
                        }
                    }
                }
                Change::AddPartitions { name, to, .. } if repartition => {
                    for result in
                        self.client.create_partitions([&NewPartitions::new(name, usize::try_from(*to)?)], &options).await?
                    {
                        result.map_err(|(name, code)| anyhow::anyhow!("cannot add partitions to {name}: {code}"))?;
                    }
                }
                Change::AddPartitions { .. } => {}
                Change::Configure { name, .. } => {
                    // The request replaces a topic's whole configuration, so all that is wanted goes in it.
                    let all = changes.iter().filter_map(|c| match c {
                        Change::Configure { name: n, property, to, .. } if n == name => Some((*property, to.as_str())),
                        _ => None,
                    });
                    let alter = all.fold(AlterConfig::new(ResourceSpecifier::Topic(name)), |a, (k, v)| a.set(k, v));
                    for result in self.client.alter_configs([&alter], &options).await? {
                        result.map_err(|(_, code)| anyhow::anyhow!("cannot configure {name}: {code}"))?;
                    }
                }
            }
        }
        Ok(())
    }
}

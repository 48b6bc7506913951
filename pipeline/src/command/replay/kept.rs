//! What a replay's group remembers: how far each partition is, where it ends, and what it was begun with. Written before anything is done, as notes beside
//! the committed offsets, so that a replay that is killed and run again ends where the first run saw the end, and no other one goes on in its place.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use headwater_processors::normalize::MAPPER_VERSION;
use headwater_schemas::topics;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

use super::{Ask, Mode};
use crate::app::App;

const TIMEOUT: Duration = Duration::from_secs(20);
/// So many partitions are named in an error.
const NAMED: usize = 8;

/// What a replay was begun with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    providers: Vec<String>,
    stream: Option<String>,
    from: String,
    until: String,
    shadow: bool,
    mapper: i32,
}

impl Begun {
    /// What is only counted goes on where the same replay was.
    pub fn of(ask: &Ask) -> Self {
        let mut providers: Vec<_> = ask.providers.iter().map(|&provider| provider.to_owned()).collect();
        providers.sort_unstable();
        Self {
            providers,
            stream: ask.stream.clone(),
            from: ask.from.to_string(),
            until: ask.until.to_string(),
            shadow: ask.mode == Mode::Shadow,
            mapper: MAPPER_VERSION,
        }
    }

    /// What differs, each as it was and as it is.
    fn unlike(&self, now: &Self) -> String {
        let differ = self.said().into_iter().zip(now.said()).filter(|(was, is)| was != is);
        differ.map(|((what, was), (_, is))| format!("{what}: {was}, now {is}")).collect::<Vec<_>>().join("; ")
    }

    fn said(&self) -> [(&'static str, String); 6] {
        [
            ("providers", self.providers.join(", ")),
            ("stream", self.stream.clone().unwrap_or_else(|| "of any name".to_owned())),
            ("from", self.from.clone()),
            ("until", self.until.clone()),
            ("target", if self.shadow { "a shadow" } else { "the real topics" }.to_owned()),
            ("mapper version", self.mapper.to_string()),
        ]
    }
}

/// As arguments of the command.
impl fmt::Display for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.providers.iter().try_for_each(|provider| write!(f, "--provider {provider} "))?;
        self.stream.iter().try_for_each(|stream| write!(f, "--stream {stream} "))?;
        write!(f, "--from {} --until {}{}", self.from, self.until, if self.shadow { " --diff" } else { "" })
    }
}

/// Stands beside a committed offset, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub from: i64,
    pub until: i64,
    pub begun: Begun,
}

impl Note {
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("plain fields are always JSON")
    }
}

/// Topic and partition.
type Place = (String, i32);

/// All that is remembered under one name.
#[derive(Debug)]
pub struct Kept {
    name: String,
    /// Where each partition that was begun goes on. Without a note that this build can read: `None`.
    parts: BTreeMap<Place, (i64, Option<Note>)>,
    /// Partitions of raw topics, begun or not.
    places: Vec<Place>,
}

impl Kept {
    /// Asks the cluster, for every provider: also those that are not asked for may have been begun under the name. Blocks.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn read(app: &App, name: &str) -> anyhow::Result<Self> {
        let group = super::group(app, name);
        let mut config = app.config.kafka.reader(&format!("{group}-plan"));
        let consumer: BaseConsumer = config.set("group.id", &group).create()?;
        let metadata = consumer.fetch_metadata(None, TIMEOUT).context("kafka does not answer")?;
        let raws: Vec<_> = super::providers().map(|id| topics::RAW.name(&app.config.namespace, Some(id))).collect();
        let mut list = TopicPartitionList::new();
        for topic in metadata.topics().iter().filter(|topic| raws.iter().any(|raw| raw == topic.name())) {
            topic.partitions().iter().for_each(|partition| {
                list.add_partition(topic.name(), partition.id());
            });
        }
        let committed = consumer.committed_offsets(list, TIMEOUT).context("kafka gives no committed offsets")?;
        let place = |of: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| (of.topic().to_owned(), of.partition());
        let elements = committed.elements();
        let begun = elements.iter().filter_map(|element| match element.offset() {
            Offset::Offset(next) => Some((place(element), (next, serde_json::from_str(element.metadata()).ok()))),
            _ => None,
        });
        Ok(Self { name: name.to_owned(), parts: begun.collect(), places: elements.iter().map(place).collect() })
    }

    /// Nothing was begun, or what was is no longer known.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Forgets all of it, here.
    pub fn clear(&mut self) {
        self.parts.clear();
    }

    /// Where a partition goes on, and what was noted of it.
    pub fn part(&self, topic: &str, partition: i32) -> Option<(i64, &Note)> {
        let (next, note) = self.parts.get(&(topic.to_owned(), partition))?;
        Some((*next, note.as_ref()?))
    }

    /// # Errors
    /// When something else was begun under the name: it says what.
    pub fn fits(&self, asked: &Begun) -> anyhow::Result<()> {
        let name = &self.name;
        for (_, note) in self.parts.values() {
            let begun = &note.as_ref().with_context(|| self.unreadable())?.begun;
            anyhow::ensure!(
                begun == asked,
                "replay {name} was begun with other arguments ({}): expected the same, another --name, --restart, or \
                 `headwater replay discard {name}` first",
                begun.unlike(asked)
            );
        }
        Ok(())
    }

    /// # Errors
    /// When it is no comparison that went through every partition to its end: it says which are behind.
    pub fn whole(&self, topic: impl Fn(&str) -> String) -> anyhow::Result<()> {
        let name = &self.name;
        let Some((_, first)) = self.parts.values().next() else {
            anyhow::bail!(
                "nothing is known of a comparison {name}: expected one that is finished, and not longer ago than Kafka keeps the \
                 offsets of a group without members; `headwater replay --diff --name {name}` with its arguments makes it"
            )
        };
        let begun = &first.as_ref().with_context(|| self.unreadable())?.begun;
        anyhow::ensure!(begun.shadow, "replay {name} went onto the real topics: expected a comparison, begun with --diff");
        let mut behind = Vec::new();
        for (topic, partition) in begun.providers.iter().map(|provider| topic(provider)).flat_map(|topic| self.of(topic)) {
            match self.part(&topic, partition) {
                Some((next, note)) if next >= note.until => {}
                Some((next, note)) => {
                    behind.push(format!("{topic} partition {partition} at {next} of {} to {}", note.from, note.until))
                }
                None => behind.push(format!("{topic} partition {partition} not begun")),
            }
        }
        let more = behind.len().saturating_sub(NAMED);
        behind.truncate(NAMED);
        anyhow::ensure!(
            behind.is_empty(),
            "comparison {name} is not finished: {}{}; expected every partition at its end, `headwater replay {begun} --name {name}` \
             goes on where it was",
            behind.join(", "),
            if more > 0 { format!(" and {more} more") } else { String::new() }
        );
        Ok(())
    }

    fn of(&self, topic: String) -> impl Iterator<Item = Place> {
        self.places.iter().filter(move |(of, _)| *of == topic).cloned()
    }

    fn unreadable(&self) -> String {
        let name = &self.name;
        format!("replay {name} was begun by a build that notes something else: expected another --name, --restart, or discard")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Begun {
        Begun::of(&Ask { stream: Some("weight".into()), ..Ask::of(&["two", "one"], Mode::Shadow) })
    }

    fn kept(parts: &[(i32, i64)]) -> Kept {
        let note = Note { from: 3, until: 900, begun: begun() };
        let parts = parts.iter().map(|(partition, next)| (("raw.one".to_owned(), *partition), (*next, Some(note.clone()))));
        let places = ["raw.one", "raw.two"].into_iter().flat_map(|topic| [(topic.to_owned(), 0), (topic.to_owned(), 1)]);
        Kept { name: "n".into(), parts: parts.collect(), places: places.collect() }
    }

    fn raw(provider: &str) -> String {
        format!("raw.{provider}")
    }

    #[test]
    fn a_note_is_read_as_it_is_written_and_begins_the_same_again() {
        let note = Note { from: 3, until: 900, begun: begun() };
        assert_eq!(serde_json::from_str::<Note>(&note.text()).expect("a note"), note);
        assert_eq!(begun().to_string(), "--provider one --provider two --stream weight --from earliest --until now --diff");
    }

    #[test]
    fn what_was_begun_as_something_else_is_refused_and_named() {
        let kept = kept(&[(0, 5)]);
        kept.fits(&begun()).expect("the same");
        for (asked, differs) in [
            (Begun { providers: vec!["three".into()], ..begun() }, "providers: one, two, now three"),
            (Begun { stream: None, ..begun() }, "stream: weight, now of any name"),
            (Begun { from: "offset:5".into(), ..begun() }, "from: earliest, now offset:5"),
            (Begun { until: "offset:9".into(), ..begun() }, "until: now, now offset:9"),
            (Begun { shadow: false, ..begun() }, "target: a shadow, now the real topics"),
            (Begun { mapper: MAPPER_VERSION + 1, ..begun() }, "mapper version: "),
        ] {
            let refused = kept.fits(&asked).expect_err("another").to_string();
            assert!(refused.contains(differs) && refused.contains("replay discard n"), "{refused}");
        }
        let other = Kept { parts: [(("raw.one".to_owned(), 0), (5, None))].into(), ..kept };
        assert!(other.fits(&begun()).is_err(), "a note of another build");
    }

    #[test]
    fn only_a_comparison_whose_every_partition_is_at_its_end_is_whole() {
        let mut of = kept(&[(0, 900), (1, 899)]);
        let refused = of.whole(raw).expect_err("two providers").to_string();
        for part in ["raw.one partition 1 at 899 of 3 to 900", "raw.two partition 0 not begun", "--diff --name n"] {
            assert!(refused.contains(part), "{refused}");
        }
        assert!(!refused.contains("raw.one partition 0"), "{refused}");
        of.places.retain(|(topic, _)| topic == "raw.one");
        assert!(of.whole(raw).is_err());
        of.parts.get_mut(&("raw.one".to_owned(), 1)).expect("it is there").0 = 900;
        of.whole(raw).expect("whole");
        of.clear();
        assert!(of.whole(raw).expect_err("nothing").to_string().contains("nothing is known"));
    }
}

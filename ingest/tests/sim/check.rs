//! What must be true once all is calm.

use std::collections::BTreeMap;

use headwater_processors::normalize::normalize;
use headwater_schemas::observation::Observation;
use headwater_schemas::raw::Raw;
use headwater_schemas::topics::{self, Subject as _};
use headwater_schemas::{Outbox, Position};
use headwater_store::{Connection, ConnectionState, Store as _, StoredObservation};
use uuid::Uuid;

use crate::actors::POLL_MINUTES;
use crate::plan::Rule;
use crate::world::World;

const MINUTE: i64 = 60_000_000;

/// An observation as it ends up, without what says only how it came.
type Ends = BTreeMap<Uuid, String>;

pub async fn check(world: &World) {
    let left = world.log.left();
    if left > 0 {
        world.wrong(format!("{left} hints are left undone"));
    }
    let stands = stands(&world.log.raws());
    let count = world.clouds().accounts.len();
    for index in 0..count {
        let (id, kind) = {
            let account = &world.clouds().accounts[index];
            (account.connection, account.plan.kind)
        };
        let kept = world.store.connection(id).await.expect("an open gate").expect("nobody deletes connections");
        dropped_pairs(world, index);
        if kept.state != ConnectionState::Active {
            world.count(|ran| ran.reauthorise += 1);
            ended(world, index, &kept);
            if kind.polled() {
                continue;
            }
        }
        polls(world, id, kind.polled());
        let subject = kept.subjects[0].clone();
        compare(world, index, &subject, stands.get(&id).unwrap_or(&BTreeMap::new()));
    }
}

/// What all raw records come to, by connection, as a sink has it: the greatest version of each.
fn stands(raws: &[Vec<u8>]) -> BTreeMap<Uuid, BTreeMap<Uuid, StoredObservation>> {
    let mut stands: BTreeMap<Uuid, BTreeMap<Uuid, StoredObservation>> = BTreeMap::new();
    for raw in raws {
        let raw = Raw::decode(raw).expect("our own record");
        let rows = stands.entry(raw.connection_id).or_default();
        for row in observations(&raw) {
            if rows.get(&row.id).is_none_or(|kept| row.version > kept.version) {
                rows.insert(row.id, row);
            }
        }
    }
    stands
}

fn observations(raw: &Raw<'_>) -> Vec<StoredObservation> {
    let mut out = Outbox::default();
    // What cannot be read is a dead letter, and says nothing.
    if normalize(raw, Position { topic: "raw", partition: 0, offset: 0 }, &mut out).is_err() {
        return vec![];
    }
    let observations = out.records().iter().filter(|record| record.topic == &topics::OBSERVATION);
    observations.map(|record| StoredObservation::of(&Observation::decode(out.body(record)).expect("our own record"), 0)).collect()
}

fn ends<'r>(rows: impl Iterator<Item = &'r StoredObservation>) -> Ends {
    let standing = rows.filter(|row| row.status != "entered-in-error");
    standing
        .map(|row| (row.id, format!("{} {:?} {:?} {:?}", row.start, row.value_text, row.value_code, row.components)))
        .collect()
}

/// What stands is what the cloud has: nothing lost, nothing old over anything new, nothing deleted that is still there.
fn compare(world: &World, index: usize, subject: &str, rows: &BTreeMap<Uuid, StoredObservation>) {
    let truth = {
        let clouds = world.clouds();
        let account = &clouds.accounts[index];
        let body = account.everything();
        let raw = Raw::of(account.provider, account.stream(), (account.connection, subject), world.now(), &body);
        ends(observations(&raw).iter())
    };
    let stands = ends(rows.values());
    world.count(|ran| ran.compared += truth.len() as u64);
    for (id, expected) in &truth {
        match stands.get(id) {
            None => world.wrong(format!("lost: account {index} has {expected}, and it does not stand on the log")),
            Some(found) if found != expected && !world.plan.versions_lie() => {
                world.wrong(format!("stale: account {index} has {expected}, and {found} stands"))
            }
            Some(_) => {}
        }
    }
    for (id, found) in stands.iter().filter(|(id, _)| !truth.contains_key(id) && !world.plan.versions_lie()) {
        let version = rows[id].version;
        world.wrong(format!("account {index} has deleted {found} of version {version}, and it still stands"));
    }
}

/// A pair of a single-use token is stored, unless that could not be helped.
fn dropped_pairs(world: &World, index: usize) {
    let (dropped, refreshes) = {
        let clouds = world.clouds();
        let account = &clouds.accounts[index];
        let dropped = account.pairs.iter().any(|pair| !pair.stored && !pair.is_excused(&world.plan));
        (dropped && account.plan.rule == Rule::Strict, account.pairs.len() as u64 - 1)
    };
    world.count(|ran| ran.refreshes += refreshes);
    if dropped {
        world.wrong(format!("account {index} gave a pair to a process that lived on, and it was never stored"));
    }
}

/// Only the loss of the last pair that a cloud without grace had given until then, where it could not be helped, ends a connection, and it is
/// said why.
fn ended(world: &World, index: usize, kept: &Connection) {
    let (state, why) = (kept.state, kept.reason.as_deref());
    let (rule, lost) = {
        let account = &world.clouds().accounts[index];
        // When it ended is told by the clock of whoever ended it.
        let before = account.pairs.iter().rev().filter(|pair| world.plan.steps || pair.given_at() <= kept.state_at);
        let mut lost = before.take(if world.plan.steps { usize::MAX } else { 1 });
        (account.plan.rule, lost.any(|pair| pair.is_lost() && pair.is_excused(&world.plan)))
    };
    if state != ConnectionState::NeedsReauth || rule != Rule::Strict || !lost {
        world.wrong(format!("account {index} ({rule:?}) ended as {state:?}, {why:?}, and no pair of it had to be lost"));
    } else if why != Some("lost_in_refresh") {
        world.wrong(format!("account {index} lost a pair in a refresh, and was told {why:?}"));
    }
}

/// Without faults one hint per due time, over all instances.
fn polls(world: &World, id: Uuid, polled: bool) {
    let times = world.log.scheduled(id);
    world.count(|ran| ran.polls += times.len() as u64);
    if !world.plan.is_quiet() || !polled {
        return;
    }
    // The schedule looks every minute, and sees after another round what the fetcher drew.
    let (least, most) = (POLL_MINUTES.0 * MINUTE, (POLL_MINUTES.1 + 3) * MINUTE);
    for pair in times.windows(2) {
        let apart = pair[1] - pair[0];
        if !(least..=most).contains(&apart) {
            world.wrong(format!("asked again after {:.1} minutes, without a fault", apart as f64 / MINUTE as f64));
        }
    }
    if times.len() < 2 {
        world.wrong(format!("asked {} times in hours", times.len()));
    }
}

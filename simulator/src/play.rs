//! Time passes: bands reach the cloud, the cloud tells whoever subscribed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use tokio::task::JoinSet;

use crate::control::{Announcement, Control};
use crate::day::syncs;
use crate::dice::{self, Dice};
use crate::google_health::subscribers::verify;
use crate::google_health::types::TYPES;
use crate::people::{Profile, Provider};
use crate::record::Record;
use crate::rest;
use crate::send::{Notification, deliver};
use crate::withings::{data, webhook};
use crate::world::World;

const TICK: Duration = Duration::from_millis(200);
/// Deliveries under way at the same time; the play waits for a free place.
const AT_ONCE: usize = 16;
/// A record can change up to so many days after its own day.
const LOOK_BACK: i32 = 4;

pub(crate) async fn run(world: Arc<World>) {
    let control = Control { world: world.clone() };
    let mut seen = world.horizon();
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = world.stopped() => break,
        }
        let horizon = world.horizon();
        greet(&world).await;
        let waiting = std::mem::take(&mut world.state().outgoing);
        for notification in waiting {
            let world = world.clone();
            under_way.spawn(async move { deliver(&world, &notification).await });
        }
        for who in world.people.iter().filter(|who| world.connected(who)) {
            for moment in moments(who, seen, horizon) {
                for notification in told(&control, who, moment) {
                    while under_way.len() >= AT_ONCE {
                        under_way.join_next().await;
                    }
                    let world = world.clone();
                    under_way.spawn(async move { deliver(&world, &notification).await });
                }
            }
        }
        while under_way.try_join_next().is_some() {}
        seen = horizon;
    }
    under_way.shutdown().await;
}

/// Google Health's handshake with the endpoint of the settings, once somebody connected, until it succeeds.
async fn greet(world: &World) {
    let Some(targets) = &world.settings.webhooks else { return };
    let needed = world.people.iter().any(|who| who.person.provider == Provider::GoogleHealth && world.connected(who));
    if !needed || world.endpoint_verified() {
        return;
    }
    match verify(world, &targets.google_health, &targets.google_health_authorization).await {
        Ok(()) => world.note_verified(),
        Err(reason) => tracing::debug!(reason, "the google health endpoint failed the handshake"),
    }
}

/// When this person's band reached the cloud within (from, to].
fn moments(who: &Profile, from: i64, to: i64) -> Vec<i64> {
    if to <= from {
        return Vec::new();
    }
    let (first, last) = (who.date_of(from), who.date_of(to));
    let days = first.until(last).map_or(0, |span| span.get_days());
    let all = (0..=days).flat_map(|ahead| syncs(who, first.saturating_add(ahead.days())));
    all.filter(|moment| (from + 1..=to).contains(moment)).collect()
}

/// The notifications about one contact, with repetitions and in the order in which they happen to leave.
fn told(control: &Control, who: &Profile, moment: i64) -> Vec<Notification> {
    if rest::ALL.contains(&who.person.provider) {
        let streams = rest::streams(who.person.provider).iter().copied();
        let records = streams.flat_map(|stream| moved(&control.world, who, stream, moment));
        let told = records.filter_map(|record| {
            let gone = record.vanishes_at == Some(moment);
            rest::webhook::about(&control.world, who, &record, gone)
        });
        return told.collect();
    }
    let announcements = changes(&control.world, who, moment);
    let mut dice = Dice::new(&[who.key, dice::key("told"), moment as u64]);
    let together = who.person.provider == Provider::GoogleHealth && dice.chance(0.5) && announcements.len() > 1;
    let groups: Vec<&[Announcement]> = if together { vec![&announcements] } else { announcements.chunks(1).collect() };
    let mut out: Vec<Notification> = groups.into_iter().filter_map(|group| control.notifications(group).ok()).flatten().collect();
    if who.person.provider == Provider::GoogleHealth && !control.world.endpoint_verified() {
        let unproven = control.world.settings.webhooks.as_ref().map(|targets| targets.google_health.as_str());
        out.retain(|notification| Some(notification.url.as_str()) != unproven);
    }
    if control.world.settings.surprises {
        if dice.chance(0.25) {
            out.reverse();
        }
        if let Some(again) = out.first().filter(|_| dice.chance(0.12)).cloned() {
            out.push(again);
        }
    }
    out
}

/// What appeared, changed or left at one moment, one announcement per kind of data.
pub(crate) fn changes(world: &World, who: &Profile, moment: i64) -> Vec<Announcement> {
    let provider = who.person.provider;
    let mut windows: BTreeMap<(String, bool), (i64, i64)> = BTreeMap::new();
    let streams: Vec<&str> = match provider {
        Provider::Withings => data::STREAMS.to_vec(),
        _ => TYPES.iter().filter(|kind| kind.announced).map(|kind| kind.kebab).collect(),
    };
    for stream in streams {
        for record in moved(world, who, stream, moment) {
            let (topic, length) = match provider {
                Provider::Withings => (webhook::appli(&record).to_string(), 1),
                _ => (record.stream.clone(), 60),
            };
            let gone = record.vanishes_at == Some(moment) && provider != Provider::Withings;
            let end = record.end.max(record.start + length);
            let window = windows.entry((topic, gone)).or_insert((record.start, end));
            *window = (window.0.min(record.start), window.1.max(end));
        }
    }
    // Energy has no points of its own, and is announced with the steps it comes from.
    if let Some(window) = windows.get(&("steps".to_owned(), false)).copied() {
        windows.insert(("total-calories".to_owned(), false), window);
    }
    let announcement = |((topic, delete), (start, end))| {
        let user_id = who.person.user_id.clone();
        Announcement { provider, user_id, topic, start, end, delete, action: None }
    };
    windows.into_iter().map(announcement).collect()
}

fn moved(world: &World, who: &Profile, stream: &str, moment: i64) -> Vec<Record> {
    let today = who.date_of(moment);
    let days = (0..=LOOK_BACK).map(|back| today.saturating_sub(back.days()));
    let records = days.flat_map(|date| world.untouched(who, stream, date, moment, Some(moment)));
    records
        .filter(|record| [Some(record.visible_at), Some(record.modified), record.vanishes_at].contains(&Some(moment)))
        .collect()
}

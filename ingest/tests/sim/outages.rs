//! The store is away for longer than a call is patient: for all, or as one instance sees it.

use std::sync::Arc;
use std::time::Duration;

use crate::world::World;

const SECOND: i64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
pub struct Outage {
    pub how: How,
    /// Of this instance alone; of all where there is none.
    of: Option<usize>,
    until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Each request is refused at once.
    Refuses,
    /// Requests wait for its end; then they are done, or they fail without.
    Hangs,
    /// Requests are done, and their answers are lost; those who asked hear that at its end.
    Mute,
}

impl Outage {
    pub fn meets(&self, instance: usize, now: i64) -> bool {
        now < self.until && self.of.is_none_or(|of| of == instance)
    }

    pub async fn is_over(&self, world: &World) {
        let left = u64::try_from(self.until - world.now()).unwrap_or(0);
        tokio::time::sleep(Duration::from_micros(left)).await;
    }
}

/// Outages of 10 to 60 s, now and then, until all is calm.
pub async fn come_and_go(world: Arc<World>) {
    loop {
        world.pause(120_000, 1_200_000).await;
        if world.is_calm() {
            return;
        }
        begin(&world).is_over(&world).await;
    }
}

/// One begins where it hurts most: a pair was given and nobody has stored it yet. By chance alone that would be one of thousands.
pub fn may_begin_with_a_pair_in_hand(world: &World) {
    if world.plan.outages && world.strikes(1, 20) {
        begin(world);
    }
}

fn begin(world: &World) -> Outage {
    let how = [How::Refuses, How::Hangs, How::Mute][world.draw(0, 2) as usize];
    let of = (world.draw(0, 2) == 0).then(|| world.draw(0, 1000) as usize % world.plan.instances);
    let seconds = i64::try_from(world.draw(10, 60)).expect("seconds are few");
    let outage = Outage { how, of, until: world.now() + seconds * SECOND };
    world.tell("store is away", format_args!("for {seconds} s, {how:?}, {of:?}"));
    world.count(|ran| ran.outages += 1);
    world.begins(outage);
    outage
}

//! What one person did on one local day: sleep, workouts, steps and pulse by the minute, and when the band reached the cloud.
//!
//! A day follows from (seed, person, date) alone, so it is made whenever it is asked for and never stored.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::dice::{self, Dice};
use crate::people::Profile;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Awake,
    Light,
    Deep,
    Rem,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub start: i64,
    pub end: i64,
    pub stage: Stage,
}

#[derive(Clone, Debug)]
pub(crate) struct Rest {
    pub start: i64,
    pub end: i64,
    pub segments: Vec<Segment>,
    /// The band lost the pulse for part of the night: no stages, only asleep and restless.
    pub classic: bool,
}

impl Rest {
    /// Seconds in one stage.
    pub fn seconds(&self, stage: Stage) -> i64 {
        self.segments.iter().filter(|part| part.stage == stage).map(|part| part.end - part.start).sum()
    }

    pub fn stage_at(&self, epoch: i64) -> Option<Stage> {
        self.segments.iter().find(|part| part.start <= epoch && epoch < part.end).map(|part| part.stage)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sport {
    Run,
    Walk,
    Ride,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Workout {
    pub start: i64,
    pub end: i64,
    pub sport: Sport,
    pub index: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Day<'a> {
    pub who: &'a Profile,
    pub date: Date,
    pub key: u64,
    /// First instant of the day, and of the next: 23, 24 or 25 hours apart.
    pub start: i64,
    pub end: i64,
    /// The sleep that ended this morning.
    pub night: Rest,
    pub nap: Option<Rest>,
    pub workouts: Vec<Workout>,
    /// Start of the coming night, which may lie after midnight.
    pub bedtime: i64,
    pub resting_bpm: i64,
    /// The band lies on its charger.
    off: (i64, i64),
    /// A day of more or less movement: factor on the usual steps.
    drive: f64,
    syncs: Vec<i64>,
}

impl<'a> Day<'a> {
    pub fn new(who: &'a Profile, date: Date) -> Self {
        let key = day_key(who, date);
        let mut dice = Dice::new(&[key, 1]);
        let (start, end) = (who.midnight(date), who.midnight(date.saturating_add(1.day())));
        let night = night(who, date);
        let nap = dice.chance(0.12).then(|| nap(who, date, &mut dice));
        let workouts = workouts(who, date, &mut dice);
        let off_start = who.local(date, dice.int(19 * 60, 21 * 60));
        Self {
            bedtime: night_span(who, date.saturating_add(1.day())).0,
            resting_bpm: (who.resting_bpm + dice.around(4.0)).round() as i64,
            off: (off_start, off_start + dice.int(25, 80) * 60),
            drive: dice.range(0.45, 1.6),
            syncs: (-1..=4).flat_map(|ahead| syncs(who, date.saturating_add(ahead.days()))).collect(),
            who,
            date,
            key,
            start,
            end,
            night,
            nap,
            workouts,
        }
    }

    /// Starts of the minutes of the day, 1380 to 1500 of them.
    pub fn minutes(&self) -> impl Iterator<Item = i64> + use<> {
        (self.start..self.end).step_by(60)
    }

    pub fn worn(&self, epoch: i64) -> bool {
        !(self.off.0..self.off.1).contains(&epoch)
    }

    pub fn asleep(&self, epoch: i64) -> bool {
        let resting = |rest: &Rest| (rest.start..rest.end).contains(&epoch);
        epoch >= self.bedtime || resting(&self.night) || self.nap.as_ref().is_some_and(resting)
    }

    pub fn workout_at(&self, epoch: i64) -> Option<&Workout> {
        self.workouts.iter().find(|workout| (workout.start..workout.end).contains(&epoch))
    }

    /// Steps within one minute.
    pub fn steps(&self, epoch: i64) -> i64 {
        if self.asleep(epoch) {
            return 0;
        }
        let mut dice = Dice::new(&[self.key, 2, epoch as u64]);
        if let Some(workout) = self.workout_at(epoch) {
            return match workout.sport {
                Sport::Run => dice.int(152, 176),
                Sport::Walk => dice.int(98, 118),
                Sport::Ride => 0,
            };
        }
        let moving = Dice::new(&[self.key, 3, (epoch / 600) as u64]).chance(self.who.steps_mean * self.drive / 68_000.0);
        match (moving, dice.chance(0.8), dice.chance(0.04)) {
            (true, true, _) => dice.int(55, 112),
            (false, _, true) => dice.int(4, 26),
            _ => 0,
        }
    }

    /// Beats per minute.
    pub fn bpm(&self, epoch: i64) -> i64 {
        let mut dice = Dice::new(&[self.key, 4, epoch as u64]);
        let above_rest = if let Some(workout) = self.workout_at(epoch) {
            match workout.sport {
                Sport::Run => 88.0 + dice.around(14.0),
                Sport::Walk => 42.0 + dice.around(9.0),
                Sport::Ride => 70.0 + dice.around(15.0),
            }
        } else if self.asleep(epoch) {
            match self.night.stage_at(epoch) {
                Some(Stage::Deep) => -2.0 + dice.around(2.0),
                Some(Stage::Rem) => 4.0 + dice.around(5.0),
                Some(Stage::Awake) => 9.0 + dice.around(6.0),
                _ => 1.0 + dice.around(3.0),
            }
        } else if self.steps(epoch) > 50 {
            33.0 + dice.around(11.0)
        } else {
            14.0 + dice.around(9.0)
        };
        self.resting_bpm + above_rest.round() as i64
    }

    /// Millimetres covered within one minute.
    pub fn millimetres(&self, epoch: i64) -> i64 {
        match self.workout_at(epoch) {
            Some(Workout { sport: Sport::Ride, .. }) => 390_000 + Dice::new(&[self.key, 5, epoch as u64]).int(-60_000, 60_000),
            Some(Workout { sport: Sport::Run, .. }) => self.steps(epoch) * 1_050,
            _ => self.steps(epoch) * (self.who.height_m * 414.0) as i64,
        }
    }

    /// Kilocalories burnt within one minute: at rest, and by moving.
    pub fn kcal(&self, epoch: i64) -> (f64, f64) {
        let resting = self.who.weight_kg * 22.0 / 1440.0;
        let effort = (self.bpm(epoch) - self.resting_bpm - 20).max(0) as f64;
        (resting, if self.asleep(epoch) { 0.0 } else { effort * self.who.weight_kg / 900.0 })
    }

    /// When the cloud first hears of something that was over at `epoch`.
    pub fn synced(&self, epoch: i64) -> i64 {
        let next = self.syncs.partition_point(|sync| *sync < epoch);
        // Nobody stays away longer than the days listed; this keeps the rule total.
        self.syncs.get(next).copied().unwrap_or(epoch + 5 * 86_400)
    }

    /// The last contact at or before `epoch`.
    pub fn last_sync(&self, epoch: i64) -> Option<i64> {
        self.syncs[..self.syncs.partition_point(|sync| *sync <= epoch)].last().copied()
    }
}

/// The key for chance on one day of one person.
pub(crate) fn day_key(who: &Profile, date: Date) -> u64 {
    dice::mix(&[who.key, date.year() as u64, date.month() as u64, date.day() as u64])
}

/// When the band reached the cloud on one day: about hourly while its owner is awake, some days not at all.
pub(crate) fn syncs(who: &Profile, date: Date) -> Vec<i64> {
    let mut dice = Dice::new(&[day_key(who, date), 9]);
    if dice.chance(0.07) {
        return Vec::new();
    }
    let (mut minute, last) = (who.wake_minute + dice.int(5, 60), dice.int(20 * 60, 23 * 60));
    let mut out = Vec::new();
    while minute < last {
        out.push(who.local(date, minute) + dice.int(0, 59));
        // Now and then the phone stays at home for hours.
        minute += if dice.chance(0.1) { dice.int(180, 420) } else { dice.int(25, 95) };
    }
    out
}

fn night_span(who: &Profile, date: Date) -> (i64, i64) {
    let mut dice = Dice::new(&[day_key(who, date), 6]);
    let weekend = if date.weekday().to_monday_zero_offset() >= 5 { 45 } else { 0 };
    let wake = who.local(date, who.wake_minute + weekend + dice.around(35.0) as i64);
    (wake - (who.sleep_minutes + weekend + dice.around(70.0) as i64) * 60, wake)
}

fn night(who: &Profile, date: Date) -> Rest {
    let (start, end) = night_span(who, date);
    let mut dice = Dice::new(&[day_key(who, date), 7]);
    let classic = dice.chance(0.08);
    let mut segments = Vec::new();
    let mut at = start;
    let mut put = |at: &mut i64, stage: Stage, half_minutes: i64| {
        let to = (*at + half_minutes * 30).min(end);
        if to > *at {
            segments.push(Segment { start: *at, end: to, stage });
            *at = to;
        }
    };
    put(&mut at, Stage::Awake, dice.int(6, 30));
    let mut cycle = 0;
    while at < end - 600 {
        put(&mut at, Stage::Light, dice.int(30, 60));
        put(&mut at, Stage::Deep, (dice.int(40, 70) - cycle * 16).max(0));
        put(&mut at, Stage::Light, dice.int(20, 50));
        put(&mut at, Stage::Rem, (dice.int(8, 24) + cycle * 12).min(80));
        if dice.chance(0.6) {
            put(&mut at, Stage::Awake, dice.int(2, 12));
        }
        cycle += 1;
    }
    put(&mut at, Stage::Awake, i64::MAX / 100);
    Rest { start, end, segments, classic }
}

fn nap(who: &Profile, date: Date, dice: &mut Dice) -> Rest {
    let start = who.local(date, dice.int(13 * 60, 15 * 60));
    let (awake, asleep) = (dice.int(2, 8) * 60, dice.int(18, 70) * 60);
    let end = start + awake + asleep;
    let segments = vec![
        Segment { start, end: start + awake, stage: Stage::Awake },
        Segment { start: start + awake, end, stage: Stage::Light },
    ];
    Rest { start, end, segments, classic: true }
}

fn workouts(who: &Profile, date: Date, dice: &mut Dice) -> Vec<Workout> {
    let slots = [(0.34, 7 * 60 + 90, 9 * 60 + 30), (0.4, 16 * 60 + 30, 18 * 60)];
    let picks = slots.iter().enumerate().filter_map(|(index, (likely, from, to))| {
        let (happens, start, length, kind) = (dice.chance(*likely), dice.int(*from, *to), dice.int(18, 62), dice.int(0, 2));
        let start = who.local(date, start);
        let sport = [Sport::Run, Sport::Walk, Sport::Ride][kind as usize];
        happens.then_some(Workout { start, end: start + length * 60, sport, index: index as u64 })
    });
    picks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::populate;
    use crate::settings::Settings;

    fn some_days(check: impl Fn(&Day<'_>)) {
        for who in &populate(&Settings::quiet()) {
            for ahead in 0..25 {
                check(&Day::new(who, who.history_start.saturating_add(ahead.days())));
            }
        }
    }

    #[test]
    fn a_night_is_covered_by_its_stages_without_gap_or_overlap() {
        some_days(|day| {
            let mut at = day.night.start;
            for part in &day.night.segments {
                assert_eq!(part.start, at);
                assert!(part.end > part.start);
                at = part.end;
            }
            assert_eq!(at, day.night.end);
            assert!((4 * 3600..11 * 3600).contains(&(day.night.end - day.night.start)));
        });
    }

    #[test]
    fn a_body_stays_within_plausible_limits() {
        some_days(|day| {
            let steps: i64 = day.minutes().map(|at| day.steps(at)).sum();
            assert!((300..45_000).contains(&steps), "{steps} steps");
            assert!(day.minutes().all(|at| (35..200).contains(&day.bpm(at))));
        });
    }

    #[test]
    fn nothing_is_synced_before_it_is_over() {
        some_days(|day| assert!(day.minutes().all(|at| day.synced(at) >= at)));
    }
}

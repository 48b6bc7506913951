//! What a run is made of, drawn from its number: who is connected, how many instances there are, and what goes wrong how often. Not all at once:
//! a fault that is always there hides what only another one shows.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// What a connection is and how its data come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// WHOOP's workouts: notifications that name a record, pages, a time of change in each record, deletions.
    Workouts,
    /// Oura's workouts: notifications that name a record, no time of change, deletions.
    Documents,
    /// Oura's heart rate: nobody announces it.
    Pulse,
    /// Garmin's: the data come in the webhook.
    Pushed,
    /// Batches from a device of the person's.
    Brought,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Workouts, Self::Documents, Self::Pulse, Self::Pushed, Self::Brought];

    pub fn polled(self) -> bool {
        matches!(self, Self::Workouts | Self::Documents | Self::Pulse)
    }
}

/// What a cloud does with a refresh token that was used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Single use: it is refused.
    Strict,
    /// It gives the pair it gave before, for hours.
    Grace,
    /// It does not rotate.
    Lasting,
}

#[derive(Debug, Clone)]
pub struct Account {
    pub kind: Kind,
    pub rule: Rule,
    /// Whether changes are announced at all.
    pub announced: bool,
    /// A refresh ends the access token before.
    pub access_dies: bool,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub instances: usize,
    pub accounts: Vec<Account>,
    /// Of a thousand calls at a seam, so many fail.
    pub log: u32,
    pub store: u32,
    pub cloud: u32,
    /// Now and then the store is away for 10 to 60 s.
    pub outages: bool,
    /// Of ten thousand calls at any seam, so many are a process's last; and so many take longer than a lease.
    pub deaths: u32,
    pub stalls: u32,
    /// Clocks of instances step by up to an hour.
    pub steps: bool,
    /// Partitions move although nobody died: the one before works on with what it has.
    pub moves: bool,
}

impl Plan {
    pub fn drawn(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed ^ 0x706c_616e);
        let mut rate = |most: u32| if dice.random_bool(0.3) { 0 } else { dice.random_range(1..=most) };
        let (log, store, cloud, deaths) = (rate(120), rate(24), rate(200), rate(12));
        let (stalls, moves) = (if dice.random_bool(0.3) { 15 } else { 0 }, dice.random_bool(0.6));
        let (steps, only_clocks, outages) = (dice.random_bool(0.4), dice.random_bool(0.5), dice.random_bool(0.4));
        if steps && only_clocks {
            return Self { cloud, steps, ..Self::quiet(seed) };
        }
        Self { log, store, outages, cloud, deaths, stalls, steps, moves, ..Self::quiet(seed) }
    }

    /// Nothing goes wrong.
    pub fn quiet(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed ^ 0x0077_686f);
        let mut account = |kind: Kind| Account {
            kind,
            rule: [Rule::Strict, Rule::Grace, Rule::Lasting][dice.random_range(0..3)],
            announced: kind != Kind::Pulse && dice.random_bool(0.7),
            access_dies: dice.random_bool(0.5),
        };
        let mut accounts: Vec<Account> = Kind::ALL.into_iter().map(&mut account).collect();
        // Another account at the same cloud: they share its limits.
        accounts.push(account(Kind::Workouts));
        accounts.retain(|_| dice.random_bool(0.5));
        if !accounts.iter().any(|account| account.kind.polled()) {
            accounts.push(Account { kind: Kind::Workouts, rule: Rule::Strict, announced: true, access_dies: false });
        }
        Self {
            instances: dice.random_range(1..=3),
            accounts,
            log: 0,
            store: 0,
            outages: false,
            cloud: 0,
            deaths: 0,
            stalls: 0,
            steps: false,
            moves: false,
        }
    }

    /// Nothing at all goes wrong: what happens twice has no excuse.
    pub fn is_quiet(&self) -> bool {
        self.log + self.store + self.cloud + self.deaths + self.stalls == 0 && !self.outages && !self.steps && !self.moves
    }

    /// Clocks are wrong, and what was told by one may not have been noted, or was told by two at a time: then versions may be of the future.
    pub fn versions_lie(&self) -> bool {
        self.steps && (self.log + self.store + self.deaths + self.stalls > 0 || self.outages || self.moves)
    }

    /// A lease may run out while its holder works: clocks disagree, or a call takes longer than it.
    pub fn leases_break(&self) -> bool {
        self.steps || self.stalls > 0
    }
}

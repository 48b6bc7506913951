//! Whatever a source may say, drawn at random: what the fixtures happen to hold is little of it. Shared by the tests, which hold properties of
//! our own to it, and by the example that writes the resources down for the FHIR validator. The same seed gives the same cases.

mod census;
mod values;

use std::borrow::Cow;

use headwater_processors::normalize;
use headwater_schemas::codes::{self, Measure};
use headwater_schemas::observation::{Method, OffsetOrigin, Status};
use headwater_schemas::raw::{Amended, Gone, Origin, Raw};
use headwater_schemas::reading::{Cgm, Component, Delivery, Device, Dose, Effective, Normalized, Parts, Reading, Stamp, Value};
use headwater_schemas::{Outbox, Position, ids};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use uuid::Uuid;

pub use census::Census;

pub const SEED: u64 = 20_260_923;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// 2101-01-01.
const LATEST: i64 = 47_847 * DAY;

#[derive(Debug, Clone)]
pub enum Said {
    Reading(Box<Reading<'static>>),
    Dose(Box<Dose<'static>>),
    Device(Device<'static>),
    Gone(Gone),
}

/// One thing that was said, and the raw record it stood in.
#[derive(Debug, Clone)]
pub struct Case {
    pub said: Said,
    pub provider: &'static str,
    pub fetched_at: i64,
    /// Where the observation stood before, when it is a correction.
    pub previous_start: Option<i64>,
    pub version_floor: Option<i64>,
    /// Whether the raw record came from a log.
    pub logged: bool,
}

impl Case {
    /// The one record this becomes.
    pub fn run(&self) -> Outbox {
        let body = if let Said::Gone(row) = &self.said { serde_json::to_vec(&[row]).expect("plain data") } else { Vec::new() };
        let raw = self.raw(&body);
        let position =
            if self.logged { Position { topic: "headwater.raw.a.v1", partition: 3, offset: 42 } } else { Position::NONE };
        let mut out = Outbox::default();
        let mut said = Normalized::default();
        match &self.said {
            Said::Reading(reading) => said.readings.push((**reading).clone()),
            Said::Dose(dose) => said.doses.push((**dose).clone()),
            Said::Device(device) => said.devices.push(device.clone()),
            Said::Gone(_) => {
                normalize::normalize(&raw, position, &mut out).expect("rows as the reconciler writes them");
                return out;
            }
        }
        normalize::records(&raw, &said, None, position, &mut out);
        out
    }

    pub fn id(&self) -> Uuid {
        let connection = ids::connection(self.provider, "user-1");
        match &self.said {
            Said::Reading(reading) => ids::observation(connection, "person-1", reading.measure.slug, &reading.record_id),
            Said::Dose(dose) => ids::observation(connection, "person-1", dose.data_type, &dose.record_id),
            Said::Device(device) => ids::device(connection, "person-1", &device.provider_id),
            Said::Gone(row) => row.id,
        }
    }

    fn raw<'a>(&'a self, body: &'a [u8]) -> Raw<'a> {
        Raw {
            origin: if matches!(self.said, Said::Gone(_)) { Origin::Reconcile } else { Origin::Fetch },
            amended: self.previous_start.map(|previous_start| Amended { id: self.id(), previous_start }).into_iter().collect(),
            version_floor: self.version_floor,
            ..Raw::of(self.provider, "any", (ids::connection(self.provider, "user-1"), "person-1"), self.fetched_at, body)
        }
    }
}

/// A runner whose dice fall as the seed says.
pub fn runner(seed: u64, cases: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Cases without end, the same for the same seed.
pub fn draw(seed: u64) -> impl Iterator<Item = Case> {
    let (strategy, mut runner) = (case(), runner(seed, 1));
    std::iter::repeat_with(move || strategy.new_tree(&mut runner).expect("no strategy here refuses what it drew").current())
}

pub fn case() -> impl Strategy<Value = Case> {
    let said = prop_oneof![
        80 => reading().prop_map(|r| Said::Reading(Box::new(r))),
        8 => dose().prop_map(|d| Said::Dose(Box::new(d))),
        6 => device().prop_map(Said::Device),
        6 => gone().prop_map(Said::Gone),
    ];
    let providers: Vec<&'static str> = headwater_sources::ALL.iter().map(|source| source.profile().id).collect();
    (said, select(providers), micros(), option::weighted(0.2, micros()), option::weighted(0.1, micros()), any::<bool>()).prop_map(
        |(said, provider, fetched_at, previous_start, version_floor, logged)| Case {
            said,
            provider,
            fetched_at,
            previous_start,
            version_floor,
            logged,
        },
    )
}

fn reading() -> BoxedStrategy<Reading<'static>> {
    select(codes::ALL)
        .prop_flat_map(|measure| {
            (
                values::of(measure),
                status(),
                when(),
                values::text(),
                option::of(values::text()),
                method(),
                note(),
                (option::of(micros()), option::weighted(0.1, cgm())),
            )
                .prop_map(
                    move |(
                        (value, components),
                        status,
                        (effective, local_date),
                        record_id,
                        device,
                        method,
                        note,
                        (modified, cgm),
                    )| {
                        Reading {
                            status,
                            local_date: local_date.map(Cow::Owned),
                            components,
                            device,
                            method,
                            note,
                            modified,
                            cgm,
                            ..Reading::new(measure, record_id, effective, value)
                        }
                    },
                )
        })
        .boxed()
}

fn cgm() -> impl Strategy<Value = Cgm> {
    (option::of(0..=u32::MAX), option::of(any::<bool>())).prop_map(|(interval_ms, backfilled)| Cgm { interval_ms, backfilled })
}

fn dose() -> BoxedStrategy<Dose<'static>> {
    let amount = || option::weighted(0.8, values::decimal());
    let parts = || option::of((values::decimal(), values::decimal()).prop_map(|(normal, extended)| Parts { normal, extended }));
    let text = || option::of(values::text());
    let programmed = (option::of(select(Delivery::ALL)), amount(), parts(), option::of(0..DAY / 1000));
    (
        (select(codes::MEDICATIONS), values::text(), status(), when()),
        (amount(), parts(), amount(), programmed),
        (text(), text(), method(), note(), option::of(micros())),
    )
        .prop_map(|((data_type, record_id, status, (effective, _)), (dose, parts, rate, programmed), said)| {
            let (delivery, expected, expected_parts, expected_duration_ms) = programmed;
            let (product, device, method, note, modified) = said;
            Dose {
                status,
                dose,
                parts,
                rate,
                delivery,
                expected,
                expected_parts,
                expected_duration_ms,
                product,
                device,
                method,
                note,
                modified,
                ..Dose::new(data_type, record_id, effective)
            }
        })
        .boxed()
}

fn device() -> BoxedStrategy<Device<'static>> {
    const KINDS: &[&str] = &["Scale", "Activity Tracker", "Blood Pressure Monitor", "WATCH", "Sleep Monitor", "Pulse Oximeter"];
    const BATTERIES: &[&str] = &["0", "7", "007", "85", "100", "99999999999999999999", "high", "85 %"];
    let text = || option::of(values::text());
    let kind = option::of(prop_oneof![values::text(), select(KINDS).prop_map(Cow::Borrowed)]);
    let battery = option::of(prop_oneof![values::text(), select(BATTERIES).prop_map(Cow::Borrowed)]);
    (values::text(), kind, text(), text(), text(), battery, option::of(micros()))
        .prop_map(|(provider_id, kind, manufacturer, model, firmware, battery, last_sync)| Device {
            provider_id,
            kind,
            manufacturer,
            model,
            firmware,
            battery,
            last_sync,
        })
        .boxed()
}

fn gone() -> BoxedStrategy<Gone> {
    (any::<u128>(), select(codes::ALL), micros(), option::of(0..400 * DAY))
        .prop_map(|(id, measure, start, length)| Gone {
            id: uuid::Builder::from_random_bytes(id.to_be_bytes()).into_uuid(),
            data_type: measure.slug.to_owned(),
            start,
            end: length.map(|length| start + length),
        })
        .boxed()
}

fn status() -> impl Strategy<Value = Status> {
    select(&[Status::Preliminary, Status::Final, Status::Amended, Status::EnteredInError, Status::Unknown][..])
}

fn method() -> impl Strategy<Value = Method> {
    select(&[Method::Device, Method::Manual, Method::Derived, Method::Unknown][..])
}

fn note() -> impl Strategy<Value = Option<&'static str>> {
    option::weighted(0.2, select(&["estimated by the provider", "of a cycle from waking to waking, not of a calendar day"][..]))
}

/// Whole seconds as most sources have them, and finer.
fn micros() -> impl Strategy<Value = i64> {
    (0..LATEST, select(&[SECOND, 1_000, 1][..])).prop_map(|(micros, grain)| micros - micros % grain)
}

/// Offsets that zones have, that drifting clocks have, and that nobody can live by.
fn offset() -> BoxedStrategy<(Option<i32>, OffsetOrigin)> {
    let known = prop_oneof![
        6 => (-56..=56).prop_map(|quarters| quarters * 900),
        2 => -50_400..=50_400,
        1 => -93_599..=93_599,
        1 => prop_oneof![any::<i32>(), Just(i32::MIN), Just(i32::MAX)],
    ];
    let origin = select(&[OffsetOrigin::Source, OffsetOrigin::Zone, OffsetOrigin::Profile][..]);
    option::weighted(0.8, (known, origin))
        .prop_map(|known| known.map_or((None, OffsetOrigin::None), |(o, origin)| (Some(o), origin)))
        .boxed()
}

/// A time, and the calendar day where the source says one.
fn when() -> BoxedStrategy<(Effective, Option<String>)> {
    let stamp = |micros, (offset, origin)| Stamp { micros, offset, origin };
    let length = prop_oneof![Just(0), 1..SECOND, 0..DAY, 0..400 * DAY];
    let other = option::weighted(0.3, offset());
    let during = (micros(), offset(), length, other).prop_map(move |(start, offset, length, other)| {
        Effective::During(stamp(start, offset), stamp(start + length, other.unwrap_or(offset)))
    });
    let unknown = (None, OffsetOrigin::None);
    let day =
        (0..LATEST / DAY).prop_map(move |day| Effective::During(stamp(day * DAY, unknown), stamp((day + 1) * DAY, unknown)));
    let effective = prop_oneof![4 => (micros(), offset()).prop_map(move |(at, offset)| Effective::At(stamp(at, offset))), 4 => during, 1 => day];
    (effective, any::<bool>())
        .prop_map(|(effective, dated)| {
            let start = effective.start();
            let local = start.micros + i64::from(start.offset.filter(|o| (-93_599..=93_599).contains(o)).unwrap_or(0)) * SECOND;
            let day =
                jiff::Timestamp::from_microsecond(local).expect("a time of this century or the next").strftime("%F").to_string();
            (effective, dated.then_some(day))
        })
        .boxed()
}

//! What a source says about a person before it becomes FHIR: one [`Reading`] per observation, borrowed from the payload where it can be.

use std::borrow::Cow;

use rust_decimal::Decimal;

use crate::codes::{self, Concept, Measure};
use crate::observation::{Method, OffsetOrigin, Status};
use crate::reject::Reject;

/// A point in time: microseconds since the epoch, and the offset the person lived by, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub micros: i64,
    /// Seconds east of UTC.
    pub offset: Option<i32>,
    pub origin: OffsetOrigin,
}

/// When the observation was true of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effective {
    At(Stamp),
    /// From, to. A day total runs from local midnight to the next, so it is 23 or 25 hours long on two days of the year.
    During(Stamp, Stamp),
}

impl Effective {
    pub fn start(&self) -> Stamp {
        match self {
            Self::At(stamp) | Self::During(stamp, _) => *stamp,
        }
    }

    pub fn end(&self) -> Option<Stamp> {
        match self {
            Self::At(_) => None,
            Self::During(_, end) => Some(*end),
        }
    }
}

/// A limit the device reported instead of a value beyond its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    Less,
    Greater,
}

impl Comparator {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::Greater => ">",
        }
    }
}

/// Why there is no value: codes of FHIR's data-absent-reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    Unknown,
    Error,
    NotPerformed,
}

impl Absent {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Error => "error",
            Self::NotPerformed => "not-performed",
        }
    }
}

/// An evenly spaced series, as FHIR SampledData with origin 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples<'a> {
    /// Milliseconds between samples.
    pub period_ms: Decimal,
    /// Blank-separated decimals; E error, L below and U above the limits.
    pub data: Cow<'a, str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// In the unit of the measure, with the source's digits.
    Quantity(Decimal),
    Limit(Comparator, Decimal),
    Range(Decimal, Decimal),
    Code(&'static Concept),
    /// The provider's own word for something that has no code.
    Text(Cow<'a, str>),
    Samples(Samples<'a>),
    Absent(Absent),
    /// A panel: the components are the value.
    Panel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component<'a> {
    pub measure: &'static Measure,
    pub value: Value<'a>,
}

/// How a glucose sensor came to a value, as far as its record says. No place of its own is needed by any other reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cgm {
    /// Milliseconds from one value of the sensor to the next.
    pub interval_ms: Option<u32>,
    /// Whether the value was handed in later, after the display had lost the sensor.
    pub backfilled: Option<bool>,
}

/// One observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading<'a> {
    pub measure: &'static Measure,
    /// The source's record id, or a natural key (source device, start, end). Unique within connection and measure; never holds the value.
    pub record_id: Cow<'a, str>,
    pub status: Status,
    pub effective: Effective,
    /// The person's calendar day, YYYY-MM-DD, for day totals and nights.
    pub local_date: Option<Cow<'a, str>>,
    pub value: Value<'a>,
    pub components: Vec<Component<'a>>,
    /// The provider's id of the device, as in [`Device::provider_id`].
    pub device: Option<Cow<'a, str>>,
    pub method: Method,
    /// Said to a clinician about how the value came about, e.g. that it is an estimate.
    pub note: Option<&'static str>,
    /// The source's own time of the last change, microseconds.
    pub modified: Option<i64>,
    pub cgm: Option<Cgm>,
}

impl<'a> Reading<'a> {
    /// A final reading without components; the rest is set by field.
    pub fn new(measure: &'static Measure, record_id: impl Into<Cow<'a, str>>, effective: Effective, value: Value<'a>) -> Self {
        Self {
            measure,
            record_id: record_id.into(),
            status: Status::Final,
            effective,
            local_date: None,
            value,
            components: Vec::new(),
            device: None,
            method: Method::Unknown,
            note: None,
            modified: None,
            cgm: None,
        }
    }
}

/// A device as the provider describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device<'a> {
    /// The provider's device id, or maker and model where it gives none. Never leaves the process: ids are hashes of it.
    pub provider_id: Cow<'a, str>,
    /// The provider's word: `Scale`, `Sleep Monitor`.
    pub kind: Option<Cow<'a, str>>,
    pub manufacturer: Option<Cow<'a, str>>,
    pub model: Option<Cow<'a, str>>,
    pub firmware: Option<Cow<'a, str>>,
    /// A percentage without its sign, or the provider's word (`high`, `low`).
    pub battery: Option<Cow<'a, str>>,
    /// Microseconds since the epoch.
    pub last_sync: Option<i64>,
}

/// How a pump came to give what it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    BolusNormal,
    /// Evenly over a time: also called a square bolus.
    BolusExtended,
    /// A normal and an extended one in one.
    BolusDual,
    BasalScheduled,
    BasalTemporary,
    /// By the device's own loop, basal or bolus.
    Automated,
    Suspended,
}

impl Delivery {
    pub const ALL: &'static [Self] = &[
        Self::BolusNormal,
        Self::BolusExtended,
        Self::BolusDual,
        Self::BasalScheduled,
        Self::BasalTemporary,
        Self::Automated,
        Self::Suspended,
    ];

    pub fn concept(self) -> &'static Concept {
        match self {
            Self::BolusNormal => &codes::BOLUS_NORMAL,
            Self::BolusExtended => &codes::BOLUS_EXTENDED,
            Self::BolusDual => &codes::BOLUS_DUAL,
            Self::BasalScheduled => &codes::BASAL_SCHEDULED,
            Self::BasalTemporary => &codes::BASAL_TEMPORARY,
            Self::Automated => &codes::DELIVERY_AUTOMATED,
            Self::Suspended => &codes::DELIVERY_SUSPENDED,
        }
    }
}

/// What of a bolus was for at once, and what for over a time. Units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    pub normal: Decimal,
    pub extended: Decimal,
}

/// Insulin that was given: at once, or over a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dose<'a> {
    /// Of [`crate::codes::MEDICATIONS`].
    pub data_type: &'static str,
    /// As in [`Reading::record_id`].
    pub record_id: Cow<'a, str>,
    pub status: Status,
    pub effective: Effective,
    /// Units, all parts together.
    pub dose: Option<Decimal>,
    /// Of a bolus that has both.
    pub parts: Option<Parts>,
    /// Units per hour.
    pub rate: Option<Decimal>,
    pub delivery: Option<Delivery>,
    /// Units that were programmed, where the source tells them beside what was given.
    pub expected: Option<Decimal>,
    pub expected_parts: Option<Parts>,
    /// How long it was programmed to take, where the source tells it beside how long it took.
    pub expected_duration_ms: Option<i64>,
    /// The provider's word for what was given.
    pub product: Option<Cow<'a, str>>,
    pub device: Option<Cow<'a, str>>,
    pub method: Method,
    /// How it was given, e.g. that part of it was spread out.
    pub note: Option<&'static str>,
    pub modified: Option<i64>,
}

impl<'a> Dose<'a> {
    /// A final dose of nothing known; the rest is set by field.
    pub fn new(data_type: &'static str, record_id: impl Into<Cow<'a, str>>, effective: Effective) -> Self {
        Self {
            data_type,
            record_id: record_id.into(),
            status: Status::Final,
            effective,
            dose: None,
            parts: None,
            rate: None,
            delivery: None,
            expected: None,
            expected_parts: None,
            expected_duration_ms: None,
            product: None,
            device: None,
            method: Method::Unknown,
            note: None,
            modified: None,
        }
    }

    /// Whether less was given, or for a shorter time, than was programmed. The end of a suspension interrupts nothing.
    pub fn interrupted(&self) -> bool {
        let less = self.expected.zip(self.dose).is_some_and(|(expected, given)| given < expected);
        let length = self.effective.end().map(|end| (end.micros - self.effective.start().micros) / 1000);
        let shorter = self.expected_duration_ms.zip(length).is_some_and(|(expected, taken)| taken < expected);
        self.delivery != Some(Delivery::Suspended) && (less || shorter)
    }
}

/// What one raw record came to.
#[derive(Debug, Default)]
pub struct Normalized<'a> {
    pub readings: Vec<Reading<'a>>,
    pub doses: Vec<Dose<'a>>,
    pub devices: Vec<Device<'a>>,
    /// Rows that can never be accepted; their neighbours are not touched by it.
    pub problems: Vec<Reject>,
    /// Types, fields or values this build does not know, by a stable word (`meastype 197`): kept in raw, counted, never fatal.
    pub unknown: Vec<Cow<'a, str>>,
}

impl<'a> Normalized<'a> {
    pub fn push(&mut self, reading: Reading<'a>) {
        self.readings.push(reading);
    }

    /// Adds a device once per page, however many rows name it.
    pub fn device(&mut self, device: Device<'a>) {
        if !self.devices.iter().any(|d| d.provider_id == device.provider_id) {
            self.devices.push(device);
        }
    }

    pub fn unknown(&mut self, what: impl Into<Cow<'a, str>>) {
        self.unknown.push(what.into());
    }
}

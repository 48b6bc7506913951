//! Withings' `getmeas`: groups of measurements taken together.

use anyhow::Context as _;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::records::{Method, Status};

#[derive(Deserialize)]
struct Answer {
    status: i64,
    body: Option<Body>,
}

#[derive(Deserialize)]
pub struct Body {
    pub measuregrps: Vec<Group>,
    pub timezone: Option<String>,
}

#[derive(Deserialize)]
pub struct Group {
    pub grpid: i64,
    attrib: i64,
    pub date: i64,
    pub modified: Option<i64>,
    pub category: Option<i64>,
    deviceid: Option<String>,
    hash_deviceid: Option<String>,
    pub measures: Vec<Entry>,
}

#[derive(Deserialize)]
pub struct Entry {
    value: i64,
    #[serde(rename = "type")]
    pub kind: i64,
    unit: i32,
}

pub struct Measure {
    pub slug: &'static str,
    pub code: &'static str,
    pub text: &'static str,
    pub unit: &'static str,
    pub profile: Option<&'static str>,
}

impl Body {
    pub fn parse(json: &[u8]) -> anyhow::Result<Self> {
        let answer: Answer = serde_json::from_slice(json)
            .map_err(|why| anyhow::anyhow!("not an answer of getmeas at line {} column {}", why.line(), why.column()))?;
        let status = answer.status;
        answer.body.filter(|_| status == 0).with_context(|| format!("expected data, found status {status} of the provider"))
    }
}

impl Group {
    /// What the device is known by.
    pub fn device(&self) -> Option<&str> {
        self.deviceid.as_deref().or(self.hash_deviceid.as_deref())
    }

    /// How a group came about. Attribution 1 may be somebody else who stood on the scale.
    pub fn attribution(&self) -> (Status, Method) {
        match self.attrib {
            0 | 5 | 7 | 8 | 15 => (Status::Final, Method::Device),
            1 => (Status::Preliminary, Method::Device),
            2 | 4 => (Status::Final, Method::Manual),
            _ => (Status::Final, Method::Unknown),
        }
    }
}

impl Entry {
    /// `value × 10^unit`, with exactly the digits that this says: never through a float.
    pub fn decimal(&self) -> anyhow::Result<Decimal> {
        let far = "expected value and unit of at most 28 digits";
        match u32::try_from(-i64::from(self.unit)) {
            Ok(scale) => Decimal::try_from_i128_with_scale(self.value.into(), scale).context(far),
            Err(_) => {
                let whole = 10i64.checked_pow(self.unit.unsigned_abs()).and_then(|power| self.value.checked_mul(power));
                whole.map(Decimal::from).context(far)
            }
        }
    }

    /// Of the types that are known here.
    pub fn measure(&self) -> Option<&'static Measure> {
        Some(match self.kind {
            1 => &WEIGHT,
            6 => &BODY_FAT,
            76 => &MUSCLE_MASS,
            _ => return None,
        })
    }
}

static WEIGHT: Measure = Measure {
    slug: "body-weight",
    code: "29463-7",
    text: "Body weight",
    unit: "kg",
    profile: Some("http://hl7.org/fhir/StructureDefinition/bodyweight"),
};

static BODY_FAT: Measure = Measure { slug: "body-fat", code: "41982-0", text: "Body fat percentage", unit: "%", profile: None };

static MUSCLE_MASS: Measure =
    Measure { slug: "muscle-mass", code: "73964-9", text: "Body muscle mass", unit: "kg", profile: None };

//! Sleep logs: `classic` with three levels, `stages` with four.

use std::borrow::Cow;

use headwater_schemas::codes::*;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Component, Effective, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::Reject;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::Number;
use crate::{json, time};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    sleep: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log<'a> {
    log_id: i64,
    #[serde(borrow)]
    date_of_sleep: Option<Cow<'a, str>>,
    #[serde(borrow)]
    start_time: Cow<'a, str>,
    #[serde(borrow)]
    end_time: Option<Cow<'a, str>>,
    /// Milliseconds.
    duration: i64,
    #[serde(borrow)]
    minutes_asleep: Number<'a>,
    #[serde(borrow)]
    time_in_bed: Option<Number<'a>>,
    #[serde(borrow)]
    minutes_awake: Option<Number<'a>>,
    #[serde(borrow)]
    minutes_to_fall_asleep: Option<Number<'a>>,
    #[serde(borrow)]
    efficiency: Option<Number<'a>>,
    is_main_sleep: Option<bool>,
    #[serde(borrow)]
    log_type: Option<Cow<'a, str>>,
    levels: Option<Levels<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Levels<'a> {
    #[serde(borrow, default)]
    data: Vec<Level<'a>>,
    #[serde(borrow, default)]
    summary: std::collections::BTreeMap<&'a str, Summary<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Level<'a> {
    #[serde(borrow)]
    date_time: Cow<'a, str>,
    #[serde(borrow)]
    level: Cow<'a, str>,
    seconds: i64,
}

#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(borrow)]
    minutes: Option<Number<'a>>,
    #[serde(borrow)]
    count: Option<Number<'a>>,
}

pub(super) fn normalize<'a>(body: &'a [u8], zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let parsed: Body<'a> = json::parse(body)?;
    json::each::<Log<'a>>(&parsed.sleep, "sleep", out, |log, out| take(log, zone, out));
    Ok(())
}

fn take<'a>(log: Log<'a>, zone: Option<&TimeZone>, out: &mut Normalized<'a>) -> Result<(), Reject> {
    let start = time::civil(&log.start_time, zone).map_err(|r| r.at("startTime"))?;
    // The length is exact; the end's wall clock may lie in an hour that exists twice.
    let mut end = time::after(start, log.duration).map_err(|r| r.at("duration"))?;
    if let Some(zone) = zone {
        end = time::in_zone(end.micros, zone, start.origin)?;
    } else if let Some(text) = &log.end_time {
        end = time::civil(text, None).map_err(|r| r.at("endTime"))?;
    }
    let manual = log.log_type.as_deref() == Some("manual");
    let method = if manual { Method::Manual } else { Method::Device };
    let mut components = Vec::new();
    let mut put = |measure: &'static Measure, number: Option<&Number<'a>>, name: &str| -> Result<(), Reject> {
        if let Some(number) = number {
            components.push(Component { measure, value: Value::Quantity(number.decimal().map_err(|r| r.at(name))?) });
        }
        Ok(())
    };
    put(&TIME_IN_BED, log.time_in_bed.as_ref(), "timeInBed")?;
    put(&AWAKE, log.minutes_awake.as_ref(), "minutesAwake")?;
    put(&SLEEP_LATENCY, log.minutes_to_fall_asleep.as_ref(), "minutesToFallAsleep")?;
    put(&SLEEP_EFFICIENCY, log.efficiency.as_ref(), "efficiency")?;
    let levels = log.levels.unwrap_or(Levels { data: vec![], summary: Default::default() });
    for (name, measure) in [("deep", &SLEEP_DEEP), ("light", &SLEEP_LIGHT), ("rem", &SLEEP_REM), ("restless", &SLEEP_RESTLESS)] {
        put(measure, levels.summary.get(name).and_then(|s| s.minutes.as_ref()), "levels.summary")?;
    }
    put(&AWAKENINGS, levels.summary.get("awake").and_then(|s| s.count.as_ref()), "levels.summary.awake")?;
    if let Some(main) = log.is_main_sleep {
        components.push(Component { measure: &SLEEP_KIND, value: Value::Code(if main { &KIND_MAIN } else { &KIND_NAP }) });
    }
    let asleep: Decimal = log.minutes_asleep.decimal().map_err(|r| r.at("minutesAsleep"))?;
    out.push(Reading {
        components,
        local_date: log.date_of_sleep,
        method,
        ..Reading::new(&SLEEP, log.log_id.to_string(), Effective::During(start, end), Value::Quantity(asleep))
    });
    stages(&levels.data, log.log_id, start, zone, method, out)
}

/// One observation per level. Short wakes (`shortData`) lie over these and are not time of their own, so they are left out.
fn stages<'a>(
    levels: &[Level<'a>],
    log: i64,
    night: Stamp,
    zone: Option<&TimeZone>,
    method: Method,
    out: &mut Normalized<'a>,
) -> Result<(), Reject> {
    // Levels follow each other without gap, so lengths place them also where the wall clock was set back in the night.
    let mut at = night.micros;
    for (index, level) in levels.iter().enumerate() {
        let stated = time::civil(&level.date_time, zone).map_err(|r| r.at(format!("levels.data[{index}].dateTime")))?;
        let begin = if (stated.micros - at).abs() >= 3_500_000_000 && index > 0 { at } else { stated.micros };
        let millis = level.seconds.saturating_mul(1000);
        at = time::after(Stamp { micros: begin, ..stated }, millis)
            .map_err(|r| r.at(format!("levels.data[{index}].seconds")))?
            .micros;
        let stage = match &*level.level {
            "wake" | "awake" => &STAGE_AWAKE,
            "light" => &STAGE_LIGHT,
            "deep" => &STAGE_DEEP,
            "rem" => &STAGE_REM,
            "asleep" => &STAGE_ASLEEP,
            "restless" => &STAGE_RESTLESS,
            other => {
                out.unknown(format!("sleep level {}", crate::fields::label(other)));
                &STAGE_UNKNOWN
            }
        };
        let stamp = |micros| zone.map_or(Ok(Stamp { micros, ..stated }), |zone| time::in_zone(micros, zone, stated.origin));
        let during = Effective::During(stamp(begin)?, stamp(at)?);
        out.push(Reading { method, ..Reading::new(&SLEEP_STAGE, format!("{log}:{index}"), during, Value::Code(stage)) });
    }
    Ok(())
}

//! Withings' reading actions: which parameters they take, and how they page.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::data::{intraday, segments, signal};
use super::{Call, Trouble};
use crate::day::Day;
use crate::record::Record;

const DAY: i64 = 86_400;

/// `startdate` and `enddate` or `lastupdate`, in epoch seconds or days.
enum Asked {
    Between(i64, i64),
    Dates(Date, Date),
    Since(i64),
    Everything,
}

pub(super) fn getmeas(call: &Call<'_>) -> Result<Value, Trouble> {
    let (start, end, since) = (call.number("startdate")?, call.number("enddate")?, call.number("lastupdate")?);
    let asked = match (start, end, since) {
        (None, None, None) => Asked::Everything,
        (None, None, Some(since)) => Asked::Since(since),
        (start, end, None) => Asked::Between(start.unwrap_or(0), end.unwrap_or(i64::MAX / 4)),
        _ => return Err(Trouble::Params("lastupdate")),
    };
    let category = call.number("category")?;
    if category.is_some_and(|category| !(1..=2).contains(&category)) {
        return Err(Trouble::Params("category"));
    }
    let types = match (call.number("meastype")?, call.numbers("meastypes")?) {
        (Some(_), Some(_)) => return Err(Trouble::Params("meastypes")),
        (one, many) => many.or(one.map(|one| vec![one])),
    };
    let mut records = find(call, "measures", &asked);
    records.retain(|record| category.is_none_or(|category| record.body["category"] == json!(category)));
    records.reverse();
    let groups = records.into_iter().filter_map(|record| narrowed(record.body, types.as_deref())).collect();
    let (rows, more, offset) = page(call, groups)?;
    Ok(json!({
        "updatetime": call.world.settings.clock.seconds(),
        "timezone": call.who.person.time_zone,
        "measuregrps": rows,
        // A number here, a boolean in the services of version 2.
        "more": i32::from(more),
        "offset": offset,
    }))
}

/// A group with only the requested types; none where nothing is left.
fn narrowed(mut group: Value, types: Option<&[i64]>) -> Option<Value> {
    if let (Some(types), Some(measures)) = (types, group["measures"].as_array_mut()) {
        measures.retain(|measure| measure["type"].as_i64().is_some_and(|kind| types.contains(&kind)));
        if measures.is_empty() {
            return None;
        }
    }
    Some(group)
}

/// Fields of an activity row that come only if asked for.
const ACTIVITY_FIELDS: [&str; 16] = [
    "steps",
    "distance",
    "elevation",
    "soft",
    "moderate",
    "intense",
    "active",
    "calories",
    "totalcalories",
    "hr_average",
    "hr_min",
    "hr_max",
    "hr_zone_0",
    "hr_zone_1",
    "hr_zone_2",
    "hr_zone_3",
];

pub(super) fn getactivity(call: &Call<'_>) -> Result<Value, Trouble> {
    let fields = fields(call);
    let rows = find(call, "activity", &days_or_since(call)?).into_iter().map(|record| {
        let mut row = record.body;
        if let Value::Object(columns) = &mut row {
            columns.retain(|name, _| {
                !ACTIVITY_FIELDS.contains(&name.as_str()) || name == "totalcalories" || fields.contains(&name.as_str())
            });
        }
        row
    });
    let (rows, more, offset) = page(call, rows.collect())?;
    Ok(json!({"activities": rows, "more": more, "offset": offset}))
}

pub(super) fn getworkouts(call: &Call<'_>) -> Result<Value, Trouble> {
    let rows = find(call, "workouts", &days_or_since(call)?).into_iter().map(|record| with_fields(call, record));
    let (rows, more, offset) = page(call, rows.collect())?;
    Ok(json!({"series": rows, "more": more, "offset": offset}))
}

pub(super) fn sleep_getsummary(call: &Call<'_>) -> Result<Value, Trouble> {
    let rows = find(call, "sleep", &days_or_since(call)?).into_iter().map(|record| with_fields(call, record));
    let (rows, more, offset) = page(call, rows.collect())?;
    Ok(json!({"series": rows, "more": more, "offset": offset}))
}

fn with_fields(call: &Call<'_>, record: Record) -> Value {
    let fields = fields(call);
    let mut row = record.body;
    if let Some(Value::Object(columns)) = row.get_mut("data") {
        columns.retain(|name, _| fields.contains(&name.as_str()));
    }
    row
}

pub(super) fn getintradayactivity(call: &Call<'_>) -> Result<Value, Trouble> {
    let at = call.world.horizon();
    let span = match (call.number("startdate")?, call.number("enddate")?) {
        (Some(start), Some(end)) => one_day(start, end)?,
        (None, None) => (at - DAY, at),
        _ => return Err(Trouble::Params("enddate")),
    };
    let fields = fields(call);
    let mut series = Map::new();
    for date in call.world.days(call.who, span.0, span.1) {
        series.extend(intraday(&Day::new(call.who, date), span, at, &fields));
    }
    // An empty PHP array, not an empty object.
    let series = if series.is_empty() { json!([]) } else { Value::Object(series) };
    Ok(json!({"series": series}))
}

pub(super) fn sleep_get(call: &Call<'_>) -> Result<Value, Trouble> {
    let start = call.number("startdate")?.ok_or(Trouble::Params("startdate"))?;
    let end = call.number("enddate")?.ok_or(Trouble::Params("enddate"))?;
    let (span, fields, at) = (one_day(start, end)?, fields(call), call.world.horizon());
    // A withdrawn night takes its segments along.
    let nights = call.world.days(call.who, span.0 - DAY, span.1 + DAY).filter_map(|date| {
        let there = !call.world.day(call.who, "sleep", date, at).is_empty();
        there.then(|| segments(&Day::new(call.who, date), span, &fields))
    });
    let series: Vec<Value> = nights.flatten().collect();
    Ok(json!({"series": series, "model": 16}))
}

/// A span longer than a day gives the first day.
fn one_day(start: i64, end: i64) -> Result<(i64, i64), Trouble> {
    if end < start {
        return Err(Trouble::Params("enddate"));
    }
    Ok((start, end.min(start + DAY)))
}

pub(super) fn heart_list(call: &Call<'_>) -> Result<Value, Trouble> {
    let asked = match (call.number("startdate")?, call.number("enddate")?) {
        (None, None) => Asked::Everything,
        (start, end) => Asked::Between(start.unwrap_or(0), end.unwrap_or(i64::MAX / 4)),
    };
    let rows = find(call, "heart", &asked).into_iter().rev().map(|record| record.body);
    let (rows, more, offset) = page(call, rows.collect())?;
    Ok(json!({"series": rows, "more": more, "offset": offset}))
}

pub(super) fn heart_get(call: &Call<'_>) -> Result<Value, Trouble> {
    let id = call.number("signalid")?.ok_or(Trouble::Params("signalid"))?;
    let known = find(call, "heart", &Asked::Everything);
    let record = known.iter().find(|record| record.id as i64 == id).ok_or(Trouble::Params("signalid"))?;
    Ok(json!({"signal": signal(call.who, record.id), "sampling_frequency": 300, "wearposition": 1}))
}

pub(super) fn getdevice(call: &Call<'_>) -> Result<Value, Trouble> {
    let seen = |stream| {
        let last = call.world.range(call.who, stream, 0, i64::MAX / 4, call.world.horizon());
        last.last().map(|record| record.visible_at)
    };
    let first = call.who.midnight(call.who.history_start);
    let device = |kind: &str, model: &str, model_id: i64, id: &str, last: Option<i64>| {
        json!({
            "type": kind,
            "battery": "high",
            "model": model,
            "model_id": model_id,
            "timezone": call.who.person.time_zone,
            "first_session_date": first,
            "last_session_date": last,
            "deviceid": id,
            "hash_deviceid": id,
        })
    };
    let (measured, worn) = (seen("measures"), seen("sleep"));
    Ok(json!({"devices": [
        device("Scale", "Body Cardio", 6, &call.who.scale_id, measured),
        device("Blood Pressure Monitor", "BPM Connect", 45, &call.who.cuff_id, measured),
        device("Activity Tracker", "ScanWatch", 93, &call.who.watch_id, worn),
    ]}))
}

fn fields<'a>(call: &'a Call<'_>) -> Vec<&'a str> {
    call.form.get("data_fields").map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
}

/// Exactly one of the two: days from and to, or a moment of the last update.
fn days_or_since(call: &Call<'_>) -> Result<Asked, Trouble> {
    let date = |name| call.form.get(name).map(|text| text.parse().map_err(|_| Trouble::Params(name))).transpose();
    match (date("startdateymd")?, date("enddateymd")?, call.number("lastupdate")?) {
        (Some(start), Some(end), None) => Ok(Asked::Dates(start, end)),
        (None, None, Some(since)) => Ok(Asked::Since(since)),
        (Some(_), None, None) => Err(Trouble::Params("enddateymd")),
        (None, _, None) => Err(Trouble::Params("startdateymd")),
        _ => Err(Trouble::Params("lastupdate")),
    }
}

/// Oldest first.
fn find(call: &Call<'_>, stream: &str, asked: &Asked) -> Vec<Record> {
    let (world, who, at) = (call.world, call.who, call.world.horizon());
    let all = || world.range(who, stream, 0, i64::MAX / 4, at);
    match *asked {
        Asked::Everything => all(),
        // Both ends included.
        Asked::Between(start, end) => world.range(who, stream, start, end.saturating_add(1), at),
        Asked::Since(since) => all().into_iter().filter(|record| record.modified > since).collect(),
        Asked::Dates(start, end) => {
            let (from, to) = (who.midnight(start) - 2 * DAY, who.midnight(end) + 2 * DAY);
            let mut records: Vec<Record> = world.days(who, from, to).flat_map(|date| world.day(who, stream, date, at)).collect();
            records.retain(|record| (start..=end).contains(&record.date));
            records
        }
    }
}

/// Rows from `offset` on, whether there are more, and the offset of those (0 at the end).
fn page(call: &Call<'_>, rows: Vec<Value>) -> Result<(Vec<Value>, bool, usize), Trouble> {
    let offset = usize::try_from(call.number("offset")?.unwrap_or(0)).map_err(|_| Trouble::Params("offset"))?;
    let size = call.world.settings.limits.withings_page.max(1);
    let more = rows.len() > offset + size;
    let rows = rows.into_iter().skip(offset).take(size).collect();
    Ok((rows, more, if more { offset + size } else { 0 }))
}

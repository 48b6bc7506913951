//! Bytes and rows that no cloud of theirs would send.

use super::*;

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\",:0-9a-z._-]{0,120}", stream in 0usize..9) {
        let stream = Withings.profile().streams[stream].id;
        for body in [body.as_slice(), text.as_bytes(), format!(r#"{{"status":0,"body":{{"measuregrps":[{text}],"series":[{text}],"activities":[{text}]}}}}"#).as_bytes()] {
            let _ = call("POST", SECRET, body);
            let _ = Withings.normalize(&raw(stream, body), &mut Normalized::default());
            if let Some(fetch) = Withings.plan(&Ask { stream: Withings.profile().stream(stream).unwrap(), window: Window { start: 0, end: 86_400_000_000 }, zone: None, object: None }).first() {
                let _ = Withings.read(fetch, &Response { status: 200, headers: &[], body });
            }
        }
    }

    /// Rows of the right names and hostile values: what random text never reaches.
    #[test]
    fn no_row_makes_it_panic(columns in proptest::collection::vec((0..NAMES.len(), 0..VALUES.len()), 0..12), stream in 0usize..9) {
        let stream = Withings.profile().streams[stream].id;
        let mut row: BTreeMap<&str, &str> = SOUND.iter().copied().collect();
        if stream != "getmeas" {
            row.insert("date", "\"2026-03-29\"");
        }
        row.extend(columns.into_iter().map(|(name, value)| (NAMES[name], VALUES[value])));
        let data: Vec<String> = row.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let data = data.join(",");
        let row = format!(r#"{{{data},"data":{{{data}}},"measures":[{{{data}}}],"ecg":{{{data}}},"hr":{{"1761516000":1}}}}"#);
        let lists = format!(r#""measuregrps":[{row},{row}],"activities":[{row}],"devices":[{row}],"signal":[1],"sampling_frequency":300"#);
        for series in [format!("[{row}]"), format!(r#"{{"1761516000":{row}}}"#)] {
            let body = format!(r#"{{"status":0,"body":{{{lists},"series":{series}}}}}"#);
            let mut out = Normalized::default();
            if Withings.normalize(&raw(stream, body.as_bytes()), &mut out).is_ok() {
                for reading in &out.readings {
                    prop_assert!(reading.effective.end().is_none_or(|end| end.micros >= reading.effective.start().micros));
                }
            }
        }
    }
}

const SOUND: &[(&str, &str)] = &[
    ("grpid", "1"),
    ("attrib", "0"),
    ("date", "1761516000"),
    ("timestamp", "1761516000"),
    ("startdate", "1761516000"),
    ("enddate", "1761519600"),
    ("category", "1"),
    ("state", "1"),
    ("type", "1"),
    ("unit", "-1"),
    ("value", "700"),
];
const NAMES: &[&str] = &[
    "grpid",
    "attrib",
    "date",
    "timestamp",
    "startdate",
    "enddate",
    "category",
    "state",
    "type",
    "unit",
    "value",
    "modified",
    "duration",
    "steps",
    "soft",
    "hr_min",
    "hr_zone_0",
    "heart_rate",
    "timezone",
    "position",
    "completed",
    "id",
    "signalid",
    "afib",
    "total_sleep_time",
    "sleep_efficiency",
    "deepsleepduration",
    "lightsleepduration",
    "last_session_date",
    "deviceid",
    "model",
    "fw",
];
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "9",
    "10",
    "-1",
    "130",
    "173",
    "1e28",
    "0.1",
    "9223372036854775807",
    "-9223372036854775808",
    "79228162514264337593543950335",
    "-79228162514264337593543950335",
    "99999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"7\"",
    "\"2026-03-29\"",
    "\"Europe\\/Paris\"",
    "\"No/Where\"",
    "1761516060",
];

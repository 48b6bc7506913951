//! Days, nights and workouts.

use super::*;

#[test]
fn days_are_as_long_as_the_clock_made_them() {
    let out = normalized("getactivity.clock-change");
    let hours: Vec<i64> = all(&out, &STEPS_DAY)
        .iter()
        .map(|r| (r.effective.end().expect("a period").micros - r.effective.start().micros) / 3_600_000_000)
        .collect();
    assert_eq!(hours, [23, 25]);
}

#[test]
fn seconds_become_minutes_and_the_lowest_pulse_is_not_a_resting_one() {
    let out = normalized("getactivity.clock-change");
    assert_eq!(digits(all(&out, &LIGHT_ACTIVITY)[0]), "31.0667");
    assert_eq!(digits(all(&out, &MODERATE_ACTIVITY)[0]), "15");
    assert!(all(&out, &RESTING_HEART_RATE).is_empty());
    assert_eq!(digits(all(&out, &DISTANCE_DAY)[0]), "6012.125");
}

#[test]
fn variability_keeps_its_two_kinds_apart() {
    let (sleep, day) = (normalized("sleep.segments"), normalized("getintradayactivity.minutes"));
    assert_eq!((digits(all(&sleep, &HRV_SDNN)[0]), digits(all(&sleep, &HRV_RMSSD)[0])), ("52".into(), "41".into()));
    assert_eq!((digits(all(&day, &HRV_SDNN)[0]), digits(all(&day, &HRV_RMSSD)[0])), ("48".into(), "39".into()));
}

#[test]
fn a_nights_value_is_the_time_asleep() {
    let out = normalized("sleepsummary.night");
    let night = all(&out, &SLEEP)[0];
    assert_eq!((digits(night), night.local_date.as_deref()), ("435".into(), Some("2026-10-26")));
    let part = |measure| night.components.iter().find(|c| c.measure == measure).map(|c| c.value.clone());
    assert_eq!(part(&TIME_IN_BED), Some(Value::Quantity(495.into())));
    assert_eq!(part(&SLEEP_EFFICIENCY), Some(Value::Quantity(88.into())), "percent, not a fraction");
}

#[test]
fn a_row_without_a_zone_takes_the_persons_and_says_so() {
    let out = inline("getactivity", r#"{"activities":[{"date":"2026-07-01","timezone":null,"steps":5}]}"#);
    let start = out.readings[0].effective.start();
    assert_eq!((start.offset, start.origin), (Some(7200), OffsetOrigin::Profile));
    let body = br#"{"status":0,"body":{"activities":[{"date":"2026-07-01","steps":5}]}}"#;
    let mut out = Normalized::default();
    Withings.normalize(&Raw { time_zone: None, ..raw("getactivity", body) }, &mut out).unwrap();
    assert_eq!((out.readings[0].effective.start().offset, out.readings[0].local_date.as_deref()), (None, Some("2026-07-01")));
}

#[test]
fn minutes_of_no_possible_length_and_sums_without_one_are_refused() {
    for duration in ["-60", "99999999999999", "86401"] {
        let out = inline("getintradayactivity", &format!(r#"{{"series":{{"1761516000":{{"steps":3,"duration":{duration}}}}}}}"#));
        assert_eq!((out.readings.len(), places(&out)), (0, vec!["body.series.1761516000.duration"]));
    }
    let out = inline("getintradayactivity", r#"{"series":{"1761516000":{"steps":3,"heart_rate":60}}}"#);
    assert_eq!((all(&out, &HEART_RATE).len(), places(&out)), (1, vec!["body.series.1761516000.steps"]));
}

#[test]
fn a_minute_over_the_clock_change_has_two_offsets() {
    // From 00:59:30 UTC on 2026-10-25; the clocks of Paris go back at 01:00 UTC.
    let out = inline("getintradayactivity", r#"{"series":{"1792889970":{"steps":3,"duration":60}}}"#);
    let during = out.readings[0].effective;
    assert_eq!((during.start().offset, during.end().and_then(|e| e.offset)), (Some(7200), Some(3600)));
}

#[test]
fn ends_before_starts_and_days_that_are_none_are_refused_row_by_row() {
    let row = r#""timezone":"Europe/Paris","startdate":1761500000,"enddate""#;
    for (stream, more) in [("getworkouts", r#","category":2"#), ("sleepsummary", "")] {
        let body = format!(
            r#"{{"series":[{{{row}:1761499999{more}}},{{{row}:1761503600,"date":"yesterday"{more}}},{{{row}:1761503600,"date":"2026-10-26"{more}}}]}}"#
        );
        let out = inline(stream, &body);
        assert_eq!((out.readings.len(), places(&out)), (1, vec!["body.series[0].enddate", "body.series[1].date"]), "{stream}");
    }
    let out = inline("sleep", r#"{"series":[{"startdate":1761500000,"enddate":1761499999,"state":1}]}"#);
    assert_eq!((out.readings.len(), places(&out)), (0, vec!["body.series[0].enddate"]));
}

#[test]
fn a_workout_keeps_its_zones_and_its_doubts() {
    let out = inline(
        "getworkouts",
        r#"{"series":[{"id":1,"category":2,"timezone":"Europe/Paris","attrib":1,"startdate":1761500000,"enddate":1761503600,"data":{"hr_zone_0":90,"hr_zone_3":600}},
            {"id":2,"category":2,"timezone":"Europe/Paris","attrib":17,"startdate":1761500000,"enddate":1761503600,"data":{}}]}"#,
    );
    let part = |measure| out.readings[0].components.iter().find(|c| c.measure == measure).map(|c| c.value.clone());
    assert_eq!(part(&HEART_RATE_ZONE_LIGHT), Some(Value::Quantity("1.5".parse().unwrap())));
    assert_eq!(part(&HEART_RATE_ZONE_PEAK), Some(Value::Quantity(10.into())));
    assert_eq!(out.readings[0].status, Status::Preliminary);
    assert_eq!((out.readings[1].method, &out.unknown[..]), (Method::Unknown, &["attrib 17".into()][..]));
}

#[test]
fn snoring_is_counted_only_where_there_is_some() {
    let night = |values: &str| {
        inline(
            "sleep",
            &format!(r#"{{"series":[{{"startdate":1761500000,"enddate":1761503600,"state":2,"snoring":{values}}}]}}"#),
        )
    };
    assert_eq!(night(r#"{"1761500000":0,"1761500300":0}"#).unknown.len(), 0);
    assert_eq!(night("[]").unknown.len(), 0);
    assert_eq!(night(r#"{"1761500000":0,"1761500300":20}"#).unknown, ["sleep snoring"]);
}

#[test]
fn a_pulse_of_nought_is_no_reading_and_is_counted() {
    let group =
        r#"{"grpid":1,"attrib":0,"date":1761516000,"measures":[{"value":0,"type":11,"unit":0},{"value":98,"type":54,"unit":0}]}"#;
    let out = inline("getmeas", &format!(r#"{{"measuregrps":[{group}]}}"#));
    assert_eq!((out.readings.len(), out.readings[0].measure), (1, &SPO2));
    assert_eq!(out.unknown, ["pulse of nought"]);
}

#[test]
fn a_workout_has_the_providers_word_or_its_number() {
    for (category, word) in
        [(20, "Basketball"), (22, "Football"), (23, "Rugby"), (24, "Volleyball"), (9999, "workout category 9999")]
    {
        let row = format!(r#"{{"id":1,"category":{category},"startdate":1761500000,"enddate":1761503600,"data":{{}}}}"#);
        let out = inline("getworkouts", &format!(r#"{{"series":[{row}]}}"#));
        assert_eq!(out.readings[0].value, Value::Text(word.into()), "{category}");
    }
}

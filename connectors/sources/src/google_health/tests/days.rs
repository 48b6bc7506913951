//! Days and roll-ups.

use super::*;

#[test]
fn a_day_with_nothing_but_what_has_no_measure_is_told_and_one_with_nothing_is_a_problem() {
    let day = |fields: &str| {
        format!(r#"{{"dataPoints":[{{"dailyHeartRateVariability":{{"date":{{"year":2026,"month":10,"day":5}}{fields}}}}}]}}"#)
    };
    let body = day(r#","entropy":2.61"#);
    let out = normalize(&raw("daily-heart-rate-variability", None, body.as_bytes())).unwrap();
    assert!(out.readings.is_empty() && out.problems.is_empty());
    assert_eq!(out.unknown, ["daily-heart-rate-variability entropy"]);
    let body = day("");
    let out = normalize(&raw("daily-heart-rate-variability", None, body.as_bytes())).unwrap();
    assert_eq!(out.problems[0].path.as_deref(), Some("dataPoints[0].dailyHeartRateVariability"));
}

#[test]
fn a_day_is_keyed_by_its_date_and_as_long_as_the_clock_makes_it() {
    with("daily-resting-heart-rate.days", Some("Europe/Berlin"), |out| {
        let day = &out.readings[0];
        let Effective::During(start, end) = day.effective else { panic!() };
        assert_eq!((end.micros - start.micros) / 3_600_000_000, 25);
        assert_eq!((start.offset, end.offset, start.origin), (Some(7200), Some(3600), OffsetOrigin::Profile));
        assert_eq!((&*day.record_id, day.local_date.as_deref(), day.method), ("2026-10-25", Some("2026-10-25"), Method::Derived));
    });
    with("daily-resting-heart-rate.days", None, |out| {
        let Effective::During(start, _) = out.readings[0].effective else { panic!() };
        assert_eq!((&*out.readings[0].record_id, start.offset), ("2026-10-25", None));
    });
}

#[test]
fn a_day_from_another_platform_is_another_record() {
    let body = br#"{"dataPoints":[
        {"dataSource":{"platform":"FITBIT","device":{"displayName":"A"}},"dailyRestingHeartRate":{"date":{"year":2026,"month":10,"day":5},"beatsPerMinute":"57"}},
        {"dataSource":{"platform":"HEALTH_CONNECT"},"dailyRestingHeartRate":{"date":{"year":2026,"month":10,"day":5},"beatsPerMinute":"59"}}]}"#;
    let out = normalize(&raw("daily-resting-heart-rate", None, body)).unwrap();
    assert_eq!(out.readings[0].record_id, "2026-10-05");
    assert!(out.readings[1].record_id.starts_with("2026-10-05|"));
}

#[test]
fn a_roll_up_is_understood_in_its_own_stream_and_in_that_of_its_type() {
    with("steps.roll-up", Some("America/Los_Angeles"), |out| {
        assert_eq!(lines(&out), ["steps-day 2026-10-05 8421"]);
        assert_eq!(rfc(out.readings[0].effective.start().micros), "2026-10-05T07:00:00Z");
        assert_eq!((out.readings[0].status, out.readings[0].method), (Status::Final, Method::Derived));
    });
    with("steps-daily.week", Some("Europe/Berlin"), |out| {
        // A day on which the band was worn and nothing counted is 0; one without a value is not there.
        assert_eq!(lines(&out), ["steps-day 2026-10-24 10250", "steps-day 2026-10-25 6120", "steps-day 2026-10-26 0"]);
        assert!(out.unknown.is_empty());
    });
}

#[test]
fn the_total_of_a_window_that_is_no_day_is_not_called_a_day() {
    with("steps.roll-up-of-hours", None, |out| {
        let slugs: Vec<_> = out.readings.iter().map(|r| r.measure.slug).collect();
        assert_eq!(slugs, ["steps", "steps"]);
        assert!(out.readings.iter().all(|r| r.local_date.is_none() && r.record_id.starts_with("rollup ")));
    });
}

#[test]
fn a_day_that_was_not_over_when_it_was_asked_for_is_preliminary() {
    let body = fixture("steps.roll-up");
    let noon = Raw { fetched_at: 1_791_201_600_000_000, ..raw("steps-daily", Some("America/Los_Angeles"), &body) };
    assert_eq!(rfc(noon.fetched_at), "2026-10-05T12:00:00Z");
    assert_eq!(normalize(&noon).unwrap().readings[0].status, Status::Preliminary);
}

#[test]
fn roll_ups_of_several_numbers_become_several_measures() {
    with("heart-rate-daily.day", None, |out| {
        let expected =
            ["heart-rate-day-average 2026-10-05 71.42", "heart-rate-day-max 2026-10-05 168", "heart-rate-min 2026-10-05 47"];
        assert_eq!(lines(&out), expected);
    });
    with("active-zone-minutes.roll-up", None, |out| assert_eq!(lines(&out), ["active-zone-minutes 2026-10-05 35"]));
}

#[test]
fn active_zone_minutes_keep_their_own_code_and_one_record_for_each_zone() {
    with("active-zone-minutes.run", None, |out| {
        assert_eq!(out.readings[0].measure.coding[0].system, headwater_schemas::codes::LOCAL);
        assert_ne!(out.readings[0].record_id, out.readings[1].record_id);
    });
}

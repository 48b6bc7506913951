//! Single points: numbers, units, times, and who made them.

use super::*;

#[test]
fn steps_of_a_minute_are_an_interval_with_the_offset_of_the_source() {
    with("steps.minutes", None, |out| {
        let first = &out.readings[0];
        assert_eq!((first.measure.slug, value(&first.value).as_str(), first.method), ("steps", "96", Method::Device));
        let Effective::During(start, end) = first.effective else { panic!() };
        assert_eq!((rfc(start.micros), end.micros - start.micros), ("2026-10-05T14:31:00Z".into(), 60_000_000));
        assert_eq!((start.offset, start.origin), (Some(-25_200), OffsetOrigin::Source));
        assert_eq!(out.devices.len(), 1);
        assert_eq!(first.device.as_deref(), Some("Google Pixel Watch 4"));
        assert_eq!(out.devices[0].kind.as_deref(), Some("WATCH"));
        assert!(out.unknown.is_empty(), "{:?}", out.unknown);
    });
}

#[test]
fn a_count_that_is_left_out_is_zero_and_a_weight_that_is_left_out_is_a_problem() {
    with("steps.zero-left-out", None, |out| assert_eq!(value(&out.readings[0].value), "0"));
    with("weight.bad-rows", None, |out| {
        assert_eq!(lines(&out).len(), 1);
        let told: Vec<_> = out.problems.iter().map(|p| (p.code, p.path.as_deref().unwrap())).collect();
        assert_eq!(
            told,
            [
                (code::UNEXPECTED_SHAPE, "dataPoints[0].weight.weightGrams"),
                (code::IMPLAUSIBLE, "dataPoints[2].weight.weightGrams"),
                (code::BAD_TIME, "dataPoints[3].weight.sampleTime.utcOffset"),
                (code::IMPLAUSIBLE, "dataPoints[4].weight.sampleTime.physicalTime"),
                (code::UNEXPECTED_SHAPE, "dataPoints[5]"),
            ]
        );
    });
}

#[test]
fn two_sources_of_the_same_minute_stay_two_records_and_their_ids_hold_no_name() {
    with("steps.two-sources", None, |out| {
        let (a, b) = (&out.readings[0].record_id, &out.readings[1].record_id);
        assert!(a != b && a.starts_with("2026-10-05T14:30:00Z/2026-10-05T14:31:00Z|"));
        assert!(![a, b].iter().any(|id| id.contains("Pixel") || id.contains("example")));
    });
}

#[test]
fn an_id_is_the_same_however_the_instant_is_written() {
    let body = |start: &str| {
        format!(r#"{{"dataPoints":[{{"weight":{{"sampleTime":{{"physicalTime":"{start}"}},"weightGrams":"1"}}}}]}}"#)
    };
    let id = |body: &str| normalize(&raw("weight", None, body.as_bytes())).unwrap().readings[0].record_id.clone().into_owned();
    assert_eq!(id(&body("2026-10-05T14:30:00Z")), id(&body("2026-10-05T16:30:00.000+02:00")));
    assert_ne!(id(&body("2026-10-05T14:30:00Z")), id(&body("2026-10-05T14:30:00.5Z")));
}

#[test]
fn offsets_are_read_as_durations_and_as_clocks() {
    with("steps.clock-offsets", None, |out| {
        let Effective::During(start, end) = out.readings[0].effective else { panic!() };
        assert_eq!((start.offset, end.offset), (Some(7200), Some(3600)));
    });
    for (text, seconds) in [("-25200s", -25_200), ("0s", 0), ("19800.000s", 19_800), ("-07:00", -25_200), ("+05:45", 20_700)] {
        assert_eq!(when::offset(text).unwrap(), seconds, "{text}");
    }
    for text in ["", "s", "7", "7h", "25:00", "+7", "+07:60", "+07:00:00", "1.xs", "99999999999s", "-+7:00"] {
        assert_eq!(when::offset(text).unwrap_err().code, code::BAD_TIME, "{text}");
    }
}

#[test]
fn an_offset_comes_from_the_row_then_from_its_civil_time_then_from_the_profile_and_else_is_unknown() {
    let origins = |zone| {
        with("heart-rate.samples", zone, |out| {
            out.readings.iter().map(|r| (r.effective.start().offset, r.effective.start().origin)).collect::<Vec<_>>()
        })
    };
    let source = (Some(-25_200), OffsetOrigin::Source);
    assert_eq!(origins(None), [source, source, (None, OffsetOrigin::None)]);
    assert_eq!(origins(Some("Europe/Berlin")), [source, source, (Some(7200), OffsetOrigin::Profile)]);
    with("weight.no-offset", None, |out| assert_eq!(out.readings[0].effective.start().offset, None));
}

#[test]
fn units_are_converted_without_losing_or_inventing_digits() {
    let values = |name| with(name, None, |out| out.readings.iter().map(|r| value(&r.value)).collect::<Vec<_>>());
    assert_eq!(values("weight.scale"), ["80", "80.1205"]);
    assert_eq!(values("height.typed-in"), ["178.5"]);
    assert_eq!(values("distance.minutes"), ["61.85"]);
    assert_eq!(values("distance-daily.day"), ["6214.5"]);
    assert_eq!(values("altitude.stairs"), ["6.096"]);
    assert_eq!(values("hydration-log.glass"), ["0.25"]);
    // What is not converted keeps the digits it came with.
    assert_eq!(values("body-fat.scale"), ["21.40"]);
    assert_eq!(values("daily-respiratory-rate.days"), ["14.0"]);
    assert_eq!(values("sedentary-period.sitting"), ["80.5"]);
    assert_eq!(values("total-calories.days"), ["2310.5"]);
}

#[test]
fn numbers_are_read_from_strings_and_bare_and_what_is_too_long_is_refused() {
    let body = |grams: &str| {
        format!(
            r#"{{"dataPoints":[{{"weight":{{"sampleTime":{{"physicalTime":"2026-10-05T14:30:00Z"}},"weightGrams":{grams}}}}}]}}"#
        )
    };
    let kg = |grams: &str| {
        let body = body(grams);
        let out = normalize(&raw("weight", None, body.as_bytes())).unwrap();
        out.readings.first().map(|r| value(&r.value)).ok_or_else(|| out.problems[0].code)
    };
    assert_eq!(kg("\"80000\"").unwrap(), "80");
    assert_eq!(kg("8.0E4").unwrap(), "80");
    assert_eq!(kg("80000.123456789").unwrap(), "80.000123456789");
    assert_eq!(kg("0.1234567890123456789012345678").unwrap_err(), code::BAD_NUMBER);
    assert_eq!(kg("1e400").unwrap_err(), code::BAD_NUMBER);
    assert_eq!(kg("\"NaN\"").unwrap_err(), code::UNEXPECTED_SHAPE);
    assert_eq!(kg("-5").unwrap_err(), code::IMPLAUSIBLE);
    assert_eq!(kg("null").unwrap_err(), code::UNEXPECTED_SHAPE);
}

#[test]
fn rmssd_and_sdnn_are_never_mixed() {
    with("heart-rate-variability.night", None, |out| {
        let lines = lines(&out);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("hrv-rmssd ") && lines[0].ends_with(" 41.275"), "{lines:?}");
        assert!(lines[1].starts_with("hrv-sdnn ") && lines[1].ends_with(" 58.1"), "{lines:?}");
    });
    with("daily-heart-rate-variability.days", None, |out| {
        assert_eq!(lines(&out), ["hrv-rmssd 2026-10-05 40.5", "hrv-rmssd-deep-sleep 2026-10-05 44.2"]);
        let mut unknown = out.unknown;
        unknown.sort_unstable();
        let prefix = "daily-heart-rate-variability";
        assert_eq!(unknown, [format!("{prefix} entropy"), format!("{prefix} nonRemHeartRateBeatsPerMinute")]);
    });
}

#[test]
fn the_temperature_of_a_night_is_skin_and_its_distance_to_the_baseline_is_in_kelvin() {
    with("daily-sleep-temperature-derivations.days", None, |out| {
        let expected =
            ["skin-temperature 2026-10-05 34.15", "temperature-deviation 2026-10-05 -0.25", "skin-temperature 2026-10-04 34.2"];
        assert_eq!(lines(&out), expected);
        assert_eq!(out.readings[1].measure.unit.unwrap().ucum, "K");
    });
    with("core-body-temperature.mouth-and-wrist", None, |out| {
        assert_eq!(out.readings.iter().map(|r| r.measure.slug).collect::<Vec<_>>(), ["body-temperature", "skin-temperature"]);
    });
}

#[test]
fn glucose_in_tissue_is_not_glucose_in_blood_and_tears_are_neither() {
    with("blood-glucose.meter-and-sensor", None, |out| {
        let slugs: Vec<_> = out.readings.iter().map(|r| r.measure.slug).collect();
        assert_eq!(slugs, ["glucose-blood-mass", "glucose-interstitial-mass"]);
        assert_eq!(out.unknown, ["blood-glucose specimen TEARS"]);
    });
}

#[test]
fn an_estimate_says_so_and_a_laboratory_does_not() {
    with("vo2-max.methods", None, |out| {
        assert_eq!(out.readings.iter().map(|r| r.note.is_some()).collect::<Vec<_>>(), [true, false]);
    });
}

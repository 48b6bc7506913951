//! Weights, pressures, hearts, and the devices they come from.

use super::*;

#[test]
fn digits_are_those_of_value_and_unit() {
    let out = normalized("getmeas.scale");
    assert_eq!(digits(all(&out, &WEIGHT)[0]), "61.500");
    assert_eq!(digits(all(&out, &PULSE_WAVE_VELOCITY)[0]), "7.1");
    assert_eq!(digits(all(&out, &HEIGHT)[0]), "168.00", "metres become centimetres");
}

#[test]
fn a_group_that_may_be_somebody_elses_is_never_final() {
    let out = normalized("getmeas.scale");
    let ambiguous = all(&out, &WEIGHT).into_iter().find(|r| r.record_id == "5000000002:1").expect("the group");
    assert_eq!(ambiguous.status, Status::Preliminary);
}

#[test]
fn a_goal_is_never_a_measurement_and_a_placeholder_is_no_value() {
    let out = normalized("getmeas.scale");
    assert!(all(&out, &WEIGHT).iter().all(|r| digits(r) != "58"));
    assert!(out.unknown.iter().any(|u| u == "goal") && out.unknown.iter().any(|u| u == "fat ratio placeholder"));
    assert_eq!(all(&out, &BODY_FAT).len(), 1);
    let by_hand = all(&out, &WEIGHT).into_iter().find(|r| r.record_id == "5000000003:1").expect("the group");
    assert_eq!(by_hand.method, Method::Manual);
}

#[test]
fn a_segment_is_never_the_whole_body() {
    let out = normalized("getmeas.segments-and-unknown");
    assert_eq!(all(&out, &SEGMENTAL_LEAN_MASS).len(), 2, "two arms are two records");
    assert_eq!(all(&out, &LEAN_MASS).len(), 1);
    assert_eq!(digits(all(&out, &LEAN_MASS)[0]), "48.21");
    assert!(all(&out, &MUSCLE_MASS).is_empty() && all(&out, &FAT_MASS).is_empty());
    assert!(all(&out, &SEGMENTAL_LEAN_MASS).iter().all(|r| r.components.iter().any(|c| c.measure == &BODY_SEGMENT)));
}

#[test]
fn unknown_types_and_attributions_are_counted_and_harm_nobody() {
    let out = normalized("getmeas.segments-and-unknown");
    assert!(out.unknown.iter().any(|u| u == "meastype 197") && out.unknown.iter().any(|u| u == "attrib 17"));
    assert!(out.problems.is_empty());
}

#[test]
fn skin_is_not_body() {
    let out = normalized("getmeas.segments-and-unknown");
    assert_eq!(digits(all(&out, &SKIN_TEMPERATURE)[0]), "36.4");
    assert_eq!(digits(all(&out, &BODY_TEMPERATURE)[0]), "36.71");
}

#[test]
fn blood_pressure_is_one_panel_of_one_group() {
    let out = normalized("getmeas.blood-pressure");
    let panels = all(&out, &BLOOD_PRESSURE);
    assert_eq!(panels.len(), 3, "the group that stands twice is one");
    assert!(panels.iter().all(|p| p.value == Value::Panel && p.components.len() == 2));
    assert_eq!(panels[1].components[1].value, Value::Absent(Absent::Unknown), "a missing half is said to be missing");
    assert_eq!(panels[2].components[0].value, Value::Quantity(126.into()), "confirmed values win");
    assert_eq!(all(&out, &HEART_RATE).len(), 1, "the cuff's pulse stands by itself");
}

#[test]
fn a_signal_is_microvolts_at_its_own_pace() {
    let body = br#"{"status":0,"body":{"signal":[12,-3,0,7],"sampling_frequency":300,"wearposition":1}}"#;
    let mut out = Normalized::default();
    Withings.normalize(&raw("heart", body), &mut out).unwrap();
    let Value::Samples(samples) = &out.readings[0].components[0].value else { panic!("samples") };
    assert_eq!((samples.period_ms.to_string().as_str(), &*samples.data), ("3.333333333", "12 -3 0 7"));
}

#[test]
fn a_long_signal_is_electrocardiograms_that_follow_one_another() {
    let signal = vec!["7"; 40_000].join(",");
    let body = format!(r#"{{"status":0,"body":{{"signal":[{signal}],"sampling_frequency":500}}}}"#);
    let mut out = Normalized::default();
    Withings.normalize(&raw("heart", body.as_bytes()), &mut out).unwrap();
    let [first, second, third] = &out.readings[..] else { panic!("three, got {}", out.readings.len()) };
    assert_eq!(first.effective.end(), Some(second.effective.start()));
    assert_eq!(second.effective.end(), Some(third.effective.start()));
    assert_eq!(third.effective.end().unwrap().micros - first.effective.start().micros, 80_000_000);
    let whole = first.record_id.clone().into_owned();
    assert_eq!(whole, (first.effective.start().micros / 1_000_000).to_string());
    assert_eq!(second.record_id, format!("{whole}:{}", second.effective.start().micros / 1000));
}

#[test]
fn devices_keep_the_providers_words_and_tolerate_what_is_missing() {
    let out = normalized("getdevice.all");
    assert_eq!(out.devices.len(), 2);
    assert_eq!((out.devices[0].battery.as_deref(), out.devices[1].battery.as_deref()), (Some("high"), None));
    assert_eq!(out.devices[1].last_sync, None);
}

#[test]
fn one_bad_row_spares_its_page() {
    let out = normalized("getmeas.bad-one-row");
    assert_eq!((all(&out, &WEIGHT).len(), out.problems.len()), (1, 2));
    assert_eq!(out.problems[0].path.as_deref(), Some("body.measuregrps[0].measures[0].value"));
}

#[test]
fn zones_may_come_with_an_escaped_slash() {
    let body = r#"{"status":0,"body":{"timezone":"Europe\/Paris","measuregrps":[],"more":0,"offset":0}}"#;
    assert!(answers::read("getmeas", 200, body).unwrap().empty);
    let days = inline("getactivity", r#"{"activities":[{"date":"2026-07-01","timezone":"Asia\/Tokyo","steps":5}]}"#);
    assert_eq!(days.problems, []);
    assert_eq!(days.readings[0].effective.start().offset, Some(9 * 3600));
    let groups = r#"{"timezone":"Asia\/Tokyo","measuregrps":[{"grpid":1,"attrib":0,"date":1761516000,"measures":[{"value":6,"type":1,"unit":1}]}]}"#;
    assert_eq!(inline("getmeas", groups).readings[0].effective.start().offset, Some(9 * 3600));
}

#[test]
fn of_a_group_that_stands_twice_the_later_change_counts_in_either_order() {
    let group = |attrib, modified, value| {
        format!(
            r#"{{"grpid":9,"attrib":{attrib},"date":1761516000,"modified":{modified},"measures":[{{"value":{value},"type":1,"unit":-1}}]}}"#
        )
    };
    let (old, new) = (group(1, 1_761_516_001, 700), group(8, 1_761_516_900, 701));
    for pair in [[&old, &new], [&new, &old]] {
        let out = inline("getmeas", &format!(r#"{{"measuregrps":[{},{}]}}"#, pair[0], pair[1]));
        assert_eq!((out.readings.len(), digits(&out.readings[0])), (1, "70.1".into()));
        assert_eq!(out.readings[0].status, Status::Final);
    }
    let broken = new.replace("\"unit\":-1", "\"unit\":-1},{\"value\":1,\"type\":8,\"unit\":-99");
    let out = inline("getmeas", &format!(r#"{{"measuregrps":[{old},{broken}]}}"#));
    assert_eq!((digits(&out.readings[0]), out.problems.len()), ("70.0".into(), 1), "a bad twin leaves the good one alone");
}

#[test]
fn a_rhythm_nobody_knows_decides_nothing_and_is_counted() {
    let out =
        inline("heartlist", r#"{"series":[{"timestamp":1761510000,"ecg":{"signalid":1,"afib":7},"timezone":"Europe/Paris"}]}"#);
    assert_eq!((&out.readings[0].value, out.unknown.len()), (&Value::Code(&RHYTHM_INCONCLUSIVE), 1));
}

#[test]
fn what_others_made_is_not_said_to_be_made_by_withings() {
    let row = |kind: &str| format!(r#"{{"type":"{kind}","model":"m","deviceid":"{kind}"}}"#);
    let body = format!(r#"{{"devices":[{},{},{}]}}"#, row("Scale"), row("HealthKit Apple"), row("Lingo"));
    let makers: Vec<_> = inline("getdevice", &body).devices.into_iter().map(|d| d.manufacturer).collect();
    assert_eq!(makers, [Some("Withings".into()), None, None]);
}

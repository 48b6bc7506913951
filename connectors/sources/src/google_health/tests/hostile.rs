//! Pages that hold nothing, or what nobody expects.

use super::*;

#[test]
fn an_empty_answer_is_an_empty_page_and_an_error_is_never_data() {
    with("steps.empty", None, |out| assert!(out.readings.is_empty() && out.problems.is_empty()));
    let rejected = |stream: &str, name: &str| normalize(&raw(stream, None, &fixture(name))).unwrap_err().code;
    assert_eq!(rejected("steps", "steps.bad-error"), code::ERROR_ENVELOPE);
    assert_eq!(rejected("steps", "steps.bad-cut-off"), code::MALFORMED_JSON);
    assert_eq!(rejected("blood-type", "steps.empty"), code::UNKNOWN_STREAM);
    assert_eq!(normalize(&raw("steps", None, b"[]")).unwrap_err().code, code::UNEXPECTED_SHAPE);
}

#[test]
fn what_is_unknown_is_told_and_what_belongs_elsewhere_is_refused() {
    with("steps.new-type", None, |out| {
        assert!(out.readings.is_empty() && out.problems.is_empty());
        assert_eq!(out.unknown, ["data type wheelPushes"]);
    });
    with("steps.bad-other-type", None, |out| assert_eq!(out.problems[0].path.as_deref(), Some("dataPoints[0]")));
    let body = br#"{"dataPoints":[{"dataSource":{"recordingMethod":"GUESSED","x y":1},"weight":{"sampleTime":{"physicalTime":"2026-10-05T14:30:00Z"},
        "weightGrams":1,"bone":2}}],"more":{}}"#;
    let out = normalize(&raw("weight", None, body)).unwrap();
    assert_eq!(out.readings[0].method, Method::Unknown);
    assert_eq!(out.unknown, ["body more", "recordingMethod GUESSED", "dataSource (not a name)", "weight bone"]);
}

#[test]
fn a_problem_never_quotes_the_payload() {
    let body =
        br#"{"dataPoints":[{"weight":{"sampleTime":{"physicalTime":"secret"},"weightGrams":"secret"}},{"weight":"secret"}]}"#;
    let out = normalize(&raw("weight", None, body)).unwrap();
    assert_eq!(out.problems.len(), 2);
    assert!(out.problems.iter().all(|p| !p.to_string().contains("secret")), "{:?}", out.problems);
}

fn shuffled() -> impl Strategy<Value = (String, Vec<u8>)> {
    let names: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    (prop::sample::select(names), any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..6)).prop_map(
        |(name, at, with)| {
            let mut body = std::fs::read(folder().join(&name)).unwrap();
            let at = at.index(body.len());
            body.splice(at..(at + with.len()).min(body.len()), with);
            (name.split_once('.').unwrap().0.to_owned(), body)
        },
    )
}

proptest! {
    #[test]
    fn bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = normalize(&raw("steps", None, &body));
        let _ = answers::read_all(&body);
    }

    #[test]
    fn damaged_payloads_never_panic((stream, body) in shuffled()) {
        let _ = normalize(&raw(&stream, Some("Europe/Berlin"), &body));
        let _ = answers::read_all(&body);
    }

    #[test]
    fn any_number_is_a_reading_or_a_problem(number in "-?[0-9]{1,32}(\\.[0-9]{1,32})?(e-?[0-9]{1,3})?", index in 0..types::TYPES.len()) {
        let kind = &types::TYPES[index];
        prop_assume!(kind.time == Time::Sample || kind.time == Time::Daily);
        let body = format!(
            r#"{{"dataPoints":[{{"{}":{{"sampleTime":{{"physicalTime":"2026-10-05T14:30:00Z"}},"date":{{"year":2026,"month":10,"day":5}},
            "beatsPerMinute":{number},"percentage":{number},"weightGrams":{number},"heightMillimeters":{number},"nightlyTemperatureCelsius":{number},
            "baselineTemperatureCelsius":-{},"vo2Max":{number}}}}}]}}"#, kind.camel(), number.trim_start_matches('-'));
        let _ = normalize(&raw(kind.name, None, body.as_bytes()));
    }
}

//! What must be true of every resource, whatever a source said. `HEADWATER_SEED` sets the dice, `HEADWATER_CASES` how many cases there are.

use headwater_processors::normalize;
use headwater_schemas::codes::{self, LOCAL, Measure};
use headwater_schemas::device::Device;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::{Observation, Status};
use headwater_schemas::raw::Gone;
use headwater_schemas::reading::{self, Dose, Effective, Reading};
use headwater_schemas::topics::Subject as _;
use headwater_schemas::{Outbox, Position};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use super::made::{Case, Census, SEED, Said, case, draw, runner};

type Held = Result<(), TestCaseError>;

#[test]
fn whatever_a_source_says_becomes_a_resource_that_says_the_same() {
    let (seed, cases) = (setting("HEADWATER_SEED", SEED), setting("HEADWATER_CASES", 3000));
    let done = runner(seed, u32::try_from(cases).expect("a number of cases")).run(&case(), |case| holds(&case));
    done.unwrap_or_else(|e| panic!("HEADWATER_SEED={seed}: {e}"));
}

#[test]
fn the_same_seed_draws_the_same_and_another_draws_otherwise() {
    let said = |seed| draw(seed).take(20).map(|case| format!("{case:?}")).collect::<Vec<_>>();
    assert_eq!(said(1), said(1));
    assert_ne!(said(1), said(2));
}

#[test]
fn the_census_tells_what_never_occurred() {
    let mut census = Census::new();
    assert!(census.missing().len() > codes::ALL.len());
    let no_vo2 = |case: &Case| !matches!(&case.said, Said::Reading(reading) if reading.measure == &codes::VO2_MAX);
    draw(SEED).filter(no_vo2).take(5000).for_each(|case| census.count(&case));
    assert_eq!(census.missing(), ["measure vo2-max"]);
}

#[allow(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is {text}, expected a whole number")))
}

fn holds(case: &Case) -> Held {
    let out = case.run();
    prop_assert_eq!(out.records().len(), 1);
    let body = out.body(&out.records()[0]);
    let again = case.run();
    prop_assert_eq!(body, again.body(&again.records()[0]), "the same input gives the same bytes");
    match &case.said {
        Said::Reading(reading) => observation(case, reading, &Observation::decode(body).expect("our own record")),
        Said::Gone(row) => withdrawal(row, &Observation::decode(body).expect("our own record")),
        Said::Dose(dose) => medication(case, dose, &Medication::decode(body).expect("our own record")),
        Said::Device(said) => device(case, said, &Device::decode(body).expect("our own record")),
    }
}

fn observation(case: &Case, reading: &Reading<'_>, record: &Observation<'_>) -> Held {
    let fhir = resource("Observation", record.fhir)?;
    let status = match (case.previous_start, reading.status) {
        (Some(_), Status::Final) => Status::Amended,
        (_, status) => status,
    };
    prop_assert_eq!((record.id, record.status), (case.id(), status));
    prop_assert_eq!((&fhir["id"], &fhir["status"]), (&Value::from(case.id().to_string()), &Value::from(status.as_str())));
    prop_assert_eq!(record.data_type, reading.measure.slug);
    prop_assert_eq!((record.start, record.end), (reading.effective.start().micros, reading.effective.end().map(|s| s.micros)));
    time(&fhir, reading.effective, reading.local_date.as_deref())?;

    let column = Column {
        number: record.value_text,
        word: record.value_code,
        absent: record.absent_reason,
        unit: record.unit,
        comparator: Some(record.comparator),
    };
    value(record.fhir, &fhir, reading.measure, &reading.value, column)?;
    prop_assert_eq!(record.samples.is_some(), matches!(reading.value, reading::Value::Samples(_)));
    let parts = fhir["component"].as_array().map_or(&[][..], Vec::as_slice);
    prop_assert_eq!(record.components.len(), reading.components.len());
    for ((said, column), part) in reading.components.iter().zip(&record.components).zip(parts) {
        prop_assert_eq!(&part["code"]["text"], said.measure.text);
        let column = Column {
            number: column.value_text,
            word: column.value_code,
            absent: column.absent_reason,
            unit: column.unit,
            comparator: None,
        };
        value(record.fhir, part, said.measure, &said.value, column)?;
    }
    // Beyond what was said stands only the half of a blood pressure that was not: as absent.
    for part in parts.iter().skip(reading.components.len()) {
        prop_assert_eq!(reading.measure, &codes::BLOOD_PRESSURE);
        prop_assert_eq!(&part["dataAbsentReason"]["coding"][0]["code"], "unknown");
    }
    terms(&fhir, reading.measure)?;
    let half = [&codes::SYSTOLIC, &codes::DIASTOLIC].contains(&reading.measure);
    if matches!(reading.value, reading::Value::Quantity(_)) && reading.components.is_empty() && !half {
        prop_assert_eq!(fhir["code"]["coding"].as_array().map(Vec::len), Some(reading.measure.coding.len()));
    }
    if !fhir["meta"]["profile"].is_null() {
        prop_assert!(status != Status::EnteredInError);
        let panel = matches!(reading.value, reading::Value::Panel) && !parts.is_empty();
        prop_assert!(panel || matches!(reading.value, reading::Value::Quantity(_) | reading::Value::Limit(..)));
        prop_assert!(fhir["code"]["coding"].as_array().is_some_and(|c| c.len() == reading.measure.coding.len()));
    }
    Ok(())
}

fn withdrawal(row: &Gone, record: &Observation<'_>) -> Held {
    let fhir = resource("Observation", record.fhir)?;
    prop_assert_eq!((record.id, record.status, record.start, record.end), (row.id, Status::EnteredInError, row.start, row.end));
    prop_assert_eq!((&fhir["id"], &fhir["status"]), (&Value::from(row.id.to_string()), &Value::from("entered-in-error")));
    prop_assert_eq!((record.value_text, record.absent_reason), (None, Some("unknown")));
    prop_assert!(fhir["meta"]["profile"].is_null() && fhir["valueQuantity"].is_null());
    terms(&fhir, codes::by_slug(&row.data_type).expect("a measure"))
}

fn medication(case: &Case, dose: &Dose<'_>, record: &Medication<'_>) -> Held {
    let fhir = resource("MedicationAdministration", record.fhir)?;
    prop_assert_eq!((record.id, &fhir["id"]), (case.id(), &Value::from(case.id().to_string())));
    time(&fhir, dose.effective, None)?;
    let withdrawn = dose.status == Status::EnteredInError;
    prop_assert_eq!(fhir["status"] == "entered-in-error", withdrawn);
    let numbers = [(dose.dose, record.dose_text, ("dose", "U")), (dose.rate, record.rate_text, ("rateQuantity", "U/h"))];
    for (said, column, (name, unit)) in numbers {
        let digits = said.map(|number| number.to_string());
        prop_assert_eq!(column, digits.as_deref());
        match digits.filter(|_| !withdrawn) {
            Some(digits) => {
                let expected = format!("\"value\":{digits},\"unit\":\"{unit}\"");
                prop_assert!(record.fhir.contains(&expected) && fhir["dosage"][name].is_object(), "{}", expected);
            }
            None => prop_assert!(fhir["dosage"][name].is_null()),
        }
    }
    Ok(())
}

fn device(case: &Case, said: &reading::Device<'_>, record: &Device<'_>) -> Held {
    let fhir = resource("Device", record.fhir)?;
    prop_assert_eq!((record.id, &fhir["id"]), (case.id(), &Value::from(case.id().to_string())));
    let words = [
        (&said.manufacturer, &fhir["manufacturer"]),
        (&said.model, &fhir["deviceName"][0]["name"]),
        (&said.kind, &fhir["type"]["text"]),
        (&said.firmware, &fhir["version"][0]["value"]),
    ];
    for (said, told) in words {
        let expected = said.as_deref().filter(|word| !blank(word)).map(tellable);
        prop_assert_eq!(told.as_str(), expected.as_deref());
    }
    Ok(())
}

/// Parses a resource and holds its strings to what FHIR allows.
fn resource(kind: &str, fhir: &str) -> Result<Value, TestCaseError> {
    prop_assert!(!fhir.contains('\n'), "one line");
    let parsed: Value = serde_json::from_str(fhir).map_err(|e| TestCaseError::fail(format!("{e}: {fhir}")))?;
    prop_assert_eq!(&parsed["resourceType"], kind);
    strings(&parsed)?;
    Ok(parsed)
}

fn strings(value: &Value) -> Held {
    match value {
        Value::String(text) => {
            prop_assert!(!blank(text), "an empty string");
            prop_assert!(!text.contains(|c: char| c < ' ' && !"\t\r\n".contains(c)), "{text:?} has controls");
        }
        Value::Array(items) => items.iter().try_for_each(strings)?,
        Value::Object(fields) => fields.values().try_for_each(strings)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

fn blank(text: &str) -> bool {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty()
}

/// FHIR's strings have no controls but tab and ends of line.
fn tellable(text: &str) -> String {
    text.replace(|c: char| c < ' ' && !"\t\r\n".contains(c), "\u{fffd}")
}

/// Each term given is one of the measure, and no local code is missing.
fn terms(fhir: &Value, measure: &Measure) -> Held {
    let given = fhir["code"]["coding"].as_array().map_or(&[][..], Vec::as_slice);
    prop_assert_eq!(&fhir["code"]["text"], measure.text);
    for term in given {
        prop_assert!(measure.coding.iter().any(|c| term["system"] == c.system && term["code"] == c.code), "{term}");
    }
    prop_assert!(measure.main().system != LOCAL || given.len() == 1);
    Ok(())
}

/// The FHIR times are those of the columns, in an offset that FHIR has.
fn time(fhir: &Value, effective: Effective, day: Option<&str>) -> Held {
    let period = &fhir["effectivePeriod"];
    if day.is_some() && period["start"].as_str().is_some_and(|start| start.len() == 10) {
        prop_assert_eq!((period["start"].as_str(), period["end"].as_str()), (day, day));
        prop_assert_eq!(effective.start().offset, None);
        return Ok(());
    }
    let texts = match effective {
        Effective::At(at) => vec![(at, &fhir["effectiveDateTime"])],
        Effective::During(start, end) => vec![(start, &period["start"]), (end, &period["end"])],
    };
    for (stamp, text) in texts {
        let text = text.as_str().unwrap_or_default();
        let instant: Timestamp = text.parse().map_err(|e| TestCaseError::fail(format!("{text:?}: {e}")))?;
        prop_assert_eq!(instant.as_microsecond(), stamp.micros, "{}", text);
        if let Some(seconds) = stamp.offset.filter(|s| s % 60 == 0 && (-50_400..=50_400).contains(s)) {
            let sign = if seconds < 0 { '-' } else { '+' };
            let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
            prop_assert!(text.ends_with(&format!("{sign}{hours:02}:{minutes:02}")), "{text} of {seconds}");
        }
        let offset = text.rsplit_once(['+', '-']).filter(|_| !text.ends_with('Z')).map_or("00:00", |(_, offset)| offset);
        prop_assert!(offset <= "14:00", "{text}");
    }
    Ok(())
}

/// What the columns say of a value. A component has no column for a comparator.
struct Column<'a> {
    number: Option<&'a str>,
    word: Option<&'a str>,
    absent: Option<&'a str>,
    unit: Option<&'a str>,
    comparator: Option<Option<&'a str>>,
}

fn value(text: &str, fhir: &Value, measure: &Measure, said: &reading::Value<'_>, column: Column<'_>) -> Held {
    let (mut number, mut word, mut absent, mut comparator, mut form) = (None, None, None, None, None);
    match said {
        reading::Value::Quantity(digits) => (number, form) = (Some(digits), Some("valueQuantity")),
        reading::Value::Limit(limit, digits) => {
            (number, comparator, form) = (Some(digits), Some(limit.as_str()), Some("valueQuantity"));
        }
        reading::Value::Range(low, high) => {
            form = Some("valueRange");
            for (end, digits) in [("low", low), ("high", high)] {
                prop_assert!(text.contains(&format!("\"{end}\":{{\"value\":{digits},")), "{end} {digits}");
            }
        }
        reading::Value::Code(concept) => {
            (word, form) = (Some(concept.code), Some("valueCodeableConcept"));
            prop_assert_eq!(&fhir["valueCodeableConcept"]["coding"][0]["code"], concept.code);
        }
        reading::Value::Text(said) if blank(said) => absent = Some("unknown"),
        reading::Value::Text(said) => {
            (word, form) = (Some(&**said), Some("valueCodeableConcept"));
            prop_assert_eq!(&fhir["valueCodeableConcept"]["text"], &tellable(said));
        }
        reading::Value::Samples(samples) => {
            form = Some("valueSampledData");
            prop_assert_eq!(&fhir["valueSampledData"]["data"], &*samples.data);
            let period = format!("\"period\":{},", samples.period_ms);
            prop_assert!(text.contains(&period), "{}", period);
        }
        reading::Value::Absent(reason) => absent = Some(reason.as_str()),
        reading::Value::Panel => {}
    }
    let forms = fhir.as_object().expect("an object").keys().find(|name| name.starts_with("value"));
    prop_assert_eq!(forms.map(String::as_str), form, "one value, of the kind that was said");
    let digits = number.map(ToString::to_string);
    if let Some(digits) = &digits {
        // Parsed, the number would have lost its digits; what follows it tells it from a longer one.
        prop_assert!(text.contains(&format!("{{\"value\":{digits},")), "{digits}");
        prop_assert_eq!(fhir["valueQuantity"]["comparator"].as_str(), comparator);
        prop_assert_eq!(fhir["valueQuantity"]["code"].as_str(), measure.unit.map(|u| u.ucum));
    }
    prop_assert_eq!(column.number, digits.as_deref());
    prop_assert_eq!(column.unit, number.and(measure.unit).map(|u| u.ucum));
    prop_assert_eq!((column.word, column.absent), (word, absent));
    prop_assert_eq!(fhir["dataAbsentReason"]["coding"][0]["code"].as_str(), absent);
    prop_assert!(column.comparator.is_none_or(|c| c == comparator));
    Ok(())
}

#[test]
fn a_reading_is_rendered_the_same_within_a_page_as_alone() {
    let (mut page, mut alone, mut together) = (reading::Normalized::default(), Outbox::default(), Outbox::default());
    let (position, raw) = (Position::NONE, super::raw("own_source", "events", b""));
    for case in draw(SEED).take(200) {
        if let Said::Reading(reading) = &case.said {
            page.readings.push((**reading).clone());
            let one = reading::Normalized { readings: vec![(**reading).clone()], ..Default::default() };
            normalize::records(&raw, &one, None, position, &mut alone);
        }
    }
    normalize::records(&raw, &page, None, position, &mut together);
    assert!(page.readings.len() > 100);
    for (a, b) in together.records().iter().zip(alone.records()) {
        assert_eq!(together.body(a), alone.body(b));
    }
}

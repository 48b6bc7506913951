//! Reading observations: FHIR search, plain JSON, files and what comes live.

use headwater_schemas::codes::{self, Measure};
use headwater_schemas::device::Device;
use headwater_schemas::observation::{Component, Observation, Status};
use serde_json::Value;
use uuid::Uuid;

use super::world::{Answer, TOKEN, World};

const HOUR: i64 = 3_600_000_000;
/// 2026-11-01T00:00:00Z.
const NOVEMBER: i64 = 1_793_491_200_000_000;

/// An observation as a resource of its own, `hours` after the first of November.
fn row<'a>(subject: &'a str, measure: &'static Measure, hours: i64, fhir: &'a str, id: Uuid) -> Observation<'a> {
    Observation {
        provider: if hours % 2 == 0 { "withings" } else { "oura" },
        value: Some(61.5),
        value_text: Some("61.50"),
        unit: measure.unit.map(|unit| unit.ucum),
        version: 7,
        fhir,
        ..Observation::of(measure, subject, id, NOVEMBER + hours * HOUR)
    }
}

fn resource(id: Uuid, subject: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","meta":{{"source":"urn:x"}},"subject":{{"reference":"Patient/{subject}"}}}}"#
    )
}

/// A world in which `a` has 60 hours of heart rate, two weights and a night, and `b` has one heart rate.
async fn peopled() -> World {
    let world = World::new().await;
    let store = &world.store;
    for (subject, hours, measure) in (0..60).map(|hour| ("a", hour, &codes::HEART_RATE)).chain([
        ("a", 5, &codes::WEIGHT),
        ("a", 30, &codes::WEIGHT),
        ("b", 1, &codes::HEART_RATE),
    ]) {
        let id = Uuid::new_v4();
        let fhir = resource(id, subject);
        store.write_observations(&[row(subject, measure, hours, &fhir, id)], NOVEMBER + hours * HOUR).await.expect("the store");
    }
    let id = Uuid::new_v4();
    let fhir = resource(id, "a");
    let night = Observation {
        end: Some(NOVEMBER + 6 * HOUR),
        components: vec![Component {
            data_type: "sleep-deep",
            code: "93831-6",
            value: Some(80.0),
            value_text: Some("80"),
            unit: Some("min"),
            value_code: None,
            absent_reason: None,
        }],
        ..row("a", &codes::SLEEP, -2, &fhir, id)
    };
    store.write_observations(&[night], NOVEMBER).await.expect("the store");
    world
}

async fn search(world: &World, query: &str) -> Value {
    let answer = world.ask("GET", &format!("/fhir/{query}"), TOKEN, None).await;
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "application/fhir+json"), "{query}: {}", answer.text);
    answer.json()
}

fn entries(bundle: &Value) -> Vec<&Value> {
    bundle["entry"].as_array().map(|entries| entries.iter().map(|entry| &entry["resource"]).collect()).unwrap_or_default()
}

fn link<'b>(bundle: &'b Value, relation: &str) -> Option<&'b str> {
    bundle["link"].as_array().expect("links").iter().find(|link| link["relation"] == relation)?["url"].as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_what_its_parameters_say() {
    let world = peopled().await;
    for (query, found) in [
        ("patient=a", 63),
        ("subject=Patient/a", 63),
        ("patient=b", 1),
        ("patient=nobody", 0),
        ("patient=a&code=8867-4", 60),
        ("patient=a&code=http://loinc.org|8867-4,http://loinc.org|29463-7", 62),
        ("patient=a&code=http://snomed.info/sct|8867-4", 0),
        ("patient=a&category=vital-signs", 62),
        ("patient=a&category=activity", 1),
        ("patient=a&category=activity&code=8867-4", 0),
        ("patient=a&code=8867-4&date=2026-11-01", 24),
        ("patient=a&code=8867-4&date=ge2026-11-01T12:00:00Z&date=lt2026-11-02T12:00:00Z", 24),
        ("patient=a&code=8867-4&date=ge2026-11-01T14:00:00%2B02:00&date=le2026-11-01", 12),
        ("patient=a&date=lt2026-11-01", 1),
        ("patient=a&code=93832-4&date=ge2026-11-01", 1),
        ("patient=a&code=93832-4&date=sa2026-10-31", 0),
        ("patient=a&_lastUpdated=ge2026-11-02", 37),
        ("patient=a&status=final", 63),
        ("patient=a&status=entered-in-error", 0),
        ("patient=a&_format=json&_pretty=true&code=29463-7", 2),
    ] {
        let bundle = search(&world, &format!("Observation?_count=1000&{query}")).await;
        assert_eq!(entries(&bundle).len(), found, "{query}");
        assert_eq!(link(&bundle, "next"), None, "{query}");
        assert!(bundle.get("entry").is_none_or(|entries| entries.as_array().is_some_and(|e| !e.is_empty())), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_resource_once_in_order() {
    let world = peopled().await;
    for (sort, count) in [("-date", 7), ("date", 7), ("-date", 1), ("date", 62)] {
        let mut seen: Vec<(i64, String)> = vec![];
        let mut next = format!("/fhir/Observation?patient=a&_sort={sort}&_count={count}");
        loop {
            let page = world.ask("GET", &next, TOKEN, None).await.json();
            assert_eq!(link(&page, "self").map(|url| url.contains("_sort")), Some(true));
            for resource in entries(&page) {
                assert_eq!(resource["meta"]["versionId"], "7");
                let at: jiff::Timestamp = resource["meta"]["lastUpdated"].as_str().expect("a time").parse().expect("an instant");
                seen.push((at.as_microsecond(), resource["id"].as_str().expect("an id").to_owned()));
            }
            match link(&page, "next") {
                Some(url) => next = url.strip_prefix(&world.url).expect("our own address").to_owned(),
                None => break,
            }
        }
        let ids: std::collections::HashSet<&String> = seen.iter().map(|(_, id)| id).collect();
        assert_eq!((seen.len(), ids.len()), (63, 63), "{sort} {count}");
        // The night was written later than it began.
        let mut hours: Vec<i64> = seen.iter().map(|(at, _)| *at).filter(|at| *at > NOVEMBER).collect();
        if sort == "-date" {
            hours.reverse();
        }
        assert!(hours.is_sorted(), "{sort} {count}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_each_code_passes_over_what_was_withdrawn() {
    let world = peopled().await;
    let id = Uuid::new_v4();
    let fhir = resource(id, "a");
    let gone = Observation { status: Status::EnteredInError, ..row("a", &codes::WEIGHT, 50, &fhir, id) };
    world.store.write_observations(&[gone], NOVEMBER).await.expect("the store");
    for (query, found) in [
        ("patient=a", 3),
        ("patient=a&max=2", 5),
        ("patient=a&max=3&code=29463-7", 2),
        ("patient=a&max=3&code=29463-7&status=entered-in-error,final", 3),
        ("patient=a&category=activity", 1),
    ] {
        let bundle = search(&world, &format!("Observation/$lastn?{query}")).await;
        assert_eq!(entries(&bundle).len(), found, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_capability_statement_lists_what_is_taken_and_nothing_else() {
    let world = peopled().await;
    let statement = world.ask("GET", "/fhir/metadata", "", None).await;
    assert_eq!(statement.status, 200);
    let example = |name: &str| match name {
        "patient" => "patient=a",
        "subject" => "subject=Patient/a",
        "code" => "patient=a&code=8867-4",
        "category" => "patient=a&category=activity",
        "date" => "patient=a&date=2026-11-01",
        "status" => "patient=a&status=final",
        "_lastUpdated" => "patient=a&_lastUpdated=2026-11-01",
        other => panic!("no example of {other}"),
    };
    let statement = statement.json();
    for resource in statement["rest"][0]["resource"].as_array().expect("resources") {
        let kind = resource["type"].as_str().expect("a type");
        for parameter in resource["searchParam"].as_array().into_iter().flatten() {
            let query = example(parameter["name"].as_str().expect("a name"));
            search(&world, &format!("{kind}?{query}")).await;
        }
        if resource["interaction"][0]["code"] == "search-type" {
            refused(&world, &format!("{kind}?patient=a&_id=1"), 400, "invalid").await;
        }
    }
    refused(&world, "Condition?patient=a", 404, "not-supported").await;
    refused(&world, &format!("Observation/{}", Uuid::nil()), 404, "not-supported").await;
}

async fn refused(world: &World, path: &str, status: u16, code: &str) {
    let answer: Answer = world.ask("GET", &format!("/fhir/{path}"), TOKEN, None).await;
    assert_eq!((answer.status, &*answer.headers["content-type"]), (status, "application/fhir+json"), "{path}");
    let outcome = answer.json();
    assert_eq!((&outcome["resourceType"], &outcome["issue"][0]["code"]), (&"OperationOutcome".into(), &code.into()), "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_search_is_told_as_an_outcome() {
    let world = peopled().await;
    for query in [
        "",
        "patient=a&patient=b",
        "patient=a&subject=b",
        "patient=a/b",
        "patient=a&date=yesterday",
        "patient=a&date=ap2026",
        "patient=a&code=|",
        "patient=a&_sort=code",
        "patient=a&_count=0",
        "patient=a&_count=x",
        "patient=a&_cursor=1",
        "patient=a&_format=xml",
        "patient=a&_include=Observation:device",
        "patient=a&code:in=x",
    ] {
        refused(&world, &format!("Observation?{query}"), 400, "invalid").await;
    }
    let nobody = world.ask("GET", "/fhir/Observation?patient=a", "", None).await;
    assert_eq!((nobody.status, nobody.json()["issue"][0]["code"].as_str()), (401, Some("login")));
    assert_eq!(nobody.headers["www-authenticate"], "Bearer");
    let another = world.token("headwater.subject", "b", &[]);
    for path in ["Observation?patient=a", "Observation/$lastn?patient=a", "Device?patient=a", "Patient/a"] {
        let answer = world.ask("GET", &format!("/fhir/{path}"), &another, None).await;
        assert_eq!((answer.status, answer.json()["issue"][0]["code"].as_str()), (403, Some("forbidden")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_and_devices_are_what_references_lead_to() {
    let world = peopled().await;
    let identity = serde_json::json!({ "system": "https://clinic.example/mrn", "value": "4711" });
    let created = world.ask("POST", "/v1/subjects", TOKEN, Some(identity)).await.json();
    let subject = created["subject"].as_str().expect("a subject").to_owned();
    let patient = search(&world, &format!("Patient/{subject}")).await;
    assert_eq!((&patient["id"], &patient["identifier"][1]["value"]), (&created["subject"], &"4711".into()));
    refused(&world, "Patient/nobody", 404, "not-found").await;

    let id = Uuid::new_v4();
    let fhir = format!(r#"{{"resourceType":"Device","id":"{id}"}}"#);
    let device = Device {
        id,
        subject_id: &subject,
        connection_id: Uuid::nil(),
        provider: "withings",
        kind: None,
        manufacturer: None,
        model: None,
        firmware: None,
        battery: None,
        last_sync: None,
        version: 1,
        mapper_version: 1,
        fhir: &fhir,
    };
    world.store.write_devices(&[device]).await.expect("the store");
    let devices = search(&world, &format!("Device?patient={subject}")).await;
    assert_eq!(entries(&devices)[0]["id"], id.to_string());
    assert_eq!(devices["entry"][0]["fullUrl"], format!("{}/fhir/Device/{id}", world.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_observations_come_in_pages_of_one_or_many_types() {
    let world = peopled().await;
    for (query, found) in [
        ("subject=a", 63),
        ("subject=a&type=heart-rate", 60),
        ("subject=a&type=heart-rate,body-weight&order=asc", 62),
        ("subject=a&type=heart-rate&provider=oura", 30),
        ("subject=a&type=heart-rate&from=2026-11-01T10:00:00Z&to=2026-11-01T12:00:00Z", 2),
        ("subject=nobody", 0),
    ] {
        for limit in [1, 9, 1000] {
            let (mut seen, mut after) = (vec![], String::new());
            loop {
                let path = format!("/health/observations?{query}&limit={limit}{after}");
                let page = world.ask("GET", &path, TOKEN, None).await.json();
                let rows = page["observations"].as_array().expect("rows").clone();
                assert!(rows.len() <= limit);
                seen.extend(rows);
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(seen.len(), found, "{query} by {limit}");
        }
    }
    let night = world.ask("GET", "/health/observations?subject=a&type=sleep&resource=true", TOKEN, None).await.json();
    let night = &night["observations"][0];
    assert_eq!((&night["value"], &night["unit"]), (&"61.50".into(), &"min".into()), "the source's digits");
    assert_eq!(night["components"][0]["value_text"], "80");
    assert_eq!(night["resource"]["resourceType"], "Observation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_every_row_once_the_oldest_first() {
    let world = peopled().await;
    let csv = world.ask("GET", "/health/export?subject=a&format=csv", TOKEN, None).await;
    assert_eq!((csv.status, &*csv.headers["content-type"]), (200, "text/csv; charset=utf-8"));
    let mut lines = csv.text.lines();
    assert!(lines.next().expect("a head").starts_with("id,type,provider,status,start,"));
    let starts: Vec<&str> = lines.map(|line| line.split(',').nth(4).expect("a start")).collect();
    assert!(starts.len() == 63 && starts.is_sorted(), "{}", starts.len());
    let lines = world.ask("GET", "/health/export?subject=a&format=ndjson&type=heart-rate&provider=oura", TOKEN, None).await.text;
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(rows.len() == 30 && rows.iter().all(|row| row["provider"] == "oura" && row.get("resource").is_none()));
    let empty = world.ask("GET", "/health/export?subject=nobody&format=csv", TOKEN, None).await;
    assert_eq!(empty.text.lines().count(), 1, "a head alone");
    assert_eq!(world.ask("GET", "/health/export?subject=a&format=xlsx", TOKEN, None).await.status, 400);
    let another = world.token("headwater.subject", "b", &[]);
    assert_eq!(world.ask("GET", "/health/export?subject=a&format=csv", &another, None).await.status, 403);
}

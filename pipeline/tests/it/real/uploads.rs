//! What is brought: batches of a phone, and files of a person, on real parts.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::parts_or_skip;
use super::rig::{Rig, until, until_within};

const SUBJECT: &str = "person-1";
const DAY: i64 = 86_400_000_000;

/// The sources that nobody is asked for.
fn brought() -> String {
    let ids = headwater_sources::ALL.iter().map(|s| s.profile()).filter(|p| p.upload.is_some() && p.oauth.is_none());
    ids.map(|profile| format!("[providers.{}]\n", profile.id)).collect()
}

fn at(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("a time").as_microsecond()
}

async fn put(rig: &Rig, path: &str, token: &str, body: Vec<u8>, gzip: bool) -> (u16, Value) {
    let mut request = reqwest::Client::new().put(format!("http://{}/uploads/{path}", rig.receive)).bearer_auth(token).body(body);
    if gzip {
        request = request.header("content-encoding", "gzip");
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

fn pulse(id: &str, value: &str) -> Vec<u8> {
    let record = format!(
        r#"{{"id":"{id}","type":"HKQuantityTypeIdentifierHeartRate","start":"2026-10-25T08:00:00+01:00","value":{value},"unit":"count/min","source":"Watch"}}"#
    );
    format!(r#"{{"records":[{record}]}}"#).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phones_batch_is_taken_once_and_told_what_is_wrong_with_it() {
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, &brought()).await;
    let mut roles = Vec::new();
    for arguments in [&["receive"][..], &["process", "normalize"], &["sink", "scylla"], &["api"]] {
        roles.push(rig.start(arguments).await);
    }
    let enroll = json!({ "provider": "apple_health", "subject": SUBJECT, "zone": "Europe/Berlin" });
    let (status, device) = rig.ask("POST", "/v1/uploaders", Some(enroll)).await;
    assert_eq!(status, 201, "{device}");
    let token = device["credential"].as_str().expect("a credential").to_owned();

    // Taken, known, and never twice under one name with another content.
    let (status, told) = put(&rig, "records/b1", &token, pulse("p1", "61.50"), false).await;
    assert_eq!((status, told["readings"].as_u64()), (202, Some(1)), "{told}");
    let (status, told) = put(&rig, "records/b1", &token, pulse("p1", "61.50"), false).await;
    assert_eq!((status, told["outcome"].as_str()), (200, Some("repeated")), "{told}");
    let (status, _) = put(&rig, "records/b1", &token, pulse("p1", "99"), false).await;
    assert_eq!(status, 409);
    let window = (at("2026-10-25T00:00:00Z"), at("2026-10-26T00:00:00Z"));
    let rows = async || rig.rows(SUBJECT, "heart-rate", window.0, window.1).await;
    let row = until("the row", async || rows().await.into_iter().next()).await;
    assert_eq!(row.value_text.as_deref(), Some("61.50"));

    // Packed, with a correction of the same record, a row that is refused, and one that is new to us.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mixed = json!({ "records": [
        { "id": "p1", "type": "HKQuantityTypeIdentifierHeartRate", "start": "2026-10-25T08:00:00+01:00", "value": 62, "unit": "count/min", "source": "Watch" },
        { "id": "p2", "type": "HKQuantityTypeIdentifierBodyMass", "start": "yesterday", "value": 62, "unit": "kg", "source": "Watch" },
        { "id": "p3", "type": "HKQuantityTypeIdentifierAura", "start": "2026-10-25T08:00:00+01:00", "value": 1, "unit": "count", "source": "Watch" },
    ] });
    gzip.write_all(mixed.to_string().as_bytes()).expect("packed");
    let (status, told) = put(&rig, "records/b2", &token, gzip.finish().expect("packed"), true).await;
    assert_eq!((status, told["readings"].as_u64(), told["refused"].as_u64()), (202, Some(1), Some(1)), "{told}");
    assert!(told["problems"][0].as_str().is_some_and(|p| p.contains("records[1].start")), "{told}");
    assert!(told["unknown"][0].as_str().is_some_and(|u| u.contains("HKQuantityTypeIdentifierAura")), "{told}");
    until("the newer value", async || rows().await.into_iter().find(|r| r.value_text.as_deref() == Some("62"))).await;

    // What is not understood is kept and can be listed.
    let listed = rig.command(&["coverage", "--provider", "apple_health"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("apple_health/records: 2 records, 2 readings, 1 rows refused"), "{listed}");
    assert!(listed.contains("type HKQuantityTypeIdentifierAura"), "{listed}");

    // Deleted on the phone.
    let gone =
        json!({ "deleted": [{ "id": "p1", "type": "HKQuantityTypeIdentifierHeartRate", "start": "2026-10-25T08:00:00+01:00" }] });
    assert_eq!(put(&rig, "records/b3", &token, gone.to_string().into_bytes(), false).await.0, 202);
    until("the withdrawal", async || rows().await.into_iter().find(|r| r.status == "entered-in-error")).await;

    // Refused, each with what was expected.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..64).for_each(|_| bomb.write_all(&vec![b' '; 1 << 20]).expect("packed"));
    let bomb = bomb.finish().expect("packed");
    let half = token.len() - 3;
    for (path, token, body, gzip, status, word) in [
        ("records/b4", token.as_str(), b"{\"records\":[".to_vec(), false, 422, "line 1"),
        ("records/b4", &token, b"{\"rows\":[]}".to_vec(), false, 422, "expected records"),
        ("records/b4", &token, bomb, true, 413, "bytes"),
        ("records/b4", &token, pulse("p", "1"), true, 415, "gzip"),
        ("dreams/b4", &token, pulse("p", "1"), false, 404, "records, workouts"),
        ("records/b%20b", &token, pulse("p", "1"), false, 400, "letters"),
        ("records/b4", &token[..half], pulse("p", "1"), false, 401, "credential"),
        ("records/b4", "not-a-uuid.secret", pulse("p", "1"), false, 401, "credential"),
    ] {
        let (answered, told) = put(&rig, path, token, body, gzip).await;
        assert_eq!(answered, status, "{path}: {told}");
        assert!(told["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{path}: {told}");
    }

    // The end of the link is the end of the credential.
    let connection = device["connection"].as_str().expect("a connection");
    assert_eq!(rig.ask("DELETE", &format!("/v1/connections/{connection}?subject={SUBJECT}"), None).await.0, 200);
    assert_eq!(put(&rig, "records/b5", &token, pulse("p9", "61"), false).await.0, 401);
}

/// An export with so many heart rates, one a minute, and one of each other thing.
fn export(pulses: i64) -> Vec<u8> {
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE HealthData [\n<!ELEMENT HealthData (Record*)>\n<!ENTITY x \"boom\">\n]>\n<HealthData locale=\"en\">\n \
         <ExportDate value=\"2026-10-25 08:00:00 +0100\"/>\n",
    );
    let device = "&lt;&lt;HKDevice: 0x28&gt;, name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,2, software:11.1&gt;";
    for minute in 0..pulses {
        let time = jiff::Timestamp::from_second(1_700_000_000 + minute * 60).expect("a time");
        let time = time.strftime("%Y-%m-%d %H:%M:%S +0000");
        xml += &format!(
            " <Record type=\"HKQuantityTypeIdentifierHeartRate\" sourceName=\"My &amp; Watch\" sourceVersion=\"11.1\" device=\"{device}\" unit=\"count/min\" \
             creationDate=\"{time}\" startDate=\"{time}\" endDate=\"{time}\" value=\"{}\"/>\n",
            50 + minute % 90
        );
    }
    xml += " <Record type=\"HKQuantityTypeIdentifierBodyMass\" sourceName=\"Health\" unit=\"lb\" startDate=\"2023-11-14 07:00:00 -0500\" endDate=\"2023-11-14 07:00:00 -0500\" value=\"150\">\n  \
            <MetadataEntry key=\"HKWasUserEntered\" value=\"1\"/>\n </Record>\n \
            <Correlation type=\"HKCorrelationTypeIdentifierBloodPressure\" sourceName=\"Cuff\" startDate=\"2023-11-14 07:10:00 -0500\" endDate=\"2023-11-14 07:10:00 -0500\">\n  \
            <Record type=\"HKQuantityTypeIdentifierBloodPressureSystolic\" sourceName=\"Cuff\" unit=\"mmHg\" startDate=\"2023-11-14 07:10:00 -0500\" endDate=\"2023-11-14 07:10:00 -0500\" value=\"121\"/>\n  \
            <Record type=\"HKQuantityTypeIdentifierBloodPressureDiastolic\" sourceName=\"Cuff\" unit=\"mmHg\" startDate=\"2023-11-14 07:10:00 -0500\" endDate=\"2023-11-14 07:10:00 -0500\" value=\"78\"/>\n \
            </Correlation>\n \
            <Workout workoutActivityType=\"HKWorkoutActivityTypeRunning\" duration=\"31.5\" durationUnit=\"min\" sourceName=\"Watch\" startDate=\"2023-11-14 18:00:00 -0500\" endDate=\"2023-11-14 18:31:30 -0500\">\n  \
            <WorkoutStatistics type=\"HKQuantityTypeIdentifierDistanceWalkingRunning\" startDate=\"x\" endDate=\"x\" sum=\"3.1\" unit=\"mi\"/>\n </Workout>\n \
            <ActivitySummary dateComponents=\"2023-11-14\" activeEnergyBurned=\"500\"/>\n</HealthData>\n";
    xml.into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_imported_after_a_kill_and_twice_with_the_same_rows() {
    let parts = parts_or_skip!();
    let rig = Rig::with(parts, false, &brought()).await;
    let (_normalize, _scylla) = (rig.start(&["process", "normalize"]).await, rig.start(&["sink", "scylla"]).await);
    let (file, pulses) = (rig.folder.path().join("export.zip"), 40_000);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&file).expect("a file"));
    let packed = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in
        [("apple_health_export/export_cda.xml", b"<x/>".to_vec()), ("apple_health_export/export.xml", export(pulses))]
    {
        zip.start_file(name, packed).expect("a file in the zip");
        zip.write_all(&bytes).expect("packed");
    }
    zip.finish().expect("a zip");
    let path = file.to_str().expect("a path");
    let arguments = ["import", "apple-health", path, "--subject", SUBJECT, "--zone", "America/New_York"];

    // Killed on the way: what was acknowledged is not brought again.
    let raw = format!("{}.raw.apple_health.v1", rig.namespace);
    let mut first = rig.spawned(&arguments, Stdio::null());
    until("some batches", async || (rig.values(&raw).len() >= 3).then_some(())).await;
    first.kill().expect("it ran");
    first.wait().expect("it is ours");

    let second = rig.command(&arguments);
    let said = String::from_utf8_lossy(&second.stdout).into_owned();
    assert!(second.status.success(), "{said}{}", String::from_utf8_lossy(&second.stderr));
    assert!(!said.contains(" 0 batches known"), "{said}");
    assert!(said.contains("0 rows refused") && said.contains("ActivitySummary"), "{said}");
    let (from, to) = (1_700_000_000 * 1_000_000, (1_700_000_000 + pulses * 60) * 1_000_000);
    let count = async || {
        let mut count = 0;
        let mut day = from;
        while day < to {
            count += rig.rows(SUBJECT, "heart-rate", day, (day + 4 * DAY).min(to)).await.len();
            day += 4 * DAY;
        }
        count
    };
    let whole = usize::try_from(pulses).expect("a count");
    until_within("all rows", Duration::from_secs(180), async || (count().await == whole).then_some(())).await;
    for (data_type, text) in [("body-weight", "68.0388555"), ("blood-pressure", "121"), ("exercise", "4988.9664")] {
        let rows = rig.rows(SUBJECT, data_type, at("2023-11-14T00:00:00Z"), at("2023-11-16T00:00:00Z")).await;
        assert!(rows.len() == 1 && rows[0].fhir.contains(text), "{data_type}: {rows:?}");
    }

    // Once more: everything is known, nothing is appended.
    let before = rig.values(&raw).len();
    let third = rig.command(&arguments);
    let said = String::from_utf8_lossy(&third.stdout).into_owned();
    assert!(said.contains("in 0 batches") && rig.values(&raw).len() == before, "{said}");
    assert_eq!(count().await, whole);
}

//! What reading costs beside a bare read of the same rows by CQL: a page of one person, one type and one month by FHIR and in plain JSON, and
//! a whole year of one-minute heart rates, page by page, with what the server holds in memory meanwhile.

use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use futures::StreamExt as _;
use headwater_schemas::codes;
use headwater_schemas::observation::{Method, Observation};
use headwater_store::Store as _;
use headwater_store::scylla::{ScyllaStore, Settings};
use headwater_store::seal::Keyring;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;
use uuid::Uuid;

use crate::process::Subject;
use crate::rig::{Parts, Rig, address};

const SUBJECT: &str = "person-1";
const TOKEN: &str = "bench";
const PARTITIONS: i32 = 12;
const MINUTE: i64 = 60_000_000;
/// 1 January 2025, midnight UTC.
const YEAR: i64 = 1_735_689_600_000_000;
const MINUTES: i64 = 365 * 24 * 60;
const MONTHS: [i32; 12] =
    [202_501, 202_502, 202_503, 202_504, 202_505, 202_506, 202_507, 202_508, 202_509, 202_510, 202_511, 202_512];
/// June, as a range of the API's and as a partition.
const JUNE: (&str, &str, i32) = ("2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z", 202_506);

#[derive(Debug, Args)]
pub struct Reading {
    #[command(flatten)]
    parts: Parts,
    #[arg(long, default_value_t = 200)]
    requests: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

struct Bench<'r> {
    http: reqwest::Client,
    api: String,
    session: &'r Session,
    page: PreparedStatement,
    month: PreparedStatement,
}

impl Reading {
    pub async fn run(&self) -> anyhow::Result<()> {
        let api = address()?;
        let more = format!("[listen]\napi = \"{api}\"\n[api]\ntoken = \"{TOKEN}\"\npublic_url = \"http://{api}\"\n");
        let rig = Rig::new(&self.parts, PARTITIONS, &more).await?;
        rig.end(self.measure(&rig, format!("http://{api}")).await).await
    }

    async fn measure(&self, rig: &Rig<'_>, api: String) -> anyhow::Result<()> {
        let node = self.parts.node.as_str();
        let settings = Settings { keyspace: rig.namespace.clone(), replication_factor: 1, ..Settings::new([node]) };
        let store = ScyllaStore::connect(settings, Keyring::ephemeral()).await?;
        let started = Instant::now();
        fill(&store).await?;
        println!("{MINUTES} heart rates of one person, a minute apart, written in {:.0} s", started.elapsed().as_secs_f64());

        let server = rig.start(&["api"], &[])?;
        let bench = Bench::new(rig, api).await?;
        server.ready()?;
        for count in [100, 1000] {
            self.pages(&bench, count).await?;
        }
        bench.year(&server.subject).await
    }

    /// Pages of a month, interleaved: bare, FHIR, plain.
    async fn pages(&self, bench: &Bench<'_>, count: usize) -> anyhow::Result<()> {
        let (from, to, _) = JUNE;
        let fhir = format!("/fhir/Observation?patient={SUBJECT}&code=8867-4&date=ge{from}&date=lt{to}&_count={count}");
        let plain = format!("/health/observations?subject={SUBJECT}&type=heart-rate&from={from}&to={to}&limit={count}");
        let (mut bare, mut by_fhir, mut by_json) = (Times::default(), Times::default(), Times::default());
        for round in 0..=self.rounds {
            let each = self.requests / self.rounds.max(1);
            let mut taken = [Times::default(), Times::default(), Times::default()];
            for _ in 0..each {
                taken[0].take(count, async || bench.bare(count).await).await?;
                taken[1].take(count, async || Ok(bench.ask(&fhir).await?.matches("\"fullUrl\"").count())).await?;
                taken[2].take(count, async || Ok(bench.ask(&plain).await?.matches("\"stored_at\"").count())).await?;
            }
            // The first round warms up.
            if round > 0 {
                let [a, b, c] = taken;
                bare.0.extend(a.0);
                by_fhir.0.extend(b.0);
                by_json.0.extend(c.0);
            }
        }
        let floor = bare.at(0.5);
        for (name, times) in [("bare CQL", &mut bare), ("FHIR", &mut by_fhir), ("plain JSON", &mut by_json)] {
            let (p50, p99) = (times.at(0.5), times.at(0.99));
            println!("page of {count:>4} of June, {name:>10}: p50 {p50:>6.2} ms, p99 {p99:>6.2} ms, {:.1} of bare", p50 / floor);
        }
        Ok(())
    }
}

impl<'r> Bench<'r> {
    async fn new(rig: &'r Rig<'_>, api: String) -> anyhow::Result<Self> {
        let (session, keyspace) = (&rig.session, &rig.namespace);
        let from =
            format!("FROM {keyspace}.observations WHERE subject_id = '{SUBJECT}' AND month = ? AND data_type = 'heart-rate'");
        let page = session.prepare(format!("SELECT start_at, id, body.fhir {from} LIMIT ?")).await?;
        let mut month = session.prepare(format!("SELECT start_at, id, body.fhir {from}")).await?;
        month.set_page_size(1000);
        Ok(Self { http: reqwest::Client::new(), api, session, page, month })
    }

    async fn ask(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("{}{path}", self.api)).bearer_auth(TOKEN).send().await?;
        anyhow::ensure!(answer.status().is_success(), "{} to {path}", answer.status());
        Ok(answer.text().await?)
    }

    async fn bare(&self, count: usize) -> anyhow::Result<usize> {
        let rows = self.session.execute_unpaged(&self.page, (JUNE.2, i32::try_from(count)?)).await?.into_rows_result()?;
        let bytes = rows.rows::<(i64, Uuid, String)>()?.map(|row| row.map(|(_, _, fhir)| fhir.len()));
        Ok(bytes.collect::<Result<Vec<_>, _>>()?.len())
    }

    /// The whole year by both ways.
    async fn year(&self, server: &Subject) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut rows = 0;
        for month in MONTHS.into_iter().rev() {
            let mut read = self.session.execute_iter(self.month.clone(), (month,)).await?.rows_stream::<(i64, Uuid, String)>()?;
            while let Some(row) = read.next().await {
                rows += i64::from(!row?.2.is_empty());
            }
        }
        anyhow::ensure!(rows == MINUTES, "{rows} rows by CQL, expected {MINUTES}");
        let bare = started.elapsed().as_secs_f64();

        let (started, mut found, mut pages) = (Instant::now(), 0, 0);
        let (mut next, mut early) = (Some(format!("/fhir/Observation?patient={SUBJECT}&code=8867-4&_count=1000")), 0.0);
        while let Some(path) = next {
            let page: serde_json::Value = serde_json::from_str(&self.ask(&path).await?)?;
            found += page["entry"].as_array().map_or(0, Vec::len);
            pages += 1;
            if pages == 50 {
                early = server.resident_mib()?;
            }
            let links = page["link"].as_array().context("links")?;
            let url = links.iter().find(|link| link["relation"] == "next").and_then(|link| link["url"].as_str());
            next = url.map(|url| url.trim_start_matches(&self.api).to_owned());
        }
        anyhow::ensure!(found as i64 == MINUTES, "{found} resources by FHIR, expected {MINUTES}");
        let paged = started.elapsed().as_secs_f64();
        println!("the year, bare CQL: {bare:.1} s, {:.0} rows/s", MINUTES as f64 / bare);
        println!(
            "the year, FHIR:     {paged:.1} s, {:.0} resources/s on {pages} pages, {:.1} of bare",
            found as f64 / paged,
            paged / bare
        );
        let cost = server.cost()?;
        let late = server.resident_mib()?;
        println!("memory of the api: {early:.0} MiB after 50 pages, {late:.0} MiB after all, peak {:.0} MiB", cost.peak_mib);
        Ok(())
    }
}

#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    /// Takes the time of a page, which must be full.
    async fn take(&mut self, count: usize, ask: impl AsyncFnOnce() -> anyhow::Result<usize>) -> anyhow::Result<()> {
        let started = Instant::now();
        let found = ask().await?;
        anyhow::ensure!(found == count, "{found} rows on a page, expected {count}");
        self.0.push(started.elapsed().as_secs_f64() * 1e3);
        Ok(())
    }

    fn at(&mut self, share: f64) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }
}

async fn fill(store: &ScyllaStore) -> anyhow::Result<()> {
    let batches = futures::stream::iter((0..MINUTES).step_by(1000)).map(|first| async move {
        let texts: Vec<String> = (first..(first + 1000).min(MINUTES)).map(fhir).collect();
        let rows: Vec<Observation<'_>> = texts.iter().zip(first..).map(|(fhir, minute)| row(minute, fhir)).collect();
        store.write_observations(&rows, YEAR).await
    });
    let mut batches = batches.buffer_unordered(4);
    while let Some(written) = batches.next().await {
        written?;
    }
    Ok(())
}

fn id(minute: i64) -> Uuid {
    Uuid::from_u128(u128::from(minute.unsigned_abs()) | 0x5bd1_0000_0000_4000_8000_0000_0000_0000)
}

fn row(minute: i64, fhir: &str) -> Observation<'_> {
    let start = YEAR + minute * MINUTE;
    Observation {
        provider: "withings",
        stream: "intraday",
        value: Some(61.0),
        value_text: Some("61"),
        unit: Some("/min"),
        method: Method::Device,
        version: start,
        raw_topic: "headwater.raw.withings.v1",
        raw_offset: minute,
        fhir,
        ..Observation::of(&codes::HEART_RATE, SUBJECT, id(minute), start)
    }
}

/// A resource as long as those of the mapper.
fn fhir(minute: i64) -> String {
    let (id, at) = (id(minute), jiff::Timestamp::from_microsecond(YEAR + minute * MINUTE).unwrap_or_default());
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","meta":{{"source":"urn:headwater:headwater.raw.withings.v1:3:{minute}","profile":["http://hl7.org/fhir/StructureDefinition/heartrate"],"tag":[{{"system":"urn:headwater:codesystem:tag","code":"withings"}}]}},"identifier":[{{"system":"urn:headwater:record:withings","value":"{id}"}}],"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4"}}],"text":"Heart rate"}},"subject":{{"reference":"Patient/{SUBJECT}"}},"effectiveDateTime":"{at}","issued":"{at}","valueQuantity":{{"value":61,"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}},"device":{{"reference":"Device/5bd1e995-0000-5000-8000-000000000001"}}}}"#
    )
}

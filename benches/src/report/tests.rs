use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::results::{Latency, Machine};

/// CPU-seconds per million of each round; wall time is twice that.
fn entry(name: &str, part: Part, cpu: &[f64]) -> Entry {
    let latency = Some(Latency { per_second: 750.0, p50_ms: 6.25, p99_ms: 12.5, p999_ms: 25.0 });
    let round = |&cpu: &f64| Round {
        cpu_seconds_per_million: cpu,
        wall_seconds_per_million: cpu * 2.0,
        records_per_second: 1e6 / (cpu * 2.0),
        peak_mib: cpu + 40.0,
        latency,
    };
    Entry { name: name.to_owned(), part, rounds: cpu.iter().map(round).collect() }
}

fn results(job: &str) -> Results {
    Results {
        job: job.to_owned(),
        of: "calls".to_owned(),
        machine: Machine { cpu: "Abacus 3".to_owned(), cores: 2, memory_mib: 24 << 10, kernel: "6.1".to_owned() },
        command: format!("headwater-bench {job} --rounds 3"),
        same: true,
        entries: vec![
            entry("bare", Part::Floor, &[2.0, 4.0, 3.0]),
            entry("receive", Part::Ours, &[10.0, 10.0, 20.0]),
            entry("receive again", Part::Ours, &[10.0, 11.0, 20.0]),
            entry("<c&a>", Part::Peer, &[50.0, 40.0, 60.0]),
        ],
    }
}

/// What a report of these files says: its page and its picture.
fn reported(all: &[Results]) -> anyhow::Result<(String, String)> {
    let (folder, into) = (tempfile::tempdir()?, tempfile::tempdir()?);
    all.iter().try_for_each(|one| one.write(folder.path()))?;
    let read = |name: &str| std::fs::read_to_string(into.path().join(name));
    Report { folder: folder.path().into(), into: into.path().into() }.run()?;
    Ok((read("benchmarks.md")?, read(PICTURE)?))
}

fn refused(all: &[Results]) -> String {
    format!("{:#}", reported(all).expect_err("no report of these"))
}

#[test]
fn the_page_has_each_program_beside_ours_and_the_least_first() {
    let (page, _) = reported(&[results("door")]).expect("a report");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert_eq!(
        rows,
        [
            "| bare | 3.00 (2.00 to 4.00) | 0.20 (0.15 to 0.40) | 0.20 (0.15 to 0.40) | 166667 | 44 | 6.25 | 12.5 | 25.0 |",
            "| **receive** | 10.0 (10.0 to 20.0) | 1 | 1 | 50000 | 60 | 6.25 | 12.5 | 25.0 |",
            "| receive again | 11.0 (10.0 to 20.0) | 1.00 (1.00 to 1.10) | 1.00 (1.00 to 1.10) | 45455 | 60 | 6.25 | 12.5 | 25.0 |",
            "| <c&a> | 50.0 (40.0 to 60.0) | 4.00 (3.00 to 5.00) | 4.00 (3.00 to 5.00) | 10000 | 100 | 6.25 | 12.5 | 25.0 |",
        ]
    );
    for said in [
        "CPU s per million calls",
        "p50 ms at 750/s",
        "Abacus 3, 2 cores, 24 GiB, Linux 6.1",
        "\nheadwater-bench door --rounds 3\n",
    ] {
        assert!(page.contains(said), "{said} in {page}");
    }
}

#[test]
fn the_picture_is_well_formed_and_says_the_figures() {
    let (_, picture) = reported(&[results("door"), results("sink")]).expect("a report");
    let (texts, widths) = looked_at(&picture);
    for said in
        ["door", "sink", "receive", "<c&a>", "0.20 (0.15 to 0.40)", "4.00 (3.00 to 5.00)", "50.0", "3.00", "s per million calls"]
    {
        assert!(texts.iter().any(|text| text == said), "{said} among {texts:?}");
    }
    // The longest line, of 5, has all 400 that there are.
    assert_eq!(widths, ["16.0", "80.0", "80.0", "320.0"].repeat(2), "bars, the least first");
    assert!(!picture.contains("<script") && !picture.contains("url("), "nothing that runs, nothing from elsewhere");
}

/// All texts, and how wide the bars are.
fn looked_at(picture: &str) -> (Vec<String>, Vec<String>) {
    let (mut texts, mut widths, mut open, mut reader) = (vec![], vec![], 0, Reader::from_str(picture));
    loop {
        match reader.read_event().expect("well-formed XML") {
            Event::Start(start) => {
                open += 1;
                texts.push(String::new());
                let attributes: Vec<_> =
                    start.attributes().map(|attribute| attribute.expect("a well-formed attribute")).collect();
                let value = |name: &[u8]| {
                    let found = attributes.iter().find(|attribute| attribute.key.as_ref() == name)?;
                    Some(String::from_utf8_lossy(&found.value).into_owned())
                };
                if start.name().as_ref() == b"rect" && value(b"height").as_deref() == Some("14") {
                    widths.extend(value(b"width"));
                }
            }
            Event::End(_) => open -= 1,
            Event::Text(text) => texts.last_mut().expect("a text in an element").push_str(&text.decode().expect("UTF-8")),
            Event::GeneralRef(name) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                let meant = quick_xml::escape::resolve_predefined_entity(&name).expect("an entity of XML itself");
                texts.last_mut().expect("a text in an element").push_str(meant);
            }
            Event::Eof => break,
            other => panic!("{other:?} in a picture"),
        }
    }
    assert_eq!(open, 0, "elements left open");
    (texts, widths)
}

#[test]
fn what_was_not_the_same_is_not_compared() {
    let void = Results { same: false, ..results("sink") };
    assert_eq!(refused(&[results("door"), void]), "sink is void: not all made the same, so there is nothing to compare");
}

#[test]
fn two_machines_are_not_one_table() {
    let mut other = results("sink");
    other.machine.cores = 64;
    assert!(refused(&[results("door"), other]).ends_with("expected one machine"));
}

#[test]
fn a_folder_without_results_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let none = Results::read(folder.path()).expect_err("nothing to read");
    assert!(none.to_string().contains("expected what --results wrote"), "{none}");
}

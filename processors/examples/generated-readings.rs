//! `generated-readings N [SEED]`: N resources of whatever a source may say, one JSON document per line, for the FHIR validator. Fails when
//! something never occurred among them.

#[path = "../tests/generated/mod.rs"]
mod generated;

use std::io::Write as _;
use std::process::ExitCode;

use generated::{Census, SEED, case, runner};
use headwater_schemas::device::Device;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};
use proptest::strategy::{Strategy as _, ValueTree as _};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<u64>());
    let (Some(Ok(count)), seed, None) = (arguments.next(), arguments.next().unwrap_or(Ok(SEED)), arguments.next()) else {
        eprintln!("generated-readings: expected N [SEED], both whole numbers");
        return ExitCode::from(2);
    };
    let Ok(seed) = seed else {
        eprintln!("generated-readings: expected N [SEED], both whole numbers");
        return ExitCode::from(2);
    };
    let (mut runner, strategy, mut census) = (runner(seed, 1), case(), Census::new());
    let mut lines = std::io::BufWriter::new(std::io::stdout().lock());
    for _ in 0..count {
        let case = strategy.new_tree(&mut runner).expect("no strategy of ours refuses what it drew").current();
        census.count(&case);
        let out = case.run();
        for record in out.records() {
            let body = out.body(record);
            let fhir = if record.topic == &topics::DEVICE {
                Device::decode(body).expect("our own record").fhir
            } else if record.topic == &topics::MEDICATION {
                Medication::decode(body).expect("our own record").fhir
            } else {
                Observation::decode(body).expect("our own record").fhir
            };
            if let Err(e) = writeln!(lines, "{fhir}") {
                eprintln!("generated-readings: cannot write: {e}");
                return ExitCode::FAILURE;
            }
        }
    }
    eprintln!("generated-readings: seed {seed}");
    let missing = census.missing();
    if !missing.is_empty() {
        eprintln!("generated-readings: never occurred among {count}: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

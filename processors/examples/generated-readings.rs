//! `generated-readings N [SEED]`: N resources of whatever a source may say, one JSON document per line, for the FHIR validator. Fails when
//! something never occurred among them.

#[path = "../tests/generated/mod.rs"]
mod generated;

use std::io::Write as _;
use std::process::ExitCode;

use generated::{Census, SEED, draw};
use headwater_schemas::device::Device;
use headwater_schemas::medication::Medication;
use headwater_schemas::observation::Observation;
use headwater_schemas::topics::{self, Subject as _};

fn main() -> ExitCode {
    let arguments: Result<Vec<u64>, _> = std::env::args().skip(1).map(|a| a.parse()).collect();
    let (count, seed) = match arguments.as_deref() {
        Ok([count]) => (*count, SEED),
        Ok([count, seed]) => (*count, *seed),
        _ => {
            eprintln!("generated-readings: expected N [SEED], both whole numbers");
            return ExitCode::from(2);
        }
    };
    let mut census = Census::new();
    let mut lines = std::io::BufWriter::new(std::io::stdout().lock());
    for case in draw(seed).take(usize::try_from(count).unwrap_or(usize::MAX)) {
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

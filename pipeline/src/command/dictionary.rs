//! `headwater dictionary`: every data type with its codes, unit, category, profile, and the streams that it comes from.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use headwater_schemas::codes::{self, Measure};
use headwater_sinks::eventhubs::medtech::mapping;
use serde::Serialize;
use serde_json::{Value, json};

/// List every data type with codes, unit, category, profile, and where it comes from.
#[derive(Debug, Args)]
pub struct Dictionary {
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Markdown,
    /// FHIR R4 CodeSystem of our own codes
    CodeSystem,
    /// FHIR R4 CodeSystem of our own coded values
    ValueCodes,
    /// FHIR R4 CodeSystem of our own tags
    Tags,
    /// FHIR R4 ConceptMap from our data types to LOINC
    ConceptMap,
    /// Device mapping of Azure's MedTech service for `format = "medtech"` of the Event Hubs sink
    MedtechDevice,
    /// FHIR destination mapping of Azure's MedTech service, likewise
    MedtechFhir,
}

#[derive(Serialize)]
struct Row {
    slug: &'static str,
    text: &'static str,
    /// The most special first.
    codes: Vec<Coding>,
    unit: Option<&'static str>,
    category: &'static str,
    profile: Option<&'static str>,
    /// `provider/stream`
    streams: Vec<String>,
}

#[derive(Serialize)]
struct Coding {
    system: &'static str,
    code: &'static str,
}

fn rows() -> Vec<Row> {
    codes::ALL
        .iter()
        .map(|measure| Row {
            slug: measure.slug,
            text: measure.text,
            codes: measure.coding.iter().map(|c| Coding { system: c.system, code: c.code }).collect(),
            unit: measure.unit.map(|unit| unit.ucum),
            category: measure.category.as_str(),
            profile: measure.profile,
            streams: feeding(measure),
        })
        .collect()
}

/// Sources of one's own take every data type and are not named at each.
fn feeding(measure: &'static Measure) -> Vec<String> {
    let all = headwater_sources::ALL.iter().filter(|s| s.profile().id == s.folder());
    let profiles =
        all.map(|source| source.profile()).filter(|profile| !profile.streams.iter().any(|s| s.becomes.len() == codes::ALL.len()));
    let streams = profiles.flat_map(|profile| profile.streams.iter().map(move |stream| (profile.id, stream)));
    streams.filter(|(_, stream)| stream.becomes.contains(&measure)).map(|(id, stream)| format!("{id}/{}", stream.id)).collect()
}

impl Dictionary {
    /// # Errors
    /// When what is printed cannot be put together.
    pub fn run(&self) -> anyhow::Result<()> {
        print!("{}", text(self.format)?);
        Ok(())
    }
}

/// # Errors
/// Never, as far as is known: JSON of words and numbers can be written.
pub fn text(format: Format) -> anyhow::Result<String> {
    let json = |value: &Value| -> anyhow::Result<String> { Ok(serde_json::to_string_pretty(value)? + "\n") };
    match format {
        Format::Table => Ok(table(&rows())),
        Format::Markdown => Ok(markdown(&rows())),
        Format::Json => Ok(serde_json::to_string_pretty(&rows())? + "\n"),
        Format::CodeSystem => json(&code_system()),
        Format::ValueCodes => json(&system(
            codes::LOCAL_VALUES,
            "HeadwaterValues",
            "Coded values",
            codes::CONCEPTS.iter().map(|c| (c.code, c.text)),
        )),
        Format::Tags => json(&system(codes::TAGS, "HeadwaterTags", "Tags of resources", tags())),
        Format::ConceptMap => json(&concept_map()),
        Format::MedtechDevice => Ok(mapping::device()),
        Format::MedtechFhir => Ok(mapping::fhir()),
    }
}

fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    let code = |row: &Row| {
        row.codes.iter().map(|c| if c.system == codes::LOINC { c.code } else { "local" }).collect::<Vec<_>>().join("+")
    };
    for row in rows {
        writeln!(
            out,
            "{:34} {:18} {:10} {:12} {:11} {}",
            row.slug,
            code(row),
            row.unit.unwrap_or("-"),
            row.category,
            row.profile.unwrap_or("-"),
            row.streams.len()
        )
        .expect("a string takes all");
    }
    writeln!(out, "\n{} data types; the last column counts the streams they come from (--format json names them)", rows.len())
        .expect("a string takes all");
    out
}

fn markdown(rows: &[Row]) -> String {
    let mut out = String::from(
        "# Data dictionary\n\nPrinted by `headwater dictionary --format markdown`. Codes are LOINC where they have a hyphen; *local* is our own code, equal to the \
         slug, in `urn:headwater:codesystem:observation`. Units are UCUM. A source of one's own may bring every data type.\n\n\
         | data type | what | codes | unit | category | profile | streams |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let codes: Vec<&str> = row.codes.iter().map(|c| if c.system == codes::LOINC { c.code } else { "*local*" }).collect();
        let unit = row.unit.map_or_else(|| "–".to_owned(), |unit| format!("`{unit}`"));
        writeln!(
            out,
            "| `{}` | {} | {} | {unit} | {} | {} | {} |",
            row.slug,
            row.text,
            codes.join(" + "),
            row.category,
            row.profile.unwrap_or("–"),
            if row.streams.is_empty() { "component, or not yet".to_owned() } else { row.streams.join(", ") },
        )
        .expect("a string takes all");
    }
    out += "\nInsulin is no observation: `insulin-bolus` and `insulin-basal` go to the medication topic as MedicationAdministration.\n";
    out
}

fn system<'c>(url: &str, name: &str, title: &str, concepts: impl Iterator<Item = (&'c str, &'c str)>) -> Value {
    let concepts: Vec<Value> = concepts.map(|(code, display)| json!({ "code": code, "display": display })).collect();
    json!({
        "resourceType": "CodeSystem", "url": url, "name": name, "title": format!("Headwater: {title}"), "status": "active", "caseSensitive": true,
        "content": "complete", "count": concepts.len(), "concept": concepts,
    })
}

fn code_system() -> Value {
    let own = codes::ALL.iter().filter(|m| m.coding.iter().any(|c| c.system == codes::LOCAL)).map(|m| (m.slug, m.text));
    let medications = codes::MEDICATIONS
        .iter()
        .map(|code| (*code, if *code == codes::INSULIN_BOLUS { "Insulin, at once" } else { "Insulin, over a time" }));
    system(codes::LOCAL, "HeadwaterObservations", "Observations without a standard term", own.chain(medications))
}

fn tags() -> impl Iterator<Item = (&'static str, &'static str)> {
    let zones = [
        ("time-zone-unknown", "Where the person was is not known: times are in UTC"),
        ("time-zone-from-profile", "The offset follows from the person's present zone"),
    ];
    zones.into_iter().chain(headwater_sources::ALL.iter().map(|s| (s.profile().id, s.profile().name)))
}

/// Names of data types as they stand in our columns: no codes of a resource, where only those without a LOINC term stand.
const DATA_TYPES: &str = "urn:headwater:data-type";

fn concept_map() -> Value {
    let known = codes::ALL.iter().filter(|m| m.main().system == codes::LOINC);
    let elements: Vec<Value> = known
        .map(|measure| {
            let targets = measure.coding.iter().enumerate().map(|(index, coding)| {
                // What stands beside the most special term is wider: a profile asks for it.
                json!({ "code": coding.code, "equivalence": if index == 0 { "equivalent" } else { "wider" } })
            });
            json!({ "code": measure.slug, "display": measure.text, "target": targets.collect::<Vec<_>>() })
        })
        .collect();
    json!({
        "resourceType": "ConceptMap", "url": "urn:headwater:conceptmap:observation-loinc", "name": "HeadwaterToLoinc", "title": "Headwater: data types to LOINC",
        "status": "active", "copyright": "This material contains content from LOINC (loinc.org), copyright Regenstrief Institute, Inc., available at no cost under the licence at loinc.org/license.",
        "group": [{ "source": DATA_TYPES, "target": codes::LOINC, "element": elements }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is published beside the code is what the code prints.
    #[test]
    fn the_published_dictionary_is_the_present_one() {
        let docs = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
        for (file, format) in [
            ("dictionary.md", Format::Markdown),
            ("fhir/codesystem-observation.json", Format::CodeSystem),
            ("fhir/codesystem-value.json", Format::ValueCodes),
            ("fhir/codesystem-tag.json", Format::Tags),
            ("fhir/conceptmap-loinc.json", Format::ConceptMap),
            ("medtech/device-mapping.json", Format::MedtechDevice),
            ("medtech/fhir-mapping.json", Format::MedtechFhir),
        ] {
            let published = std::fs::read_to_string(docs.join(file)).unwrap_or_default();
            assert_eq!(
                published,
                text(format).expect("printed"),
                "docs/{file} is not what `headwater dictionary --format {format:?}` prints"
            );
        }
    }

    #[test]
    fn every_code_of_ours_that_is_written_is_published() {
        let published = code_system().to_string();
        for measure in codes::ALL.iter().filter(|m| m.main().system == codes::LOCAL) {
            assert!(published.contains(&format!("\"{}\"", measure.main().code)), "{}", measure.slug);
        }
    }
}

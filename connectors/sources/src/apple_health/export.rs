//! The export of Apple's Health app: one XML document of any size. Its elements become rows of the same shape as phones upload.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, SeekFrom};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Decoder, Reader, XmlVersion};
use serde::Serialize;
use zip::ZipArchive;

use crate::fields::label;
use crate::files::{Files, Open, Rows, Watch, Watched, Wrong};

const PRESSURE: &str = "HKCorrelationTypeIdentifierBloodPressure";

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(rename = "type")]
    kind: String,
    start: String,
    end: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    source: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    device: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    user_entered: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    systolic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diastolic: Option<String>,
    /// Of a workout: `{"value", "unit"}` by name.
    #[serde(flatten)]
    amounts: BTreeMap<&'static str, Amount>,
}

#[derive(Debug, Serialize)]
struct Amount {
    value: String,
    unit: String,
}

pub(super) static FILES: Files =
    Files { name: "apple-health", doc: "the export of Apple's Health app: export.zip, or the export.xml in it", read };

/// Reads the XML, by itself or out of its zip.
fn read(file: &mut dyn Open, watch: &Watch<'_>, rows: &mut dyn Rows) -> Result<(), Wrong> {
    let mut begin = [0; 2];
    let zipped = file.read_exact(&mut begin).is_ok() && &begin == b"PK";
    file.seek(SeekFrom::Start(0))?;
    if !zipped {
        (watch.total)(file.seek(SeekFrom::End(0))?);
        file.seek(SeekFrom::Start(0))?;
        return elements(BufReader::with_capacity(1 << 18, Watched { inner: file, watch }), rows);
    }
    let mut zip = ZipArchive::new(file)?;
    // The name differs by language; the clinical document beside it does not hold the samples.
    let mut largest: Option<(usize, u64)> = None;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index)?;
        let name = entry.name()?.to_lowercase();
        let wanted = name.ends_with(".xml") && !name.contains("cda");
        if wanted && largest.is_none_or(|(_, size)| entry.size() > size) {
            largest = Some((index, entry.size()));
        }
    }
    let (index, size) = largest.ok_or("there is no export.xml in this zip")?;
    (watch.total)(size);
    elements(BufReader::with_capacity(1 << 18, Watched { inner: zip.by_index(index)?, watch }), rows)
}

/// What is being read.
#[derive(Default)]
struct State {
    row: Option<(Row, bool)>,
    /// Within a correlation: its own row, whose halves the records inside are.
    correlation: Option<Row>,
}

fn elements(input: impl BufRead, rows: &mut dyn Rows) -> Result<(), Wrong> {
    let mut xml = Reader::from_reader(input);
    let decoder = xml.decoder();
    let (mut buffer, mut state) = (Vec::new(), State::default());
    let mut rooted = false;
    loop {
        buffer.clear();
        let event = xml.read_event_into(&mut buffer);
        let at = xml.buffer_position();
        match event.map_err(|e| format!("the XML breaks at byte {at}: {e}"))? {
            Event::Start(start) => {
                rooted |= start.name().as_ref() == b"HealthData";
                state.begin(&start, decoder, rows)?;
            }
            Event::Empty(start) => {
                let name = start.name().as_ref().to_vec();
                state.begin(&start, decoder, rows)?;
                state.end(&name, rows)?;
            }
            Event::End(end) => state.end(end.name().as_ref(), rows)?,
            // The list of declarations at the front is skipped as it is: nothing in it is ever expanded.
            Event::Eof => {
                return if rooted { Ok(()) } else { Err("expected the element HealthData".into()) };
            }
            _ => {}
        }
    }
}

impl State {
    fn begin(&mut self, start: &BytesStart<'_>, decoder: Decoder, rows: &mut dyn Rows) -> Result<(), Wrong> {
        match start.name().as_ref() {
            b"Record" => self.row = Some((record(start, decoder)?, false)),
            b"Workout" => self.row = Some((workout(start, decoder)?, true)),
            b"Correlation" => self.correlation = Some(record(start, decoder)?),
            b"WorkoutStatistics" => {
                if let Some((row, true)) = &mut self.row {
                    statistics(row, start, decoder)?;
                }
            }
            b"MetadataEntry" => {
                let (mut key, mut value) = (String::new(), String::new());
                attributes(start, decoder, |name, text| match name {
                    b"key" => key = text.into_owned(),
                    b"value" => value = text.into_owned(),
                    _ => {}
                })?;
                if let Some((row, _)) = &mut self.row {
                    match key.as_str() {
                        "HKWasUserEntered" => row.user_entered = value == "1",
                        "HKInsulinDeliveryReason" => {
                            row.metadata.insert(key, value);
                        }
                        _ => {}
                    }
                }
            }
            b"ActivitySummary" | b"ClinicalRecord" | b"Audiogram" | b"VisionPrescription" => {
                rows.left(&format!("element {}", label(&String::from_utf8_lossy(start.name().as_ref()))));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, name: &[u8], rows: &mut dyn Rows) -> Result<(), Wrong> {
        let (stream, row) = match name {
            b"Record" => match (self.row.take(), &mut self.correlation) {
                (Some((row, _)), Some(whole)) => {
                    whole.half(row);
                    return Ok(());
                }
                (Some((row, _)), None) => ("records", row),
                _ => return Ok(()),
            },
            b"Workout" => match self.row.take() {
                Some((row, true)) => ("workouts", row),
                _ => return Ok(()),
            },
            b"Correlation" => match self.correlation.take().filter(|row| row.kind == PRESSURE) {
                Some(row) => ("records", row),
                // Of a meal its parts are records of their own.
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        let json = serde_json::to_vec(&row)?;
        rows.row(stream, "records", &json)
    }
}

impl Row {
    fn half(&mut self, half: Self) {
        match half.kind.as_str() {
            "HKQuantityTypeIdentifierBloodPressureSystolic" => (self.systolic, self.unit) = (half.value, half.unit),
            "HKQuantityTypeIdentifierBloodPressureDiastolic" => self.diastolic = half.value,
            _ => {}
        }
    }
}

fn attributes(start: &BytesStart<'_>, decoder: Decoder, mut take: impl FnMut(&[u8], Cow<'_, str>)) -> Result<(), Wrong> {
    for attribute in start.attributes() {
        let attribute = attribute?;
        take(attribute.key.as_ref(), attribute.decoded_and_normalized_value(XmlVersion::Implicit1_0, decoder)?);
    }
    Ok(())
}

fn record(start: &BytesStart<'_>, decoder: Decoder) -> Result<Row, Wrong> {
    let (mut row, mut version) = (Row::default(), String::new());
    attributes(start, decoder, |name, text| match name {
        b"type" => row.kind = text.into_owned(),
        b"startDate" => row.start = time(&text),
        b"endDate" => row.end = time(&text),
        b"value" => row.value = Some(text.into_owned()),
        b"unit" => row.unit = Some(text.into_owned()),
        b"sourceName" => row.source = text.into_owned(),
        b"sourceVersion" => version = text.into_owned(),
        b"device" => row.device = device(&text),
        _ => {}
    })?;
    row.source = format!("{}|{version}", row.source);
    Ok(row)
}

/// Attributes of a workout, with the name of the amount they are of.
fn workout(start: &BytesStart<'_>, decoder: Decoder) -> Result<Row, Wrong> {
    let mut row = record(start, decoder)?;
    let mut given: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    attributes(start, decoder, |name, text| {
        given.insert(name.to_vec(), text.into_owned());
    })?;
    row.kind = given.remove(&b"workoutActivityType"[..]).unwrap_or_default();
    for (name, value, unit) in [
        ("duration", &b"duration"[..], &b"durationUnit"[..]),
        ("distance", b"totalDistance", b"totalDistanceUnit"),
        ("energy", b"totalEnergyBurned", b"totalEnergyBurnedUnit"),
    ] {
        if let (Some(value), Some(unit)) = (given.remove(value), given.remove(unit)) {
            row.amounts.insert(name, Amount { value, unit });
        }
    }
    (row.value, row.unit) = (None, None);
    Ok(row)
}

/// Newer exports tell the amounts as elements.
fn statistics(row: &mut Row, start: &BytesStart<'_>, decoder: Decoder) -> Result<(), Wrong> {
    let mut given: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    attributes(start, decoder, |name, text| {
        given.insert(name.to_vec(), text.into_owned());
    })?;
    let unit = given.get(&b"unit"[..]).cloned().unwrap_or_default();
    let kind = given.get(&b"type"[..]).map_or("", String::as_str);
    let wanted: &[(&'static str, &[u8])] = match kind.strip_prefix("HKQuantityTypeIdentifier").unwrap_or_default() {
        "ActiveEnergyBurned" => &[("energy", b"sum")],
        "DistanceWalkingRunning" | "DistanceCycling" | "DistanceSwimming" => &[("distance", b"sum")],
        "StepCount" => &[("steps", b"sum")],
        "HeartRate" => &[("heartRateAverage", b"average"), ("heartRateMaximum", b"maximum"), ("heartRateMinimum", b"minimum")],
        _ => &[],
    };
    for (name, attribute) in wanted {
        if let Some(value) = given.get(*attribute) {
            row.amounts.insert(name, Amount { value: value.clone(), unit: unit.clone() });
        }
    }
    Ok(())
}

/// `2019-03-04 09:00:00 +0100` in RFC 3339; anything else as it is, to be refused with its place.
fn time(text: &str) -> String {
    let mut parts = text.split(' ');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(date), Some(clock), Some(offset)) if offset.len() == 5 && offset.is_ascii() => {
            format!("{date}T{clock}{}:{}", &offset[..3], &offset[3..])
        }
        _ => text.to_owned(),
    }
}

/// `<<HKDevice: 0x2832>, name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,2, software:8.3>`
fn device(text: &str) -> BTreeMap<&'static str, String> {
    let mut device = BTreeMap::new();
    for part in text.trim_end_matches('>').split(", ") {
        let Some((name, value)) = part.split_once(':') else { continue };
        let name = match name {
            "name" => "name",
            "manufacturer" => "manufacturer",
            "model" => "model",
            "hardware" => "hardware",
            "software" => "software",
            _ => continue,
        };
        device.insert(name, value.to_owned());
    }
    device
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_devices_are_read_as_the_phone_writes_them() {
        assert_eq!(time("2019-03-04 09:00:00 +0100"), "2019-03-04T09:00:00+01:00");
        assert_eq!(time("yesterday"), "yesterday");
        let device = device(
            "<<HKDevice: 0x2832>, name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,2, software:8.3>",
        );
        assert_eq!(device["manufacturer"], "Apple Inc.");
        assert_eq!(device["hardware"], "Watch6,2");
    }
}

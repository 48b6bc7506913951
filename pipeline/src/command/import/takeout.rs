//! Zips with many JSON files: Google's Takeout, and Fitbit's export in it or by itself.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

use anyhow::Context as _;
use serde::Deserialize;
use zip::ZipArchive;

use super::{Reading, Watched, json};

/// Type of a point, and its stream. What is not among them is left in the file and told.
static STREAMS: &[(&str, &str)] = &[
    ("com.google.step_count.delta", "steps"),
    ("com.google.distance.delta", "distance"),
    ("com.google.calories.expended", "calories"),
    ("com.google.heart_rate.bpm", "heart-rate"),
    ("com.google.weight", "weight"),
    ("com.google.height", "height"),
    ("com.google.body.fat.percentage", "body-fat"),
    ("com.google.speed", "speed"),
    ("com.google.heart_minutes", "heart-minutes"),
    ("com.google.active_minutes", "active-minutes"),
    ("com.google.blood_glucose", "blood-glucose"),
    ("com.google.oxygen_saturation", "oxygen-saturation"),
    ("com.google.hydration", "hydration"),
    ("com.google.blood_pressure", "blood-pressure"),
    ("com.google.body.temperature", "body-temperature"),
    ("com.google.activity.segment", "activity-segments"),
    ("com.google.sleep.segment", "sleep-segments"),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point<'a> {
    #[serde(borrow)]
    data_type_name: std::borrow::Cow<'a, str>,
}

/// Opens a zip, and calls for each file in it whose name fits.
fn each(
    file: File,
    reading: &mut Reading<'_>,
    wanted: fn(&str) -> bool,
    mut take: impl FnMut(&str, BufReader<Watched<zip::read::ZipFile<'_, File>>>, &mut Reading<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut zip = ZipArchive::new(file).context("expected a zip")?;
    let mut names: Vec<String> =
        zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).filter(|name| wanted(name)).collect();
    // In the same order each time: batches are named by their place.
    names.sort();
    anyhow::ensure!(!names.is_empty(), "there is nothing in this zip that is known here");
    let total: u64 = names.iter().filter_map(|name| Some(zip.by_name(name).ok()?.size())).sum();
    reading.bar.set_length(total);
    for name in names {
        let entry = zip.by_name(&name)?;
        let short = name.rsplit('/').next().unwrap_or_default().to_owned();
        reading.bar.set_message(short.clone());
        let watched = Watched { inner: entry, bar: reading.bar.clone() };
        take(&short, BufReader::with_capacity(1 << 16, watched), reading).with_context(|| name.clone())?;
    }
    Ok(())
}

/// The data sources of Fit.
pub(super) fn fit(file: File, reading: &mut Reading<'_>) -> anyhow::Result<()> {
    let wanted = |name: &str| name.contains("/Fit/All Data/") && name.ends_with(".json");
    each(file, reading, wanted, |_, reader, reading| {
        let mut unknown: HashMap<String, u64> = HashMap::new();
        json::rows(reader, Some("Data Points"), &mut |row| {
            let point: Point<'_> = serde_json::from_str(row.get()).context("expected a point with a dataTypeName")?;
            match STREAMS.iter().find(|(name, _)| *name == point.data_type_name) {
                Some((_, stream)) => reading.batches.row(stream, "Data Points", row.get().as_bytes()),
                None => {
                    *unknown.entry(point.data_type_name.into_owned()).or_default() += 1;
                    Ok(())
                }
            }
        })?;
        unknown.into_keys().for_each(|name| reading.batches.left(name));
        Ok(())
    })
}

/// What Fitbit's export holds in the shape its API had: nights. Other files have shapes and units of their own, and are told.
pub(super) fn fitbit(file: File, reading: &mut Reading<'_>) -> anyhow::Result<()> {
    let wanted =
        |name: &str| (name.contains("Global Export Data/") || name.contains("Physical Activity/")) && name.ends_with(".json");
    each(file, reading, wanted, |name, reader, reading| {
        let kind = name.split(['-', '.']).next().unwrap_or_default();
        if kind != "sleep" {
            reading.batches.left(format!("file of {kind}"));
            return Ok(());
        }
        json::rows(reader, None, &mut |row| reading.batches.row("sleep", "sleep", row.get().as_bytes()))
    })
}

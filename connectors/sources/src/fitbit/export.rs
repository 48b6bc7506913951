//! An export of a person's data: a zip with many documents, by itself or in a Takeout. Nights have the shape the API had; other documents have
//! shapes and units of their own, and are told.

use crate::fields::label;
use crate::files::{self, Files, Open, Rows, Watch, Wrong};

pub(super) static FILES: Files =
    Files { name: "fitbit-export", doc: "an export of Fitbit data, by itself or in a Takeout: the zip", read };

fn read(file: &mut dyn Open, watch: &Watch<'_>, rows: &mut dyn Rows) -> Result<(), Wrong> {
    let wanted =
        |name: &str| (name.contains("Global Export Data/") || name.contains("Physical Activity/")) && name.ends_with(".json");
    files::zipped(file, watch, rows, wanted, &mut |name, reader, rows| {
        let kind = name.split(['-', '.']).next().unwrap_or_default();
        if kind != "sleep" {
            rows.left(&format!("document {}", label(kind)));
            return Ok(());
        }
        files::rows(reader, None, &mut |row| rows.row("sleep", "sleep", row.get().as_bytes()))
    })
}

//! A person's Takeout: a zip with a document for each data source of Fit.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Deserialize;

use super::types::TYPES;
use crate::fields::label;
use crate::files::{self, Files, Open, Rows, Watch, Wrong};

pub(super) static FILES: Files = Files { name: "google-takeout", doc: "a Google Takeout with Fit in it: the zip", read };

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point<'a> {
    #[serde(borrow)]
    data_type_name: Cow<'a, str>,
}

fn read(file: &mut dyn Open, watch: &Watch<'_>, rows: &mut dyn Rows) -> Result<(), Wrong> {
    let wanted = |name: &str| name.contains("/Fit/All Data/") && name.ends_with(".json");
    files::zipped(file, watch, rows, wanted, &mut |_, reader, rows| {
        let mut left: BTreeSet<String> = BTreeSet::new();
        files::rows(reader, Some("Data Points"), &mut |row| {
            let point: Point<'_> = serde_json::from_str(row.get()).map_err(|_| "expected a point with a dataTypeName")?;
            match TYPES.iter().find(|kind| kind.name == point.data_type_name) {
                Some(kind) => rows.row(kind.stream, "Data Points", row.get().as_bytes()),
                None => {
                    left.insert(point.data_type_name.rsplit('.').next().map_or("", label).to_owned());
                    Ok(())
                }
            }
        })?;
        left.iter().for_each(|name| rows.left(&format!("data type {name}")));
        Ok(())
    })
}

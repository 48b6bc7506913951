//! What a row says about itself besides its value: its name, the device, the method, and which of several sources it comes from.

use std::borrow::Cow;

use headwater_schemas::codes::Measure;
use headwater_schemas::observation::Method;
use headwater_schemas::reading::{Device, Normalized, Reading, Stamp, Value};
use headwater_schemas::reject::Reject;

use super::points::At;
use super::when;
use crate::fields::{Fields, label};
use crate::source::digest;

/// What a row says about itself besides its value.
pub struct Row<'a> {
    pub name: Option<Cow<'a, str>>,
    pub device: Option<Cow<'a, str>>,
    pub method: Method,
    /// Tells sources of the same thing apart; empty for Google's own without a device.
    source: String,
    /// The same without the device: a day has one value however many bands were worn.
    pub platform: String,
}

/// An id and the source it comes from, where that matters.
pub fn joined(id: String, source: &str) -> String {
    if source.is_empty() { id } else { format!("{id}|{source}") }
}

impl<'a> Row<'a> {
    /// Takes what every row may have.
    ///
    /// # Errors
    /// `unexpected_shape` when a part of it is of another kind.
    pub fn read(fields: &mut Fields<'a>, out: &mut Normalized<'a>) -> Result<Self, Reject> {
        let mut name = fields.text("name")?;
        if let Some(merged) = fields.text("dataPointName")? {
            name = name.or(Some(merged));
        }
        let source = fields.read::<Fields>("dataSource")?;
        let mut row = Self { name, device: None, method: Method::Unknown, source: String::new(), platform: String::new() };
        if let Some(source) = source {
            row.source(source, out).map_err(|r| r.under("dataSource"))?;
        }
        Ok(row)
    }

    fn source(&mut self, mut source: Fields<'a>, out: &mut Normalized<'a>) -> Result<(), Reject> {
        self.method = match source.word("recordingMethod")?.as_deref() {
            Some("MANUAL") => Method::Manual,
            Some("DERIVED") => Method::Derived,
            Some("PASSIVELY_MEASURED" | "ACTIVELY_MEASURED") => Method::Device,
            Some("UNKNOWN") | None => Method::Unknown,
            Some(other) => {
                out.unknown(format!("recordingMethod {}", label(other)));
                Method::Unknown
            }
        };
        if let Some(fields) = source.read::<Fields>("device")? {
            self.device = device(fields, out)?;
        }
        let platform = source.word("platform")?.filter(|platform| platform != "FITBIT");
        let application = source.read::<Fields>("application")?;
        if let Some(platform) = &platform {
            let mut parts = vec![platform.clone().into_owned()];
            if let Some(mut application) = application {
                for name in ["packageName", "webClientId", "googleWebClientId"] {
                    parts.extend(application.text(name)?.map(Cow::into_owned));
                }
            }
            self.platform = short(parts.iter().map(String::as_str));
        }
        let device = self.device.as_deref();
        if device.is_some() || platform.is_some() {
            self.source = short([self.platform.as_str(), device.unwrap_or_default()].into_iter());
        }
        source.tell("dataSource", &[], out);
        Ok(())
    }

    /// The last segment of the name where the row has one; what stands before it names the person. Otherwise times and source.
    pub fn id(&self, start: Stamp, end: Option<Stamp>) -> String {
        if let Some(id) = self.name.as_deref().and_then(|name| name.rsplit('/').next()).filter(|id| !id.is_empty()) {
            return id.to_owned();
        }
        let mut id = when::instant(start);
        if let Some(end) = end {
            id = format!("{id}/{}", when::instant(end));
        }
        joined(id, &self.source)
    }

    pub fn reading(&self, measure: &'static Measure, id: &str, at: &At, value: Value<'a>) -> Reading<'a> {
        let mut reading = Reading::new(measure, id.to_owned(), at.effective, value);
        reading.local_date = at.date.clone().map(Cow::Owned);
        reading.device = self.device.clone();
        reading.method = self.method;
        reading
    }
}

/// The names people give their devices stay out of record ids.
fn short<'p>(parts: impl Iterator<Item = &'p str>) -> String {
    digest(parts.map(str::as_bytes))[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Maker and name are all the identity a device has here.
fn device<'a>(mut fields: Fields<'a>, out: &mut Normalized<'a>) -> Result<Option<Cow<'a, str>>, Reject> {
    let (kind, manufacturer, model) = (fields.word("formFactor")?, fields.text("manufacturer")?, fields.text("displayName")?);
    fields.tell("device", &[], out);
    let id = match (&manufacturer, &model, &kind) {
        (Some(maker), Some(model), _) => Cow::Owned(format!("{maker} {model}")),
        (Some(one), None, _) | (None, Some(one), _) | (None, None, Some(one)) => one.clone(),
        (None, None, None) => return Ok(None),
    };
    out.device(Device { provider_id: id.clone(), kind, manufacturer, model, ..Device::default() });
    Ok(Some(id))
}

//! Writing JSON straight into a buffer: no tree, no allocation but the buffer's.

use std::fmt::{self, Display, Write as _};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use uuid::Uuid;

/// An object or array being written. Commas are its business.
pub struct Json<'b> {
    out: &'b mut String,
    first: bool,
}

static TIMES: DateTimePrinter = DateTimePrinter::new();

/// What needs no escaping. Words are most of a resource, and formatting them costs several times what copying them does.
pub trait Plain {
    fn put(self, out: &mut String);
}

impl Plain for &str {
    fn put(self, out: &mut String) {
        out.push_str(self);
    }
}

/// One after the other.
impl<const N: usize> Plain for [&str; N] {
    fn put(self, out: &mut String) {
        self.into_iter().for_each(|part| out.push_str(part));
    }
}

impl Plain for Uuid {
    fn put(self, out: &mut String) {
        out.push_str(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }
}

impl Plain for fmt::Arguments<'_> {
    fn put(self, out: &mut String) {
        out.write_fmt(self).expect("a string takes all");
    }
}

impl Plain for Timestamp {
    fn put(self, out: &mut String) {
        TIMES.print_timestamp(&self, out).expect("a string takes all");
    }
}

impl Plain for DateTime {
    fn put(self, out: &mut String) {
        TIMES.print_datetime(&self, out).expect("a string takes all");
    }
}

impl<'b> Json<'b> {
    /// Writes one object.
    pub fn object(out: &'b mut String, fill: impl FnOnce(&mut Json<'_>)) {
        out.push('{');
        fill(&mut Json { out, first: true });
        out.push('}');
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
    }

    fn name(&mut self, name: &str) {
        self.comma();
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        escape(self.out, value);
        self
    }

    /// Text that needs no escaping (ids, references, times).
    pub fn plain(&mut self, name: &str, value: impl Plain) -> &mut Self {
        self.name(name);
        self.out.push('"');
        value.put(self.out);
        self.out.push('"');
        self
    }

    /// A number, with the digits it prints.
    pub fn number(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        write!(self.out, "{value}").expect("a string takes all");
        self
    }

    pub fn nested(&mut self, name: &str, fill: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.name(name);
        Json::object(self.out, fill);
        self
    }

    /// An array of one object, as FHIR has so many.
    pub fn only(&mut self, name: &str, fill: impl FnOnce(&mut Json<'_>)) -> &mut Self {
        self.list(name, |list| list.item(fill))
    }

    pub fn list(&mut self, name: &str, fill: impl FnOnce(&mut List<'_>)) -> &mut Self {
        self.name(name);
        self.out.push('[');
        fill(&mut List(Json { out: self.out, first: true }));
        self.out.push(']');
        self
    }
}

pub struct List<'b>(Json<'b>);

impl List<'_> {
    pub fn item(&mut self, fill: impl FnOnce(&mut Json<'_>)) {
        self.0.comma();
        Json::object(self.0.out, fill);
    }

    pub fn text(&mut self, value: &str) {
        self.0.comma();
        escape(self.0.out, value);
    }
}

fn escape(out: &mut String, value: &str) {
    out.push('"');
    let mut rest = value;
    // Most texts have nothing to escape: whole stretches are copied.
    while let Some(at) = rest.bytes().position(|b| !matches!(b, b' '..=b'~') || matches!(b, b'"' | b'\\')) {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let Some(c) = from.chars().next() else { break };
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // FHIR's strings have no other controls below 32, escaped or not.
            '\0'..='\u{1f}' => out.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => write!(out, "\\u{:04x}", c as u32).expect("a string takes all"),
            c => out.push(c),
        }
        rest = &from[c.len_utf8()..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = String::new();
        let nasty = "a\"b\\c\n\u{1}é\u{7f}";
        Json::object(&mut out, |j| {
            j.text("t", nasty).number("n", "61.50").nested("o", |_| {}).list("l", |l| {
                l.text("x");
                l.item(|i| {
                    i.plain("p", ["1", "2"]);
                });
            });
        });
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["t"], nasty.replace('\u{1}', "\u{fffd}"));
        assert_eq!(value["l"][1]["p"], "12");
        assert!(out.contains("61.50"));
    }
}

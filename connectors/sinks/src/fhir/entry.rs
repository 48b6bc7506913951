//! A bundle to write, as text: resources are put in as they are.

use std::fmt::Write as _;

pub(super) struct Writing {
    text: String,
    entries: usize,
}

impl Writing {
    /// `kind` is `batch` or `transaction`.
    pub fn new(kind: &str) -> Self {
        Self { text: format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":["#), entries: 0 }
    }

    /// Puts a resource; `standing` is the server's version that it may replace, where there is one.
    pub fn put(&mut self, base: &str, (kind, id): (&str, &str), resource: &str, standing: Option<&str>) {
        self.begin();
        let _ = write!(
            self.text,
            r#"{{"fullUrl":"{base}/{kind}/{id}","resource":{resource},"request":{{"method":"PUT","url":"{kind}/{id}""#
        );
        if let Some(version) = standing {
            let _ = write!(self.text, r#","ifMatch":"W/\"{version}\"""#);
        }
        self.text.push_str("}}");
    }

    pub fn delete(&mut self, kind: &str, id: &str) {
        self.begin();
        let _ = write!(self.text, r#"{{"request":{{"method":"DELETE","url":"{kind}/{id}"}}}}"#);
    }

    pub fn finish(mut self) -> String {
        self.text.push_str("]}");
        self.text
    }

    fn begin(&mut self) {
        if self.entries > 0 {
            self.text.push(',');
        }
        self.entries += 1;
    }
}

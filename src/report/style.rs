//! Colour, where a terminal shows it.

use crate::model::{Decision, Severity};

/// Whether and how text is coloured (ECMA-48 SGR).
#[derive(Clone, Copy, Debug)]
pub struct Style {
    color: bool,
}

impl Style {
    /// Coloured text.
    pub fn colored() -> Self {
        Self { color: true }
    }

    /// Text without any escape.
    pub fn plain() -> Self {
        Self { color: false }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// What the eye should find first.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What the eye may skip.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A removed line.
    pub fn removed(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// An added line; something done.
    pub fn added(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// A severity's word.
    pub fn severity(self, severity: Severity, text: &str) -> String {
        self.paint(
            match severity {
                Severity::Blocker => "1;31",
                Severity::Warning => "33",
                Severity::Advice => "36",
            },
            text,
        )
    }

    /// Something that could not be told.
    pub fn unknown(self, text: &str) -> String {
        self.paint("35", text)
    }

    /// The answer.
    pub fn decision(self, decision: Decision, text: &str) -> String {
        let code = match decision {
            Decision::Ready => "1;32",
            Decision::NotReady => "1;31",
            Decision::Undetermined => "1;35",
        };
        self.paint(code, text)
    }

    /// A unified diff, its lines coloured by their first character.
    pub fn diff(self, diff: &str) -> String {
        let mut out = String::with_capacity(diff.len());
        for line in diff.split_inclusive('\n') {
            let (body, end) = match line.strip_suffix('\n') {
                Some(body) => (body, "\n"),
                None => (line, ""),
            };
            out.push_str(&match body.as_bytes().first() {
                _ if body.starts_with("+++") || body.starts_with("---") => self.bold(body),
                Some(b'+') => self.added(body),
                Some(b'-') => self.removed(body),
                Some(b'@') => self.dim(body),
                _ => body.to_owned(),
            });
            out.push_str(end);
        }
        out
    }
}

//! `waive` under `[checks.<id>]`: which findings of a check are to stay, who says so, and until when.
//!
//! ```toml
//! waive = "the image carries the disk, until 2027-01-01"            # all findings of the check
//! waive = { owner = "ops@example.com", reason = "...", until = 2027-01-01 }
//!
//! [[checks.fstab-data-disk.waive]]                                   # some of them
//! owner = "ops@example.com"
//! reason = "/backup is detached by hand"
//! until = 2027-01-01
//! subject = "/etc/fstab:6"                                           # or key = "nofail", or both
//! ```

use std::fmt;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::{ReportedFinding, Subject, Waiver};

/// A waiver, and the findings that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaiverSettings {
    /// Who, why, until when.
    pub waiver: Waiver,
    /// Only findings with this message key.
    pub key: Option<String>,
    /// Only findings about this: a file with or without its line, a device, a unit.
    pub subject: Option<String>,
}

impl WaiverSettings {
    /// Whether a finding is one of those that it is for.
    pub fn is_for(&self, finding: &ReportedFinding) -> bool {
        let is_of_file = |wanted: &str| match &finding.subject {
            Subject::File { path, .. } => path.to_string() == wanted,
            _ => false,
        };
        self.key.as_ref().is_none_or(|key| *key == finding.key)
            && self
                .subject
                .as_deref()
                .is_none_or(|wanted| finding.subject.to_string() == wanted || is_of_file(wanted))
    }
}

/// The forms of `waive`, for the schema; [`Written`] reads them, so that an error names its key.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a schema is made of it, and nothing else")]
pub enum WaiveWritten {
    /// `why, until 2027-01-01`.
    Text(String),
    /// For all findings of the check, or for some.
    One(WaiverTable),
    /// Several.
    Several(Vec<WaiverTable>),
}

/// Read a text, a table or an array of tables.
pub fn waivers<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<WaiverSettings>>, D::Error> {
    from.deserialize_any(Written).map(Some)
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Vec<WaiverSettings>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "\"why, until 2027-01-01\", or owner, reason and until = 2027-01-01 as a table or several",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let waiver = in_words(text).map_err(E::custom)?;
        Ok(vec![WaiverSettings { waiver, key: None, subject: None }])
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let table = WaiverTable::deserialize(MapAccessDeserializer::new(map))?;
        Ok(vec![table.settings()])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tables: A) -> Result<Self::Value, A::Error> {
        let mut settings = Vec::new();
        while let Some(table) = tables.next_element::<WaiverTable>()? {
            settings.push(table.settings());
        }
        Ok(settings)
    }
}

/// A waiver as a table.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WaiverTable {
    /// Who decided, and is to be asked.
    #[serde(deserialize_with = "said")]
    owner: String,
    /// Why.
    #[serde(deserialize_with = "said")]
    reason: String,
    /// The last day that it holds.
    #[serde(deserialize_with = "day")]
    #[schemars(extend("format" = "date"))]
    until: String,
    /// Only findings with this message key.
    key: Option<String>,
    /// Only findings about this: a file with or without its line, a device, a unit.
    subject: Option<String>,
}

impl WaiverTable {
    fn settings(self) -> WaiverSettings {
        let Self { owner, reason, until, key, subject } = self;
        let waiver = Waiver { owner: Some(owner), reason, until: Some(until) };
        WaiverSettings { waiver, key, subject }
    }
}

/// A text with something in it.
fn said<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match text.trim() {
        "" => Err(D::Error::custom("a waiver says who and why")),
        said => Ok(said.to_owned()),
    }
}

/// A date of TOML, or the same in quotes.
fn day<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Day {
        Text(String),
        Toml(toml::value::Datetime),
    }
    let text = match Day::deserialize(from) {
        Ok(Day::Text(text)) => text,
        Ok(Day::Toml(date)) => date.to_string(),
        Err(_) => return Err(D::Error::custom("until takes a day, such as 2027-01-01")),
    };
    is_day(&text)
        .then_some(text)
        .ok_or_else(|| D::Error::custom("until takes a day, such as 2027-01-01"))
}

fn is_day(text: &str) -> bool {
    text.len() == 10 && text.parse::<Date>().is_ok()
}

/// A waiver as one text, whose end may say until when: `why, until 2027-01-01`.
fn in_words(text: &str) -> Result<Waiver, String> {
    let text = text.trim();
    let (reason, until) = match text.rsplit_once("until ") {
        Some((reason, day)) if looks_like_a_day(day) => {
            let day = day.trim().trim_end_matches('.');
            if !is_day(day) {
                return Err(format!("{day} is no day"));
            }
            (reason.trim_end().trim_end_matches(','), Some(day.to_owned()))
        }
        _ => (text, None),
    };
    if reason.is_empty() {
        return Err("a waiver says why".to_owned());
    }
    Ok(Waiver { owner: None, reason: reason.to_owned(), until })
}

fn looks_like_a_day(text: &str) -> bool {
    let text = text.trim().trim_end_matches('.');
    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::catalog::Config;

    fn read(lines: &str) -> Result<Vec<WaiverSettings>, String> {
        let text = format!("[checks.fstab-data-disk]\n{lines}\n");
        let config = Config::parse(Path::new("c"), &text).map_err(|error| error.to_string())?;
        Ok(config.checks["fstab-data-disk"].waive.clone().unwrap())
    }

    #[test]
    fn a_text_says_why_and_perhaps_until_when() {
        let of = |text: &str| read(&format!("waive = \"{text}\"")).map(|all| all[0].waiver.clone());
        let waiver = of("legacy disk, until 2027-01-01").unwrap();
        assert_eq!(waiver.reason, "legacy disk");
        assert_eq!(waiver.until.as_deref(), Some("2027-01-01"));
        assert!(waiver.is_over("2027-01-02") && !waiver.is_over("2027-01-01"), "the day counts");
        let waiver = of("kept until the move is done").unwrap();
        assert_eq!((waiver.until, waiver.reason.as_str()), (None, "kept until the move is done"));
        for wrong in ["", "until 2027-01-01", "legacy, until 2027-02-30", "legacy, until 20270101-"]
        {
            assert!(of(wrong).unwrap_err().contains("line 2, column 9"), "{wrong}");
        }
    }

    #[test]
    fn tables_name_an_owner_and_a_day() {
        let whole = "owner = \"ops\", reason = \"why\"";
        let one = read(&format!("waive = {{ {whole}, until = 2027-01-01 }}")).unwrap();
        assert_eq!(one[0].waiver.owner.as_deref(), Some("ops"));
        assert_eq!(one, read(&format!("waive = {{ {whole}, until = \"2027-01-01\" }}")).unwrap());
        let several = read(
            "[[checks.fstab-data-disk.waive]]\nowner = \"a\"\nreason = \"b\"\nuntil = 2027-01-01\n\
             subject = \"/etc/fstab:3\"\n[[checks.fstab-data-disk.waive]]\nowner = \"a\"\n\
             reason = \"b\"\nuntil = 2027-01-01\nkey = \"stops-boot\"",
        );
        assert_eq!(several.unwrap().len(), 2);
        for (wrong, says) in [
            (format!("waive = {{ {whole} }}"), "missing field `until`"),
            (
                format!("waive = {{ {whole}, until = 2027-01-01, owners = 1 }}"),
                "unknown field `owners`",
            ),
            (format!("waive = {{ {whole}, until = \"soon\" }}"), "until takes a day"),
            (format!("waive = {{ {whole}, until = 2027-01-01T00:00:00Z }}"), "until takes a day"),
            (
                format!("waive = {{ {whole}, until = 2027-01-01, key = \"none\" }}"),
                "files no `none`",
            ),
            (
                "waive = { owner = \" \", reason = \"b\", until = 2027-01-01 }".to_owned(),
                "who and why",
            ),
            ("waive = 3".to_owned(), "expected \"why, until 2027-01-01\""),
        ] {
            let error = read(&wrong).unwrap_err();
            assert!(error.contains(says) && error.contains("line 2, column"), "{wrong}: {error}");
        }
    }
}

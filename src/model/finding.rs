//! What a probe says: a verdict, and in it the findings.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Edit, GuestPath, Severity};

/// The answer of one check about one guest.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Judged, and good.
    Pass,
    /// Judged, and bad.
    Fail(Vec<Finding>),
    /// The question does not arise here; the key names the reason in the check's texts.
    NotApplicable(&'static str),
    /// Could not be judged. What was judged bad before that is kept.
    Unknown {
        /// What could not be told, and why.
        reason: String,
        /// What was found all the same.
        findings: Vec<Finding>,
    },
}

impl Verdict {
    /// The verdict that follows from what was found and what could not be told.
    pub fn from_parts(findings: Vec<Finding>, doubts: Vec<String>) -> Self {
        match (findings.is_empty(), doubts.is_empty()) {
            (true, true) => Verdict::Pass,
            (false, true) => Verdict::Fail(findings),
            (_, false) => Verdict::Unknown { reason: doubts.join("; "), findings },
        }
    }
}

/// What the absence of a device does to boot.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Boot goes on as if nothing were missing.
    Harmless,
    /// Boot waits for the device, then goes on without it.
    DelaysBoot,
    /// Boot ends in emergency mode or waits for ever.
    StopsBoot,
}

impl Impact {
    /// The word that reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Impact::Harmless => "harmless",
            Impact::DelaysBoot => "delays-boot",
            Impact::StopsBoot => "stops-boot",
        }
    }
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The thing that a finding is about.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(untagged)]
pub enum Subject {
    /// A file of the guest, and the line of it (from 1) where there is one.
    File {
        /// The file.
        path: GuestPath,
        /// The line, counted from 1.
        line: Option<usize>,
    },
    /// A block device by its kernel name, such as `/dev/vdb1`.
    Device {
        /// The device.
        device: String,
    },
    /// A systemd unit.
    Unit {
        /// The unit's full name.
        unit: String,
    },
    /// A setting that is not one line of one file.
    Setting {
        /// The setting's name.
        setting: String,
    },
}

impl Subject {
    /// A line of a file.
    pub fn line(path: &GuestPath, line: usize) -> Self {
        Subject::File { path: path.clone(), line: Some(line) }
    }

    /// A whole file.
    pub fn file(path: &GuestPath) -> Self {
        Subject::File { path: path.clone(), line: None }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::File { path, line: Some(line) } => write!(f, "{path}:{line}"),
            Subject::File { path, line: None } => write!(f, "{path}"),
            Subject::Device { device } => f.write_str(device),
            Subject::Unit { unit } => f.write_str(unit),
            Subject::Setting { setting } => f.write_str(setting),
        }
    }
}

/// One bad thing. A probe files a message key and values, never a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The message, by its key in the check's texts.
    pub key: &'static str,
    /// The named values that the message's braces take.
    pub values: BTreeMap<&'static str, String>,
    /// What it is about.
    pub subject: Subject,
    /// What was seen, where a reader would want to see it: the line, the mount.
    pub evidence: Option<String>,
    /// What the absence of the device does to boot, where that is the question.
    pub impact: Option<Impact>,
    /// Said by the probe where the same key weighs differently; else the check's texts say it.
    pub severity: Option<Severity>,
    /// What would mend it; empty where only a person can.
    pub fix: Vec<Edit>,
}

impl Finding {
    /// A finding with its message key and subject.
    pub fn new(key: &'static str, subject: Subject) -> Self {
        Self {
            key,
            values: BTreeMap::new(),
            subject,
            evidence: None,
            impact: None,
            severity: None,
            fix: Vec::new(),
        }
    }

    /// Give a value that the message names in braces.
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.insert(name, value.to_string());
        self
    }

    /// Show what was seen.
    pub fn evidence(mut self, evidence: impl fmt::Display) -> Self {
        self.evidence = Some(evidence.to_string());
        self
    }

    /// Say what absence does to boot.
    pub fn impact(mut self, impact: Impact) -> Self {
        self.impact = Some(impact);
        self
    }

    /// Weigh this finding differently from its check.
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = Some(severity);
        self
    }

    /// Offer a repair.
    pub fn fix(mut self, edits: impl IntoIterator<Item = Edit>) -> Self {
        self.fix.extend(edits);
        self
    }
}

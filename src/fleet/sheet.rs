//! What the merge reads of a report. Text is borrowed from the input, and what is not named here is skipped without
//! being built.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::{Decision, Severity, VerdictName};

/// Text of the input, copied only where it has an escape in it. (serde borrows a `Cow` in a field, and not one in an
/// `Option`; a type of its own is borrowed in both.)
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// One document: a report, or the row of a host that did not answer.
#[derive(Debug, Deserialize)]
pub(super) struct Sheet<'a> {
    #[serde(borrow, default)]
    pub schema: Text<'a>,
    #[serde(borrow, default)]
    pub tool: Option<Tool<'a>>,
    #[serde(borrow, default)]
    pub profile: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub guest: Guest<'a>,
    #[serde(borrow, default)]
    pub started: Text<'a>,
    #[serde(default)]
    pub verdict: Option<Decision>,
    #[serde(borrow, default)]
    pub checks: Option<Checks<'a>>,
    #[serde(default)]
    pub waived: Vec<IgnoredAny>,
    /// Why a host did not answer.
    #[serde(borrow, default)]
    pub reason: Option<Text<'a>>,
    // What a short report (`guestprep.compact/1`) has at its top: names, and checks by id alone.
    #[serde(borrow, default)]
    pub version: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub hostname: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub instance_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub blockers: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub warnings: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub advice: Vec<Text<'a>>,
    #[serde(borrow, default)]
    pub unknown: Vec<Text<'a>>,
}

impl Sheet<'_> {
    /// The checks that are not as they should be: id, title, and how that weighs, none where it could not be judged.
    pub(super) fn marked(&self) -> impl Iterator<Item = (&str, &str, Option<Severity>)> {
        let failing = self.checks.iter().flat_map(|checks| &checks.0).map(|check| {
            let severity = (check.verdict == VerdictName::Fail).then_some(check.severity);
            (&*check.id, &*check.title, severity)
        });
        let short = [
            (&self.blockers, Some(Severity::Blocker)),
            (&self.warnings, Some(Severity::Warning)),
            (&self.advice, Some(Severity::Advice)),
            (&self.unknown, None),
        ];
        failing.chain(
            short
                .into_iter()
                .flat_map(|(ids, severity)| ids.iter().map(move |id| (&**id, "", severity))),
        )
    }
}

/// What made it.
#[derive(Debug, Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow)]
    pub version: Text<'a>,
}

/// Which guest it is of.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Guest<'a> {
    #[serde(borrow, default)]
    pub mode: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub hostname: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub os: Os<'a>,
    #[serde(borrow, default)]
    pub kernel: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub instance_id: Option<Text<'a>>,
}

/// Its distribution.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Os<'a> {
    #[serde(borrow, default)]
    pub id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub version_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub family: Option<Text<'a>>,
}

/// A check, as far as the merge asks.
#[derive(Debug, Deserialize)]
pub(super) struct Check<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow)]
    pub title: Text<'a>,
    pub severity: Severity,
    pub verdict: VerdictName,
}

/// The checks that failed or could not be judged; the others are read and let go, one at a time.
#[derive(Debug, Default)]
pub(super) struct Checks<'a>(pub Vec<Check<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Checks<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Failing<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Failing<'a> {
            type Value = Checks<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of checks")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut failing = Vec::new();
                while let Some(check) = list.next_element::<Check<'a>>()? {
                    if matches!(check.verdict, VerdictName::Fail | VerdictName::Unknown) {
                        failing.push(check);
                    }
                }
                Ok(Checks(failing))
            }
        }
        deserializer.deserialize_seq(Failing(std::marker::PhantomData))
    }
}

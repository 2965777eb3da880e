//! A check as data.

use std::collections::BTreeMap;

use crate::model::{Category, Severity};

/// One check of the catalogue.
#[derive(Debug)]
pub struct CheckSpec {
    /// Its one name.
    pub id: &'static str,
    /// How bad it is unless a profile or a finding says otherwise.
    pub severity: Severity,
    /// Where it belongs.
    pub category: Category,
    /// The version that first had it.
    pub since: &'static str,
    /// Whether it is judged on a live guest.
    pub live: bool,
    /// Whether it is judged on a tree or a disk.
    pub offline: bool,
    /// The distribution families that it is about; empty means all.
    pub families: &'static [&'static str],
    /// Where its rule comes from.
    pub references: &'static [&'static str],
    /// Whether its findings are facts to be told and none is a fault: the check passes with them.
    pub informs: bool,
    /// How it is judged.
    pub rule: Rule,
    /// What `prepare` does about it.
    pub fix: Option<FixSpec>,
    /// Every message key that it may file.
    pub findings: &'static [FindingSpec],
    /// Its English texts.
    pub en: Texts,
    /// Its Chinese texts.
    pub zh: Texts,
}

impl CheckSpec {
    /// The texts in a language.
    pub fn texts(&self, language: Language) -> &Texts {
        match language {
            Language::En => &self.en,
            Language::Zh => &self.zh,
        }
    }

    /// The severity that a message key has of its own.
    pub fn finding_severity(&self, key: &str) -> Option<Severity> {
        self.findings.iter().find(|f| f.key == key).and_then(|f| f.severity)
    }

    /// The worst that the check can say when its own severity is `declared`: what an answer that
    /// could not be given might have been.
    pub fn worst(&self, declared: Severity) -> Severity {
        self.findings.iter().filter_map(|f| f.severity).fold(declared, Severity::max)
    }
}

/// How a check is judged.
#[derive(Debug, PartialEq, Eq)]
pub enum Rule {
    /// By the probe of that name.
    Native(&'static str),
    /// By the check's list of paths, which `guest` has.
    Paths,
}

/// What `prepare` does about a check.
#[derive(Debug)]
pub struct FixSpec {
    /// The plan's action words.
    pub actions: &'static [&'static str],
    /// Whether rollback undoes it.
    pub reversible: bool,
}

/// A message key, and its weight where it differs from the check's.
#[derive(Debug)]
pub struct FindingSpec {
    /// The key.
    pub key: &'static str,
    /// Its own severity.
    pub severity: Option<Severity>,
}

/// A check's words in one language.
#[derive(Debug)]
pub struct Texts {
    /// What it is called.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Message by key.
    pub findings: &'static [(&'static str, &'static str)],
    /// Reason by key.
    pub not_applicable: &'static [(&'static str, &'static str)],
}

impl Texts {
    /// A finding's message with its values filled in; a name that has no value stays in braces,
    /// so that a wrong text is seen.
    pub fn message(&self, key: &str, values: &BTreeMap<&'static str, String>) -> String {
        let template = lookup(self.findings, key);
        let mut out = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else { break };
            out.push_str(&rest[..open]);
            let name = &rest[open + 1..open + close];
            match values.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&rest[open..=open + close]),
            }
            rest = &rest[open + close + 1..];
        }
        out.push_str(rest);
        out
    }

    /// Why the question does not arise.
    pub fn reason(&self, key: &str) -> String {
        lookup(self.not_applicable, key).to_owned()
    }
}

fn lookup<'a>(pairs: &'a [(&'a str, &'a str)], key: &'a str) -> &'a str {
    pairs.iter().find(|(name, _)| *name == key).map_or(key, |(_, text)| *text)
}

/// The languages that every text exists in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Chinese.
    Zh,
}

impl Language {
    /// The language of a locale name such as `zh_CN.UTF-8`; English unless it is Chinese.
    pub fn of_locale(locale: &str) -> Self {
        if locale == "zh" || locale.starts_with("zh_") || locale.starts_with("zh-") {
            Language::Zh
        } else {
            Language::En
        }
    }
}

/// A profile: what an image is for, as severities.
#[derive(Debug)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is for, in English.
    pub en: &'static str,
    /// What it is for, in Chinese.
    pub zh: &'static str,
    /// Severities that differ from the checks' own; `None` leaves the check out.
    pub severity: &'static [(&'static str, Option<Severity>)],
    /// Whether `prepare` takes away for good what identity and residue checks find, without being
    /// told the category.
    pub erases: bool,
    /// Severities of single findings that differ from the checks' own: check, message key, severity.
    pub findings: &'static [(&'static str, &'static str, Severity)],
}

impl Profile {
    /// How bad a check is under this profile; `None` when it is not run.
    pub fn severity_of(&self, spec: &CheckSpec) -> Option<Severity> {
        self.severity
            .iter()
            .find(|(id, _)| *id == spec.id)
            .map_or(Some(spec.severity), |(_, severity)| *severity)
    }

    /// How bad a finding of a check is under this profile, where that is not what others of its
    /// check are.
    pub fn finding_severity(&self, spec: &CheckSpec, key: &str) -> Option<Severity> {
        let own = self.findings.iter().find(|(id, of, _)| *id == spec.id && *of == key);
        own.map(|(_, _, severity)| *severity).or_else(|| spec.finding_severity(key))
    }
}

/// A question that users ask, and what answers it.
#[derive(Debug)]
pub struct Question {
    /// The question as the FAQ puts it.
    pub asks: &'static str,
    /// What the FAQ says, in English.
    pub en: &'static str,
    /// The same in Chinese.
    pub zh: &'static str,
    /// The checks that look.
    pub checks: &'static [&'static str],
    /// The commands that answer or mend, without `guestprep`.
    pub commands: &'static [&'static str],
}

/// A program that makes a guest fit for an image, as ours does.
#[derive(Debug)]
pub struct Peer {
    /// The command or script.
    pub name: &'static str,
    /// Where its operations are read.
    pub source: &'static str,
    /// What it does, in its order.
    pub operations: &'static [Operation],
}

/// One thing that a peer does, and what of ours sees to it.
#[derive(Debug)]
pub struct Operation {
    /// As the peer calls it.
    pub name: &'static str,
    /// What it takes away, sets or looks at.
    pub does: &'static str,
    /// The checks that see to the same.
    pub checks: &'static [&'static str],
    /// Why it is left out, or where ours differ; may be empty where a check is named.
    pub note: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: Texts = Texts {
        title: "",
        why: "",
        remedy: "",
        findings: &[("k", "{source} on {target}, {missing} {")],
        not_applicable: &[],
    };

    #[test]
    fn values_are_filled_in_and_missing_ones_stay_visible() {
        let values =
            BTreeMap::from([("source", "{target}".to_owned()), ("target", "/d".to_owned())]);
        assert_eq!(TEXTS.message("k", &values), "{target} on /d, {missing} {");
    }

    #[test]
    fn a_locale_names_its_language() {
        assert_eq!(Language::of_locale("zh_CN.UTF-8"), Language::Zh);
        assert_eq!(Language::of_locale("de_DE"), Language::En);
        assert_eq!(Language::of_locale("zhuang"), Language::En);
    }
}

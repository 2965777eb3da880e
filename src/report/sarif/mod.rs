//! SARIF 2.1.0 (OASIS), the form that code scanning reads.
//!
//! It knows rules and results, not what they are about: whoever has findings says them as these.

mod audit;

use serde_json::{Value, json};

pub use audit::{level, sarif};

/// A rule that results are of.
#[derive(Clone, Debug)]
pub struct SarifRule {
    /// Its one name.
    pub id: String,
    /// What it is, in a few words.
    pub title: String,
    /// `error`, `warning` or `note`: what its results are unless they say otherwise.
    pub level: &'static str,
    /// Why it matters, in sentences; empty where the title says it all.
    pub why: String,
    /// What to do about it; empty where nothing is said.
    pub remedy: String,
    /// Where it comes from.
    pub references: Vec<String>,
    /// What a reader can group rules by.
    pub tags: Vec<String>,
}

/// What kind of answer a result is (3.27.9); all but `Fail` have no level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SarifKind {
    /// Something bad.
    Fail,
    /// Something worth knowing.
    Informational,
    /// It could not be told.
    Open,
}

/// Where a result is.
#[derive(Clone, Debug)]
pub enum SarifPlace {
    /// A file.
    File {
        /// Relative to the guest's root, as bytes.
        path: Vec<u8>,
        /// From 1.
        line: Option<u64>,
        /// From 1.
        column: Option<u64>,
    },
    /// Something of the guest that is no file.
    Named {
        /// What the guest calls it.
        name: String,
        /// What kind of thing it is.
        kind: &'static str,
    },
}

/// Something that was found.
#[derive(Clone, Debug)]
pub struct SarifResult {
    /// The rule's name.
    pub rule: String,
    /// What kind of answer it is.
    pub kind: SarifKind,
    /// `error`, `warning` or `note`.
    pub level: &'static str,
    /// What is said of it.
    pub message: String,
    /// Where it is.
    pub place: SarifPlace,
    /// What tells it from others, run after run.
    pub fingerprint: String,
    /// Why it is to stay, where somebody decided that.
    pub suppressed: Option<String>,
    /// What else is known, as an object; `null` for nothing.
    pub properties: Value,
}

/// Something that went other than it should while it was looked.
#[derive(Clone, Debug)]
pub struct SarifNotice {
    /// `error` where the answer cannot be relied on because of it, else `warning`.
    pub level: &'static str,
    /// The rule that it keeps from being answered, where it is one.
    pub rule: Option<String>,
    /// What happened.
    pub text: String,
}

/// One look at a guest.
#[derive(Clone, Debug, Default)]
pub struct SarifRun {
    /// Every rule that results name.
    pub rules: Vec<SarifRule>,
    /// What was found.
    pub results: Vec<SarifResult>,
    /// What could not be looked at.
    pub notices: Vec<SarifNotice>,
    /// What the results are of, so that one run is set against the earlier ones of its kind.
    pub category: String,
    /// When it began, RFC 3339, where that is known.
    pub started: Option<String>,
    /// What else is known of the run, as an object; `null` for nothing.
    pub properties: Value,
}

impl SarifRun {
    /// The run as one SARIF document, ending in a newline.
    pub fn document(&self) -> String {
        let index = |id: &str| self.rules.iter().position(|rule| rule.id == id);
        let notices: Vec<Value> = self.notices.iter().map(|notice| told(notice, index)).collect();
        let mut invocation = json!({
            "executionSuccessful": self.notices.iter().all(|notice| notice.level != "error"),
            "toolExecutionNotifications": notices,
        });
        if let Some(started) = &self.started {
            invocation["startTimeUtc"] = json!(started);
        }
        let mut run = json!({
            "tool": { "driver": {
                "name": "guestprep",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": self.rules.iter().map(described).collect::<Vec<_>>(),
            } },
            "automationDetails": { "id": self.category },
            "originalUriBaseIds": { "ROOT": { "description": { "text": "the root of the guest" } } },
            "invocations": [invocation],
            "results": self
                .results
                .iter()
                .map(|result| one(result, index(&result.rule)))
                .collect::<Vec<_>>(),
        });
        add(&mut run, "properties", &self.properties);
        let document = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [run],
        });
        let mut text = format!("{document:#}");
        text.push('\n');
        text
    }
}

/// Put a value under a key, unless there is none.
fn add(object: &mut Value, key: &str, value: &Value) {
    if !value.is_null() {
        object[key] = value.clone();
    }
}

fn described(rule: &SarifRule) -> Value {
    let sources = rule.references.join("; ");
    let parts = [rule.why.as_str(), &rule.remedy, &sources];
    let help: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let mut value = json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "help": {
            "text": help.join("\n\n"),
            // Its heading is the anchor that checks/README.md has for the rule.
            "markdown": format!("### {}\n\n{}", rule.id, help.join("\n\n")),
        },
        "defaultConfiguration": { "level": rule.level },
    });
    if !rule.why.is_empty() {
        value["fullDescription"] = json!({ "text": rule.why });
    }
    if !rule.tags.is_empty() {
        value["properties"] = json!({ "tags": rule.tags });
    }
    value
}

fn told(notice: &SarifNotice, index: impl Fn(&str) -> Option<usize>) -> Value {
    let mut value = json!({ "level": notice.level, "message": { "text": notice.text } });
    if let Some(rule) = &notice.rule {
        value["associatedRule"] = json!({ "id": rule });
        if let Some(index) = index(rule) {
            value["associatedRule"]["index"] = json!(index);
        }
    }
    value
}

fn one(result: &SarifResult, index: Option<usize>) -> Value {
    let (kind, level) = match result.kind {
        SarifKind::Fail => ("fail", result.level),
        SarifKind::Informational => ("informational", "none"),
        SarifKind::Open => ("open", "none"),
    };
    let mut value = json!({
        "ruleId": result.rule,
        "kind": kind,
        "level": level,
        "message": { "text": result.message },
        "locations": [location(&result.place)],
        "partialFingerprints": { "guestprep/1": result.fingerprint },
    });
    if let Some(index) = index {
        value["ruleIndex"] = json!(index);
    }
    if let Some(why) = &result.suppressed {
        value["suppressions"] =
            json!([{ "kind": "external", "status": "accepted", "justification": why }]);
    }
    add(&mut value, "properties", &result.properties);
    value
}

fn location(place: &SarifPlace) -> Value {
    match place {
        SarifPlace::File { path, line, column } => {
            let mut physical = json!({
                "artifactLocation": { "uri": uri(path), "uriBaseId": "ROOT" },
            });
            if let Some(line) = line {
                physical["region"] = json!({ "startLine": line });
                if let Some(column) = column {
                    physical["region"]["startColumn"] = json!(column);
                }
            }
            json!({ "physicalLocation": physical })
        }
        // Readers that show results beside files want one: the guest as a whole is its root.
        SarifPlace::Named { name, kind } => json!({
            "physicalLocation": { "artifactLocation": { "uri": ".", "uriBaseId": "ROOT" } },
            "logicalLocations": [{ "name": name, "kind": kind }],
        }),
    }
}

/// A path as a relative reference (RFC 3986, 4.2): every byte that is not unreserved is escaped.
fn uri(path: &[u8]) -> String {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    path.iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(*byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_bytes_is_a_reference() {
        assert_eq!(uri(b"/etc/a b\xff"), "etc/a%20b%FF");
        assert_eq!(uri("/中".as_bytes()), "%E4%B8%AD");
    }
}

//! SARIF 2.1.0 (OASIS), the form that code scanning reads.
//!
//! It knows rules and results, not what they are about: whoever has findings says them as these.

use serde_json::{Value, json};

/// A rule that results are of.
#[derive(Clone, Debug)]
pub struct SarifRule {
    /// Its one name.
    pub id: String,
    /// What it is, in a few words.
    pub title: String,
    /// Where it comes from.
    pub references: Vec<String>,
}

/// Something that was found.
#[derive(Clone, Debug)]
pub struct SarifResult {
    /// The rule's name.
    pub rule: String,
    /// `error`, `warning` or `note`.
    pub level: &'static str,
    /// What is said of it.
    pub message: String,
    /// The file, relative to the guest's root, as bytes.
    pub path: Vec<u8>,
    /// Line and column, from 1, where it has them.
    pub region: Option<(u64, u64)>,
    /// What tells it from others, run after run.
    pub fingerprint: String,
    /// Why it is to stay, where somebody decided that.
    pub suppressed: Option<String>,
}

/// A run as one SARIF document, ending in a newline. `unread` are what could not be looked at.
pub fn document(rules: &[SarifRule], results: &[SarifResult], unread: &[String]) -> String {
    let index = |id: &str| rules.iter().position(|rule| rule.id == id);
    let rules_of = |rule: &SarifRule| {
        json!({
            "id": rule.id,
            "shortDescription": { "text": rule.title },
            "help": { "text": rule.references.join("; ") },
        })
    };
    let notifications: Vec<Value> = unread
        .iter()
        .map(|text| json!({ "level": "error", "message": { "text": text } }))
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "guestprep",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": "https://crates.io/crates/guestprep",
                "rules": rules.iter().map(rules_of).collect::<Vec<_>>(),
            } },
            "originalUriBaseIds": { "ROOT": { "description": { "text": "the root of the guest" } } },
            "invocations": [{
                "executionSuccessful": unread.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": results
                .iter()
                .map(|result| one(result, index(&result.rule)))
                .collect::<Vec<_>>(),
        }],
    });
    let mut text = format!("{document:#}");
    text.push('\n');
    text
}

fn one(result: &SarifResult, index: Option<usize>) -> Value {
    let mut location = json!({
        "artifactLocation": { "uri": uri(&result.path), "uriBaseId": "ROOT" },
    });
    if let Some((line, column)) = result.region {
        location["region"] = json!({ "startLine": line, "startColumn": column });
    }
    let mut value = json!({
        "ruleId": result.rule,
        "level": result.level,
        "message": { "text": result.message },
        "locations": [{ "physicalLocation": location }],
        "partialFingerprints": { "guestprep/1": result.fingerprint },
    });
    if let Some(index) = index {
        value["ruleIndex"] = json!(index);
    }
    if let Some(why) = &result.suppressed {
        value["suppressions"] = json!([{ "kind": "external", "justification": why }]);
    }
    value
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

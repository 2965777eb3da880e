//! cloud-init's configuration: how its files are merged, and what a run of it wrote down.
//!
//! Pure. What is asked of the merged configuration is in guest/; the rules were read from
//! cloud-init 22.4 and are compared with it in a test.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::yaml_values::{Value, YamlError};

/// Read one file of configuration.
///
/// # Errors
/// What is no YAML or no mapping, which cloud-init passes over with a warning; a template, and a
/// file with merging rules of its own (`merge_how`), which are not followed here.
pub fn read(text: &[u8]) -> Result<Value, YamlError> {
    let fail = |line, reason: &str| Err(YamlError { line, reason: reason.to_owned() });
    if text.trim_ascii_start().to_ascii_lowercase().starts_with(b"## template:") {
        return fail(1, "it is a template");
    }
    match Value::parse(text)? {
        Value::Null => Ok(Value::Map(BTreeMap::new())),
        Value::Map(map) if map.contains_key("merge_how") || map.contains_key("merge_type") => {
            fail(1, "it has merging rules of its own")
        }
        map @ Value::Map(_) => Ok(map),
        _ => fail(1, "it is not a mapping"),
    }
}

/// Merge files, the most important first: what one says stays, and mappings are merged key by key.
pub fn merge(files: impl IntoIterator<Item = Value>) -> Value {
    let mut merged = BTreeMap::new();
    for file in files {
        if let Value::Map(file) = file {
            merge_maps(&mut merged, file);
        }
    }
    Value::Map(merged)
}

fn merge_maps(into: &mut BTreeMap<String, Value>, from: BTreeMap<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (None, value) => {
                into.insert(key, value);
            }
            (Some(Value::Map(into)), Value::Map(from)) => merge_maps(into, from),
            // Its mergers hand a mapping on to the merger of what is there, and those of lists and
            // strings replace by default, though the less important file has no right to.
            (Some(there @ (Value::List(_) | Value::Text(_))), from @ Value::Map(_)) => {
                *there = from
            }
            (Some(_), _) => {}
        }
    }
}

/// What a run of cloud-init came to, from result.json or status.json.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastRun {
    /// The data source that it found: `DataSourceAliYun`, with what it adds in brackets.
    pub datasource: Option<String>,
    /// What went wrong, in its own words.
    pub errors: Vec<String>,
}

#[derive(Deserialize)]
struct Results {
    v1: BTreeMap<String, serde_json::Value>,
}

/// Read result.json, or status.json, where each stage has its errors. `None` for what is neither.
pub fn last_run(text: &[u8]) -> Option<LastRun> {
    let results: Results = serde_json::from_slice(text).ok()?;
    let strings = |value: &serde_json::Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let mut run = LastRun::default();
    for (key, value) in &results.v1 {
        match key.as_str() {
            "datasource" => run.datasource = value.as_str().map(str::to_owned),
            "errors" => run.errors.extend(strings(value)),
            _ => run.errors.extend(value.get("errors").map(strings).unwrap_or_default()),
        }
    }
    Some(run)
}

/// The version in cloudinit/version.py: `__VERSION__ = "22.4.2"`, or what a function of an older
/// release returns.
pub fn version(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    text.split(['"', '\''])
        .skip(1)
        .step_by(2)
        .find(|quoted| {
            quoted.starts_with(|c: char| c.is_ascii_digit())
                && quoted.chars().all(|c| c.is_ascii_alphanumeric() || ".-+~".contains(c))
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_run_wrote() {
        let result = br#"{"v1": {"datasource": "DataSourceAliYun", "errors": ["a", "b"]}}"#;
        let run = last_run(result).unwrap();
        assert_eq!(run.datasource.as_deref(), Some("DataSourceAliYun"));
        assert_eq!(run.errors, ["a", "b"]);
        let status = br#"{"v1": {"datasource": null, "stage": null,
            "init": {"errors": [], "finished": 1.5}, "modules-final": {"errors": ["c"]}}}"#;
        let run = last_run(status).unwrap();
        assert_eq!((run.datasource, run.errors), (None, vec!["c".to_owned()]));
        for none in ["", "{}", "[1]", "{\"v1\": 3}"] {
            assert_eq!(last_run(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn versions() {
        for (text, want) in [
            ("__VERSION__ = \"23.1.1\"\n_PACKAGED_VERSION = \"@@X@@\"\n", Some("23.1.1")),
            (
                "\"\"\"Extract it\"\"\"\nfrom distutils import version as vr\ndef version():\n    return vr.StrictVersion('0.7.5')\n",
                Some("0.7.5"),
            ),
            ("return \"0.7.6a15\"", Some("0.7.6a15")),
            ("VERSION = 23", None),
        ] {
            assert_eq!(version(text.as_bytes()).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn what_is_not_followed_is_refused() {
        for text in ["## template: jinja\na: 1\n", "- a\n", "merge_how: dict(replace)\n", "a: ["] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(read(b"# only a comment\n"), Ok(Value::Map(BTreeMap::new())));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in any::<Vec<u8>>()) {
            let _ = read(&text);
            last_run(&text);
            version(&text);
        }
    }
}

//! YAML as the guest's Python programs read it: YAML 1.1, where `yes` and `off` are booleans.
//!
//! Pure, and read only: no file of YAML is edited through it. The syntax is saphyr's; what a plain
//! scalar means is decided here, as PyYAML's resolver does.

use std::collections::BTreeMap;

use saphyr::{Scalar, Yaml, YamlLoader};
use saphyr_parser::{Parser, ScalarStyle};

/// A value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`, `~` or nothing.
    #[default]
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Anything else that is no collection: text, dates, numbers with a point.
    Text(String),
    /// A sequence.
    List(Vec<Value>),
    /// A mapping; a key that is no text stands as it was written.
    Map(BTreeMap<String, Value>),
}

/// Text that is not YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, in the parser's words.
    pub reason: String,
}

impl Value {
    /// Read the one document of a text; `Null` when it holds none.
    ///
    /// # Errors
    /// What is no YAML, more than one document, and aliases that grow beyond all measure.
    pub fn parse(text: &[u8]) -> Result<Value, YamlError> {
        let text = std::str::from_utf8(text).map_err(|error| YamlError {
            line: text[..error.valid_up_to()].split(|b| *b == b'\n').count(),
            reason: "it is not UTF-8".to_owned(),
        })?;
        let mut loader: YamlLoader<'_, Yaml<'_>> = YamlLoader::default();
        loader.early_parse(false);
        // PyYAML takes the last of two values of one key.
        loader.allow_duplicate_keys(true);
        let fail = |error: &saphyr::ScanError| YamlError {
            line: error.marker().line().max(1),
            reason: error.info().to_owned(),
        };
        Parser::new_from_str(text).load(&mut loader, true).map_err(|error| fail(&error))?;
        if let Some(error) = loader.error() {
            return Err(fail(error));
        }
        let mut documents = loader.into_documents().into_iter();
        let first = documents.next();
        if documents.next().is_some() {
            return Err(YamlError { line: 1, reason: "it holds several documents".to_owned() });
        }
        Ok(first.map(|node| value(&node)).unwrap_or_default())
    }

    /// The value of a key of a mapping.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(map) => map.get(key),
            _ => None,
        }
    }

    /// The text of a scalar, as it would be written.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Text(text) => Some(text.clone()),
            Value::Int(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The items of a sequence; a value of another kind has none.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }
}

fn value(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Representation(text, ScalarStyle::Plain, None) => plain(text),
        Yaml::Representation(text, ..) => Value::Text(text.to_string()),
        Yaml::Value(Scalar::Null) | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
        Yaml::Value(Scalar::Boolean(truth)) => Value::Bool(*truth),
        Yaml::Value(Scalar::Integer(number)) => Value::Int(*number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Value::Text(number.to_string()),
        Yaml::Value(Scalar::String(text)) => Value::Text(text.to_string()),
        Yaml::Sequence(items) => Value::List(items.iter().map(value).collect()),
        Yaml::Mapping(map) => mapping(map.iter()),
        Yaml::Tagged(_, inner) => value(inner),
    }
}

/// A mapping, with what `<<` merges into it below its own keys (the merge key of YAML 1.1).
fn mapping<'a>(entries: impl Iterator<Item = (&'a Yaml<'a>, &'a Yaml<'a>)>) -> Value {
    let (mut own, mut merged) = (BTreeMap::new(), Vec::new());
    for (key, node) in entries {
        let name = match key {
            Yaml::Representation(text, ..) => text.to_string(),
            other => value(other).text().unwrap_or_else(|| format!("{other:?}")),
        };
        if name == "<<" {
            match value(node) {
                Value::List(all) => merged.extend(all),
                one => merged.push(one),
            }
        } else {
            own.insert(name, value(node));
        }
    }
    for below in merged {
        let Value::Map(below) = below else { continue };
        for (name, value) in below {
            own.entry(name).or_insert(value);
        }
    }
    Value::Map(own)
}

/// What a plain scalar means in YAML 1.1.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    integer(text).map_or_else(|| Value::Text(text.to_owned()), Value::Int)
}

/// Decimal, octal (`0644`) and hexadecimal numbers; `_` between digits counts for nothing.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (radix, digits) = match digits.strip_prefix("0x") {
        Some(hex) => (16, hex),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    let number = i64::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    Some(if text.starts_with('-') { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn scalars_mean_what_yaml_1_1_says() {
        for (written, want) in [
            ("off", Value::Bool(false)),
            ("Yes", Value::Bool(true)),
            ("'off'", text("off")),
            ("~", Value::Null),
            ("", Value::Null),
            ("0644", Value::Int(420)),
            ("0x1f", Value::Int(31)),
            ("-1_000", Value::Int(-1000)),
            ("08", text("08")),
            ("1.5", text("1.5")),
            ("yEs", text("yEs")),
            ("|\n yes\n", text("yes\n")),
        ] {
            assert_eq!(
                Value::parse(format!("k: {written}\n").as_bytes()).unwrap().get("k"),
                Some(&want),
                "{written}"
            );
        }
    }

    #[test]
    fn anchors_merge_keys_and_doubles() {
        let read =
            Value::parse(b"a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\nb2: *x\na2: 1\na2: 2\n")
                .unwrap();
        assert_eq!(read.get("b").unwrap().get("p"), Some(&Value::Int(1)));
        assert_eq!(read.get("b").unwrap().get("q"), Some(&Value::Int(3)));
        assert_eq!(read.get("b2"), read.get("a"));
        assert_eq!(read.get("a2"), Some(&Value::Int(2)));
    }

    #[test]
    fn errors_name_their_line() {
        for (written, line) in [("a: 1\nb: [\n", 3), ("a: 1\n\tb: 2\n", 2), ("a: \"\n", 1)] {
            let error = Value::parse(written.as_bytes()).unwrap_err();
            assert!(error.line.abs_diff(line) <= 1, "{written}: {error:?}");
        }
        assert_eq!(Value::parse(b"a: 1\nb: \xff\n").unwrap_err().line, 2);
        assert!(Value::parse(b"a: 1\n---\nb: 2\n").is_err());
        assert_eq!(Value::parse(b"# nothing\n"), Ok(Value::Null));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(any in any::<Vec<u8>>(), like in "[-a:{}\\[\\]&*!|>'\"#,? \n]{0,40}") {
            let _ = Value::parse(&any);
            let _ = Value::parse(like.as_bytes());
        }
    }
}

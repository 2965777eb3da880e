//! README in both languages: what a machine reads or prints in them is the same.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::fs;
use std::path::Path;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A line without the words that explain it.
fn without_comment(line: &str) -> &str {
    line.split_once("  #").map_or(line, |(line, _)| line).trim_end()
}

/// Every line of an example that is typed or written into a file; what is printed has a language.
fn typed(text: &str) -> Vec<&str> {
    let examples = text.lines().filter_map(|line| line.strip_prefix("    "));
    let is_typed = |line: &&str| {
        ["# ", "$ ", "[", "tests/", "cargo ", "packaging/", "tar ", "curl "]
            .iter()
            .any(|start| line.starts_with(start))
            || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
    };
    // A placeholder for what is left out, and a reason, are words.
    let is_word = |line: &&str| !line.is_ascii() || line.starts_with('[') && line.contains(' ');
    examples.map(without_comment).filter(is_typed).filter(|line| !is_word(line)).collect()
}

/// The numbers of every row of every table.
fn figures(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let is_figure = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    rows.map(|row| {
        let numbers = row.split(|c| !is_figure(c)).map(|n| n.trim_matches(['.', ',']));
        numbers.filter(|number| number.contains(|c: char| c.is_ascii_digit())).collect()
    })
    .collect()
}

#[test]
fn the_chinese_readme_has_the_sections_commands_and_figures_of_the_english_one() {
    let [english, chinese] = ["README.md", "README.zh.md"].map(read);
    let sections = |text: &str| text.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections(&english), sections(&chinese), "sections");
    let reasoned = |line: &&str| !line.contains("reason") && !line.starts_with("waive");
    let commands = |text| typed(text).into_iter().filter(reasoned).collect::<Vec<_>>();
    let [ours, theirs] = [commands(&english), commands(&chinese)];
    assert!(ours.len() > 40, "{ours:#?}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "README.md and README.zh.md");
    }
    assert_eq!(ours.len(), theirs.len());
    let [ours, theirs] = [figures(&english), figures(&chinese)];
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "rows of README.md and README.zh.md");
    }
    assert_eq!(ours.len(), theirs.len(), "rows");
}

//! The words of a command are those that a real shell makes of it.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::process::Command;

use guestprep::parse::shell;
use proptest::prelude::*;

/// A piece of a word that no expansion touches, quoted in one of the ways of POSIX (XCU 2.2).
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9./=:,-]{1,6}",
        "'[a-z \"\\\\$#&;<>|`()\n]{0,6}'",
        "\"([a-z '#&;<>|()\n]|\\\\[\"\\\\$`a-z]){0,6}\"",
        "\\\\[ '\"\\\\$#&;<>|()a-z]",
    ]
}

/// Words, some of them followed by a comment.
fn line() -> impl Strategy<Value = String> {
    let word = proptest::collection::vec(piece(), 1..4).prop_map(|pieces| pieces.concat());
    let words = proptest::collection::vec(word, 1..5);
    (words, prop_oneof![Just(" "), Just("  "), Just("\t"), Just(" \\\n ")], "( #[a-z'\"]{0,5})?")
        .prop_map(|(words, between, comment)| words.join(between) + &comment)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn words_are_the_shell_s(line in line()) {
        let script = format!("printf '%s\\0' {line}");
        let output = Command::new("sh").args(["-c", &script]).output().expect("sh runs");
        prop_assert!(output.status.success(), "sh refuses {script:?}");
        let mut wanted: Vec<&[u8]> = output.stdout.split(|b| *b == 0).collect();
        wanted.pop();
        let found = shell::commands(script.as_bytes());
        prop_assert_eq!(found.len(), 1, "{:?}", script);
        let words: Vec<&[u8]> = found[0].words[2..].iter().map(Vec::as_slice).collect();
        prop_assert_eq!(words, wanted, "{:?}", script);
    }
}

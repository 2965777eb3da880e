//! The report for a person: it fits 80 columns in both languages, and what it tells to do can be pasted.

use std::process::Command;

use guestprep::model::{Report, Subject};
use guestprep::report::{Shown, Style, Words};
use unicode_width::UnicodeWidthStr;

use crate::guest::{HOSTILE, audit, config, guest, report};

#[test]
fn it_fits_eighty_columns_in_both_languages() {
    let fixture = guest(HOSTILE);
    for lang in ["en", "zh"] {
        let (text, code) = audit(&fixture, "text", &["--lang", lang]);
        assert_eq!(code, 1);
        for line in text.lines() {
            // What is to be copied is never cut: a path, a UUID, a command.
            let is_one_word = line.split_whitespace().count() <= 1 || line.contains("guestprep");
            assert!(line.width() <= 80 || is_one_word, "{lang}: {} columns: {line}", line.width());
            assert_eq!(line.trim_end(), line, "{lang}");
        }
    }
}

#[test]
fn blockers_come_first_and_each_has_its_command() {
    let fixture = guest(HOSTILE);
    let (text, _) = audit(&fixture, "text", &[]);
    let at = |word: &str| text.find(&format!("\n{word}  ")).unwrap_or(usize::MAX);
    assert!(at("blocker") < at("warning").min(at("advice")), "{text}");
    let root = fixture.root.display();
    let command = format!("guestprep prepare --root {root} --check fstab-data-disk");
    let line = text.lines().find(|line| line.contains(&command)).expect("the command");
    // It is one: with a plan in the place of the change.
    let words = line.trim().trim_start_matches("$ guestprep prepare ").split(' ');
    let done =
        Command::new(env!("CARGO_BIN_EXE_guestprep")).arg("plan").args(words).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn verbose_has_what_passed_and_what_was_seen() {
    let fixture = guest(HOSTILE);
    let (short, _) = audit(&fixture, "text", &[]);
    let (long, _) = audit(&fixture, "text", &["--verbose"]);
    let evidence = "/dev/vdc1 /nofail ext4 nofail 0 0";
    assert!(!short.contains(evidence) && long.contains(evidence), "{long}");
    assert!(!short.contains("\npassed   ") && long.contains("\npassed   "), "{long}");
}

#[test]
fn a_waived_finding_is_in_it_with_who_and_until_when() {
    let fixture = guest(HOSTILE);
    let waive = "[checks.fstab-data-disk]\nwaive = { owner = \"ops\", reason = \"why\", until = 2999-01-01 }\n";
    let path = config(&fixture, waive);
    let (text, _) = audit(&fixture, "text", &["--config", &path]);
    assert!(text.contains("waived  fstab-data-disk"), "{text}");
    assert!(text.contains("why (ops, until 2999-01-01)"), "{text}");
    let (text, _) = audit(&fixture, "text", &["--config", &path, "--lang", "zh"]);
    assert!(text.contains("why (ops，有效期至 2999-01-01)"), "{text}");
}

#[test]
fn no_guest_moves_the_cursor_or_turns_the_text() {
    let mut report: Report = serde_json::from_value(report(&guest(HOSTILE), &[])).unwrap();
    let hostile = "a\x1b[2Jb\u{9b}31mc\u{202e}d\rz";
    report.guest.hostname = Some(hostile.to_owned());
    report.guest.os.pretty_name = Some(hostile.to_owned());
    for check in &mut report.checks {
        check.reason = check.reason.as_ref().map(|_| hostile.to_owned());
        check.title = hostile.to_owned();
        for finding in &mut check.findings {
            finding.message = hostile.to_owned();
            finding.evidence = Some(hostile.to_owned());
            finding.subject = Subject::Setting { setting: hostile.to_owned() };
            finding.remedy.summary = hostile.to_owned();
        }
    }
    let shown = Shown { words: &Words::EN, style: Style::plain(), verbose: true, target: "" };
    let text = guestprep::report::text(&report, &shown);
    let bad = text.chars().find(|c| *c != '\n' && (c.is_control() || *c == '\u{202e}'));
    assert_eq!(bad, None, "{text}");
    assert!(text.contains("a\\u{1b}[2Jb\\u{9b}31mc\\u{202e}d\\u{d}z"), "{text}");
}

//! Unit names and time spans against systemd-escape(1) and systemd-analyze(1).

use super::{check, run};
use guestprep::parse::timespan::{self, TimeSpan};
use guestprep::parse::unit_name;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

#[test]
fn unit_names_are_those_of_systemd_escape() {
    let part = prop_oneof![
        4 => "[a-zA-Z0-9:_.@ \\\\%#\"'-]{0,6}".prop_map(String::into_bytes),
        1 => prop::collection::vec(1u8..=255, 0..6),
        1 => Just(b".".to_vec()),
        1 => Just(b"..".to_vec()),
    ];
    let long = (240usize..260, prop::option::of(1usize..20)).prop_map(|(first, second)| {
        let mut path = [b"/".as_slice(), &vec![b'a'; first]].concat();
        if let Some(second) = second {
            path.insert(second, b'/');
        }
        path
    });
    let path = (any::<bool>(), prop::collection::vec(part, 0..5)).prop_map(|(absolute, parts)| {
        [if absolute { b"/".as_slice() } else { b"" }, &parts.join(&b"/"[..])].concat()
    });
    check(prop_oneof![12 => path, 1 => long], |path| {
        // systemd-escape separates its answers with newlines, which no path that it prints has.
        let output = run(Command::new("systemd-escape")
            .args(["--path", "--"])
            .arg(OsStr::from_bytes(&path)));
        let theirs = output.status.success().then(|| String::from_utf8(output.stdout).unwrap());
        let ours = unit_name::escape_path(&path);
        prop_assert_eq!(
            &ours,
            &theirs.map(|name| name.trim_end_matches('\n').to_owned()),
            "{}",
            path.escape_ascii()
        );
        let output = run(Command::new("systemd-escape")
            .args(["--path", "--suffix=mount", "--"])
            .arg(OsStr::from_bytes(&path)));
        if let Some(name) = unit_name::for_path(&path, "mount") {
            prop_assert_eq!(format!("{name}\n").into_bytes(), output.stdout);
        }
        Ok(())
    });
}

#[test]
fn unit_names_are_unescaped_as_systemd_escape_does() {
    check("[a-c.\\\\x0-9-]{0,8}|([a-c-]|\\\\x[2-7][0-9a-fA-F]){1,6}", |name| {
        let output =
            run(Command::new("systemd-escape").args(["--unescape", "--path", "--", &name]));
        let theirs =
            output.status.success().then(|| output.stdout.strip_suffix(b"\n").unwrap().to_vec());
        let ours = unit_name::unescape_path(name.as_bytes());
        // systemd's string ends at an escaped NUL; for us no path has that name.
        prop_assume!(!name.contains("\\x00"));
        prop_assert_eq!(ours, theirs, "{}", name);
        Ok(())
    });
}

#[test]
fn time_spans_are_those_of_systemd_analyze() {
    let unit = prop::sample::select(vec![
        "", "s", "sec", "second", "seconds", "m", "min", "minute", "minutes", "M", "month",
        "months", "ms", "msec", "h", "hr", "hour", "hours", "d", "day", "days", "w", "week",
        "weeks", "y", "year", "years", "us", "usec", "\u{b5}s", "\u{3bc}s", "x", "S", "mon",
        "mins", "ns", "infinity",
    ]);
    let number = "[+-]?[0-9]{0,4}(\\.[0-9]{0,8})?|[0-9]{1,20}|584542|18446744073709551614";
    let piece = (number, "[ \t]?", unit, "[ \n]?")
        .prop_map(|(number, a, unit, b)| format!("{number}{a}{unit}{b}"));
    check(prop::collection::vec(piece, 0..4), |pieces| {
        let text = pieces.concat();
        let output = run(Command::new("systemd-analyze").args(["timespan", "--", &text]));
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let theirs: Option<u64> = stdout
            .lines()
            .find_map(|line| {
                line.trim_start()
                    .strip_prefix("\u{3bc}s:")
                    .or_else(|| line.trim_start().strip_prefix("us:"))
            })
            .map(|value| value.trim().parse().unwrap());
        prop_assert_eq!(theirs.is_some(), output.status.success(), "{}", stdout);
        let ours = timespan::parse(text.as_bytes()).map(|span| match span {
            TimeSpan::Finite(span) => u64::try_from(span.as_micros()).unwrap(),
            TimeSpan::Infinity => u64::MAX,
        });
        prop_assert_eq!(ours, theirs, "{:?}", text);
        Ok(())
    });
}

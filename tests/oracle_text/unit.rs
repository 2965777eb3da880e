//! Unit files against systemd-analyze(1).

use super::{check, run};
use guestprep::parse::unit::UnitFile;
use proptest::prelude::*;
use std::fs;
use std::process::Command;

#[test]
fn units_are_read_as_systemd_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.service");
    // A value that is no time span is quoted in the warning, so that the warning shows what was read, and where.
    let piece = prop::sample::select(vec![
        "JobTimeoutSec=",
        "JobTimeoutSec = ",
        "zz",
        "\\",
        "\\\n",
        "\\\n",
        "\n",
        "\n",
        " ",
        "# c\n",
        "; c\n",
        "=",
        "\\\\",
        "[Unit]\n",
        "  ",
        "\r\n",
        "\"q\"",
        "\\\n# c\n",
    ]);
    check(prop::collection::vec(piece, 1..10), |pieces| {
        let text = format!(
            "[Unit]\nJobTimeoutSec=zz{}\n\n[Service]\nExecStart=/bin/true\n",
            pieces.concat()
        );
        fs::write(&path, &text).unwrap();
        let output = run(Command::new("systemd-analyze").arg("verify").arg(&path));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let theirs: Vec<&str> = stderr
            .lines()
            .filter_map(|line| {
                line.split_once("Failed to parse JobTimeoutSec= parameter, ignoring: ")
            })
            .map(|(_, value)| value)
            .collect();
        let unit = UnitFile::parse(text.as_bytes());
        let ours: Vec<String> = unit
            .settings()
            .assignments()
            .iter()
            .filter(|a| a.section == b"Unit" && a.key == b"JobTimeoutSec")
            .map(|a| String::from_utf8(a.value.clone()).unwrap())
            .collect();
        prop_assert_eq!(ours, theirs, "{:?}\n{}", text, stderr);
        prop_assert_eq!(unit.is_refused(), stderr.contains("Invalid section header"), "{:?}", text);
        Ok(())
    });
}

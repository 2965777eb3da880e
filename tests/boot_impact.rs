//! What we say that a missing disk does to boot, against what it did to booted guests.
//!
//! Each row of `tests/vm/impact.tsv` was a boot of Debian 12 without the device that its lines
//! name. Here the same lines are laid over the recorded Debian 12, which has no such device either.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::fixture::Fixture;
use guestprep::guest::{Absence, Mode};
use guestprep::model::{Impact, Policy};

/// Rows that files do not tell, and why.
const NOT_TOLD: [(&str, &str); 3] = [
    ("automount-used-by-service", "which paths a program reaches for is not in its unit"),
    ("tmpfs-bad-option", "nothing is missing; only the driver knows its options"),
    ("type-unknown", "nothing is missing; fstab-malformed judges types"),
];

const NOWHERE: &str = "UUID=11111111-2222-3333-4444-555555555555";

#[test]
fn the_impact_is_what_was_measured() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm/impact.tsv");
    let table = fs::read_to_string(table).expect("the table");
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [name, lines, _expected, observed, ..] = columns[..] else {
            panic!("a row of at least four columns: {row}");
        };
        if NOT_TOLD.iter().any(|(told, _)| *told == name) {
            continue;
        }
        rows += 1;
        let measured = match observed {
            "harmless" => Impact::Harmless,
            "delays-boot" => Impact::DelaysBoot,
            // A root that stays read-only, and a multi-user.target that fails, are no boot either.
            "stops-boot" | "root-read-only" | "multi-user-failed" => Impact::StopsBoot,
            other => panic!("{name}: what is {other:?}?"),
        };
        let ours = impact_of(name, lines);
        if ours != measured {
            wrong.push(format!("{name}: we say {ours}, it was {observed}: {lines}"));
        }
    }
    assert!(rows > 70, "only {rows} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The worst that anything does that this guest lacks.
fn impact_of(name: &str, lines: &str) -> Impact {
    let fixture = Fixture::distro_in_memory("debian-12");
    let root = &fixture.root;
    let etc = |file: &str| root.join("etc").join(file);
    for line in lines.split("\\n").filter(|line| !line.is_empty()) {
        let (kind, text) = line.split_once(": ").expect("a kind of line");
        match kind {
            "fstab" => append(&etc("fstab"), text),
            "crypttab" => append(&etc("crypttab"), text),
            "kernel" => {
                let file = fixture.kernel.as_ref().expect("a kernel").join("proc/cmdline");
                let cmdline = fs::read_to_string(&file).expect("a command line");
                fs::write(&file, format!("{} {text}\n", cmdline.trim_end())).expect("another");
            }
            "run" if name.starts_with("root-wrong-uuid") => {
                let passno = if name.ends_with("passno-0") { 0 } else { 1 };
                let line = format!("{NOWHERE} / ext4 errors=remount-ro 0 {passno}\n");
                fs::write(etc("fstab"), line).expect("another root");
            }
            "run" if name == "ssh-requires-mounts-for" => {
                let folder = etc("systemd/system/ssh.service.d");
                fs::create_dir_all(&folder).expect("a folder of drop-ins");
                fs::write(folder.join("data.conf"), "[Unit]\nRequiresMountsFor=/data\n")
                    .expect("a drop-in");
            }
            // Directories that are there change nothing.
            "run" if text.starts_with("mkdir -p /data/sub") => {}
            "run" => panic!("{name}: this test cannot run {text}"),
            unit => write_unit(&etc("systemd/system"), unit, text),
        }
    }
    let guest = fixture.guest(Mode::Live, Policy::default());
    let boot = guest.boot().expect("what boot does");
    let lacking = boot.items.iter().filter(|item| {
        matches!(item.absence, Absence::Own | Absence::Through(_)) && item.is_tried()
    });
    lacking.map(guestprep::guest::BootItem::impact).max().unwrap_or(Impact::Harmless)
}

fn append(file: &Path, line: &str) {
    let mut text = fs::read_to_string(file).unwrap_or_default();
    text.push_str(line);
    text.push('\n');
    fs::write(file, text).expect("another line");
}

/// `Name=value` words, a word with blanks in it in single quotes.
fn write_unit(directory: &Path, name: &str, text: &str) {
    let mut sections: BTreeMap<&str, String> = BTreeMap::new();
    let own = match name.rsplit_once('.').expect("a suffix").1 {
        "mount" => "Mount",
        "automount" => "Automount",
        "swap" => "Swap",
        _ => "Service",
    };
    let quoted = text.split('\'').enumerate();
    let words = quoted.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().collect::<Vec<_>>(),
        _ => vec![part],
    });
    for word in words {
        let (key, value) = word.split_once('=').expect("a setting");
        match key {
            "WantedBy" | "RequiredBy" => {
                let kind = if key == "WantedBy" { "wants" } else { "requires" };
                let folder = directory.join(format!("{value}.{kind}"));
                fs::create_dir_all(&folder).expect("a folder of links");
                symlink(format!("/etc/systemd/system/{name}"), folder.join(name)).expect("a link");
            }
            "RequiresMountsFor" | "DefaultDependencies" => {
                *sections.entry("Unit").or_default() += &format!("{word}\n");
            }
            _ => *sections.entry(own).or_default() += &format!("{word}\n"),
        }
    }
    let text: String = sections.iter().map(|(name, lines)| format!("[{name}]\n{lines}")).collect();
    fs::write(directory.join(name), text).expect("a unit");
}

//! fstab against findmnt(8) and getmntent(3).

use super::{Row, check, findmnt, row, run};
use guestprep::parse::fstab::{Entry, Fstab, Number};
use guestprep::parse::lines::LineEnding;
use proptest::prelude::*;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines that are fstab entries more often than not, with what makes the readers part.
fn fstab_file() -> impl Strategy<Value = Vec<u8>> {
    let source = prop::sample::select(vec![
        "/dev/vdb1",
        "UUID=3e6b-e9",
        "LABEL=a\\040b",
        "LABEL=\"x\"",
        "PARTUUID=1-01",
        "ID=x",
        "tmpfs",
        "none",
        "nas:/export",
        "//nas/s",
        "/dev/a#1",
        "/a\\134b",
        "/a\\\\b",
        "/a\\043",
        "/a\\101\\7",
        "/\u{e4}",
        "#x",
    ]);
    let target = prop::sample::select(vec![
        "/",
        "/data",
        "none",
        "swap",
        "/a\\040b",
        "/a\\011\\012",
        "/t/",
        "/#t",
        "#t",
        "/a\\0",
        "/b\\\\",
        "/\u{20ac}",
    ]);
    let fstype = prop::sample::select(vec![
        "ext4",
        "xfs",
        "swap",
        "auto",
        "vfat,ext4",
        "nfs4",
        "#f",
        "fuse.s",
    ]);
    let options = prop::sample::select(vec![
        "defaults",
        "rw",
        "nofail,noauto",
        "context=\"a,b\"",
        "x=\"",
        ",,ro",
        "=a",
        "sw",
        "a\\054b",
        "#o",
        "pri=5",
        "x-systemd.device-timeout=5",
    ]);
    let number = prop::sample::select(vec![
        "0",
        "1",
        "2",
        "010",
        "+3",
        "-1",
        "0x1",
        "1x",
        "x",
        "#",
        "1#c",
        "99999999999",
        "99999999999999999999",
        "\x0b2",
        "1\x0b2",
        "1+2",
        "-",
        "2\r",
    ]);
    let blank = prop::sample::select(vec![" ", "\t", "  \t "]);
    let end = prop::sample::select(vec![
        "\n",
        "\n",
        "\n",
        "\r\n",
        "\r\r\n",
        " \n",
        " # c\n",
        " 7 8\n",
        "\n\n# c\n",
    ]);
    let line = (
        (prop::option::weighted(0.2, blank.clone()), source),
        (blank.clone(), prop::option::weighted(0.95, target)),
        (blank.clone(), prop::option::weighted(0.95, fstype)),
        (blank.clone(), prop::option::weighted(0.8, options)),
        (blank.clone(), prop::option::weighted(0.7, number.clone())),
        (blank, prop::option::weighted(0.7, number)),
        end,
    )
        .prop_map(|(source, target, fstype, options, freq, passno, end)| {
            let mut line = format!("{}{}", source.0.unwrap_or(""), source.1);
            for (blank, field) in [target, fstype, options, freq, passno] {
                let Some(field) = field else { break };
                line.push_str(blank);
                line.push_str(field);
            }
            line + end
        });
    let noise = prop::collection::vec(
        prop::sample::select(b" \t\r#\\0147/a=\",\x0b\xff\0".to_vec()),
        0..40,
    )
    .prop_map(|mut noise| {
        noise.push(b'\n');
        noise
    });
    let any_line = prop_oneof![5 => line.prop_map(String::into_bytes), 1 => noise];
    (prop::collection::vec(any_line, 1..8), any::<bool>()).prop_map(|(lines, cut_end)| {
        let mut file = lines.concat();
        if cut_end {
            file.pop();
        }
        file
    })
}

pub(crate) const FSTAB_COLUMNS: &str = "SOURCE,TARGET,FSTYPE,OPTIONS,FREQ,PASSNO";

fn fstab_row(entry: &Entry) -> Row {
    let number = |number: &Option<Number>| number.as_ref().map_or(0, |n| n.value).to_string();
    row([
        entry.source.value.as_slice(),
        &entry.target.value,
        &entry.fstype.value,
        entry.options.as_ref().map_or(b"".as_slice(), |field| field.value.as_slice()),
        number(&entry.freq).as_bytes(),
        number(&entry.passno).as_bytes(),
    ])
}

#[test]
fn fstab_entries_are_those_of_findmnt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fstab");
    check(fstab_file(), |text| {
        // findmnt says nothing of an empty file, and guesses another format from two leading numbers.
        fs::write(&path, [b"guard /guard ext4 rw 0 0\n", text.as_slice()].concat()).unwrap();
        let text = fs::read(&path).unwrap();
        let fstab = Fstab::parse(&text);
        // libmount cuts the last line at a NUL when no newline follows; we do not claim to.
        prop_assume!(
            !fstab
                .lines()
                .last()
                .is_some_and(|line| line.ending == LineEnding::None && line.raw.contains(&0))
        );
        let ours: Vec<Row> =
            fstab.entries().filter(|entry| !entry.refused_by_libmount()).map(fstab_row).collect();
        let theirs = findmnt(FSTAB_COLUMNS, &[OsStr::new("--tab-file"), path.as_os_str()]);
        prop_assert_eq!(ours, theirs, "{}", text.escape_ascii());
        Ok(())
    });
}

/// A program that prints what getmntent(3) returns: per entry six strings, each ended by a NUL.
fn getmntent_program(dir: &Path) -> PathBuf {
    let source = dir.join("getmntent.c");
    let program = dir.join("getmntent");
    fs::write(
        &source,
        r#"#include <mntent.h>
#include <stdio.h>
int main(int argc, char **argv) {
    FILE *file = setmntent(argv[argc - 1], "r");
    for (struct mntent *m; file && (m = getmntent(file));)
        printf("%s%c%s%c%s%c%s%c%d%c%d%c", m->mnt_fsname, 0, m->mnt_dir, 0, m->mnt_type, 0, m->mnt_opts, 0,
               m->mnt_freq, 0, m->mnt_passno, 0);
    return 0;
}
"#,
    )
    .unwrap();
    let output = run(Command::new("cc").arg("-o").arg(&program).arg(&source));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn fstab_lines_are_those_of_getmntent() {
    let dir = tempfile::tempdir().unwrap();
    let program = getmntent_program(dir.path());
    let path = dir.path().join("fstab");
    let long = prop::collection::vec(prop_oneof![Just(b'a'), Just(b' '), Just(b'1')], 4080..4110)
        .prop_map(|mut line| {
            line.push(b'\n');
            line
        });
    check(prop_oneof![12 => fstab_file(), 1 => long], |text| {
        fs::write(&path, &text).unwrap();
        let output = run(Command::new(&program).arg(&path));
        let theirs: Vec<Vec<u8>> = output.stdout.split(|&b| b == 0).map(<[u8]>::to_vec).collect();
        let theirs = &theirs[..theirs.len() - 1];
        let ours: Vec<Vec<u8>> = Fstab::parse(&text)
            .getmntent()
            .into_iter()
            .flat_map(|(_, m)| {
                let number = |n: i32| n.to_string().into_bytes();
                [m.fsname, m.dir, m.fstype, m.opts, number(m.freq), number(m.passno)]
            })
            .collect();
        prop_assert_eq!(ours.as_slice(), theirs, "{}", text.escape_ascii());
        Ok(())
    });
}

//! fstab, its options and sources against systemd-fstab-generator(8) and mount(8).

use super::fstab::FSTAB_COLUMNS;
use super::{check, findmnt, run};
use guestprep::parse::fstab::{Fstab, Problem};
use guestprep::parse::options::Options;
use guestprep::parse::source::{Source, simplify};
use guestprep::parse::unit::UnitFile;
use guestprep::parse::{octal, unit_name};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What systemd-fstab-generator writes for an fstab: per unit file its text, and whether boot requires it (`Some(true)`),
/// wants it (`Some(false)`) or does neither.
fn generate(dir: &Path, fstab: &[u8]) -> BTreeMap<String, (String, Option<bool>)> {
    let path = dir.join("fstab");
    fs::write(&path, fstab).unwrap();
    let out = dir.join("out");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir(&out).unwrap();
    run(Command::new("/usr/lib/systemd/system-generators/systemd-fstab-generator")
        .env("SYSTEMD_FSTAB", &path)
        .env("SYSTEMD_IN_INITRD", "0")
        .env("SYSTEMD_LOG_TARGET", "null")
        .args([&out, &out, &out]));
    let mut units = BTreeMap::new();
    for entry in fs::read_dir(&out).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".mount") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
        let linked = |kind: &str| {
            out.join(format!("local-fs.target.{kind}")).join(&name).symlink_metadata().is_ok()
        };
        let pull = match (linked("requires"), linked("wants")) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        units.insert(name, (text, pull));
    }
    units
}

#[test]
fn options_are_those_of_the_fstab_generator() {
    let dir = tempfile::tempdir().unwrap();
    let option = prop::sample::select(vec![
        "nofail",
        "fail",
        "noauto",
        "auto",
        "nofail=1",
        "rw",
        "context=\"a",
        "nofail\"",
        "\"nofail",
        "x\\",
        "\\\\",
        "",
        "xnofail",
        "nofailx",
        "a=nofail",
        "fail=",
        "noauto=x",
    ]);
    check(prop::collection::vec(option, 1..6), |options| {
        let text = options.join(",");
        prop_assume!(!text.is_empty());
        let line = format!("/dev/vdb1 /data ext4 {text}\n");
        let units = generate(dir.path(), line.as_bytes());
        let (_, pull) = units.get("data.mount").expect("a mount unit");
        let mntent = Fstab::parse(line.as_bytes()).lines()[0].getmntent().unwrap();
        let ours = Options::systemd(&mntent.opts);
        let nofail = ours.switch("nofail", "fail") == Some(true);
        let noauto = ours.switch("noauto", "auto") == Some(true);
        prop_assert_eq!(*pull, if noauto { None } else { Some(!nofail) }, "{}", text);
        Ok(())
    });
}

#[test]
fn noauto_for_mount_is_found_as_libmount_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fstab");
    let option = prop::sample::select(vec![
        "noauto",
        "noauto",
        "auto",
        "rw",
        "context=\"a",
        "b\"",
        "noauto\"",
        "\"noauto",
        "x\\134",
        "y=\\134\"",
        "",
        "xnoauto",
        "a=noauto",
    ]);
    check(prop::collection::vec(option, 1..6), |options| {
        let text = options.join(",");
        prop_assume!(!text.is_empty());
        let line = format!("/dev/null /no-such-target ext4 {text}\n");
        fs::write(&path, &line).unwrap();
        let output =
            run(Command::new("mount").args(["--all", "--fake", "--verbose", "--fstab"]).arg(&path));
        let skipped = String::from_utf8_lossy(&output.stdout).contains("ignored");
        let fstab = Fstab::parse(line.as_bytes());
        let options = &fstab.entries().next().unwrap().options.as_ref().unwrap().value;
        let ours = Options::libmount(options).iter().any(|option| option == (b"noauto", None));
        prop_assert_eq!(ours, skipped, "{}: {}", text, String::from_utf8_lossy(&output.stdout));
        Ok(())
    });
}

/// The value of a key in a unit that a generator wrote, its specifiers undone.
fn unit_value(text: &str, section: &str, key: &str) -> Option<Vec<u8>> {
    let unit = UnitFile::parse(text.as_bytes());
    let value = unit.get_last(section, key)?;
    Some(String::from_utf8_lossy(value).replace("%%", "%").into_bytes())
}

#[test]
fn sources_and_names_are_those_of_the_fstab_generator() {
    let dir = tempfile::tempdir().unwrap();
    let tag = prop::sample::select(vec![
        "UUID=",
        "LABEL=",
        "PARTUUID=",
        "PARTLABEL=",
        "/dev/",
        "//dev/./",
        "uuid=",
    ]);
    let value = "[a-zA-Z0-9#+.:=@_%$\"'!~(\\\\\u{e4}\u{20ac}-]{1,12}";
    check((tag, value, "[a-zA-Z0-9#+.:=@_$\"'!~(\u{e4}-]{1,12}"), |(tag, value, target)| {
        let source = format!("{tag}{value}");
        // The generator writes the backslash that ends a path as it is, and so continues the line of the unit.
        prop_assume!(!source.ends_with('\\') && value != "." && value != "..");
        // The generator resolves targets on the machine that it runs on, `..` and links included.
        prop_assume!(target != ".." && target != ".");
        let source = String::from_utf8(octal::encode(source.as_bytes())).unwrap();
        let line = format!("{source} /{target} ext4\n");
        let units = generate(dir.path(), line.as_bytes());
        let mntent = Fstab::parse(line.as_bytes()).lines()[0].getmntent().unwrap();
        let Some(name) = unit_name::for_path(&mntent.dir, "mount") else {
            prop_assert!(units.is_empty());
            return Ok(());
        };
        let (text, _) = units.get(&name).unwrap_or_else(|| panic!("no {name} for {line}"));
        if let Some(device) = Source::parse(&mntent.fsname).device_path() {
            let what = unit_value(text, "Mount", "What").unwrap();
            let what = simplify(&what);
            prop_assert_eq!(
                device.escape_ascii().to_string(),
                what.escape_ascii().to_string(),
                "{}",
                line
            );
        }
        Ok(())
    });
}

#[test]
fn a_line_that_only_systemd_takes_is_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    for (line, problem) in [
        ("/dev/vdb1 /data\n", Problem::MissingFstype),
        ("/dev/vdb1 /data ext4 rw x\n", Problem::FreqNotNumber),
        ("/dev/vdb1 /data ext4 rw 0 x\n", Problem::PassnoNotNumber),
    ] {
        let fstab = Fstab::parse(line.as_bytes());
        let entry = fstab.entries().next().unwrap();
        assert_eq!(entry.problems.first(), Some(&problem), "{line}");
        assert!(entry.refused_by_libmount());
        assert!(generate(dir.path(), line.as_bytes()).contains_key("data.mount"), "{line}");
        fs::write(dir.path().join("fstab"), line).unwrap();
        let path = dir.path().join("fstab");
        assert!(
            findmnt(FSTAB_COLUMNS, &[OsStr::new("--tab-file"), path.as_os_str()]).is_empty(),
            "{line}"
        );
    }
    assert_eq!(generate(dir.path(), b"/dev/vdb1\n").len(), 0);
}

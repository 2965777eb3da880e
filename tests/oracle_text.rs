//! The text parsers against the programs whose reading they claim to model.
//!
//! findmnt(8), getmntent(3), systemd-fstab-generator(8), systemd-escape(1), systemd-analyze(1) and sh(1) read the same
//! random files as we do, and must see the same. A program that is not installed fails its test: a test that passes
//! without its oracle asserts nothing.

use guestprep::parse::fstab::{Entry, Fstab, Line, Number, Problem};
use guestprep::parse::key_value::KeyValue;
use guestprep::parse::mountinfo::{Mount, Mountinfo};
use guestprep::parse::options::Options;
use guestprep::parse::os_release::OsRelease;
use guestprep::parse::source::{Source, simplify, udev_decode};
use guestprep::parse::timespan::{self, TimeSpan};
use guestprep::parse::unit::UnitFile;
use guestprep::parse::{octal, unit_name};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn run(command: &mut Command) -> Output {
    let name = command.get_program().to_owned();
    command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", name.display()))
}

/// Runs a property on random inputs, each of which costs a process or two.
///
/// The inputs are the same in every run, so that the suite cannot fail by chance. `ORACLE_CASES=5000 cargo test --test
/// oracle_text` hunts with that many new ones.
fn check<S: Strategy>(inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let hunt =
        std::env::var("ORACLE_CASES").ok().map(|cases| cases.parse().expect("a number of cases"));
    let cases = hunt.unwrap_or(80);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = match hunt {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    runner.run(&inputs, property).unwrap_or_else(|error| panic!("{error}"));
}

fn lines_of(output: &Output) -> Vec<Vec<u8>> {
    output
        .stdout
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

// ---------------------------------------------------------------------------------------------------------------------
// fstab

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
    let noise =
        prop::collection::vec(prop::sample::select(b" \t\r#\\0147/a=\",\x0b\xff".to_vec()), 0..40)
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

/// A row of a table, one printable text a column.
type Row = Vec<String>;

fn row<'a>(columns: impl IntoIterator<Item = &'a [u8]>) -> Row {
    columns.into_iter().map(|column| column.escape_ascii().to_string()).collect()
}

/// What findmnt prints: it writes `\xHH` for every byte that would not print, a backslash included.
fn findmnt(columns: &str, table: &[&OsStr]) -> Vec<Row> {
    let output = run(Command::new("findmnt")
        .args(["--raw", "--noheadings", "--nofsroot", "-o", columns])
        .args(table));
    lines_of(&output)
        .iter()
        .map(|line| {
            row(line
                .split(|&b| b == b' ')
                .map(udev_decode)
                .collect::<Vec<_>>()
                .iter()
                .map(Vec::as_slice))
        })
        .collect()
}

const FSTAB_COLUMNS: &str = "SOURCE,TARGET,FSTYPE,OPTIONS,FREQ,PASSNO";

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
        // After a blank that ends the file, glibc 2.36 reports the numbers of the entry before.
        prop_assume!(!text.ends_with(b" ") && !text.ends_with(b"\t"));
        fs::write(&path, &text).unwrap();
        let output = run(Command::new(&program).arg(&path));
        let theirs: Vec<Vec<u8>> = output.stdout.split(|&b| b == 0).map(<[u8]>::to_vec).collect();
        let theirs = &theirs[..theirs.len() - 1];
        let ours: Vec<Vec<u8>> = Fstab::parse(&text)
            .lines()
            .iter()
            .filter_map(Line::getmntent)
            .flat_map(|m| {
                let number = |n: i32| n.to_string().into_bytes();
                [m.fsname, m.dir, m.fstype, m.opts, number(m.freq), number(m.passno)]
            })
            .collect();
        prop_assert_eq!(ours.as_slice(), theirs, "{}", text.escape_ascii());
        Ok(())
    });
}

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
        let source = String::from_utf8(octal::encode(source.as_bytes())).unwrap();
        let line = format!("{source} /{target} ext4\n");
        let units = generate(dir.path(), line.as_bytes());
        let mntent = Fstab::parse(line.as_bytes()).lines()[0].getmntent().unwrap();
        let Some(name) = unit_name::for_path(&mntent.dir, "mount") else {
            prop_assert!(units.is_empty());
            return Ok(());
        };
        // "/." is the root, for which the generator has other rules.
        prop_assume!(name != "-.mount");
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

// ---------------------------------------------------------------------------------------------------------------------
// mountinfo

const MOUNT_COLUMNS: &str = "ID,FSROOT,TARGET,VFS-OPTIONS,PROPAGATION,FSTYPE,SOURCE,FS-OPTIONS";
/// findmnt knows these of the running kernel's table alone, not of one in a file.
const KERNEL_COLUMNS: &str = "ID,PARENT,MAJ:MIN";

fn mount_row(mount: &Mount) -> Row {
    let has =
        |tag: &str| mount.optional.iter().any(|field| field.value.starts_with(tag.as_bytes()));
    let mut propagation = vec![if has("shared:") { "shared" } else { "private" }];
    if has("master:") {
        propagation.push("slave");
    }
    if has("unbindable") {
        propagation.push("unbindable");
    }
    row([
        mount.id.to_string().as_bytes(),
        &mount.root.value,
        &mount.mount_point.value,
        &mount.options.value,
        propagation.join(",").as_bytes(),
        &mount.fstype.value,
        &mount.source.value,
        &mount.super_options.value,
    ])
}

/// findmnt goes through the tree of mounts, we through the file.
fn by_id(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

#[test]
fn mounts_are_those_of_findmnt() {
    let info = Mountinfo::parse(&fs::read("/proc/self/mountinfo").unwrap());
    assert_eq!(info.errors, []);
    let ours: Vec<Row> = info.mounts.iter().map(mount_row).collect();
    assert!(!ours.is_empty());
    assert_eq!(by_id(ours), by_id(findmnt(MOUNT_COLUMNS, &[OsStr::new("--kernel")])));
    let ours = info.mounts.iter().map(|mount| {
        let device = format!("{}:{}", mount.device.0, mount.device.1);
        vec![mount.id.to_string(), mount.parent.to_string(), device]
    });
    assert_eq!(by_id(ours.collect()), by_id(findmnt(KERNEL_COLUMNS, &[OsStr::new("--kernel")])));
}

#[test]
fn random_mountinfo_is_read_as_findmnt_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mountinfo");
    let name = "(/[a-z#]{1,3}(\\\\040|\\\\011|\\\\012|\\\\134|\\\\043)?){1,3}";
    let line = (
        (1u32..1000, 0u32..1000, 0u32..300, 0u32..300),
        (name, name, "(ro|rw)(,noatime)?"),
        ("( (shared:1|master:2|unbindable)){0,2}", "(ext4|fuse\\.s|tmpfs)", "(/dev/[a-z]{1,3}|none|a\\\\040b|)"),
        "rw(,a=b)?",
    )
        .prop_map(|((id, parent, major, minor), (root, target, options), (optional, fstype, source), superblock)| {
            format!("{id} {parent} {major}:{minor} {root} {target} {options}{optional} - {fstype} {source} {superblock}\n")
        });
    check(prop::collection::vec(line, 1..5), |lines| {
        fs::write(&path, lines.concat()).unwrap();
        let info = Mountinfo::parse(&fs::read(&path).unwrap());
        prop_assert_eq!(&info.errors, &[]);
        let ours: Vec<Row> = info.mounts.iter().map(mount_row).collect();
        let theirs = findmnt(MOUNT_COLUMNS, &[OsStr::new("--tab-file"), path.as_os_str()]);
        prop_assert_eq!(by_id(ours), by_id(theirs), "{}", lines.concat());
        Ok(())
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// Names and time spans

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

// ---------------------------------------------------------------------------------------------------------------------
// Unit files, os-release, shell variables

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

/// What systemd's reader of environment files makes of a text, by way of the generator of environment.d(5).
fn environment(dir: &Path, text: &str) -> BTreeMap<String, String> {
    fs::create_dir_all(dir.join("environment.d")).unwrap();
    fs::write(dir.join("environment.d/x.conf"), text).unwrap();
    let output = run(Command::new(
        "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator",
    )
    .env("XDG_CONFIG_HOME", dir)
    .env("HOME", dir));
    // The generator quotes what a shell would need quoted, as we read it in KeyValue; but it writes a newline and the
    // like as C escapes, so that the inputs have none in their values.
    let printed = KeyValue::parse(&output.stdout);
    printed
        .assignments()
        .iter()
        .filter(|a| a.key.starts_with(b"GP_"))
        .map(|a| {
            (String::from_utf8(a.key.clone()).unwrap(), String::from_utf8(a.value.clone()).unwrap())
        })
        .collect()
}

#[test]
fn os_release_is_read_as_systemd_reads_environment_files() {
    let dir = tempfile::tempdir().unwrap();
    let piece = prop::sample::select(vec![
        "a", "b c", "\"", "\"", "'", "'", "\\", "\\\\", " ", "#", ";", "=", "\\\"", "\u{e4}",
        "\\\n", "\t", "x",
    ]);
    let start = prop::sample::select(vec![
        "GP_A=",
        "GP_B=",
        " GP_A = ",
        "#GP_C=",
        ";GP_C=",
        "GP_D",
        "#\\\nGP_E=",
    ]);
    let line = (start, prop::collection::vec(piece, 1..7))
        .prop_map(|(start, pieces)| format!("{start}{}\n", pieces.concat()));
    check(prop::collection::vec(line, 1..5), |lines| {
        let text = lines.concat();
        let release = OsRelease::parse(text.as_bytes());
        let mut ours = BTreeMap::new();
        for assignment in release.assignments() {
            let key = String::from_utf8(assignment.key.clone()).unwrap();
            let value = String::from_utf8(assignment.value.clone()).unwrap();
            // The generator drops other names; whether it sets what is empty depends on how it was written.
            if key.starts_with("GP_")
                && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !value.is_empty()
            {
                ours.insert(key, value);
            }
        }
        prop_assume!(!ours.values().any(|value| value.contains(['\n', '\t'])));
        let mut theirs = environment(dir.path(), &text);
        theirs.retain(|_, value| !value.is_empty());
        prop_assert_eq!(ours, theirs, "{:?}", text);
        Ok(())
    });
}

#[test]
fn shell_variables_are_those_of_a_shell() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config");
    let piece = prop::sample::select(vec![
        "a",
        "b",
        "\"x y\"",
        "'p q'",
        "'\"'",
        "\"'\"",
        "\\ ",
        "\\\\",
        "\\\"",
        "\"\\\"\\\\\\$\\a\"",
        "#",
        "=",
        "\\\n",
        "\"l\nm\"",
        "\u{e4}",
        "-",
    ]);
    let start = prop::sample::select(vec![
        "GP_A=",
        "GP_B=",
        "  GP_A=",
        "export GP_B=",
        "#GP_A=",
        " # GP_B=",
    ]);
    let end =
        prop::sample::select(vec!["\n", "\n", " # c\n", "  \n", "; GP_A=z\n", ";", " GP_B=y\n"]);
    let line = (start, prop::collection::vec(piece, 0..5), end)
        .prop_map(|(start, pieces, end)| format!("{start}{}{end}", pieces.concat()));
    check(prop::collection::vec(line, 1..5), |lines| {
        let text = lines.concat();
        fs::write(&path, &text).unwrap();
        let script = ". \"$1\"; printf '%s\\0%s\\0' \"${GP_A-none}\" \"${GP_B-none}\"";
        let output = run(Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(&path)
            .env_remove("GP_A")
            .env_remove("GP_B"));
        prop_assume!(output.status.success() && output.stderr.is_empty());
        let file = KeyValue::parse(text.as_bytes());
        let ours =
            ["GP_A", "GP_B"].map(|key| [file.get(key).unwrap_or(b"none"), b"\0"].concat()).concat();
        prop_assert_eq!(
            ours.escape_ascii().to_string(),
            output.stdout.escape_ascii().to_string(),
            "{:?}",
            text
        );
        Ok(())
    });
}

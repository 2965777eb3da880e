//! The command line from outside: bad input, exit codes, what goes where.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use common::fixture::Fixture;
use serde_json::Value;
use tempfile::TempDir;

fn guestprep() -> Command {
    let mut command = Command::cargo_bin("guestprep").unwrap();
    // Nothing of the machine's configuration or language may decide a test.
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

struct Run {
    code: i32,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Run {
    let output = guestprep().args(arguments).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A tree that is ready but for its fstab.
fn tree(fstab: &[u8]) -> (Fixture, PathBuf) {
    let fixture = Fixture::distro("debian-12");
    let root = fixture.root.clone();
    fs::write(root.join("etc/fstab"), fstab).unwrap();
    (fixture, root)
}

fn config(text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    fs::write(&path, text).unwrap();
    let shown = path.display().to_string();
    (dir, shown)
}

const ROOT: &[u8] = b"UUID=98ec47de-82c4-574b-8ec6-84ccd4f06082 / ext4 defaults 0 1\n";

#[test]
fn a_root_that_is_missing_or_a_file_is_wrong_use() {
    let gone = run(&["audit", "--root", "/nowhere/at/all"]);
    assert_eq!(gone.code, 2);
    assert!(
        gone.err.contains("cannot open /nowhere/at/all: No such file or directory"),
        "{}",
        gone.err
    );
    let file = run(&["audit", "--root", "Cargo.toml"]);
    assert_eq!(file.code, 2);
    assert!(file.err.contains("it is not a directory"), "{}", file.err);
    assert!(gone.out.is_empty() && file.out.is_empty());
}

#[test]
fn an_unknown_configuration_key_is_named_with_line_and_column() {
    let (_dir, path) = config("profile = \"clone\"\n\n[mounts]\ndata-disk = \"keep\"\n");
    let run = run(&["audit", "--config", &path]);
    assert_eq!(run.code, 2);
    assert!(
        run.err.contains(&format!("{path}: line 4, column 1: unknown field `data-disk`")),
        "{}",
        run.err
    );
    assert!(run.out.is_empty());
}

#[test]
fn misspelt_names_are_wrong_use_and_answered_with_the_nearest() {
    for (arguments, says) in [
        (vec!["explain", "fstab-datadisk"], "did you mean fstab-data-disk?"),
        (vec!["audit", "--check", "no-such"], "there is no check no-such"),
        (vec!["audit", "--profile", "clones"], "there are clone, import, share"),
        (vec!["audit", "--category", "disk"], "there is no category disk"),
        (vec!["audit", "--config", "/nowhere.toml"], "there is no such file"),
    ] {
        let run = run(&arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        assert!(run.err.contains(says), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn checks_are_named_one_by_one_in_a_row_or_with_commas() {
    let (_dir, root) = tree(ROOT);
    let root = root.to_str().unwrap();
    for named in [
        vec!["--check", "swap-enabled", "fstab-malformed"],
        vec!["--check", "swap-enabled,fstab-malformed"],
        vec!["--check", "swap-enabled", "--check", "fstab-malformed"],
        vec!["--check", "swap-enabled", "fstab-malformed", "disk-full", "--skip", "disk-full"],
    ] {
        let run = run(&[&["audit", "--root", root, "--format", "json"], &named[..]].concat());
        let report: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        let ids: Vec<_> = report["checks"].as_array().unwrap().iter().map(|c| &c["id"]).collect();
        assert_eq!(ids, ["fstab-malformed", "swap-enabled"], "{named:?}");
    }
}

/// A flag that capture does not have must not be run as the command, with the guest prepared for it.
#[test]
fn the_command_of_a_capture_stands_after_two_dashes() {
    for line in [vec!["capture", "--root", "/", "--", "true"], vec!["capture", "true"]] {
        let run = run(&line);
        assert_eq!(run.code, 2, "{line:?}: {}", run.err);
        assert!(run.err.contains("unexpected argument"), "{line:?}: {}", run.err);
    }
}

#[test]
fn prepare_asks_nobody_and_changes_nothing_without_a_terminal() {
    let (_dir, root) = tree(&[ROOT, b"/dev/vdb1 /data ext4 defaults 0 2\n"].concat());
    let before = fs::read(root.join("etc/fstab")).unwrap();
    let run = run(&["prepare", "--root", root.to_str().unwrap()]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("no terminal"), "{}", run.err);
    assert_eq!(fs::read(root.join("etc/fstab")).unwrap(), before);
    assert!(!root.join("var/lib/guestprep").exists());
}

/// Nothing is to do for it, and nothing is known of it.
#[test]
fn a_plan_names_what_could_not_be_judged() {
    let (_dir, unsure) = tree(
        &[ROOT, b"UUID=11111111-1111-1111-1111-111111111111 /data ext4 defaults 0 2\n"].concat(),
    );
    let run = run(&["plan", "--root", unsure.to_str().unwrap()]);
    let (_, unknown) = run.out.split_once("\nCould not be judged:\n").expect("what is unknown");
    assert!(unknown.contains("  fstab-data-disk  /etc/fstab:2: "), "{}", run.out);
}

#[test]
fn the_exit_code_is_the_verdict() {
    let (_dir, ready) = tree(ROOT);
    let (_dir2, not_ready) = tree(&[ROOT, b"/dev/vdb1 /data ext4 defaults 0 2\n"].concat());
    let (_dir3, unsure) = tree(
        &[ROOT, b"UUID=11111111-1111-1111-1111-111111111111 /data ext4 defaults 0 2\n"].concat(),
    );
    for (root, code, word) in
        [(&ready, 0, "READY"), (&not_ready, 1, "NOT READY"), (&unsure, 3, "UNDETERMINED")]
    {
        let run = run(&["audit", "--root", root.to_str().unwrap()]);
        assert_eq!(run.code, code, "{}{}", run.out, run.err);
        assert!(run.out.starts_with(word), "{}", run.out);
        assert!(!run.out.contains('\x1b'), "no colour in a pipe");
        let quiet = self::run(&["audit", "-q", "--root", root.to_str().unwrap()]);
        assert_eq!((quiet.code, quiet.out.as_str()), (code, ""));
    }
}

#[test]
fn json_goes_to_standard_output_alone_and_has_the_schema() {
    let (_dir, root) = tree(&[ROOT, b"/dev/vdb1 /data ext4 defaults 0 2\n"].concat());
    let run = run(&["audit", "--format", "json", "--root", root.to_str().unwrap()]);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["schema"], "guestprep.report/1");
    assert_eq!(report["verdict"], "not-ready");
    assert_eq!(report["guest"]["mode"], "root");
    let check =
        report["checks"].as_array().unwrap().iter().find(|c| c["id"] == "fstab-data-disk").unwrap();
    let finding = &check["findings"][0];
    assert_eq!(finding["subject"], serde_json::json!({"path": "/etc/fstab", "line": 2}));
    assert_eq!(finding["impact"], "stops-boot");
    assert_eq!(finding["remedy"]["kind"], "automatic");
    assert!(run.err.is_empty(), "{}", run.err);
    // Asked twice, the digest is the same; only times differ.
    let again = self::run(&["audit", "--format", "json", "--root", root.to_str().unwrap()]);
    let again: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(report["digest"], again["digest"]);
}

#[test]
fn an_fstab_of_garbage_is_judged_line_by_line_and_never_ready() {
    let mut garbage: Vec<u8> = (0..=255).collect();
    garbage.extend(b"\n\\\\\\ \xff\xfe\n/dev/vdb1\n\t\t\t\nUUID= / ext4\n/dev/vdb1 /data ext4 defaults x y z\n");
    let (_dir, root) = tree(&garbage);
    let run = run(&["audit", "--root", root.to_str().unwrap()]);
    assert!([1, 3].contains(&run.code), "{}: {}", run.code, run.out);
    assert!(run.out.contains("/etc/fstab:"), "{}", run.out);
    assert!(!run.err.contains("panic"), "{}", run.err);
}

#[test]
fn a_waiver_keeps_the_finding_and_lets_the_guest_pass() {
    let (_dir, root) = tree(&[ROOT, b"/dev/vdb1 /data ext4 defaults 0 2\n"].concat());
    let (_dir2, path) =
        config("[checks.fstab-data-disk]\nwaive = \"the image carries it, until 2999-01-01\"\n");
    let run =
        run(&["audit", "--format", "json", "--config", &path, "--root", root.to_str().unwrap()]);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(run.code, 0, "{}", run.out);
    assert_eq!(report["waived"][0]["id"], "fstab-data-disk");
}

#[test]
fn fail_on_moves_the_line() {
    let (_dir, root) = tree(&[ROOT, b"/dev/vdb1 /data ext4 defaults,nofail 0 2\n"].concat());
    let root = root.to_str().unwrap();
    assert_eq!(run(&["audit", "-q", "--root", root]).code, 0);
    assert_eq!(run(&["audit", "-q", "--root", root, "--fail-on", "warning"]).code, 1);
}

#[test]
fn a_plan_in_a_file_is_one_that_prepare_reads() {
    let (_fixture, root) = tree(&[ROOT, b"/dev/vdb1 /data ext4 defaults 0 2\n"].concat());
    let file = root.with_file_name("p.json");
    let run = run(&["plan", "--root", root.to_str().unwrap(), "-o", file.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.out.contains("+#guestprep[fstab-data-disk] /dev/vdb1"),
        "shown beside it: {}",
        run.out
    );
    let plan: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(plan["schema"], "guestprep.plan/1");
    assert_eq!(plan["steps"][0]["action"], "edit-file");
    assert_eq!(plan["steps"][0]["expects"]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn the_two_languages_say_the_same_things() {
    let (_dir, root) = tree(&[ROOT, b"/dev/vdb1 /data ext4 defaults 0 2\n"].concat());
    let root = root.to_str().unwrap();
    let zh = run(&["audit", "--lang", "zh", "--root", root]);
    assert!(zh.out.contains("数据盘"), "{}", zh.out);
    let by_locale =
        guestprep().env("LANG", "zh_CN.UTF-8").args(["audit", "--root", root]).output().unwrap();
    assert_eq!(String::from_utf8(by_locale.stdout).unwrap(), zh.out);
}

#[test]
fn help_teaches_and_lists_the_exit_codes() {
    let help = run(&["--help"]);
    assert_eq!(help.code, 0);
    for word in ["audit", "plan", "prepare", "rollback", "capture", "Exit codes", "75"] {
        assert!(help.out.contains(word), "{word}: {}", help.out);
    }
    assert_eq!(run(&["audit", "--no-such-flag"]).code, 2);
    assert_eq!(run(&[]).code, 2);
}

#[test]
fn list_and_explain_know_the_same_checks() {
    let list: Value = serde_json::from_str(&run(&["list", "--format", "json"]).out).unwrap();
    let checks = list["checks"].as_array().unwrap();
    assert!(checks.len() >= 17);
    for check in checks {
        let id = check["id"].as_str().unwrap();
        for lang in ["en", "zh"] {
            let explained = run(&["explain", id, "--lang", lang]);
            assert_eq!(explained.code, 0);
            assert!(explained.out.starts_with(id), "{}", explained.out);
        }
    }
}

#[test]
fn pages_and_completions_are_of_every_command() {
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().display().to_string();
    assert_eq!(run(&["generate", "man", "--output", &shown]).code, 0);
    let page = |name: &str| fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
    let help = run(&["--help"]).out;
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.contains(&"firstboot"), "{commands:?}");
    for name in commands {
        let own = page(&format!("guestprep-{name}"));
        let escaped = format!("guestprep\\-{}", name.replace('-', "\\-"));
        assert!(own.contains(&escaped), "{own}");
        assert!(page("guestprep").contains(&format!("{escaped}(1)")), "{name}");
        for shell in ["bash", "zsh", "fish"] {
            let completions = run(&["generate", "completions", shell]);
            assert!(completions.code == 0 && completions.out.contains(name), "{shell}: {name}");
        }
    }
    assert!(page("guestprep-swap-on").contains("guestprep swap on"));
    assert_eq!(run(&["generate", "man", "--output", "/nowhere/at/all"]).code, 2);
}

#[test]
fn a_first_boot_has_a_limit_that_makes_sense() {
    for limit in ["0", "-1", "3601", "soon"] {
        assert_eq!(run(&["firstboot", "--limit", limit]).code, 2, "{limit}");
    }
}

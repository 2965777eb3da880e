//! What packaging/ has for fleets, judged by the tools that read it.

use std::path::Path;
use std::process::Command;

use crate::common::command::{Done, left_out};
use crate::readers::tool;

fn packaging(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

#[test]
fn ansible_lint_is_content() {
    let Some(lint) = tool("ansible-lint") else {
        return left_out("there is no ansible-lint (GUESTPREP_FLEET_TOOLS)");
    };
    // It calls ansible-playbook beside it.
    let path = format!("{}:/usr/bin:/bin", lint.parent().unwrap().display());
    let done = Command::new(&lint)
        .args(["--offline", "--strict", "--profile", "production", "--nocolor"])
        .current_dir(packaging("ansible"))
        .env("PATH", path)
        .output()
        .unwrap();
    Done::of(done).exits(0);
}

#[test]
fn the_templates_are_what_their_sources_say() {
    let expand = packaging("cloud-assistant/expand.py");
    let done = Command::new("python3").arg(expand).arg("--check").output().unwrap();
    Done::of(done).exits(0);
}

#[test]
fn the_templates_follow_the_documented_grammar() {
    let Some(python) = tool("python") else {
        return left_out("there is no jsonschema (GUESTPREP_FLEET_TOOLS)");
    };
    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/oos.py");
    let done = Command::new(python).arg(judge).arg(packaging("cloud-assistant")).output().unwrap();
    Done::of(done).exits(0);
}

/// The script as Cloud Assistant runs it, against a bucket that is a folder.
#[test]
fn the_command_runs_what_has_the_right_digest_and_nothing_else() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // It says what it was asked; curl reads file: addresses too.
    fs::write(at("program"), "#!/bin/sh\necho \"asked: $*\"\nexit ${CODE:-0}\n").unwrap();
    let sum = guestprep::model::sha256_hex(&fs::read(at("program")).unwrap());
    let script = fs::read_to_string(packaging("cloud-assistant/fetch.sh")).unwrap();
    let run = |action: &str, sum: &str, code: &str| {
        let filled = script
            .replace("{{ url }}", &format!("file://{}", at("program").display()))
            .replace("{{ sha256 }}", sum)
            .replace("{{ action }}", action)
            .replace("{{ profile }}", "share")
            .replace("/usr/local/sbin/guestprep", at("installed").to_str().unwrap());
        assert!(!filled.contains("{{"), "{filled}");
        Done::of(Command::new("sh").args(["-c", &filled]).env("CODE", code).output().unwrap())
    };
    let wrong = "0".repeat(64);
    run("audit", &wrong, "0").exits(2).says("nothing was run");
    assert!(!at("installed").exists());
    run("audit", &sum, "0").exits(0).says("asked: audit --profile share --format compact");
    assert_eq!(fs::metadata(at("installed")).unwrap().permissions().mode() & 0o777, 0o755);
    // What is there is not fetched again, unless it is another.
    fs::write(at("program"), "#!/bin/sh\necho evil\n").unwrap();
    for (action, code, expected, said) in [
        ("audit", "1", 0, "asked: audit"),
        ("audit", "3", 0, "asked: audit"),
        ("audit", "2", 2, "asked: audit"),
        ("prepare", "0", 0, "asked: prepare --yes --profile share --format compact"),
        ("prepare", "1", 1, "asked: prepare"),
        ("rollback", "0", 0, "asked: rollback --yes"),
        ("rollback-and-fail", "0", 1, "the host is rolled back"),
        ("rollback-and-fail", "5", 5, "asked: rollback --yes"),
        ("other", "0", 2, "there is no action other"),
    ] {
        run(action, &sum, code).exits(expected).says(said);
    }
    run("audit", &wrong, "0").exits(2);
    run("audit", &sum, "0").exits(0).says("asked: audit");
}

const READ_HCL: &str = "
import hcl2, sys
config = hcl2.load(open(sys.argv[1]))
build, = config['build']
kinds = [next(iter(one)).strip('\"') for one in build['provisioner']]
assert kinds == ['file', 'shell', 'file', 'shell'], kinds
gate = str(build['provisioner'][1])
assert 'prepare --yes' in gate and 'valid_exit_codes' in gate, gate
";

#[test]
fn the_packer_example_is_hcl() {
    let Some(python) = tool("python") else {
        return left_out("there is no python-hcl2 (GUESTPREP_FLEET_TOOLS)");
    };
    let example = packaging("packer/guestprep.pkr.hcl");
    let done = Command::new(python).args(["-c", READ_HCL]).arg(example).output().unwrap();
    Done::of(done).exits(0);
}

/// The text without the block that begins so; it ends with the brace that stands as far in.
fn without_block(text: &str, begin: &str, end: &str) -> String {
    let (before, block) = text.split_once(begin).expect("the block");
    let (_, after) = block.split_once(end).expect("its end");
    [before, after].concat()
}

#[test]
fn packer_itself_finds_the_example_valid() {
    if !Path::new("/usr/bin/packer").exists() {
        return left_out("there is no packer");
    }
    let example = std::fs::read_to_string(packaging("packer/guestprep.pkr.hcl")).unwrap();
    // Debian's packer is of before plugins were fetched (1.7) and has this builder in itself.
    let example = without_block(&example, "packer {", "\n}\n");
    let example = without_block(&example, "  error-cleanup-provisioner", "\n  }\n");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("guestprep.pkr.hcl"), &example).unwrap();
    std::fs::write(folder.path().join("program"), "").unwrap();
    let validate = || {
        Command::new("/usr/bin/packer")
            .args(["validate", "-var", "guestprep=program", "."])
            .current_dir(folder.path())
            .envs(["CHECKPOINT_DISABLE", "PACKER_NO_COLOR"].map(|name| (name, "1")))
            .envs([("HOME", folder.path()), ("PACKER_CONFIG_DIR", folder.path())])
            // It asks for the account's key, and nobody by it.
            .envs(["ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY"].map(|name| (name, "none")))
            .env("ALICLOUD_REGION", "cn-hangzhou")
            .output()
            .unwrap()
    };
    Done::of(validate()).exits(0);
    let misspelt = example.replace("valid_exit_codes", "valid_exit_code");
    std::fs::write(folder.path().join("guestprep.pkr.hcl"), misspelt).unwrap();
    Done::of(validate()).exits(1);
}

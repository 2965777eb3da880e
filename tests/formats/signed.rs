//! A signed report, with ssh-keygen as the oracle in both directions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::guest::{HOSTILE, guest, read_by};

struct Signed {
    _dir: TempDir,
    report: PathBuf,
    allowed: PathBuf,
}

fn made() -> Option<Signed> {
    read_by(&["ssh-keygen", "-?"])?;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["key", "other"] {
        let key = at(name).display().to_string();
        let made = read_by(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &key]).unwrap();
        assert!(made.0, "{}", made.1);
    }
    let public = fs::read_to_string(at("key.pub")).unwrap();
    let allowed = format!("factory@example.com namespaces=\"guestprep-report\" {public}");
    fs::write(at("allowed"), allowed).unwrap();
    let signed = Signed { report: at("report.json"), allowed: at("allowed"), _dir: dir };
    assert_eq!(sign(&signed.report, &["--format", "json"]).0, 1, "the guest is not ready");
    Some(signed)
}

fn sign(report: &Path, more: &[&str]) -> (i32, String) {
    let fixture = guest(HOSTILE);
    let done = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["audit", "--root"])
        .arg(&fixture.root)
        .args(more)
        .arg("-o")
        .arg(report)
        .arg("--sign")
        .arg(report.with_file_name("key"))
        .output()
        .unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stderr).unwrap())
}

fn verify(report: &Path, more: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["verify", "--lang", "en"])
        .arg(report)
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code().unwrap(), text)
}

#[test]
fn a_report_is_verified_by_us_and_by_ssh_keygen() {
    let Some(signed) = made() else { return println!("left out: there is no ssh-keygen") };
    let allowed = signed.allowed.display().to_string();
    let who = ["--allowed-signers", &allowed, "--identity", "factory@example.com"];
    let (code, said) = verify(&signed.report, &who);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("NOT READY") && said.contains("factory@example.com"), "{said}");
    let oracle = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-f", &allowed, "-I", "factory@example.com"])
        .args(["-n", "guestprep-report", "-s"])
        .arg(signed.report.with_extension("json.sig"))
        .stdin(fs::File::open(&signed.report).unwrap())
        .output()
        .unwrap();
    assert!(oracle.status.success(), "{}", String::from_utf8_lossy(&oracle.stderr));
    // Nobody was asked for, so the answer says whose it may be.
    let (code, said) = verify(&signed.report, &[]);
    assert!(code == 0 && said.contains("whose key that is was not asked"), "{said}");
    // Signed again, the old signature does not stay.
    assert_eq!(sign(&signed.report, &["--format", "json"]).0, 1);
    assert_eq!(verify(&signed.report, &who).0, 0);
    // What is signed by ssh-keygen itself is as good.
    let sig = signed.report.with_extension("json.sig");
    fs::remove_file(&sig).unwrap();
    let (report, key) = (signed.report.display().to_string(), signed.report.with_file_name("key"));
    let key = key.display().to_string();
    let done =
        read_by(&["ssh-keygen", "-q", "-Y", "sign", "-n", "guestprep-report", "-f", &key, &report]);
    assert!(done.unwrap().0);
    assert_eq!(verify(&signed.report, &who).0, 0);
    // A signature for another purpose is not.
    fs::remove_file(&sig).unwrap();
    assert!(
        read_by(&["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", &key, &report]).unwrap().0
    );
    assert_eq!(verify(&signed.report, &who).0, 1);
    // And one by another key is not.
    fs::remove_file(&sig).unwrap();
    let other = signed.report.with_file_name("other").display().to_string();
    let done = read_by(&[
        "ssh-keygen",
        "-q",
        "-Y",
        "sign",
        "-n",
        "guestprep-report",
        "-f",
        &other,
        &report,
    ]);
    assert!(done.unwrap().0);
    assert_eq!(verify(&signed.report, &who).0, 1);
    fs::remove_file(&sig).unwrap();
    let (code, said) = verify(&signed.report, &who);
    assert!(code == 1 && said.contains("there is no signature"), "{said}");
    let (code, said) = verify(&signed.report, &[]);
    assert!(code == 0 && said.contains("signature: none"), "{said}");
}

#[test]
fn a_report_that_was_changed_is_refused() {
    let Some(signed) = made() else { return println!("left out: there is no ssh-keygen") };
    let text = fs::read_to_string(&signed.report).unwrap();
    let allowed = signed.allowed.display().to_string();
    let who = ["--allowed-signers", &allowed, "--identity", "factory@example.com"];
    for (from, to) in [
        ("\"verdict\": \"not-ready\"", "\"verdict\": \"ready\""),
        ("\"impact\": \"stops-boot\"", "\"impact\": \"harmless\""),
        ("\"profile\": \"clone\"", "\"profile\": \"share\""),
        ("\"hostname\":", "\"hostname \":"),
        ("\"blockers\":", "\"blockers\": 1"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        fs::write(&signed.report, &changed).unwrap();
        let (code, said) = verify(&signed.report, &[]);
        assert!([1, 2].contains(&code), "{from}: {code} {said}");
    }
    // What the digest does not cover, the signature does: the time, a blank.
    for changed in [text.replacen("\"started\": \"2", "\"started\": \"1", 1), format!("{text} ")] {
        assert_ne!(changed, text);
        fs::write(&signed.report, &changed).unwrap();
        let (code, said) = verify(&signed.report, &who);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("the signature is not one of this report"), "{said}");
    }
    // A digest that was made anew is caught by the signature too.
    let mut report: guestprep::model::Report = serde_json::from_str(&text).unwrap();
    report.verdict = guestprep::model::Decision::Ready;
    report.digest = report.digest_in(&report.guest.mode);
    fs::write(&signed.report, guestprep::report::json(&report)).unwrap();
    assert_eq!(verify(&signed.report, &who).0, 1);
}

#[test]
fn what_is_no_report_is_wrong_use() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    assert_eq!(verify(&path, &[]).0, 2);
    for text in ["", "{}", "[]", "{\"schema\":\"guestprep.report/2\"}"] {
        fs::write(&path, text).unwrap();
        assert_eq!(verify(&path, &[]).0, 2, "{text}");
    }
    let (code, said) = sign(&path, &["--format", "html"]);
    assert!(code == 2 && said.contains("json"), "{said}");
}

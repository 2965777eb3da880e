//! A waiver is shown in every form, ends on its day, and may be for one finding.

use serde_json::Value;

use crate::guest::{audit, config, guest, report};

const FSTAB: &[u8] = b"UUID=98ec47de-82c4-574b-8ec6-84ccd4f06082 / ext4 defaults 0 1\n\
      /dev/vdb1 /data ext4 defaults 0 0\n/dev/vdc1 /backup ext4 defaults 0 0\n";

fn waived(until: &str, more: &str) -> String {
    format!(
        "[[checks.fstab-data-disk.waive]]\nowner = \"ops@example.com\"\nreason = \"taken off by hand\"\n\
         until = {until}\n{more}\n"
    )
}

const FORMS: [&str; 8] = ["text", "json", "ndjson", "junit", "tap", "sarif", "compact", "html"];

#[test]
fn every_form_shows_what_is_waived() {
    let fixture = guest(FSTAB);
    let path = config(&fixture, &waived("2999-01-01", ""));
    for form in FORMS {
        let (text, code) = audit(&fixture, form, &["--config", &path]);
        assert_eq!(code, 0, "{form}: {text}");
        assert!(text.contains("fstab-data-disk"), "{form}: {text}");
        if form != "compact" {
            for word in ["ops@example.com", "taken off by hand", "2999-01-01"] {
                assert!(text.contains(word), "{form}: {word}: {text}");
            }
        }
    }
}

#[test]
fn one_that_has_ended_fails_and_says_so_in_every_form() {
    let fixture = guest(FSTAB);
    let path = config(&fixture, &waived("2020-01-01", ""));
    for form in FORMS {
        let (text, code) = audit(&fixture, form, &["--config", &path]);
        assert_eq!(code, 1, "{form}: {text}");
        let says =
            if form == "compact" { "\"expired\":[\"fstab-data-disk\"]" } else { "2020-01-01" };
        assert!(text.contains(says), "{form}: {text}");
    }
    let (text, _) = audit(&fixture, "text", &["--config", &path]);
    assert!(text.contains("the waiver ended on 2020-01-01"), "{text}");
}

#[test]
fn one_finding_is_waived_by_subject_and_by_key() {
    let fixture = guest(FSTAB);
    for (for_what, left) in [
        ("subject = \"/etc/fstab:2\"", 1),
        ("subject = \"/etc/fstab:3\"\nkey = \"stops-boot\"", 1),
        ("subject = \"/etc/fstab\"", 0),
        ("subject = \"/etc/fstab:20\"", 2),
    ] {
        let path = config(&fixture, &waived("2999-01-01", for_what));
        let report = report(&fixture, &["--config", &path]);
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == "fstab-data-disk").unwrap();
        let findings = check["findings"].as_array().unwrap();
        assert_eq!(findings.len(), left, "{for_what}: {check}");
        assert_eq!(report["waived"].as_array().unwrap().len(), 2 - left, "{for_what}");
        assert_eq!(check["verdict"] == "pass", left == 0, "{for_what}");
        let named = |finding: &Value| finding["expired"].is_null();
        assert!(findings.iter().all(named), "{for_what}");
    }
}

#[test]
fn what_is_waived_is_not_mended() {
    let fixture = guest(FSTAB);
    let path = config(&fixture, &waived("2999-01-01", "subject = \"/etc/fstab:2\""));
    let plan = std::process::Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .args(["plan", "--config", &path, "--check", "fstab-data-disk", "--root"])
        .arg(&fixture.root)
        .output()
        .unwrap();
    let text = String::from_utf8(plan.stdout).unwrap();
    assert!(
        text.contains("/backup") && text.contains("+#guestprep[fstab-data-disk] /dev/vdc1"),
        "{text}"
    );
    assert!(!text.contains("+#guestprep[fstab-data-disk] /dev/vdb1"), "{text}");
}

//! The page in a real Chromium (the Debian packages chromium, chromium-driver and python3-selenium).

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::guest::{HOSTILE, MARKUP, audit, config, guest, has_python, hostile, read_by, report};

/// What the browser saw of a page; none where there is no browser. Screenshots stay in target/, to be
/// looked at.
fn browsed(text: &str, name: &str) -> Option<Value> {
    let has_driver = Path::new("/usr/bin/chromedriver").exists() && has_python("selenium");
    if !has_driver {
        println!("left out: there is no chromium-driver, or no selenium for /usr/bin/python3");
        return None;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html");
    fs::create_dir_all(&directory).unwrap();
    let page = directory.join(format!("{name}.html"));
    fs::write(&page, text).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/browser.py");
    let argv = ["/usr/bin/python3", script.to_str().unwrap(), page.to_str().unwrap()];
    let (is_done, said) = read_by(&argv).unwrap();
    assert!(is_done, "{said}");
    let line = said.lines().find(|line| line.starts_with('{')).expect("what was seen");
    Some(serde_json::from_str(line).unwrap())
}

#[test]
fn a_command_to_paste_is_about_the_guest_that_was_looked_at() {
    let fixture = hostile();
    let text = audit(&fixture, "html", &[]).0;
    let command = format!("prepare --root {} --check fstab-data-disk", fixture.root.display());
    assert!(text.contains(&command), "there is no `{command}`");
}

#[test]
fn it_filters_and_complains_of_nothing() {
    let fixture = hostile();
    let waive = "[[checks.fstab-data-disk.waive]]\nowner = \"ops\"\nreason = \"why\"\n\
        until = 2999-01-01\nsubject = \"/etc/fstab:2\"\n";
    let path = config(&fixture, waive);
    let report = report(&fixture, &["--config", &path]);
    for lang in ["en", "zh"] {
        let (text, code) = audit(&fixture, "html", &["--lang", lang, "--config", &path]);
        assert_eq!(code, 1);
        let Some(seen) = browsed(&text, &format!("hostile-{lang}")) else { return };
        assert_eq!(seen["console"], serde_json::json!([]), "{lang}");
        // Nothing of the guest ran, and the page has no element that we did not write.
        assert_ne!(seen["title"], "broken", "{lang}");
        assert_eq!(seen["scripts"], 1, "{lang}");
        assert_eq!(seen["images"], 0, "{lang}");
        assert!(seen["text"].as_str().unwrap().contains(&MARKUP[..30]), "{lang}: shown as text");
        assert!(!seen["text"].as_str().unwrap().contains('\u{202e}'), "{lang}");
        assert!(seen["text"].as_str().unwrap().contains("\\u{202e}"), "{lang}");
        for (width, overflow) in seen["overflow"].as_object().unwrap() {
            assert_eq!(overflow, 0, "{lang}: at {width} the page is wider than the screen");
        }
        // All kinds are there at first; each can be had alone, in one category too.
        let all = seen["shown"]["all"].as_array().unwrap();
        let checks = report["checks"].as_array().unwrap().len();
        assert!(all.len() >= checks, "{lang}: {} of {checks}", all.len());
        for kind in ["blocker", "waived", "other"] {
            let alone = seen["shown"][kind].as_array().unwrap();
            let wanted: Vec<&Value> = all.iter().filter(|row| row["kind"] == kind).collect();
            assert!(!wanted.is_empty(), "{lang}: {kind}");
            assert_eq!(alone.iter().collect::<Vec<_>>(), wanted, "{lang}: {kind}");
        }
        let storage = seen["shown"]["storage"].as_array().unwrap();
        let wanted: Vec<&Value> = all.iter().filter(|row| row["category"] == "storage").collect();
        assert_eq!(storage.iter().collect::<Vec<_>>(), wanted, "{lang}");
        assert!(storage.len() < all.len() && !storage.is_empty());
        assert_eq!(
            seen["nothing"],
            serde_json::json!([false, true]),
            "{lang}: said when all is hidden"
        );
        // Light and dark are two papers.
        assert_ne!(seen["paper"]["light"], seen["paper"]["dark"], "{lang}");
    }
}

#[test]
fn it_has_no_door_to_the_network_and_no_handler_in_its_markup() {
    let text = audit(&guest(HOSTILE), "html", &[]).0;
    assert!(text.contains("default-src 'none'"));
    for word in ["http://", "https://", "//cdn", " onclick", " onload", "javascript:", " style="] {
        assert!(!text.contains(word), "{word}");
    }
    // Its own script is the only one that the policy lets run.
    let nonces: Vec<&str> = text.split("nonce-").skip(1).map(|rest| &rest[..32]).collect();
    assert!(nonces.len() == 2 && nonces[0] == nonces[1]);
    let other = audit(&hostile(), "html", &[]).0;
    assert!(!other.contains(nonces[0]), "another guest, another word");
}

//! What can be typed, and the forms of the answer.

use std::fs;
use std::path::Path;

use guestprep::catalog::{self, Config, Language};
use guestprep::engine::{self, Selection, Settings};
use guestprep::guest::Guest;
use guestprep::model::{Policy, Severity, VerdictName};
use guestprep::secrets::{Options, Rules, scan};

use super::{guestprep, scan_tree, token};

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("etc")).unwrap();
    fs::create_dir_all(folder.path().join("home/a b")).unwrap();
    fs::write(folder.path().join("etc/token"), format!("a\nb {}\n", token(1))).unwrap();
    fs::write(folder.path().join("home/a b/token"), token(2)).unwrap();
    folder
}

#[test]
fn exit_codes_say_it() {
    let folder = tree();
    let shown = folder.path().to_str().unwrap();
    guestprep(&["scan", "--root", shown]).exits(1).says("/etc/token:2:3  github-token");
    guestprep(&["scan", "--root", shown, "/home"]).exits(1).says("1 secret; 1 file,");
    guestprep(&["scan", "--root", shown, "--rule", "jwt"]).exits(0).says("0 secrets; 2 files");
    guestprep(&["scan", "--root", shown, "--rule", "nothing"])
        .exits(2)
        .says("there is no rule nothing");
    guestprep(&["scan", "--root", shown, "/nowhere"]).exits(2).says("/nowhere");
    guestprep(&["scan", "--root", shown, "--max-file-size", "much"]).exits(2).says("it is no size");
    let quiet = guestprep(&["scan", "--root", shown, "--quiet"]).exits(1);
    assert_eq!(quiet.out, "");
}

#[test]
fn one_answer_whatever_the_threads() {
    let folder = tree();
    let shown = folder.path().to_str().unwrap();
    let answers: Vec<String> = ["1", "2", "3", "8"]
        .iter()
        .map(|threads| {
            guestprep(&["scan", "--root", shown, "--threads", threads, "--format", "json"]).out
        })
        .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}

#[test]
fn json_has_everything_but_the_secret() {
    let folder = tree();
    let shown = folder.path().to_str().unwrap();
    let report = guestprep(&["scan", "--root", shown, "--format", "json"]).exits(1).json();
    assert_eq!(report["schema"], "guestprep.scan/1");
    let first = &report["found"][0];
    assert_eq!((first["path"].as_str(), first["line"].as_u64()), (Some("/etc/token"), Some(2)));
    assert_eq!(first["column"], 3);
    assert_eq!(first["rule"], "github-token");
    assert_eq!(first["mask"].as_str().unwrap().chars().count(), 3);
    assert_eq!(first["fingerprint"].as_str().unwrap().len(), 16);
}

/// The parts of SARIF 2.1.0 that its schema requires, and those that code scanning reads.
#[test]
fn sarif_is_whole() {
    let folder = tree();
    let shown = folder.path().to_str().unwrap();
    let report = guestprep(&["scan", "--root", shown, "--format", "sarif"]).exits(1).json();
    assert_eq!(report["version"], "2.1.0");
    let run = &report["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["shortDescription"]["text"].is_string());
        assert!(result["message"]["text"].is_string());
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        let base = place["artifactLocation"]["uriBaseId"].as_str().unwrap();
        assert!(run["originalUriBaseIds"].get(base).is_some());
        assert!(!result["partialFingerprints"].as_object().unwrap().is_empty());
    }
    let uris: Vec<_> = results
        .iter()
        .map(|r| r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone())
        .collect();
    assert_eq!(uris, ["etc/token", "home/a%20b/token"]);
}

fn with_site(root: &Path, text: &str) -> Result<guestprep::secrets::Scanned, String> {
    let site = [("/etc/guestprep/secrets.d/site.toml".to_owned(), text.to_owned())];
    let rules = Rules::with_site(&site, &[]).map_err(|error| error.to_string())?;
    let guest = Guest::tree(root, Policy::default()).unwrap();
    Ok(scan(&guest, &rules, &Options::default(), &|_| {}).unwrap())
}

#[test]
fn a_site_adds_allows_and_waives() {
    let folder = tree();
    fs::write(folder.path().join("corp"), "corp-0123456789").unwrap();
    let fingerprint = scan_tree(folder.path()).found[0].fingerprint.clone();
    let text = format!(
        r#"
        [[rule]]
        id = "corp-badge"
        en = "A badge"
        zh = "工牌"
        pattern = '\bcorp-[0-9]{{10}}\b'
        keywords = ["corp-"]
        [[allow]]
        why = "the home of the tests"
        paths = ['/home/.*']
        [[waive]]
        fingerprint = "{fingerprint}"
        why = "looked at"
        "#
    );
    let scanned = with_site(folder.path(), &text).unwrap();
    let rules: Vec<&str> = scanned.found.iter().map(|found| found.rule.as_str()).collect();
    assert_eq!(rules, ["corp-badge"]);
    assert_eq!(scanned.waived.len(), 1);
    assert_eq!(scanned.waived[0].1, "looked at");
}

#[test]
fn a_wrong_file_of_rules_says_where() {
    let folder = tree();
    let head = "[[rule]]\nid='x'\nen='x'\nzh='y'\n";
    for (text, part) in [
        ("[[rules]]\n".to_owned(), "unknown field `rules`"),
        (format!("{head}pattern='x('\nkeywords=['xxx']\n"), "rule x: "),
        (format!("{head}pattern='xxx'\nkeywords=['x']\n"), "shorter than 3"),
        (format!("{head}pattern='xxx'\nkeywords=['xxx']\nvalidator='nice'\n"), "no validator nice"),
        (
            "[[rule]]\nid='jwt'\nen='x'\nzh='y'\npattern='xxx'\nkeywords=['xxx']\n".to_owned(),
            "there is a rule jwt already",
        ),
    ] {
        let error = with_site(folder.path(), &text).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

/// The check is not run where an image is one's own, unless somebody names it.
#[test]
fn the_check_is_for_what_is_shared() {
    let folder = tree();
    let shown = folder.path().to_str().unwrap();
    let verdict = |arguments: &[&str]| {
        let mut all = vec!["audit", "--root", shown, "--format", "json"];
        all.extend(arguments);
        let report = guestprep(&all).json();
        let checks = report["checks"].as_array().unwrap().clone();
        let check = checks.into_iter().find(|check| check["id"] == "secret-in-file");
        check.map(|check| (check["verdict"].clone(), check["severity"].clone()))
    };
    assert_eq!(verdict(&[]), None);
    assert_eq!(verdict(&["--profile", "import"]), None);
    let bad = Some(("fail".into(), "blocker".into()));
    assert_eq!(verdict(&["--profile", "share"]), bad);
    assert_eq!(verdict(&["--check", "secret-in-file"]), bad);
}

/// Who judges at every change does not read every file at every change, and says so: a guest that is to
/// be shared is never READY by it.
#[test]
fn the_daemon_leaves_the_check_to_others() {
    let policy = Policy { leaves_contents: true, ..Policy::default() };
    let folder = tree();
    let guest = Guest::tree(folder.path(), policy).unwrap();
    let config = Config::default();
    let settings = Settings {
        profile: catalog::profile("share").unwrap(),
        config: &config,
        language: Language::En,
        fail_on: Severity::Blocker,
        selection: Selection { only: vec!["secret-in-file".into()], ..Selection::default() },
    };
    let report = engine::audit(&guest, &settings).report;
    assert_eq!(report.checks[0].verdict, VerdictName::Unknown);
    assert!(report.checks[0].reason.as_deref().unwrap().contains("guestprep scan"));
}

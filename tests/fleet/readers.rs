//! The outputs, read by the programs that they are for.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::common::command::{Done, left_out};
use crate::reports::{Dice, lines, merged_input, unreached, varied};

/// A program of the virtual environment.
pub fn tool(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("GUESTPREP_FLEET_TOOLS")?;
    Some(Path::new(&directory).join(name)).filter(|path| path.exists())
}

fn fleet(hosts: usize) -> Vec<u8> {
    let mut dice = Dice(5);
    let mut reports: Vec<Value> = (0..hosts)
        .map(|number| {
            let mut report = varied(&mut dice, hosts);
            report["guest"]["hostname"] = json!(format!("host-{number:05}"));
            report["guest"]["instance_id"] = json!(format!("i-{number:05}"));
            report
        })
        .collect();
    reports.push(unreached("silent"));
    reports.push(unreached("</script><script>alert(1)</script>"));
    lines(&reports)
}

const QUERY: &str = "
import duckdb, json, sys
hosts = duckdb.sql(f'''select * exclude (started), strftime(make_timestamp(epoch_us(started)), '%Y-%m-%dT%H:%M:%SZ') as started
    from '{sys.argv[1]}' ''')
columns = [column[0] for column in hosts.description]
print(json.dumps([dict(zip(columns, row)) for row in hosts.fetchall()]))
print(json.dumps(duckdb.sql(f'''select id, count(*) from (select unnest(blockers) as id from '{sys.argv[1]}')
    group by id order by 2 desc, 1''').fetchall()))
";

#[test]
fn duckdb_reads_of_parquet_what_json_says() {
    let Some(python) = tool("python") else {
        return left_out("there is no DuckDB (GUESTPREP_FLEET_TOOLS)");
    };
    let directory = tempdir().unwrap();
    let path = directory.path().join("hosts.parquet");
    // More than a group of rows; most of them short, so that the test is.
    let mut input = fleet(300);
    for number in 0..21_000 {
        input.extend(format!("{}\n", unreached(&format!("short-{number}"))).into_bytes());
    }
    merged_input(&input, &["--format", "parquet", "-o", path.to_str().unwrap()]).exits(1);
    let json = merged_input(&input, &["--format", "json"]).json();
    let read = Command::new(python).args(["-c", QUERY]).arg(&path).output().unwrap();
    let read = Done::of(read).exits(0);
    let mut lines = read.out.lines();
    let rows: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(rows, json["host_rows"]);
    let blockers: Vec<(String, u64)> = serde_json::from_str(lines.next().unwrap()).unwrap();
    for (id, hosts) in &blockers {
        let check = json["checks"].as_array().unwrap().iter().find(|check| check["id"] == **id);
        assert_eq!(check.unwrap()["blockers"], *hosts, "{id}");
    }
    assert!(blockers.len() > 3);
    // Nothing at all is a file too.
    merged_input(b"", &["--format", "parquet", "-o", path.to_str().unwrap()]).exits(3);
    let read = Command::new(tool("python").unwrap()).args(["-c", QUERY]).arg(&path).output();
    assert!(Done::of(read.unwrap()).exits(0).out.starts_with("[]"));
}

#[test]
fn promtool_takes_the_metrics() {
    let directory = std::env::var_os("GUESTPREP_MONITORING");
    let promtool = directory.map(|at| Path::new(&at).join("usr/bin/promtool"));
    let Some(promtool) = promtool.filter(|path| path.exists()) else {
        return left_out("Prometheus was not unpacked (GUESTPREP_MONITORING)");
    };
    let metrics = merged_input(&fleet(50), &["--format", "openmetrics"]).exits(1).out;
    assert!(metrics.contains("guestprep_fleet_hosts{verdict=\"unreached\"} 2\n"), "{metrics}");
    let mut lint = Command::new(promtool);
    lint.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut lint = lint.stderr(Stdio::piped()).spawn().unwrap();
    lint.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    Done::of(lint.wait_with_output().unwrap()).exits(0);
}

/// Measures what a person waits for, and leaves it in the page's title.
const MEASURE: &str = "<script>
addEventListener('load', () => {
  document.body.getBoundingClientRect();
  const loaded = performance.now();
  const search = document.getElementById('search');
  const times = [];
  let texts = [];
  for (const text of ['host-0', 'host-00', 'host-004', 'fstab', 'alinux host-1', '', 'silent']) {
    const begin = performance.now();
    search.value = text;
    search.oninput();
    document.body.getBoundingClientRect();
    times.push(performance.now() - begin);
    texts.push(document.getElementById('count').textContent);
  }
  document.querySelector('.row').click();
  const rows = document.querySelectorAll('.row').length;
  document.querySelector('#states button').click();
  texts.push(document.getElementById('count').textContent);
  document.title = JSON.stringify({ loaded, slowest: Math.max(...times), texts, rows,
    detail: document.getElementById('detail').textContent, errors: window.errors ?? [] });
});
</script>";
const ERRORS: &str =
    "<head><script>window.errors = []; addEventListener('error', (e) => errors.push(e.message));
addEventListener('securitypolicyviolation', (e) => errors.push(e.violatedDirective));</script>";

#[test]
fn a_browser_opens_five_thousand_hosts_and_filters_them() {
    let version = Command::new("chromium").arg("--version").output();
    if !version.is_ok_and(|done| done.status.success()) {
        return left_out("there is no chromium");
    }
    let directory = tempdir().unwrap();
    let page = merged_input(&fleet(5000), &["--format", "html"]).exits(1).out;
    assert!(!page.contains("<script>alert"));
    let page = page.replace("<head>", ERRORS).replace("</body>", &format!("{MEASURE}</body>"));
    let path = directory.path().join("fleet.html");
    fs::write(&path, page).unwrap();
    let done = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1200,900",
        ])
        .arg("--dump-dom")
        .arg(format!("--user-data-dir={}", directory.path().join("profile").display()))
        .arg(format!("file://{}", path.display()))
        .env("HOME", directory.path())
        .output()
        .unwrap();
    let done = Done::of(done).exits(0);
    let title = done.out.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    let title = title
        .expect("a title")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let told: Value = serde_json::from_str(&title).unwrap_or_else(|e| panic!("{e}: {title}"));
    assert_eq!(told["errors"], json!([]));
    let texts: Vec<&str> =
        told["texts"].as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(texts[0], "5,000 of 5,002");
    assert_eq!(texts[2], "100 of 5,002");
    assert_eq!(texts[5], "5,002 of 5,002");
    assert_eq!(texts[6], "1 of 5,002");
    assert!(told["detail"].as_str().unwrap().contains("no route to host"));
    assert!(told["rows"].as_u64().unwrap() < 100, "every host is in the document");
    println!("open {} ms, slowest search {} ms", told["loaded"], told["slowest"]);
    assert!(told["loaded"].as_f64().unwrap() < 2000.0, "{title}");
    assert!(told["slowest"].as_f64().unwrap() < 100.0, "{title}");
}

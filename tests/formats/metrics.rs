//! OpenMetrics, read by promtool (of the unpacked package, `GUESTPREP_MONITORING`) and by the parser
//! of Prometheus' own client for Python (the Debian package python3-prometheus-client).

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::guest::{HOSTILE, audit, config, guest, has_python, hostile, read_by, report};

const PARSE: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(open(sys.argv[1], encoding='utf-8', newline='').read()):
    for sample in family.samples:
        print(sample.name, sorted(sample.labels.items()), float(sample.value))
";

#[test]
fn prometheus_own_parser_reads_what_the_report_says() {
    if !has_python("prometheus_client") {
        return println!("left out: there is no prometheus_client for /usr/bin/python3");
    }
    let fixture = guest(HOSTILE);
    let file = fixture.root.join("../metrics.prom").display().to_string();
    fs::write(&file, audit(&fixture, "openmetrics", &[]).0).unwrap();
    let (is_read, said) = read_by(&["/usr/bin/python3", "-c", PARSE, &file]).unwrap();
    assert!(is_read, "{said}");
    let report = report(&fixture, &[]);
    let blockers = report["summary"]["blockers"].as_f64().unwrap();
    for line in [
        "guestprep_ready [('profile', 'clone')] 0.0".to_owned(),
        "guestprep_verdict [('verdict', 'not-ready')] 1.0".to_owned(),
        format!("guestprep_findings [('severity', 'blocker')] {blockers:.1}"),
        "guestprep_check_failed [('check', 'fstab-data-disk'), ('severity', 'blocker')] 1.0"
            .to_owned(),
        "guestprep_waived_findings [] 0.0".to_owned(),
    ] {
        assert!(said.contains(&line), "{line}: {said}");
    }
}

#[test]
fn promtool_has_nothing_to_complain_of() {
    let directory = std::env::var_os("GUESTPREP_MONITORING");
    let promtool = directory.map(|dir| Path::new(&dir).join("usr/bin/promtool"));
    let Some(promtool) = promtool.filter(|path| path.exists()) else {
        return println!("left out: Prometheus was not unpacked (GUESTPREP_MONITORING)");
    };
    let text = audit(&hostile(), "openmetrics", &[]).0;
    let mut lint = Command::new(promtool);
    lint.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut lint = lint.stderr(Stdio::piped()).spawn().unwrap();
    lint.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = lint.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn waivers_are_counted() {
    let fixture = guest(HOSTILE);
    let waive = "[[checks.fstab-data-disk.waive]]\nowner = \"o\"\nreason = \"r\"\nuntil = 2020-01-01\nsubject = \"/etc/fstab:2\"\n\
        [[checks.fstab-data-disk.waive]]\nowner = \"o\"\nreason = \"r\"\nuntil = 2999-01-01\nsubject = \"/etc/fstab:3\"\n";
    let text = audit(&fixture, "openmetrics", &["--config", &config(&fixture, waive)]).0;
    assert!(text.contains("\nguestprep_waived_findings 1\n"), "{text}");
    assert!(text.contains("\nguestprep_expired_waivers 1\n"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

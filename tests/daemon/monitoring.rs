//! Real Prometheus and node_exporter, and the rules that come with the package.
//!
//! `GUESTPREP_MONITORING` names a directory into which the Debian packages prometheus and
//! prometheus-node-exporter were unpacked; nothing of them is installed.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::client::Daemon;
use crate::common::command::{Done, Running, left_out, until};
use crate::common::live;

/// A program of those packages.
fn program(name: &str) -> Option<PathBuf> {
    let directory = std::env::var_os("GUESTPREP_MONITORING")?;
    Some(Path::new(&directory).join("usr/bin").join(name)).filter(|path| path.exists())
}

fn packaged(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus").join(name)
}

#[test]
fn promtool_takes_the_rules_and_they_fire_when_they_should() {
    let Some(promtool) = program("promtool") else {
        return left_out("Prometheus was not unpacked (GUESTPREP_MONITORING)");
    };
    for arguments in [["check", "rules"], ["test", "rules"]] {
        let file = match arguments[0] {
            "check" => "guestprep.rules.yml",
            _ => "guestprep.rules.test.yml",
        };
        let output = Command::new(&promtool).args(arguments).arg(packaged(file)).output().unwrap();
        Done::of(output).exits(0);
    }
    let dashboard = fs::read_to_string(packaged("guestprep-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let known = fs::read_to_string("src/report/openmetrics.rs").unwrap()
        + &fs::read_to_string("src/daemon/state.rs").unwrap();
    // What it asks for is what there is.
    for panel in dashboard["panels"].as_array().unwrap() {
        let query = panel["targets"][0]["expr"].as_str().unwrap();
        for name in query.split(|c: char| !c.is_alphanumeric() && c != '_') {
            let is_metric = name.starts_with("guestprep_");
            assert!(!is_metric || known.contains(&format!("\"{name}\"")), "{name}");
        }
    }
}

#[test]
fn the_alert_fires_while_the_guest_is_not_ready() {
    let (Some(prometheus), Some(exporter), Some(promtool)) =
        (program("prometheus"), program("prometheus-node-exporter"), program("promtool"))
    else {
        return left_out("Prometheus was not unpacked (GUESTPREP_MONITORING)");
    };
    live::alone(&[], |live| {
        let disk = live.data();
        let daemon = Daemon::start(live, "[daemon]\ntextfile = \"/run/metrics/guestprep.prom\"\n");
        let directory = live.at("/run/metrics");
        fs::create_dir_all(&directory).unwrap();
        live.chroot(&["umount", "/data"]).exits(0);
        live.chroot(&["mount", &disk.device, "/data"]).exits(0);
        until("the metrics are written", || Path::new(&directory).join("guestprep.prom").exists());
        // A reader that is stricter than node_exporter.
        let mut lint = Command::new(promtool);
        lint.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut lint = lint.stderr(Stdio::piped()).spawn().unwrap();
        lint.stdin.take().unwrap().write_all(daemon.get("/metrics").body.as_bytes()).unwrap();
        Done::of(lint.wait_with_output().unwrap()).exits(0);

        let (exported, scraped) = (free_port(), free_port());
        let quiet = |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        };
        let mut command = Command::new(exporter);
        command.arg("--collector.disable-defaults").arg("--collector.textfile");
        command.arg(format!("--collector.textfile.directory={directory}"));
        command.arg(format!("--web.listen-address=127.0.0.1:{exported}"));
        quiet(&mut command);
        let _exporter = Running::start(&mut command);
        until("node_exporter gives the metrics", || {
            get(exported, "/metrics").contains("guestprep_verdict{verdict=\"not-ready\"} 1")
        });
        assert!(get(exported, "/metrics").contains("node_textfile_scrape_error 0"));

        // The rules as they are, but that they do not wait.
        let work = tempfile::tempdir().unwrap();
        let rules = fs::read_to_string(packaged("guestprep.rules.yml")).unwrap();
        fs::write(work.path().join("rules.yml"), rules.replace("for: 15m", "for: 0s")).unwrap();
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\n\
             scrape_configs:\n  - job_name: node\n    static_configs:\n      - targets: ['127.0.0.1:{exported}']\n"
        );
        fs::write(work.path().join("prometheus.yml"), config).unwrap();
        let mut command = Command::new(prometheus);
        command.arg(format!("--config.file={}/prometheus.yml", work.path().display()));
        command.arg(format!("--storage.tsdb.path={}/data", work.path().display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{scraped}"));
        quiet(&mut command);
        let _prometheus = Running::start(&mut command);
        let fires = || get(scraped, "/api/v1/alerts").contains("GuestprepNotReady");
        until("the alert fires", fires);
        live.chroot(&["umount", "/data"]).exits(0);
        let fstab = live.root_line();
        fs::write(live.root.join("etc/fstab"), fstab).unwrap();
        until("it fires no more", || !fires());
    });
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What an HTTP server of this machine answers; nothing while there is none.
fn get(port: u16, path: &str) -> String {
    let mut text = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let request = format!("GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\n\r\n");
        let _ = stream
            .write_all(request.as_bytes())
            .and_then(|()| stream.read_to_string(&mut text).map(drop));
    }
    text
}

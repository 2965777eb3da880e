//! `time-sync-missing`: no time daemon is started, several are, or none of their servers can be
//! reached from a VPC.

use super::services::subject;
use super::{Answer, Guest};
use crate::guest::{OtherSource, TimeDaemon};
use crate::model::{Finding, Subject, Verdict};
use crate::parse::time_sources::{Operator, operator};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let daemons = guest.time_daemons()?;
    let mut findings = Vec::new();
    if daemons.is_empty() {
        let subject = Subject::Setting { setting: "time synchronisation".to_owned() };
        findings.push(Finding::new("none", subject));
    }
    if let [first, _, ..] = daemons.as_slice() {
        let names: Vec<_> = daemons.iter().map(|d| d.service.name.as_str()).collect();
        let finding = Finding::new("several", subject(&first.service));
        findings.push(finding.with("daemons", names.join(", ")));
    }
    findings.extend(daemons.iter().filter_map(judge_sources));
    Ok(Verdict::from_parts(findings, Vec::new()))
}

fn judge_sources(daemon: &TimeDaemon) -> Option<Finding> {
    let about = Subject::file(&daemon.config);
    let of = |key| Finding::new(key, about.clone()).with("daemon", &daemon.service.name);
    match (daemon.servers.first(), daemon.other) {
        (_, OtherSource::Clock) => None,
        (None, OtherSource::BuiltIn) => Some(of("built-in-servers")),
        (None, OtherSource::None) => Some(of("no-server").with("path", &daemon.config)),
        (Some((path, line, _)), _) => {
            let is_public = |server: &str| operator(server) == Operator::Public;
            if !daemon.servers.iter().all(|(_, _, server)| is_public(server)) {
                return None;
            }
            let names: Vec<_> = daemon.servers.iter().map(|(_, _, name)| name.as_str()).collect();
            let finding = Finding::new("public-servers", Subject::line(path, *line));
            Some(finding.with("daemon", &daemon.service.name).with("servers", names.join(", ")))
        }
    }
}

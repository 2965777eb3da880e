//! The counts of a merge as metrics, for a node_exporter's textfile collector or a push.

use super::drift::Drift;
use super::hosts::{Merged, State};
use super::summary::Summary;
use crate::report::Metrics;

/// The merge as one OpenMetrics document. Hosts are counted and not named: a label for each of a million would be what
/// the metrics cost.
pub fn openmetrics(merged: &Merged, summary: &Summary<'_>, drift: Option<&Drift<'_>>) -> String {
    let mut out = Metrics::default();
    out.gauge("guestprep_fleet_hosts", "Hosts by the verdict of their latest report.");
    for state in State::ALL {
        let labels = [("verdict", state.as_str())];
        out.sample("guestprep_fleet_hosts", &labels, summary.verdicts.of(state));
    }
    out.gauge("guestprep_fleet_check_hosts", "Hosts where a check fails or is unknown.");
    for check in &summary.checks {
        for (severity, hosts) in [
            ("blocker", check.blockers),
            ("warning", check.warnings),
            ("advice", check.advice),
            ("unknown", check.unknown),
        ] {
            if hosts > 0 {
                let labels = [("check", check.id), ("severity", severity)];
                out.sample("guestprep_fleet_check_hosts", &labels, hosts);
            }
        }
    }
    out.gauge("guestprep_fleet_system_hosts", "Hosts by distribution, version and verdict.");
    for system in &summary.systems {
        for state in [State::Ready, State::Undetermined, State::NotReady] {
            let labels = [
                ("os", system.os.unwrap_or("")),
                ("version_id", system.version_id.unwrap_or("")),
                ("verdict", state.as_str()),
            ];
            out.sample("guestprep_fleet_system_hosts", &labels, system.verdicts.of(state));
        }
    }
    out.gauge("guestprep_fleet_version_hosts", "Hosts by the version that audited them.");
    for version in &summary.versions {
        let labels = [("version", version.name.unwrap_or(""))];
        out.sample("guestprep_fleet_version_hosts", &labels, version.hosts);
    }
    let mut one = |name: &str, help: &str, value: u64| {
        out.gauge(name, help);
        out.sample(name, &[], value);
    };
    one(
        "guestprep_fleet_outliers",
        "Hosts that fail where nearly none of their system does.",
        summary.outlier_count as u64,
    );
    one("guestprep_fleet_reports", "Reports that were merged.", merged.reports);
    one("guestprep_fleet_faults", "What was read and is no report.", merged.fault_count);
    if let Some(drift) = drift {
        out.gauge("guestprep_fleet_changed_hosts", "Hosts that changed since the earlier merge.");
        for (change, hosts) in [
            ("worse", drift.worse.len()),
            ("better", drift.better.len()),
            ("appeared", drift.appeared.len()),
            ("gone", drift.gone.len()),
        ] {
            out.sample("guestprep_fleet_changed_hosts", &[("change", change)], hosts);
        }
    }
    out.end()
}

//! `repository-dead`: an enabled repository points where the packages of this release are no more.
//!
//! The table of ended releases stands in the check's TOML file. No repository is asked.

use super::{Answer, Guest};
use crate::model::{Finding, Subject, Verdict};

/// A row of the table.
#[derive(Debug)]
pub struct Release {
    os: &'static [&'static str],
    version: u32,
    ended: &'static str,
    hosts: &'static [&'static str],
    kept: &'static [&'static str],
    instead: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/releases.rs"));

impl Release {
    /// Whether its packages are on a host no more. A row's `.example.org` takes in every host below
    /// that name.
    fn has_left(&self, host: &str) -> bool {
        let takes = |row: &&str| *row == host || row.starts_with('.') && host.ends_with(*row);
        self.hosts.iter().any(takes) && !self.kept.contains(&host)
    }
}

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let os = guest.os()?;
    let (id, version) = (os.id.as_deref().unwrap_or_default(), os.major());
    let Some(release) =
        RELEASES.iter().find(|row| row.os.contains(&id) && Some(row.version) == version)
    else {
        return Ok(Verdict::NotApplicable("maintained"));
    };
    let mut findings = Vec::new();
    for repository in guest.repositories()? {
        let Some(host) = repository.host() else { continue };
        if release.has_left(&host) {
            findings.push(
                Finding::new("gone", Subject::line(&repository.path, repository.line))
                    .with("address", &repository.address)
                    .with("ended", release.ended)
                    .with("instead", release.instead)
                    .evidence(&repository.address),
            );
        }
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

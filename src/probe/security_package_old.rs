//! `security-package-old`: a package is older than the version in which its release fixed a
//! vulnerability that every image of that time had.
//!
//! The table of fixed versions stands in the check's TOML file.

use std::cmp::Ordering;

use super::{Answer, Guest};
use crate::model::{Finding, Subject, Verdict};

/// A row of the table.
#[derive(Debug)]
pub struct Fixed {
    os: &'static [&'static str],
    version: u32,
    package: &'static str,
    fixed: &'static str,
    since: Option<&'static str>,
    cve: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/fixed.rs"));

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let os = guest.os()?;
    let (id, version) = (os.id.as_deref().unwrap_or_default(), os.major());
    let is_of_guest = |row: &&Fixed| row.os.contains(&id) && Some(row.version) == version;
    let rows: Vec<&Fixed> = FIXED.iter().filter(is_of_guest).collect();
    if rows.is_empty() {
        return Ok(Verdict::NotApplicable("no-row"));
    }
    let manager = guest.package_manager()?;
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    for row in rows {
        let installed = match guest.package(row.package) {
            Ok(Some(installed)) => installed,
            Ok(None) => continue,
            Err(why) => {
                // The same for every package of a database that cannot be read.
                if !doubts.contains(&why.0) {
                    doubts.push(why.0);
                }
                continue;
            }
        };
        let order = |other: &str| manager.compare(&installed, other);
        let (Some(to_fixed), Some(to_since)) =
            (order(row.fixed), row.since.map_or(Some(Ordering::Greater), order))
        else {
            doubts.push(format!("{} {installed} is no version", row.package));
            continue;
        };
        if to_fixed == Ordering::Less && to_since != Ordering::Less {
            let setting = row.package.to_owned();
            findings.push(
                Finding::new("vulnerable", Subject::Setting { setting })
                    .with("package", row.package)
                    .with("installed", &installed)
                    .with("fixed", row.fixed)
                    .with("cve", row.cve),
            );
        }
    }
    Ok(Verdict::from_parts(findings, doubts))
}

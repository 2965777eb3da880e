//! `cloud-assistant-missing`: the Cloud Assistant client is not there, or boot does not start it.

use super::services::{installed, subject};
use super::{Answer, Guest};
use crate::guest::{Fact, Family};
use crate::model::{Finding, GuestPath, Subject, Verdict};

/// Where it is installed; the second on systems whose /usr cannot be written.
pub(super) const DIRECTORIES: [&str; 2] =
    ["/usr/local/share/aliyun-assist", "/opt/local/share/aliyun-assist"];

/// Its service under systemd, and under upstart and System V.
const SERVICES: [&str; 2] = ["aliyun", "aliyun-service"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    if guest.os()?.family == Family::Immutable && directory(guest)?.is_none() {
        return Ok(Verdict::NotApplicable("immutable"));
    }
    let Some(directory) = directory(guest)? else {
        let subject = Subject::file(&GuestPath::from(DIRECTORIES[0]));
        return Ok(Verdict::Fail(vec![Finding::new("missing", subject)]));
    };
    let services = installed(guest, &SERVICES)?;
    let finding = match services.first() {
        None => Finding::new("no-service", Subject::file(&directory)).with("path", &directory),
        Some(_) if services.iter().any(|service| service.starts.is_enabled()) => {
            return Ok(Verdict::Pass);
        }
        Some(service) => Finding::new("disabled", subject(service)).with("service", &service.name),
    };
    Ok(Verdict::Fail(vec![finding]))
}

/// The directory that it is installed in.
pub(super) fn directory(guest: &Guest) -> Fact<Option<GuestPath>> {
    for path in DIRECTORIES.map(GuestPath::from) {
        if guest.stat(&path)?.is_some() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

//! `cloud-assistant-region`: the Cloud Assistant client remembers this instance's region, or its
//! registration as a managed instance.

use super::cloud_assistant_missing::directory;
use super::services::files_in;
use super::{Answer, Guest};
use crate::model::{Edit, Finding, Subject, Verdict};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let Some(directory) = directory(guest)? else {
        return Ok(Verdict::NotApplicable("not-installed"));
    };
    let mut findings = Vec::new();
    let region = directory.join(b"region-id");
    if let Some(text) = guest.file(&region)? {
        let name = String::from_utf8_lossy(text.trim_ascii()).into_owned();
        let is_region = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let finding = if is_region {
            Finding::new("region", Subject::file(&region)).with("region", name)
        } else {
            Finding::new("region-unclear", Subject::file(&region))
        };
        findings.push(finding.with("path", &region).fix([Edit::Remove { path: region.clone() }]));
    }
    // The files hold a private key: they are named, never shown.
    let hybrid = directory.join(b"hybrid");
    let files = files_in(guest, &hybrid)?;
    if !files.is_empty() {
        let finding = Finding::new("registered", Subject::file(&hybrid)).with("path", &hybrid);
        findings.push(finding.fix(files.into_iter().map(|path| Edit::Remove { path })));
    }
    Ok(Verdict::from_parts(findings, Vec::new()))
}

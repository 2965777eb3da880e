//! `cloud-init-broken`: cloud-init is missing, too old, switched off, does not look for the data
//! source of ECS, or failed at its last run.

use super::{Answer, Guest};
use crate::guest::{CloudInit, Disabled, Fact, Family};
use crate::model::{Edit, Finding, Subject, Verdict};

/// The first release with a data source that works on ECS; the cloud's own builds of the release
/// before it have one too (Alibaba Cloud ECS: 安装cloud-init).
const OLDEST: &str = "0.7.9";
const PATCHED: &str = "0.7.6a";

/// The first release that asks the metadata service with a token (commit 68b94712a).
const TOKENS: &str = "23.1";

/// The data source's name in `datasource_list`.
const DATASOURCE: &str = "AliYun";

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    if guest.os()?.family == Family::Immutable {
        return Ok(Verdict::NotApplicable("immutable"));
    }
    let Some(cloud_init) = guest.cloud_init()? else {
        return Ok(Verdict::Fail(vec![Finding::new("missing", named())]));
    };
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    findings.extend(cloud_init.disabled.as_ref().map(switched_off));
    match age(guest, cloud_init) {
        Ok(finding) => findings.extend(finding),
        Err(why) => doubts.push(why.0),
    }
    match &cloud_init.config {
        Ok(config) => {
            let sources = config.datasources();
            if let Some(sources) = sources.filter(|s| !s.iter().any(|name| name == DATASOURCE)) {
                let subject = config.source_of("datasource_list").map_or_else(named, Subject::file);
                let finding = Finding::new("no-datasource", subject);
                findings.push(finding.with("sources", sources.join(", ")));
            }
        }
        Err(why) => doubts.push(why.0.clone()),
    }
    match &cloud_init.last_run {
        Ok(Some((path, run))) => {
            for error in &run.errors {
                let finding = Finding::new("failed", Subject::file(path)).with("path", path);
                findings.push(finding.evidence(error));
            }
        }
        Ok(None) => {}
        Err(why) => doubts.push(why.0.clone()),
    }
    Ok(Verdict::from_parts(findings, doubts))
}

fn named() -> Subject {
    Subject::Setting { setting: "cloud-init".to_owned() }
}

fn switched_off(by: &Disabled) -> Finding {
    match by {
        Disabled::File(path) => Finding::new("switched-off", Subject::file(path))
            .with("path", path)
            .fix([Edit::Remove { path: path.clone() }]),
        Disabled::CommandLine => {
            let setting = "cloud-init=disabled".to_owned();
            Finding::new("command-line", Subject::Setting { setting })
        }
        Disabled::Service { name, is_masked } => {
            let key = if *is_masked { "service-masked" } else { "service-disabled" };
            let subject = Subject::Unit { unit: format!("{name}.service") };
            Finding::new(key, subject).with("service", name)
        }
    }
}

/// What its version is too old for.
fn age(guest: &Guest, cloud_init: &CloudInit) -> Fact<Option<Finding>> {
    let Some(version) = &cloud_init.version else {
        let why = format!("{}: its version is not known", cloud_init.program);
        return Err(crate::guest::Unknown(why));
    };
    let is_older = |limit| cloud_init.is_older_than(limit) == Some(true);
    if is_older(OLDEST) && !version.starts_with(PATCHED) {
        return Ok(Some(Finding::new("old", named()).with("version", version)));
    }
    // The service is asked only where its answer matters.
    if is_older(TOKENS) && guest.metadata()?.is_some_and(|metadata| metadata.token_only) {
        return Ok(Some(Finding::new("token-only", named()).with("version", version)));
    }
    Ok(None)
}

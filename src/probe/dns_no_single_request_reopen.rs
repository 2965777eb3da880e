//! `dns-no-single-request-reopen`: the resolver of CentOS 6, 7 and their kin asks for A and AAAA
//! from one socket, and some networks lose one of the two answers.
//!
//! A file that its owner writes anew at boot is judged by what the owner keeps as well; one that
//! lies under /run, and so is in no image, by that alone.

use super::resolver_options::{self as options, USUAL};
use super::{Answer, Guest};
use crate::guest::{Family, Os, Owner, RESOLV_CONF, Resolver};
use crate::model::{DnsPolicy, Edit, Finding, GuestPath, LineChange, Severity, Subject, Verdict};
use crate::parse::resolv_conf::{ResolvConf, SINGLE_REQUEST_REOPEN, is_single_request_reopen};

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    match guest.policy().dns {
        DnsPolicy::Off => return Ok(Verdict::NotApplicable("unwanted")),
        DnsPolicy::Auto if !is_concerned(guest.os()?) => {
            return Ok(Verdict::NotApplicable("other-distribution"));
        }
        DnsPolicy::Auto | DnsPolicy::On => {}
    }
    let resolver = guest.resolver()?;
    if resolver.owner == Owner::SystemdResolved {
        return Ok(Verdict::NotApplicable("systemd-resolved"));
    }
    if resolver.file.is_none() && resolver.link.is_none() && resolver.keepers.is_empty() {
        return Ok(Verdict::NotApplicable("no-file"));
    }
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    if resolver.is_covered {
        doubts.push(format!("{RESOLV_CONF} is covered by a mount, and no image carries that"));
    } else if let Some(file) = &resolver.file {
        let errors = file.errors();
        doubts.extend(errors.iter().map(|e| format!("{RESOLV_CONF}:{}: {}", e.line, e.reason)));
        if errors.is_empty() {
            findings.extend(of_file(resolver, file));
        }
    }
    findings.extend(of_keepers(guest, resolver));
    // Only CentOS is known to be hit; its kin run the same resolver.
    if guest.os()?.id.as_deref() != Some("centos") && guest.policy().dns == DnsPolicy::Auto {
        findings = findings.into_iter().map(|f| f.severity(Severity::Advice)).collect();
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// CentOS 6 and 7, and what is built of the same sources.
fn is_concerned(os: &Os) -> bool {
    let is_of_them = match (os.id.as_deref(), os.major()) {
        (Some("centos" | "rhel" | "redhat" | "ol" | "scientific"), Some(major)) => {
            (6..=7).contains(&major)
        }
        // Aliyun Linux 17.1 came before Alibaba Cloud Linux 2; both are of the seventh generation.
        (Some("alinux" | "aliyun" | "alios"), Some(major)) => matches!(major, 2 | 17),
        (Some("anolis"), Some(major)) => major == 7,
        _ => false,
    };
    is_of_them && os.family == Family::El
}

/// The three cases of the file itself.
fn of_file(resolver: &Resolver, file: &ResolvConf) -> Option<Finding> {
    if file.options().any(is_single_request_reopen) {
        return None;
    }
    let path = GuestPath::from(RESOLV_CONF);
    if let Some(target) = &resolver.link {
        // Under /run the owner makes it anew at every boot: its settings are judged instead.
        let is_made = resolver.owner != Owner::Stranger;
        return (!is_made)
            .then(|| Finding::new("link", Subject::file(&path)).with("target", target));
    }
    if resolver.is_immutable {
        return Some(Finding::new("immutable", Subject::file(&path)));
    }
    let Some((line, words)) = file.option_lines().last() else {
        let line = [b"options ".as_slice(), USUAL.as_bytes()].concat();
        let edit = Edit::Append { path: path.clone(), lines: vec![line.into()] };
        return Some(Finding::new("no-options", Subject::file(&path)).fix([edit]));
    };
    let edit = Edit::Line {
        path: path.clone(),
        line: line.number,
        original: line.raw.as_slice().into(),
        change: LineChange::Replace([&line.raw, &b" "[..], SINGLE_REQUEST_REOPEN].concat().into()),
    };
    let finding = Finding::new("option-missing", Subject::line(&path, line.number));
    Some(finding.with("options", options::shown(words)).evidence(options::shown(words)).fix([edit]))
}

/// What the owner would write at the next boot.
fn of_keepers(guest: &Guest, resolver: &Resolver) -> Vec<Finding> {
    // Nobody writes an immutable file.
    if resolver.is_immutable {
        return Vec::new();
    }
    let owner = resolver.owner.as_str();
    if resolver.keepers.is_empty() {
        let is_kept_by_a_person =
            matches!(resolver.owner, Owner::CloudInit | Owner::NetworkManager);
        let finding = Finding::new("kept-by-hand", Subject::file(&GuestPath::from(RESOLV_CONF)));
        return is_kept_by_a_person.then(|| finding.with("owner", owner)).into_iter().collect();
    }
    let lacks =
        |at: &usize| !resolver.keepers[*at].options.iter().any(|w| is_single_request_reopen(w));
    let mut lacking: Vec<usize> = (0..resolver.keepers.len()).filter(lacks).collect();
    if resolver.owner == Owner::Resolvconf && lacking.len() < resolver.keepers.len() {
        lacking.clear(); // It puts all of its files together.
    }
    let from_file: Vec<Vec<u8>> = match &resolver.file {
        Some(file) => file.options().map(<[u8]>::to_vec).collect(),
        None => Vec::new(),
    };
    let finding = |at: usize| {
        let keeper = &resolver.keepers[at];
        let subject = Subject::File { path: keeper.path.clone(), line: keeper.line };
        Finding::new("not-kept", subject)
            .with("owner", owner)
            .with("path", &keeper.path)
            .fix(options::keep(guest, keeper, &from_file))
    };
    lacking.into_iter().map(finding).collect()
}

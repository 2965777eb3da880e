//! What probes of services share.

use crate::guest::{Fact, Guest, Service, StartedBy};
use crate::model::{Edit, GuestPath, Subject};

/// A service as the subject of a finding: its unit, or the script or job that starts it.
pub fn subject(service: &Service) -> Subject {
    match (&service.path, service.by) {
        (Some(path), StartedBy::SysV | StartedBy::Upstart) => Subject::file(path),
        _ => Subject::Unit { unit: format!("{}.service", service.name) },
    }
}

/// The services of these names that are installed, each once, whatever aliases it has.
pub fn installed(guest: &Guest, names: &[&str]) -> Fact<Vec<Service>> {
    let mut found: Vec<Service> = Vec::new();
    for name in names {
        if let Some(service) = guest.service(name)?
            && !found.iter().any(|known| known.name == service.name)
        {
            found.push(service);
        }
    }
    Ok(found)
}

/// The edit that switches a service at boot; `None` where only a person can, as of an upstart job.
/// A unit that no link of /etc disables, because it has no `[Install]` or the distribution itself
/// links it, is masked.
pub fn switch(guest: &Guest, service: &Service, enable: bool) -> Option<Edit> {
    if guest.service_links(&service.name, enable).is_ok_and(|links| !links.is_empty()) {
        return Some(Edit::Service { service: service.name.clone(), enable });
    }
    let may_mask = !enable && service.by == StartedBy::Systemd;
    may_mask.then(|| Edit::MaskUnit { unit: format!("{}.service", service.name) })
}

/// The regular files in a directory, its own directories left out; none where it is not there.
pub fn files_in(guest: &Guest, directory: &GuestPath) -> Fact<Vec<GuestPath>> {
    let names = guest.root().list(directory)?.unwrap_or_default();
    let mut files = Vec::new();
    for path in names.iter().map(|name| directory.join(name)) {
        if guest.root().lstat(&path)?.is_some_and(|f| f.kind == crate::guest::FileKind::Regular) {
            files.push(path);
        }
    }
    Ok(files)
}

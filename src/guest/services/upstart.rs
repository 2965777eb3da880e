//! Jobs of upstart (init(5) of upstart): /etc/init/NAME.conf and what NAME.override changes of it.

use super::{Service, StartedBy, Starts};
use crate::guest::{Fact, Guest};
use crate::model::GuestPath;
use crate::parse::upstart_job;

pub fn service(guest: &Guest, name: &str) -> Fact<Option<Service>> {
    let path = GuestPath::from(format!("/etc/init/{name}.conf").as_str());
    let Some(job) = guest.file(&path)? else { return Ok(None) };
    let over = guest.file(format!("/etc/init/{name}.override").as_str())?;
    let over = over.and_then(|text| upstart_job::starts_by_itself(&text));
    let starts = over.or_else(|| upstart_job::starts_by_itself(&job)).unwrap_or(false);
    Ok(Some(Service {
        name: name.to_owned(),
        starts: if starts { Starts::AtBoot } else { Starts::Never },
        by: StartedBy::Upstart,
        path: Some(path),
        links: Vec::new(),
    }))
}

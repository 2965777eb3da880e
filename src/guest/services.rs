//! Services: whether one is installed, whether boot starts it, and what enabling or disabling it
//! would change.
//!
//! For probes and for change/. What is read is what an image carries: units and links, init
//! scripts, jobs. Whether a service runs right now is not asked, and what generators write below
//! /run is known of cloud-init's and of the one for init scripts alone. Presets enable nothing by
//! themselves.

mod systemd;
mod sysv;
mod upstart;

use super::{Fact, Guest, Init, keep};
use crate::model::{ByteString, GuestPath};

pub(super) use systemd::{Started, started_by};

/// The runlevels of OpenRC (Alpine, Gentoo), whose services are not read.
pub(super) const OPENRC: &str = "/etc/runlevels";

/// Whether boot starts a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// Boot starts it.
    AtBoot,
    /// Something that boot starts does: a socket, a timer, a path, the message bus.
    OnDemand,
    /// Nothing that boot starts asks for it.
    Never,
    /// It cannot be started.
    Masked,
}

impl Starts {
    /// Whether it runs, or would run when it is asked for.
    pub fn is_enabled(self) -> bool {
        matches!(self, Starts::AtBoot | Starts::OnDemand)
    }
}

/// What starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartedBy {
    /// A systemd unit.
    Systemd,
    /// An init script with links in the directories of the runlevels.
    SysV,
    /// An upstart job.
    Upstart,
}

/// A service that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its own name without `.service`, where it was asked for by an alias.
    pub name: String,
    /// Whether boot starts it.
    pub starts: Starts,
    /// What would start it.
    pub by: StartedBy,
    /// Its unit, script or job; the mask of a masked one.
    pub path: Option<GuestPath>,
    /// The links that enable it, in /etc and in /usr; whether boot heeds them is in `starts`.
    pub links: Vec<GuestPath>,
}

/// A link to be made with that target, or to be removed where there is none.
pub type LinkChange = (GuestPath, Option<ByteString>);

impl Guest {
    /// A service by its name without a suffix (`sshd`), or any unit by its full name (`ssh.socket`,
    /// `cloud-init.target`); `None` when it is not installed. A distribution's other name for it is
    /// found only where the guest has an alias.
    ///
    /// # Errors
    /// When the unit directories, or a unit, script or job that tells, cannot be read, and where OpenRC starts services.
    pub fn service(&self, name: &str) -> Fact<Option<Service>> {
        match self.init()? {
            Init::Unknown if self.stat(&GuestPath::from(OPENRC))?.is_some() => {
                Err(super::Unknown(format!("{OPENRC}: the services of OpenRC cannot be judged")))
            }
            Init::Systemd | Init::Unknown => match systemd::service(self, name)? {
                Some(service) => Ok(Some(service)),
                None => sysv::service_by_generator(self, name),
            },
            Init::Upstart => match upstart::service(self, name)? {
                Some(service) => Ok(Some(service)),
                None => sysv::service(self, name),
            },
            // DISTRO(el6): runs upstart, for gettys and the scripts.
            Init::SysV => match sysv::service(self, name)? {
                Some(service) => Ok(Some(service)),
                None => upstart::service(self, name),
            },
        }
    }

    /// The links that `systemctl enable`, `chkconfig NAME on` and their opposites would make and
    /// remove; empty when nothing is to be done.
    ///
    /// # Errors
    /// When the service is not installed, and when no link would do it: a unit without `[Install]`,
    /// one that the distribution itself links, a masked one, an upstart job.
    pub fn service_links(&self, name: &str, enable: bool) -> Fact<Vec<LinkChange>> {
        let Some(service) = self.service(name)? else {
            return Err(super::Unknown(format!("there is no service {name}")));
        };
        match (service.by, enable) {
            (StartedBy::Systemd, true) => systemd::enable(self, &service),
            (StartedBy::Systemd, false) => systemd::disable(self, &service),
            (StartedBy::SysV, _) => sysv::switch(self, &service, enable),
            (StartedBy::Upstart, true) if service.starts == Starts::AtBoot => Ok(Vec::new()),
            (StartedBy::Upstart, false) if service.starts != Starts::AtBoot => Ok(Vec::new()),
            (StartedBy::Upstart, _) => Err(super::Unknown(format!(
                "{name} is an upstart job, which no link switches but a file {name}.override"
            ))),
        }
    }

    /// The units that boot starts.
    pub(super) fn started(&self) -> Fact<&Started> {
        keep(&self.facts.started, || systemd::started(self))
    }
}

//! The account files: passwd, group, shadow and gshadow, each parsed once.
//!
//! For probes. Says what stands in them, never whether that is good, and never gives out a hash.

use super::kept::Kept;
use super::{Fact, Guest};
use crate::parse::passwd::{Entry, Kind, Table};

/// The account files that were asked for so far.
#[derive(Default)]
pub(super) struct Accounts {
    passwd: Kept<Fact<Option<Table>>>,
    group: Kept<Fact<Option<Table>>>,
    shadow: Kept<Fact<Option<Table>>>,
    gshadow: Kept<Fact<Option<Table>>>,
}

impl Guest {
    /// One of the account files; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read; shadow and gshadow are for root alone.
    pub fn accounts(&self, kind: Kind) -> Fact<Option<&Table>> {
        let known = &self.facts.accounts;
        let (cell, path) = match kind {
            Kind::Passwd => (&known.passwd, "/etc/passwd"),
            Kind::Group => (&known.group, "/etc/group"),
            Kind::Shadow => (&known.shadow, "/etc/shadow"),
            Kind::Gshadow => (&known.gshadow, "/etc/gshadow"),
        };
        let fact =
            cell.get_or_init(|| Ok(self.file(path)?.map(|content| Table::parse(kind, &content))));
        fact.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// The id of a group that /etc/group has.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn group_id(&self, name: &str) -> Fact<Option<u32>> {
        let group = self.accounts(Kind::Group)?.and_then(|table| table.get(name));
        Ok(group.and_then(Entry::gid))
    }
}

//! Taking an account out of the files that know it: phase 2, because what a journal would save of
//! shadow is what must not go with the image.
//!
//! On a guest that runs its own tool does it, which knows its locks and tells its caches. What that
//! leaves (a run that was cut short, the backups that it makes), and all of it on a guest that does
//! not run, is edited here. Each file is replaced whole, and a step that was cut short is taken again:
//! the file that tells whether the account is still there comes last.

use super::step::COMMAND_LIMIT;
use crate::guest::Guest;
use crate::model::GuestPath;
use crate::parse::account_files::{AccountFile, owns_group, without};
use crate::parse::passwd::{Kind, Table};
use crate::sys::write::{RootMut, Spot};
use crate::sys::{Erased, Error, ErrorKind, Result};

/// The files, in the order in which they are changed; of each the tools of shadow keep a backup, by
/// the same name with a dash.
const FILES: [(&str, AccountFile); 6] = [
    ("/etc/subuid", AccountFile::OfAccounts),
    ("/etc/subgid", AccountFile::OfAccounts),
    ("/etc/gshadow", AccountFile::OfGroups),
    ("/etc/group", AccountFile::OfGroups),
    ("/etc/shadow", AccountFile::OfAccounts),
    ("/etc/passwd", AccountFile::OfAccounts),
];

/// What takes an account away: shadow's tool, and busybox's (and Debian's, which calls shadow's).
const TOOLS: [&str; 2] = ["userdel", "deluser"];
/// What userdel(8) ends with when there is no such account.
const NO_SUCH_USER: i32 = 6;

/// The name of a new file until it takes the old one's, each its own: what a cut has left there is
/// told by it. The tools of shadow know theirs by `+`.
fn temporary(path: &GuestPath) -> String {
    format!(".guestprep-account-{}", String::from_utf8_lossy(path.name()))
}

/// Take an account out of every file.
///
/// # Errors
/// What the guest's tool says, and nothing more is done then; what the system says of a file, and
/// those before it are changed then.
pub fn drop(guest: &Guest, root: &RootMut, user: &str) -> Result<Erased> {
    let own_group = has_own_group(root, user.as_bytes())?;
    let mut erased = Erased::default();
    if guest.is_running_here() {
        run_tool(guest, user)?;
    }
    for (path, kind) in FILES {
        for path in [format!("{path}-"), path.to_owned()] {
            let path = GuestPath::from(path.as_str());
            let Some((spot, now)) = read(root, &path)? else { continue };
            let without = |text: &[u8], own_group| without(kind, text, user.as_bytes(), own_group);
            // Cut short before, this is taken again. What came out then is the file with the account
            // still in it, unless somebody else had just changed it.
            let is_ours = |text: &[u8]| {
                [true, false].iter().any(|group| without(text, *group) == without(&now, *group))
            };
            spot.settle(&temporary(&path), is_ours)?;
            let Some(text) = spot.read()? else { continue };
            let left = without(&text, own_group);
            if left == text {
                continue;
            }
            replace(&spot, &temporary(&path), &text, &left)?;
            erased.files += 1;
            erased.bytes += text.len().saturating_sub(left.len()) as u64;
        }
    }
    Ok(erased)
}

/// Ask the guest's own tool; a guest without one is edited as one that does not run.
fn run_tool(guest: &Guest, user: &str) -> Result<()> {
    for tool in TOOLS {
        let output = match guest.runner().run(&[tool, "--", user], COMMAND_LIMIT) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            output => output?,
        };
        if output.success() || tool == TOOLS[0] && output.code == NO_SUCH_USER {
            return Ok(());
        }
        let command = format!("{tool} {user}");
        return Err(Error::new("run", command, ErrorKind::Other, output.complaint()));
    }
    Ok(())
}

/// Whether the group of the account's name goes with it. Asked of what is there before anything is
/// changed.
fn has_own_group(root: &RootMut, user: &[u8]) -> Result<bool> {
    let table = |path: &str, kind| -> Result<Table> {
        let text = read(root, &GuestPath::from(path))?.map(|(_, text)| text);
        Ok(Table::parse(kind, &text.unwrap_or_default()))
    };
    let passwd = table("/etc/passwd", Kind::Passwd)?;
    Ok(owns_group(&passwd, &table("/etc/group", Kind::Group)?, user))
}

fn replace(spot: &Spot, temporary: &str, read: &[u8], content: &[u8]) -> Result<()> {
    let Some(like) = spot.attributes()? else { return Ok(()) };
    spot.replace(temporary, read, content, &like, false)?;
    if spot.read()?.as_deref() != Some(content) {
        let cause = "it is not what was written";
        return Err(Error::new("verify", &spot.path, ErrorKind::Other, cause));
    }
    Ok(())
}

fn read(root: &RootMut, path: &GuestPath) -> Result<Option<(Spot, Vec<u8>)>> {
    let spot = match root.spot_of_file(path) {
        Ok(spot) => spot,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(spot.read()?.map(|text| (spot, text)))
}

//! `root-account-missing`: root has no account, no shell that lets it in, or no command that sets
//! its password.

use super::{Answer, Guest};
use crate::guest::Fact;
use crate::guest::FileKind;
use crate::model::{Finding, GuestPath, Subject, Verdict};
use crate::parse::passwd::{Entry, Kind};

/// Where the passwd command lies; /bin where /usr was never split off it.
const PASSWD: [&str; 2] = ["/usr/bin/passwd", "/bin/passwd"];

/// Programs that as a shell do nothing but refuse (nologin(8), false(1)).
const REFUSING: [&[u8]; 2] = [b"nologin", b"false"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let mut findings = Vec::new();
    let mut doubts = Vec::new();
    let passwd = GuestPath::from("/etc/passwd");
    // A malformed line is no entry for the C library either.
    match guest.accounts(Kind::Passwd).map(|table| table.and_then(|table| table.get("root"))) {
        Ok(Some(root)) => {
            if let Some(uid) = root.uid().filter(|uid| *uid != 0) {
                let subject = Subject::line(&passwd, root.line);
                findings.push(Finding::new("uid-not-zero", subject).with("uid", uid));
            }
            match shell(guest, root) {
                Ok(finding) => findings.extend(finding),
                Err(why) => doubts.push(why.0),
            }
        }
        Ok(None) => findings.push(Finding::new("no-passwd-entry", Subject::file(&passwd))),
        Err(why) => doubts.push(why.0),
    }
    match guest.accounts(Kind::Shadow).map(|table| table.and_then(|table| table.get("root"))) {
        Ok(Some(_)) => {}
        Ok(None) => {
            let subject = Subject::file(&GuestPath::from("/etc/shadow"));
            findings.push(Finding::new("no-shadow-entry", subject));
        }
        Err(why) => doubts.push(why.0),
    }
    match has_passwd_command(guest) {
        Ok(true) => {}
        Ok(false) => {
            let subject = Subject::file(&GuestPath::from(PASSWD[0]));
            findings.push(Finding::new("no-passwd-command", subject));
        }
        Err(why) => doubts.push(why.0),
    }
    Ok(Verdict::from_parts(findings, doubts))
}

/// What is wrong with root's shell; passwd(5): an empty field means /bin/sh.
fn shell(guest: &Guest, root: &Entry) -> Fact<Option<Finding>> {
    let written = root.shell().filter(|shell| !shell.is_empty()).unwrap_or(b"/bin/sh");
    let path = GuestPath::new(written);
    let key = if REFUSING.contains(&path.name()) {
        "login-refused"
    } else if !written.starts_with(b"/") {
        "no-shell"
    } else {
        let can_run = guest
            .stat(&path)?
            .is_some_and(|file| file.kind == FileKind::Regular && file.mode & 0o111 != 0);
        if can_run {
            return Ok(None);
        }
        refuse_without_usr(guest, &path)?;
        "no-shell"
    };
    let subject = Subject::line(&GuestPath::from("/etc/passwd"), root.line);
    let shown = String::from_utf8_lossy(written);
    Ok(Some(Finding::new(key, subject).with("shell", shown.escape_debug())))
}

fn has_passwd_command(guest: &Guest) -> Fact<bool> {
    for path in PASSWD.map(GuestPath::from) {
        if guest.stat(&path)?.is_some_and(|file| file.kind == FileKind::Regular) {
            return Ok(true);
        }
    }
    refuse_without_usr(guest, &GuestPath::from(PASSWD[0]))?;
    Ok(false)
}

fn refuse_without_usr(guest: &Guest, path: &GuestPath) -> Fact<()> {
    if guest.lacks_usr()? {
        return Err(crate::guest::Unknown(format!(
            "whether there is {path} cannot be told: /usr is a filesystem of its own and is not mounted in the tree"
        )));
    }
    Ok(())
}

//! Who is at work on a guest that runs: whose session asks, and what runs under an account.
//!
//! For change/, which has to say before somebody is locked out.

use super::{Fact, Guest, Person};
use crate::parse::fields::unsigned;
use crate::parse::utmp;

/// A chain of parents is followed this far.
const MAX_PARENTS: usize = 64;
/// What is unset in /proc/PID/loginuid (proc(5)).
const UNSET: u32 = u32::MAX;
/// So many of a command line's characters tell which process it is.
const SHOWN: usize = 60;

impl Guest {
    /// The accounts that whoever asks may be logged in by; none on a guest that does not run here, or
    /// where no login leads to this process: an agent's command, a unit.
    ///
    /// # Errors
    /// When the accounts cannot be read.
    pub fn operators(&self) -> Fact<Vec<Person>> {
        let people = self.people()?;
        if let Some(uid) = self.login_uid() {
            return Ok(people.into_iter().filter(|person| person.uid == uid).collect());
        }
        // A terminal multiplexer that was started over ssh has process 1 for its parent: whoever
        // is logged in may be looking at it.
        let sessions = match self.is_on_terminal() {
            true => self.file("/run/utmp")?.map(|text| utmp::logged_in(&text)).unwrap_or_default(),
            false => Vec::new(),
        };
        Ok(people.into_iter().filter(|person| sessions.contains(&person.name)).collect())
    }

    /// The account that a login led from to this process, as far as the kernel can tell.
    fn login_uid(&self) -> Option<u32> {
        let kernel = self.kernel()?;
        // Set by pam_loginuid, and kept through su and sudo; never set in a kernel without audit.
        let audited = kernel.proc("/self/loginuid").ok().flatten();
        let audited = audited.and_then(|text| unsigned(text.trim_ascii()));
        if audited.is_some_and(|uid| uid != UNSET) {
            return audited;
        }
        self.uid_above().or_else(|| {
            // sudo(8) and run0(1) say by whom they were called.
            let environment = kernel.proc("/self/environ").ok().flatten()?;
            let mut variables = environment.split(|byte| *byte == 0);
            unsigned(variables.find_map(|variable| variable.strip_prefix(b"SUDO_UID="))?)
        })
    }

    /// The owner of the nearest process above this one that is not this one's, or of a session of sshd.
    fn uid_above(&self) -> Option<u32> {
        let own = self.uid_of("self")?;
        let mut pid = "self".to_owned();
        for _ in 0..MAX_PARENTS {
            pid = String::from_utf8(self.status(&pid, b"PPid:")?).ok()?;
            let uid = self.uid_of(&pid)?;
            let name = self.status(&pid, b"Name:")?;
            // OpenSSH 9.8 serves a session from sshd-session; before it was sshd itself.
            if uid != own || name.starts_with(b"sshd") {
                return Some(uid);
            }
        }
        None
    }

    /// The processes that run under a user id, by their command lines.
    ///
    /// # Errors
    /// When /proc cannot be listed. A process that ends meanwhile is none.
    pub fn processes_of(&self, uid: u32) -> Fact<Vec<String>> {
        let Some(kernel) = self.kernel() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for name in kernel.proc_list("/")?.unwrap_or_default() {
            let Some(pid) = unsigned(&name).map(|pid: u32| pid.to_string()) else { continue };
            if self.uid_of(&pid) != Some(uid) {
                continue;
            }
            let line = kernel.proc(&format!("/{pid}/cmdline")).ok().flatten().unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let shown: String = match line.trim() {
                "" => self.status(&pid, b"Name:").map_or_else(String::new, |name| {
                    format!("[{}]", String::from_utf8_lossy(&name))
                }),
                line => line.chars().filter(|c| !c.is_control()).take(SHOWN).collect(),
            };
            found.push(format!("pid {pid} ({shown})"));
        }
        Ok(found)
    }

    /// The real user id of a process.
    fn uid_of(&self, pid: &str) -> Option<u32> {
        let ids = self.status(pid, b"Uid:")?;
        ids.split(u8::is_ascii_whitespace).find(|id| !id.is_empty()).and_then(unsigned)
    }

    /// A value of /proc/PID/status.
    fn status(&self, pid: &str, key: &[u8]) -> Option<Vec<u8>> {
        let status = self.kernel()?.proc(&format!("/{pid}/status")).ok().flatten()?;
        let mut lines = status.split(|byte| *byte == b'\n');
        lines.find_map(|line| line.strip_prefix(key)).map(|value| value.trim_ascii().to_vec())
    }

    /// Whether this process has a controlling terminal: `tty_nr` of proc(5) is the fifth value behind
    /// the name, which may have anything in it.
    fn is_on_terminal(&self) -> bool {
        let stat = self.kernel().and_then(|kernel| kernel.proc("/self/stat").ok().flatten());
        let stat = stat.unwrap_or_default();
        let behind = stat.iter().rposition(|byte| *byte == b')').unwrap_or(0);
        let terminal = stat[behind..].split(|byte| *byte == b' ').nth(5);
        terminal.is_some_and(|number| number != b"0")
    }
}

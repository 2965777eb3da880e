//! Which boot this is, and how it ends.
//!
//! For change/, which takes phase 2 when a machine powers off.

use std::time::Duration;

use super::{Fact, Guest, Init, Unknown};

/// systemd answers about its jobs from memory.
const LIMIT: Duration = Duration::from_secs(30);

/// How this boot ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The machine is powering off, or halts.
    PowerOff,
    /// It starts again.
    Restart,
    /// It does not end now.
    Not,
}

impl Guest {
    /// The id of this boot; none on a guest that does not run.
    ///
    /// # Errors
    /// What the system says.
    pub fn boot_id(&self) -> Fact<Option<String>> {
        let Some(kernel) = self.kernel() else { return Ok(None) };
        let id = kernel.proc("/sys/kernel/random/boot_id")?;
        Ok(id.map(|id| String::from_utf8_lossy(id.trim_ascii()).into_owned()))
    }

    /// How this boot ends, as its init system has it now.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn ending(&self) -> Fact<Ending> {
        match self.init()? {
            Init::Systemd => {
                let output =
                    self.runner().run(&["systemctl", "--no-legend", "list-jobs"], LIMIT)?;
                match output.success() {
                    true => Ok(of_jobs(&output.stdout)),
                    false => Err(Unknown(format!("systemctl list-jobs: {}", output.complaint()))),
                }
            }
            // init(8) tells its scripts the runlevel that they are run for.
            Init::SysV | Init::Upstart | Init::Unknown => {
                let environment = match self.kernel() {
                    Some(kernel) => kernel.proc("/self/environ")?.unwrap_or_default(),
                    None => Vec::new(),
                };
                Ok(of_environment(&environment))
            }
        }
    }
}

/// `1234 poweroff.target start waiting`.
fn of_jobs(jobs: &[u8]) -> Ending {
    let text = String::from_utf8_lossy(jobs);
    let starts = |units: &[&str]| {
        text.lines().any(|line| {
            let mut words = line.split_ascii_whitespace().skip(1);
            words.next().is_some_and(|unit| units.contains(&unit)) && words.next() == Some("start")
        })
    };
    if starts(&["poweroff.target", "halt.target"]) {
        Ending::PowerOff
    } else if starts(&["reboot.target", "kexec.target", "soft-reboot.target"]) {
        Ending::Restart
    } else {
        Ending::Not
    }
}

fn of_environment(environment: &[u8]) -> Ending {
    let mut variables = environment.split(|byte| *byte == 0);
    match variables.find_map(|variable| variable.strip_prefix(b"RUNLEVEL=")) {
        Some(b"0") => Ending::PowerOff,
        Some(b"6") => Ending::Restart,
        _ => Ending::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_the_jobs_of_systemd() {
        for (jobs, ending) in [
            (
                "7 poweroff.target start waiting\n9 shutdown.target start running\n",
                Ending::PowerOff,
            ),
            ("12   halt.target                start waiting\n", Ending::PowerOff),
            ("7 reboot.target start waiting\n", Ending::Restart),
            ("7 poweroff.target stop waiting\n", Ending::Not),
            ("7 x-poweroff.target start waiting\nNo jobs running.\n", Ending::Not),
            ("", Ending::Not),
        ] {
            assert_eq!(of_jobs(jobs.as_bytes()), ending, "{jobs}");
        }
    }

    #[test]
    fn by_the_runlevel() {
        assert_eq!(of_environment(b"PATH=/bin\0RUNLEVEL=0\0PREVLEVEL=3\0"), Ending::PowerOff);
        assert_eq!(of_environment(b"RUNLEVEL=6\0"), Ending::Restart);
        assert_eq!(of_environment(b"PREVLEVEL=0\0RUNLEVEL=2\0"), Ending::Not);
    }
}

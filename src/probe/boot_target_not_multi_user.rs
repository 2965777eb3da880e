//! `boot-target-not-multi-user`: what boot is told to reach lets nobody in.
//!
//! A word of the default entry's arguments comes before what the files say; of several words the last one counts
//! (systemd(1), init(8)).

use super::{Answer, Guest};
use crate::guest::{BootEntry, Family, Init, LeadsTo, Loader, Unknown};
use crate::model::{ByteString, Edit, Finding, GuestPath, Subject, Verdict};
use crate::parse::init_script;
use crate::parse::kernel_arguments::Argument;

/// Programs that are systemd or the init of the system by another name; systemd-bootchart becomes systemd.
const INITS: [&[u8]; 3] = [b"init", b"systemd", b"systemd-bootchart"];

/// Words by which systemd reaches another unit than default.target (systemd(1)).
const TARGETS: [(&str, &str); 12] = [
    ("emergency", "emergency.target"),
    ("-b", "emergency.target"),
    ("rescue", "rescue.target"),
    ("single", "rescue.target"),
    ("-s", "rescue.target"),
    ("s", "rescue.target"),
    ("S", "rescue.target"),
    ("1", "rescue.target"),
    ("2", "multi-user.target"),
    ("3", "multi-user.target"),
    ("4", "multi-user.target"),
    ("5", "graphical.target"),
];

/// Where `rd.break=` and `break=` of an initial ramdisk stop it, before or after what they are named for (dracut.cmdline(7),
/// initramfs-tools(7)).
const DRACUT_BREAKS: [&[u8]; 8] = [
    b"cmdline",
    b"pre-udev",
    b"pre-trigger",
    b"initqueue",
    b"pre-mount",
    b"mount",
    b"pre-pivot",
    b"cleanup",
];
const INITRAMFS_TOOLS_BREAKS: [&[u8]; 7] =
    [b"top", b"modules", b"premount", b"mount", b"mountroot", b"bottom", b"init"];

/// Judge the check.
pub fn judge(guest: &Guest) -> Answer {
    let is_systemd = matches!(guest.init()?, Init::Systemd | Init::Unknown);
    let mut found = Found { guest, findings: Vec::new(), doubts: Vec::new() };
    let configured = match is_systemd {
        true => found.default_target()?,
        false => found.default_level()?,
    };
    let Some(configured) = configured else {
        return Ok(Verdict::NotApplicable("no-systemd"));
    };
    let is_decided = match guest.boot_entries() {
        Ok(menu) => {
            found.doubts.extend(menu.doubts.iter().cloned());
            if let Loader::Other(name) = menu.loader {
                found
                    .doubts
                    .push(format!("{}: the configuration of {name} cannot be judged", menu.config));
            }
            match menu.default_entry() {
                Some(entry) if entry.kernel.is_some() => {
                    found.arguments(entry, is_systemd, configured == Configured::Good)?
                }
                _ => false,
            }
        }
        Err(why) => {
            found.doubts.push(why.0);
            false
        }
    };
    if !is_decided {
        match configured {
            Configured::Good => {}
            Configured::Bad(finding) => found.findings.push(finding),
            Configured::Untold(doubt) => found.doubts.push(doubt),
        }
    }
    Ok(Verdict::from_parts(found.findings, found.doubts))
}

/// What the files say, which counts where no argument says otherwise.
#[derive(PartialEq)]
enum Configured {
    Good,
    Bad(Finding),
    Untold(String),
}

struct Found<'a> {
    guest: &'a Guest,
    findings: Vec<Finding>,
    doubts: Vec<String>,
}

impl Found<'_> {
    fn default_target(&self) -> Result<Option<Configured>, Unknown> {
        let subject = Subject::Unit { unit: "default.target".to_owned() };
        let Some(leads_to) = self.guest.leads_to("default.target")? else { return Ok(None) };
        Ok(Some(configured(leads_to, subject)))
    }

    fn default_level(&self) -> Result<Option<Configured>, Unknown> {
        let inittab = GuestPath::from("/etc/inittab");
        let named = self.guest.file("/etc/inittab")?.and_then(|t| init_script::initdefault(&t));
        Ok(Some(match named {
            Some((_, '2'..='5')) => Configured::Good,
            Some((line, level)) => Configured::Bad(
                Finding::new("runlevel", Subject::line(&inittab, line)).with("level", level),
            ),
            // upstart's scripts have a runlevel of their own to fall back to; init(8) asks at the console.
            None if self.has_upstart()? => Configured::Good,
            None => Configured::Bad(Finding::new("no-runlevel", Subject::file(&inittab))),
        }))
    }

    fn has_upstart(&self) -> Result<bool, Unknown> {
        let is_el6 = self.guest.os()?.family == Family::El && self.guest.os()?.major() == Some(6);
        Ok(is_el6
            || self.guest.init()? == Init::Upstart
            || self.guest.stat(&GuestPath::from("/etc/init/rcS.conf"))?.is_some())
    }

    /// Judges the words of the default entry; says whether they decide what boot reaches.
    fn arguments(
        &mut self,
        entry: &BootEntry,
        is_systemd: bool,
        is_good_without: bool,
    ) -> Result<bool, Unknown> {
        let subject = Subject::line(&entry.source, entry.arguments_line);
        let print = entry.arguments.print();
        let mut bad = Vec::new();
        let mut last = None;
        for word in entry.arguments.words() {
            let text = ByteString::from(&print[word.span.clone()]);
            let reached = match is_systemd {
                true => self.reached_by_systemd(word, &subject)?,
                false => level_of(word).map(|level| match level {
                    '2'..='5' => Configured::Good,
                    _ => Configured::Bad(
                        Finding::new("argument-runlevel", subject.clone()).with("level", level),
                    ),
                }),
            };
            if let Some(reached) = reached {
                if reached != Configured::Good {
                    bad.push(text.clone());
                }
                last = Some((text, reached));
            }
        }
        let is_decided = last.is_some();
        let evidence = ByteString::from(entry.arguments.text());
        // What stands behind `--` is for init, and no edit of the kernel's arguments reaches it.
        let fix = |words: &[ByteString]| {
            let is_for_init = entry.arguments.words().len() != entry.arguments.arguments().len();
            let remove: Option<Vec<String>> =
                words.iter().map(|word| String::from_utf8(word.as_bytes().to_vec()).ok()).collect();
            remove
                .filter(|_| !is_for_init)
                .map(|remove| Edit::KernelArguments { add: Vec::new(), remove })
        };
        match last {
            Some((text, Configured::Bad(finding))) => {
                let fix = fix(&bad).filter(|_| is_good_without);
                let finding = finding.with("argument", &text).evidence(&evidence).fix(fix);
                self.findings.push(finding);
            }
            Some((_, Configured::Untold(doubt))) => self.doubts.push(doubt),
            Some((_, Configured::Good)) | None => {}
        }
        let has_initrd = entry.initrds.iter().any(|initrd| initrd.exists);
        let is_debians = has_initrd && self.has_initramfs_tools()?;
        for word in entry.arguments.words().iter().filter(|_| has_initrd) {
            if stops_initrd(word, is_debians) {
                let text = ByteString::from(&print[word.span.clone()]);
                let finding = Finding::new("argument-initrd", subject.clone());
                let finding = finding.with("argument", &text).evidence(&evidence);
                self.findings.push(finding.fix(fix(&[text])));
            }
        }
        if let Some(init) = entry.arguments.last("init")
            && let Some(program) = init.value.as_deref()
            && !INITS.contains(&GuestPath::new(program).name())
        {
            let text = ByteString::from(&print[init.span.clone()]);
            self.findings.push(
                Finding::new("other-init", subject)
                    .with("argument", &text)
                    .with("program", ByteString::from(program))
                    .evidence(&evidence)
                    .fix(fix(&[text])),
            );
        }
        Ok(is_decided)
    }

    /// Whether the initial ramdisk is Debian's own, which minds no word of dracut's.
    fn has_initramfs_tools(&self) -> Result<bool, Unknown> {
        let dracut = self.guest.stat(&GuestPath::from("/usr/bin/dracut"))?;
        Ok(self.guest.os()?.family == Family::Deb && dracut.is_none())
    }

    /// What a word makes systemd reach; `None` of a word that does not choose.
    fn reached_by_systemd(
        &self,
        word: &Argument,
        subject: &Subject,
    ) -> Result<Option<Configured>, Unknown> {
        let unit = match &word.value {
            Some(value) if word.is_named(b"systemd.unit") => {
                String::from_utf8_lossy(value).into_owned()
            }
            Some(_) => return Ok(None),
            None => match TARGETS.iter().find(|(name, _)| word.key == name.as_bytes()) {
                Some((_, unit)) => (*unit).to_owned(),
                None => return Ok(None),
            },
        };
        let Some(leads_to) = self.guest.leads_to(&unit)? else { return Ok(None) };
        Ok(Some(match configured(leads_to, subject.clone()) {
            Configured::Bad(finding) if finding.key == "other-target" => {
                Configured::Bad(Finding { key: "argument-target", ..finding })
            }
            other => other,
        }))
    }
}

fn configured(leads_to: LeadsTo, subject: Subject) -> Configured {
    match leads_to {
        LeadsTo::MultiUser => Configured::Good,
        LeadsTo::Elsewhere(target) => {
            Configured::Bad(Finding::new("other-target", subject).with("target", target))
        }
        LeadsTo::Nothing(target) => {
            Configured::Bad(Finding::new("target-missing", subject).with("target", target))
        }
        LeadsTo::Masked(target, path) => Configured::Bad(
            Finding::new("target-masked", subject).with("target", target).with("path", path),
        ),
        LeadsTo::Untold(target) => Configured::Untold(format!(
            "{subject}: {target} does not start multi-user.target; whether it lets users in cannot be told"
        )),
    }
}

/// Whether a word has the initial ramdisk stop for a person.
fn stops_initrd(word: &Argument, is_debians: bool) -> bool {
    let value = word.value.as_deref();
    match word.key.as_slice() {
        // The kernel starts it in place of /init (admin-guide/kernel-parameters).
        b"rdinit" => value.is_some_and(|v| !INITS.contains(&GuestPath::new(v).name())),
        b"break" if is_debians => value.is_none_or(|points| {
            points.split(|b| *b == b',').any(|point| INITRAMFS_TOOLS_BREAKS.contains(&point))
        }),
        _ if is_debians => false,
        b"rd.break" | b"rdbreak" => value.is_none_or(|point| DRACUT_BREAKS.contains(&point)),
        // systemd(1), of the systemd in dracut's.
        b"rd.emergency" | b"rd.rescue" => value.is_none(),
        b"rd.systemd.unit" => value.is_some_and(|unit| {
            [&b"emergency.target"[..], b"rescue.target", b"emergency.service", b"rescue.service"]
                .contains(&unit)
        }),
        _ => false,
    }
}

/// The runlevel that a word asks init(8) for; `S` of the words for a shell.
fn level_of(word: &Argument) -> Option<char> {
    if word.value.is_some() {
        return None;
    }
    match word.key.as_slice() {
        b"single" | b"-s" | b"s" | b"S" | b"emergency" | b"-b" => Some('S'),
        [level @ b'0'..=b'9'] => Some(char::from(*level)),
        _ => None,
    }
}

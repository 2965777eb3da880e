//! The `mount` and `swapon` commands that boot runs beside fstab and mount units: in rc.local and
//! its kin, in `@reboot` lines of crontabs, in services that the operator wrote.
//!
//! For probes. Scripts that these run are not followed, drop-ins of services not read, and nothing
//! is expanded: a device in a variable is not known.

use super::{Fact, Guest, Init};
use crate::model::{ByteString, GuestPath};
use crate::parse::shell::{self, Command};
use crate::parse::unit::UnitFile;
use crate::sys::FileKind;

/// The scripts that run at the end of boot: of systemd and EL, of Debian before systemd, of SUSE.
const SCRIPTS: [&str; 6] = [
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/boot.local",
    "/etc/init.d/after.local",
    "/etc/rc.d/boot.local",
    "/etc/rc.d/after.local",
];

/// Where services of the operator lie.
const UNITS: &str = "/etc/systemd/system";

/// How deep `sh -c` is followed.
const MAX_SHELLS: usize = 4;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootVerb {
    /// mount(8)
    Mount,
    /// swapon(8)
    SwapOn,
}

/// A command that boot runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootCommand {
    /// The file that holds it.
    pub path: GuestPath,
    /// The line, counted from 1.
    pub line: usize,
    /// What it does.
    pub verb: BootVerb,
    /// Its words, as far as they were read.
    pub text: ByteString,
    /// What it mounts or swaps to, as fstab would write it; `None` where that is in a variable.
    pub source: Option<ByteString>,
    /// Where it mounts it.
    pub target: Option<GuestPath>,
    /// Whether it runs only if another command succeeds or fails, in a loop or a function.
    pub is_conditional: bool,
}

/// Every such command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootCommands {
    /// In the order of the files and their lines.
    pub commands: Vec<BootCommand>,
    /// Why some file could not be read.
    pub unread: Vec<String>,
}

pub(super) fn read(guest: &Guest) -> Fact<BootCommands> {
    let mut found = BootCommands::default();
    let mut seen = Vec::new();
    for path in SCRIPTS.map(GuestPath::from) {
        let Some(file) = guest.stat(&path)? else { continue };
        let inode = (file.device, file.inode);
        // One is often a link to the other. systemd-rc-local-generator(8) and the scripts that
        // it stands in for run none that is not executable.
        let is_run = file.mode & 0o111 != 0 || !matches!(guest.init()?, Init::Systemd);
        if file.kind != FileKind::Regular || seen.contains(&inode) || !is_run {
            continue;
        }
        seen.push(inode);
        found.read(guest, &path, shell::commands);
    }
    found.read(guest, &GuestPath::from("/etc/crontab"), |text| reboot_lines(text, true));
    for (directory, has_user) in
        [("/etc/cron.d", true), ("/var/spool/cron", false), ("/var/spool/cron/crontabs", false)]
    {
        for path in found.list(guest, &GuestPath::from(directory)) {
            if guest.stat(&path)?.is_some_and(|file| file.kind == FileKind::Regular) {
                found.read(guest, &path, |text| reboot_lines(text, has_user));
            }
        }
    }
    read_services(guest, &mut found)?;
    Ok(found)
}

impl BootCommands {
    /// The files in a directory that crond would read; it passes over hidden ones and backups.
    fn list(&mut self, guest: &Guest, directory: &GuestPath) -> Vec<GuestPath> {
        match guest.root().list(directory) {
            Ok(names) => names
                .unwrap_or_default()
                .iter()
                .filter(|name| !name.starts_with(b".") && !name.ends_with(b"~"))
                .map(|name| directory.join(name))
                .collect(),
            Err(error) => {
                self.unread.push(error.to_string());
                Vec::new()
            }
        }
    }

    fn read(&mut self, guest: &Guest, path: &GuestPath, parse: impl Fn(&[u8]) -> Vec<Command>) {
        match guest.root().read(path, super::MAX_FILE) {
            Ok(Some(text)) => {
                for command in parse(&text) {
                    self.add(guest, path, &command, MAX_SHELLS);
                }
            }
            Ok(None) => {}
            Err(error) => self.unread.push(error.to_string()),
        }
    }

    fn add(&mut self, guest: &Guest, path: &GuestPath, command: &Command, shells: usize) {
        let words = unwrapped(&command.words);
        let inner = Command { words: words.to_vec(), ..command.clone() };
        let verb = match inner.name() {
            b"mount" => BootVerb::Mount,
            b"swapon" => BootVerb::SwapOn,
            b"sh" | b"bash" | b"dash" | b"ksh" | b"su" | b"runuser" if shells > 0 => {
                let is_script =
                    |word: &Vec<u8>| word.first() == Some(&b'-') && word.ends_with(b"c");
                if let Some(at) = words.iter().position(is_script)
                    && let Some(script) = words.get(at + 1)
                {
                    for nested in shell::commands(script) {
                        let nested = Command {
                            line: command.line,
                            is_conditional: command.is_conditional || nested.is_conditional,
                            ..nested
                        };
                        self.add(guest, path, &nested, shells - 1);
                    }
                }
                return;
            }
            _ => return,
        };
        for (source, target) in arguments(guest, verb, &words[1..]) {
            self.commands.push(BootCommand {
                path: path.clone(),
                line: command.line,
                verb,
                text: ByteString::from(words.join(&b' ')),
                source: (!source.contains(&b'$')).then(|| ByteString::from(source)),
                target,
                is_conditional: command.is_conditional,
            });
        }
    }
}

/// A command without the assignments and the commands before it that only run it.
fn unwrapped(mut words: &[Vec<u8>]) -> &[Vec<u8>] {
    while let Some((first, rest)) = words.split_first() {
        let name = first.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let is_assignment = first.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
            && first.contains(&b'=');
        let is_wrapper = matches!(
            name,
            b"sudo"
                | b"nohup"
                | b"exec"
                | b"command"
                | b"env"
                | b"setsid"
                | b"nice"
                | b"ionice"
                | b"timeout"
        );
        if !is_assignment && !is_wrapper {
            break;
        }
        words = rest;
        let is_own = |word: &Vec<u8>| {
            is_wrapper && word.first().is_some_and(|b| *b == b'-' || b.is_ascii_digit())
        };
        while words.first().is_some_and(is_own) {
            words = &words[1..];
        }
    }
    words
}

/// What mount(8) or swapon(8) would take from its arguments: sources with their targets.
fn arguments(
    guest: &Guest,
    verb: BootVerb,
    words: &[Vec<u8>],
) -> Vec<(Vec<u8>, Option<GuestPath>)> {
    let mut sources = Vec::new();
    let mut target = None;
    let mut positional: Vec<&[u8]> = Vec::new();
    let mut words = words.iter().map(Vec::as_slice);
    while let Some(word) = words.next() {
        let (option, inline) = match word.iter().position(|b| *b == b'=') {
            Some(at) if word.starts_with(b"--") => (&word[..at], Some(&word[at + 1..])),
            _ => (word, None),
        };
        let mut value = || inline.or_else(|| words.next()).unwrap_or_default();
        match option {
            // Everything that fstab or /proc/swaps has, which is judged there.
            b"-a" | b"--all" | b"--move" | b"-M" => return Vec::new(),
            _ if option.starts_with(b"--make-") => return Vec::new(),
            b"-U" | b"--uuid" => sources.push([b"UUID=", value()].concat()),
            b"-L" | b"--label" => sources.push([b"LABEL=", value()].concat()),
            b"--source" => sources.push(value().to_vec()),
            b"--target" => target = Some(GuestPath::new(value())),
            b"-o" | b"--options" => {
                let is_remount = value().split(|b| *b == b',').any(|o| o == b"remount");
                if is_remount && verb == BootVerb::Mount {
                    return Vec::new();
                }
            }
            b"-t" | b"--types" | b"-O" | b"--test-opts" | b"-N" | b"--namespace" | b"-T"
            | b"--fstab" | b"-p" | b"--priority" => {
                value();
            }
            _ if option.starts_with(b"-") => {}
            _ => positional.push(word),
        }
    }
    if verb == BootVerb::SwapOn {
        sources.extend(positional.into_iter().map(<[u8]>::to_vec));
        return sources.into_iter().map(|source| (source, None)).collect();
    }
    let mut positional = positional.into_iter();
    match (sources.pop(), positional.next(), positional.next()) {
        (Some(source), first, _) => vec![(source, target.or_else(|| first.map(GuestPath::new)))],
        (None, Some(source), Some(target)) => vec![(source.to_vec(), Some(GuestPath::new(target)))],
        // One of the two: the other is in fstab.
        (None, Some(named), None) => from_fstab(guest, named),
        (None, None, _) => Vec::new(),
    }
}

fn from_fstab(guest: &Guest, named: &[u8]) -> Vec<(Vec<u8>, Option<GuestPath>)> {
    let Ok(Some(fstab)) = guest.fstab() else { return Vec::new() };
    fstab
        .entries()
        .find(|e| {
            e.source.value == named || GuestPath::new(&e.target.value) == GuestPath::new(named)
        })
        .map(|e| (e.source.value.clone(), Some(GuestPath::new(&e.target.value))))
        .into_iter()
        .collect()
}

/// The commands of a crontab's `@reboot` lines (crontab(5)); a system's names the user first.
fn reboot_lines(text: &[u8], has_user: bool) -> Vec<Command> {
    let mut found = Vec::new();
    for (index, line) in text.split(|b| *b == b'\n').enumerate() {
        let Some(mut rest) = line.trim_ascii_start().strip_prefix(b"@reboot") else { continue };
        if !rest.first().is_some_and(u8::is_ascii_whitespace) {
            continue;
        }
        if has_user {
            rest = rest.trim_ascii_start();
            let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
            rest = &rest[end..];
        }
        found.extend(shell::commands(rest).into_iter().map(|c| Command { line: index + 1, ..c }));
    }
    found
}

/// The services that some unit wants or requires and whose file the operator wrote: those of
/// packages, below /usr/lib and /lib, mount no data disk.
fn read_services(guest: &Guest, found: &mut BootCommands) -> Fact<()> {
    let units = GuestPath::from(UNITS);
    let mut seen = Vec::new();
    for directory in guest.root().list(&units)?.unwrap_or_default() {
        if !directory.ends_with(b".wants") && !directory.ends_with(b".requires") {
            continue;
        }
        let directory = units.join(&directory);
        for path in found.list(guest, &directory) {
            if !path.as_bytes().ends_with(b".service") {
                continue;
            }
            let file = guest.resolved(&path)?;
            let text = file.as_bytes();
            let is_packaged = text.starts_with(b"/usr/lib/") || text.starts_with(b"/lib/");
            if !is_packaged && !seen.contains(&file) {
                found.read(guest, &file, service_commands);
                seen.push(file);
            }
        }
    }
    Ok(())
}

/// The commands that a service starts. They are no shell's, but quote alike (systemd.service(5)).
fn service_commands(text: &[u8]) -> Vec<Command> {
    let unit = UnitFile::parse(text);
    let mut found = Vec::new();
    for assignment in unit.settings().assignments() {
        if assignment.section != b"Service"
            || !matches!(
                assignment.key.as_slice(),
                b"ExecStart" | b"ExecStartPre" | b"ExecStartPost"
            )
        {
            continue;
        }
        let prefix = assignment
            .value
            .iter()
            .take_while(|b| matches!(b, b'-' | b'@' | b':' | b'+' | b'!'))
            .count();
        let commands = shell::commands(&assignment.value[prefix..]);
        found.extend(commands.into_iter().map(|c| Command { line: assignment.line, ..c }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<u8>> {
        shell::commands(text.as_bytes()).remove(0).words
    }

    #[test]
    fn what_only_runs_a_command_is_taken_off() {
        for text in [
            "sudo mount /a /b",
            "LANG=C nice -n 10 mount /a /b",
            "/usr/bin/timeout 10 env X=1 mount /a /b",
        ] {
            let all = words(text);
            assert_eq!(unwrapped(&all).join(&b' '), b"mount /a /b", "{text}");
        }
    }

    #[test]
    fn a_crontab_line_at_reboot() {
        let text = b"# @reboot a b\n@reboot root mount /x /y\n@rebooted root c\n5 * * * * root d\n @reboot  root e && f\n";
        let found: Vec<_> =
            reboot_lines(text, true).iter().map(|c| (c.line, c.words.join(&b' '))).collect();
        let want = [(2, b"mount /x /y".to_vec()), (5, b"e".to_vec()), (5, b"f".to_vec())];
        assert_eq!(found, want);
        assert_eq!(reboot_lines(b"@reboot mount /x /y", false)[0].words.len(), 3);
    }

    #[test]
    fn a_service_line_with_its_prefix() {
        let found = service_commands(
            b"[Service]\nType=oneshot\nExecStartPre=-/bin/mount /x /y\nExecStop=/bin/umount /y\n[Unit]\nExecStart=/bin/z\n",
        );
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].name()), (3, &b"mount"[..]));
    }
}

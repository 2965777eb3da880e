//! One wish for the kernel's arguments, made edits of every file that a boot to come takes them from.
//!
//! The settings of the generator and what it generated are edited side by side, so that the next boot and the next kernel
//! agree and rollback has nothing but files to put back: running the generator would also take in whatever else changed
//! since it ran last.

use std::collections::BTreeMap;

use super::compose::ComposeError;
use crate::guest::{BootEntries, Family, GrubDefaults, Guest, Loader, Unknown};
use crate::model::{ByteString, CheckId, Edit, GuestPath, LineChange};
use crate::parse::bls::BlsEntry;
use crate::parse::grub_env::GrubEnv;
use crate::parse::grub_legacy::GrubLegacy;
use crate::parse::grub_script::{self, Wanted};
use crate::parse::kernel_arguments::KernelArguments;
use crate::parse::{grub_defaults, lines};

/// The edits with every [`Edit::KernelArguments`] replaced by edits of files.
///
/// # Errors
/// When two checks want different things of one argument, when the loader's configuration cannot be read, and when a
/// file cannot hold what is wanted.
pub fn expand(
    guest: &Guest,
    edits: &[(CheckId, Edit)],
) -> Result<Vec<(CheckId, Edit)>, ComposeError> {
    let mut wishes = Wishes::default();
    let mut rest = Vec::new();
    for (check, edit) in edits {
        match edit {
            Edit::KernelArguments { add, remove } => wishes.take(check, add, remove)?,
            other => rest.push((check.clone(), other.clone())),
        }
    }
    if wishes.checks.is_empty() {
        return Ok(rest);
    }
    let mut files = Files { guest, changed: BTreeMap::new() };
    files.edit_all(&wishes)?;
    for (path, (before, after)) in &files.changed {
        for edit in edits_of(path, before, after) {
            rest.extend(wishes.checks.iter().map(|check| (check.clone(), edit.clone())));
        }
    }
    Ok(rest)
}

/// What all checks want.
#[derive(Default)]
struct Wishes {
    add: BTreeMap<String, (CheckId, String)>,
    remove: BTreeMap<String, CheckId>,
    checks: Vec<CheckId>,
}

fn key_of(argument: &str) -> &str {
    argument.split('=').next().unwrap_or(argument)
}

impl Wishes {
    fn take(
        &mut self,
        check: &CheckId,
        add: &[String],
        remove: &[String],
    ) -> Result<(), ComposeError> {
        if !self.checks.contains(check) {
            self.checks.push(check.clone());
        }
        let conflict = |argument: &str, first: &CheckId| ComposeError::ArgumentConflict {
            argument: argument.to_owned(),
            first: first.clone(),
            second: check.clone(),
        };
        for argument in add {
            match self.add.get(key_of(argument)) {
                Some((first, other)) if other != argument => return Err(conflict(argument, first)),
                _ => {}
            }
            self.add.insert(key_of(argument).to_owned(), (check.clone(), argument.clone()));
        }
        for argument in remove {
            self.remove.insert(argument.clone(), check.clone());
        }
        for (key, (adder, argument)) in &self.add {
            let remover = self.remove.get(argument).or_else(|| self.remove.get(key));
            if let Some(remover) = remover.filter(|remover| *remover != adder) {
                return Err(conflict(argument, if adder == check { remover } else { adder }));
            }
        }
        Ok(())
    }

    fn removals(&self) -> Vec<String> {
        self.remove.keys().cloned().collect()
    }

    /// What is to be added to a list of arguments that has these. `root=` is only ever replaced: where there is none the
    /// generator puts it.
    fn additions(&self, old: &KernelArguments, is_wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        let is_there = |key: &str| old.all(key).next().is_some();
        let added =
            self.add.iter().filter(|(key, _)| is_there(key) || (*key != "root" && is_wanted(key)));
        added.map(|(_, (_, argument))| argument.clone()).collect()
    }
}

/// Files as they are and as they are to be.
struct Files<'a> {
    guest: &'a Guest,
    changed: BTreeMap<GuestPath, (Vec<u8>, Vec<u8>)>,
}

impl Files<'_> {
    fn edit_all(&mut self, wishes: &Wishes) -> Result<(), ComposeError> {
        let menu = self.guest.boot_entries()?;
        let defaults = self.guest.grub_defaults()?;
        match menu.loader {
            Loader::Grub2 => self.grub2(menu, defaults.as_ref(), wishes)?,
            Loader::GrubLegacy => self.legacy(menu, wishes)?,
            Loader::Other(_) | Loader::Missing => {
                return Err(Unknown(format!(
                    "{}: guestprep does not know how this loader keeps the kernel's arguments",
                    menu.config
                ))
                .into());
            }
        }
        if let Some(defaults) = &defaults {
            self.defaults(defaults, wishes)?;
        }
        let every = &|_: &str| true;
        self.file(&GuestPath::from("/etc/kernel/cmdline"), |text| {
            let old = KernelArguments::parse(text);
            Ok(old.edited(&wishes.additions(&old, every), &wishes.removals()))
        })
    }

    /// Edit one file, links resolved, if it is there.
    fn file(
        &mut self,
        path: &GuestPath,
        edit: impl FnOnce(&[u8]) -> Result<Vec<u8>, String>,
    ) -> Result<(), ComposeError> {
        // So that two names of one file are one file.
        let path = self.guest.resolved(path)?;
        if self.changed.contains_key(&path) {
            return Ok(());
        }
        let Some(before) = self.guest.file(&path)? else { return Ok(()) };
        let after = edit(&before).map_err(|why| Unknown(format!("{path}:{why}")))?;
        if after != **before {
            self.changed.insert(path, (before.to_vec(), after));
        }
        Ok(())
    }

    fn grub2(
        &mut self,
        menu: &BootEntries,
        defaults: Option<&GrubDefaults>,
        wishes: &Wishes,
    ) -> Result<(), ComposeError> {
        let removals = wishes.removals();
        // What only GRUB_CMDLINE_LINUX_DEFAULT has, recovery entries do not get.
        let is_normal = |key: &str| defaults.is_some_and(|d| target(d, key) == NORMAL);
        let wanted = |old: &KernelArguments| {
            let is_recovery = old.has("single") || old.has("recovery");
            let add = wishes.additions(old, &|key| !(is_recovery && is_normal(key)));
            Wanted { add, remove: removals.clone() }
        };
        let mut configs = menu.files.clone();
        configs.extend(["/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"].map(GuestPath::from));
        configs.extend(self.guest.efi_configs()?);
        for path in &configs {
            let is_read = menu.files.contains(path);
            self.file(path, |text| match grub_script::with_arguments(text, &wanted) {
                Ok(new) => Ok(new),
                // A leftover that no boot reads.
                Err(_) if !is_read => Ok(text.to_vec()),
                Err(error) => Err(format!("{}: {}", error.line, error.reason)),
            })?;
        }
        let mut has_kernelopts = false;
        for config in &configs {
            let block = config.parent().join(b"grubenv");
            let Some(content) = self.guest.file(&block)? else { continue };
            let Ok(env) = GrubEnv::parse(&content) else { continue };
            let Some(value) = env.get("kernelopts") else { continue };
            has_kernelopts = true;
            let old = KernelArguments::parse(value);
            let new = old.edited(&wishes.additions(&old, &|_| true), &removals);
            self.file(&block, |_| {
                env.with_value("kernelopts", &new).map_err(|why| format!("1: {why}"))
            })?;
        }
        has_kernelopts |= self.sets_kernelopts(&configs)?;
        for path in self.guest.bls_files()? {
            self.file(&path, |text| {
                let entry = BlsEntry::parse(text);
                let options: Vec<&[u8]> = entry.all("options").map(|(_, value)| value).collect();
                let old = KernelArguments::parse(&options.join(&b' '));
                let is_indirect =
                    has_kernelopts && (old.has("$kernelopts") || old.has("${kernelopts}"));
                let add = wishes.additions(&old, &|_| !is_indirect);
                Ok(entry.with_arguments(&add, &removals))
            })?;
        }
        Ok(())
    }

    fn sets_kernelopts(&self, configs: &[GuestPath]) -> Result<bool, ComposeError> {
        for path in configs {
            if let Some(content) = self.guest.file(path)?
                && content.windows(15).any(|window| window == b"set kernelopts=")
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn legacy(&mut self, menu: &BootEntries, wishes: &Wishes) -> Result<(), ComposeError> {
        // Each list is asked for by itself in the parser; what is added is the same for all.
        let all = KernelArguments::default();
        let mut add = wishes.additions(&all, &|_| true);
        let has_root = menu.kernels().any(|entry| entry.arguments.last("root").is_some());
        add.extend(
            wishes.add.get("root").filter(|_| has_root).map(|(_, argument)| argument.clone()),
        );
        let removals = wishes.removals();
        for path in ["/boot/grub/menu.lst", "/boot/grub/grub.conf"].map(GuestPath::from) {
            self.file(&path, |text| Ok(GrubLegacy::parse(text).with_arguments(&add, &removals)))?;
        }
        // DISTRO(suse): perl-Bootloader of SLES 11 writes the entry of a new kernel from these.
        if self.guest.os()?.family == Family::Suse {
            let path = GuestPath::from("/etc/sysconfig/bootloader");
            self.file(&path, |text| {
                grub_defaults::with_values(text, &mut |_, assignment, old| {
                    let is_append = assignment.key == b"DEFAULT_APPEND";
                    is_append.then(|| old.edited(&wishes.additions(old, &|_| true), &removals))
                })
                .map_err(|error| format!("{}: {}", error.line, error.reason))
            })?;
        }
        Ok(())
    }

    fn defaults(&mut self, defaults: &GrubDefaults, wishes: &Wishes) -> Result<(), ComposeError> {
        let removals = wishes.removals();
        // Where each variable is assigned last, as (file, index).
        let mut last: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (at, path) in defaults.files.iter().enumerate() {
            let content = self.guest.file(path)?.unwrap_or_default();
            let file = crate::parse::key_value::KeyValue::parse(&content);
            for (index, assignment) in file.assignments().iter().enumerate() {
                for name in [EVERY, NORMAL] {
                    if assignment.key == name.as_bytes() {
                        last.insert(name, (at, index));
                    }
                }
            }
        }
        for (at, path) in defaults.files.iter().enumerate() {
            self.file(path, |text| {
                let mut edit = |index: usize,
                                assignment: &crate::parse::key_value::Assignment,
                                old: &KernelArguments| {
                    let name =
                        [EVERY, NORMAL].into_iter().find(|n| assignment.key == n.as_bytes())?;
                    let is_last = last.get(name) == Some(&(at, index));
                    let lacks =
                        |key: &str| is_last && effective(defaults, name).last(key).is_none();
                    let mut add =
                        wishes.additions(old, &|key| target(defaults, key) == name && lacks(key));
                    // The other variable has it: here it goes.
                    add.retain(|argument| target(defaults, key_of(argument)) == name);
                    let moved = wishes
                        .add
                        .keys()
                        .filter(|key| target(defaults, key) != name && *key != "root");
                    let remove: Vec<String> = removals.iter().chain(moved).cloned().collect();
                    Some(old.edited(&add, &remove))
                };
                let mut text = grub_defaults::with_values(text, &mut edit)
                    .map_err(|error| format!("{}: {}", error.line, error.reason))?;
                if at == 0 && !last.contains_key(EVERY) {
                    let none = KernelArguments::default();
                    let add = wishes.additions(&none, &|key| target(defaults, key) == EVERY);
                    if !add.is_empty() {
                        if !text.is_empty() && !text.ends_with(b"\n") {
                            text.push(b'\n');
                        }
                        text.extend_from_slice(
                            format!("{EVERY}=\"{}\"\n", add.join(" ")).as_bytes(),
                        );
                    }
                }
                Ok(text)
            })?;
        }
        Ok(())
    }
}

const EVERY: &str = "GRUB_CMDLINE_LINUX";
const NORMAL: &str = "GRUB_CMDLINE_LINUX_DEFAULT";

/// The variable that an argument belongs in: the one that has it, else the one that every entry gets.
fn target(defaults: &GrubDefaults, key: &str) -> &'static str {
    let is_normal = defaults.normal.last(key).is_some() && defaults.every.last(key).is_none();
    if is_normal { NORMAL } else { EVERY }
}

fn effective<'a>(defaults: &'a GrubDefaults, name: &str) -> &'a KernelArguments {
    if name == NORMAL { &defaults.normal } else { &defaults.every }
}

/// The edits that make one text of another: lines replaced where their number is the same.
fn edits_of(path: &GuestPath, before: &[u8], after: &[u8]) -> Vec<Edit> {
    let (old, new): (Vec<_>, Vec<_>) =
        (lines::split(before).collect(), lines::split(after).collect());
    if let Some(added) = after.strip_prefix(before)
        && (before.is_empty() || before.ends_with(b"\n"))
    {
        let lines = lines::split(added).map(|(raw, _)| ByteString::from(raw)).collect();
        return vec![Edit::Append { path: path.clone(), lines }];
    }
    let same_endings = old.iter().zip(&new).all(|(old, new)| old.1 == new.1);
    if old.len() != new.len() || !same_endings {
        let content = ByteString::from(after);
        return vec![Edit::WriteFile { path: path.clone(), content, mode: 0o644 }];
    }
    let changed = old.iter().zip(&new).enumerate().filter(|(_, (old, new))| old.0 != new.0);
    changed
        .map(|(index, (old, new))| Edit::Line {
            path: path.clone(),
            line: index + 1,
            original: ByteString::from(old.0),
            change: LineChange::Replace(ByteString::from(new.0)),
        })
        .collect()
}

//! The menu of GRUB 0.97: /boot/grub/menu.lst and grub.conf.
//!
//! A line is a command and its argument, with blanks or `=` between them; what stands behind a `title` belongs to that
//! entry (GRUB 0.97 manual, "Configuration"). Lossless: lines keep their bytes.

use super::kernel_arguments::KernelArguments;
use super::lines::{self, Line};

/// A parsed menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubLegacy {
    lines: Vec<Line<Option<Command>>>,
    entries: Vec<Entry>,
}

/// A command and its argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command's name.
    pub name: Vec<u8>,
    /// What stands behind it, blanks at both ends left out.
    pub argument: Vec<u8>,
    /// Where that begins in the line.
    start: usize,
}

/// One entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The number of its `title` line, from 1.
    pub line: usize,
    /// The title.
    pub title: Vec<u8>,
    /// The path of the kernel, with a device before it where one is named, and its line.
    pub kernel: Option<(usize, Vec<u8>)>,
    /// The kernel's arguments.
    pub arguments: Vec<u8>,
    /// The path of the initrd, and its line. For Xen, the last `module`.
    pub initrd: Option<(usize, Vec<u8>)>,
    /// The first word that boots something else than a kernel: `chainloader`, `configfile`.
    pub other: Option<Vec<u8>>,
}

impl GrubLegacy {
    /// Reads a menu. Never fails: a line that GRUB would not know is kept and says nothing.
    pub fn parse(text: &[u8]) -> Self {
        let lines = lines::parse(text, |_, raw, _| command(raw));
        let mut entries: Vec<Entry> = Vec::new();
        for line in &lines {
            let Some(command) = &line.content else { continue };
            let argument = command.argument.clone();
            match (command.name.as_slice(), entries.last_mut()) {
                (b"title", _) => {
                    entries.push(Entry { line: line.number, title: argument, ..Entry::default() });
                }
                (b"kernel", Some(entry)) => {
                    let (path, arguments) = split_kernel(&argument);
                    let path = argument[path].to_vec();
                    entry.kernel = (!path.is_empty()).then_some((line.number, path));
                    entry.arguments = argument[arguments..].to_vec();
                }
                // Xen: `kernel` is the hypervisor, the first module Linux, the second its initrd.
                (b"module", Some(entry)) => {
                    let (path, arguments) = split_kernel(&argument);
                    let path = argument[path].to_vec();
                    if path.is_empty() {
                        continue;
                    }
                    if is_hypervisor(entry) {
                        entry.kernel = Some((line.number, path));
                        entry.arguments = argument[arguments..].to_vec();
                    } else {
                        entry.initrd = Some((line.number, path));
                    }
                }
                (b"initrd", Some(entry)) => {
                    let (path, _) = split_kernel(&argument);
                    entry.initrd = Some((line.number, argument[path].to_vec()));
                }
                (b"chainloader" | b"configfile", Some(entry)) => {
                    entry.other.get_or_insert(command.name.clone());
                }
                _ => {}
            }
        }
        Self { lines, entries }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The argument of a command of the menu itself, such as `default`, with its line; the last counts.
    pub fn setting(&self, name: &str) -> Option<(usize, &[u8])> {
        let end = self.entries.first().map_or(usize::MAX, |entry| entry.line);
        let before = self.lines.iter().filter(|line| line.number < end);
        before.rev().find_map(|line| {
            let command = line.content.as_ref().filter(|c| c.name == name.as_bytes())?;
            Some((line.number, command.argument.as_slice()))
        })
    }

    /// The menu with arguments added to and removed from the kernel line of every entry that boots Linux.
    pub fn with_arguments(&self, add: &[String], remove: &[String]) -> Vec<u8> {
        let kernels: Vec<usize> =
            self.entries.iter().filter_map(|entry| Some(entry.kernel.as_ref()?.0)).collect();
        let mut out = Vec::new();
        for line in &self.lines {
            match line.content.as_ref().filter(|_| kernels.contains(&line.number)) {
                Some(command) => {
                    let (_, behind) = split_kernel(&line.raw[command.start..]);
                    let behind = command.start + behind;
                    let arguments = KernelArguments::parse(&line.raw[behind..]);
                    let edited = arguments.edited(add, remove);
                    out.extend_from_slice(&line.raw[..behind]);
                    if edited.first().is_some_and(|b| !is_blank(b)) && !out.ends_with(b" ") {
                        out.push(b' ');
                    }
                    out.extend_from_slice(&edited);
                }
                None => out.extend_from_slice(&line.raw),
            }
            out.extend_from_slice(line.ending.as_bytes());
        }
        out
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_hypervisor(entry: &Entry) -> bool {
    let kernel = entry.kernel.as_ref().map_or(&[][..], |(_, path)| path);
    let name = kernel.rsplit(|b| *b == b'/').next().unwrap_or_default();
    name.starts_with(b"xen")
}

fn command(raw: &[u8]) -> Option<Command> {
    let begin = raw.iter().position(|b| !is_blank(b))?;
    if raw[begin] == b'#' {
        return None;
    }
    let is_end = |b: &u8| is_blank(b) || *b == b'=';
    let length = raw[begin..].iter().position(is_end).unwrap_or(raw.len() - begin);
    let name_end = begin + length;
    let skipped = raw[name_end..].iter().take_while(|b| is_end(b)).count();
    let start = name_end + skipped;
    let argument = raw[start..].trim_ascii_end();
    Some(Command { name: raw[begin..name_end].to_vec(), argument: argument.to_vec(), start })
}

/// Where the path stands in what follows `kernel`, behind its own options, and where the arguments begin.
fn split_kernel(argument: &[u8]) -> (std::ops::Range<usize>, usize) {
    let mut at = 0;
    loop {
        at += argument[at..].iter().take_while(|b| is_blank(b)).count();
        let length = argument[at..].iter().take_while(|b| !is_blank(b)).count();
        let word = &argument[at..at + length];
        if word.starts_with(b"--") {
            at += length;
            continue;
        }
        let blanks = argument[at + length..].iter().take_while(|b| is_blank(b)).count();
        return (at..at + length, at + length + blanks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MENU: &str = "# note\ndefault=1\ntimeout 5\ntitle Old (1)\n\troot (hd0,0)\n\tkernel --no-mem-option /vmlinuz-1 ro root=/dev/vda1\n\tinitrd /initrd-1\ntitle Xen\nkernel (hd0,0)/xen.gz dom0_mem=1\n module /vmlinuz-2 ro root=UUID=1\nmodule /initrd-2\ntitle Windows\nchainloader +1\n";

    #[test]
    fn entries_and_settings() {
        let menu = GrubLegacy::parse(MENU.as_bytes());
        assert_eq!(menu.setting("default"), Some((2, &b"1"[..])));
        assert_eq!(menu.setting("timeout"), Some((3, &b"5"[..])));
        let [old, xen, windows] = menu.entries() else { panic!("{menu:?}") };
        assert_eq!(old.title, b"Old (1)");
        assert_eq!(old.kernel, Some((6, b"/vmlinuz-1".to_vec())));
        assert_eq!(old.arguments, b"ro root=/dev/vda1");
        assert_eq!(old.initrd, Some((7, b"/initrd-1".to_vec())));
        assert_eq!(xen.kernel, Some((10, b"/vmlinuz-2".to_vec())));
        assert_eq!(xen.initrd, Some((11, b"/initrd-2".to_vec())));
        assert_eq!((&windows.kernel, windows.other.as_deref()), (&None, Some(&b"chainloader"[..])));
    }

    #[test]
    fn arguments_go_to_every_kernel() {
        let menu = GrubLegacy::parse(MENU.as_bytes());
        let edited = menu.with_arguments(&["root=UUID=1".to_owned()], &["ro".to_owned()]);
        let edited = String::from_utf8(edited).unwrap();
        assert_eq!(
            edited,
            MENU.replace("/vmlinuz-1 ro root=/dev/vda1", "/vmlinuz-1 root=UUID=1")
                .replace("/vmlinuz-2 ro root", "/vmlinuz-2 root")
        );
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "((title|kernel|module|initrd|default|#)[ =]?[ a/-]{0,6}\n?){0,8}".prop_map(String::into_bytes)]) {
            let menu = GrubLegacy::parse(&text);
            prop_assert_eq!(menu.print(), text.clone());
            prop_assert_eq!(menu.with_arguments(&[], &[]), text.clone());
            let added = GrubLegacy::parse(&menu.with_arguments(&["x=1".to_owned()], &[]));
            prop_assert_eq!(added.with_arguments(&["x=1".to_owned()], &[]), added.print());
        }
    }
}

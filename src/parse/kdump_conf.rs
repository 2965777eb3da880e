//! /etc/kdump.conf (kdump.conf(5)) of Red Hat and its kin.
//!
//! Lossless. A line is a directive and its value; `#` begins a comment wherever it stands, as for
//! kdump_read_conf() of kdumpctl.

use super::lines::{self, LineError};

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KdumpConf {
    lines: Vec<Line>,
}

/// One line.
pub type Line = lines::Line<Option<Directive>>;

/// A directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The first word.
    pub name: Vec<u8>,
    /// The rest, trimmed and without a comment.
    pub value: Vec<u8>,
}

/// Where the memory image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A directory of whatever is mounted where `path` lies.
    Mounted,
    /// A filesystem: its source, as fstab would name it. `path` is relative to it.
    Filesystem(Vec<u8>),
    /// A raw partition.
    Raw(Vec<u8>),
    /// Another machine.
    Remote(Vec<u8>),
}

/// Filesystems that may be named as a target.
const FILESYSTEMS: [&[u8]; 7] =
    [b"ext2", b"ext3", b"ext4", b"xfs", b"btrfs", b"minix", b"virtiofs"];

/// Every directive that kdumpctl takes (parse_config()) or took, filesystems aside.
const KNOWN: [&[u8]; 30] = [
    b"path",
    b"core_collector",
    b"kdump_post",
    b"kdump_pre",
    b"extra_bins",
    b"extra_modules",
    b"default",
    b"failure_action",
    b"final_action",
    b"force_rebuild",
    b"force_no_rebuild",
    b"override_resettable",
    b"dracut_args",
    b"fence_kdump_args",
    b"fence_kdump_nodes",
    b"auto_reset_crashkernel",
    b"sshkey",
    b"nfs",
    b"nfs4",
    b"ssh",
    b"raw",
    b"net",
    b"options",
    b"link_delay",
    b"disk_timeout",
    b"debug_mem_level",
    b"blacklist",
    b"kdump_stdloglvl",
    b"kdump_sysloglvl",
    b"kdump_kmsgloglvl",
];

impl KdumpConf {
    /// Reads the file. Never fails: see [`KdumpConf::errors`].
    pub fn parse(text: &[u8]) -> KdumpConf {
        KdumpConf { lines: lines::parse(text, |_, raw, _| directive(raw)) }
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// Every line, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The last directive of a name, with its line.
    pub fn last(&self, name: &str) -> Option<(&Line, &Directive)> {
        self.directives().filter(|(_, d)| d.name == name.as_bytes()).last()
    }

    /// Where the image goes; the last target that is named.
    pub fn target(&self) -> Target {
        let named = self.directives().filter_map(|(_, directive)| target_of(directive)).last();
        named.unwrap_or(Target::Mounted)
    }

    /// The number of the line that names the target.
    pub fn target_line(&self) -> Option<usize> {
        let is_target = |(_, directive): &(&Line, &Directive)| target_of(directive).is_some();
        self.directives().filter(is_target).last().map(|(line, _)| line.number)
    }

    /// Lines that the service would refuse the file for.
    pub fn errors(&self) -> Vec<LineError> {
        let error = |line: &Line, reason| LineError { line: line.number, reason };
        self.directives()
            .filter_map(|(line, directive)| {
                let name = directive.name.as_slice();
                if !KNOWN.contains(&name) && !FILESYSTEMS.contains(&name) {
                    Some(error(line, "kdump knows no such directive"))
                } else if directive.value.is_empty() {
                    Some(error(line, "the directive has no value"))
                } else {
                    None
                }
            })
            .collect()
    }

    fn directives(&self) -> impl Iterator<Item = (&Line, &Directive)> {
        self.lines.iter().filter_map(|line| line.content.as_ref().map(|d| (line, d)))
    }
}

fn target_of(directive: &Directive) -> Option<Target> {
    let value = directive.value.clone();
    match directive.name.as_slice() {
        b"raw" => Some(Target::Raw(value)),
        b"nfs" | b"nfs4" | b"ssh" | b"net" | b"virtiofs" => Some(Target::Remote(value)),
        name if FILESYSTEMS.contains(&name) => Some(Target::Filesystem(value)),
        _ => None,
    }
}

fn directive(raw: &[u8]) -> Option<Directive> {
    let end = raw.iter().position(|b| *b == b'#').unwrap_or(raw.len());
    let text = raw[..end].trim_ascii();
    if text.is_empty() {
        return None;
    }
    let length = text.iter().take_while(|b| !b.is_ascii_whitespace()).count();
    let (name, value) = text.split_at(length);
    Some(Directive { name: name.to_vec(), value: value.trim_ascii().to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn directives_and_targets() {
        let conf = KdumpConf::parse(b"# path /old\npath /var/crash # here\n\n#ext4 /dev/vdb1\ncore_collector makedumpfile -l -d 31\n");
        let (line, path) = conf.last("path").unwrap();
        assert_eq!((line.number, path.value.as_slice()), (2, &b"/var/crash"[..]));
        assert_eq!(conf.target(), Target::Mounted);
        assert_eq!(conf.errors(), []);
        for (text, want) in [
            ("ext4 UUID=1\n", Target::Filesystem(b"UUID=1".to_vec())),
            ("raw /dev/vdb1\n", Target::Raw(b"/dev/vdb1".to_vec())),
            ("nfs server:/dumps\npath /x\n", Target::Remote(b"server:/dumps".to_vec())),
            ("ssh kdump@host\n", Target::Remote(b"kdump@host".to_vec())),
        ] {
            assert_eq!(KdumpConf::parse(text.as_bytes()).target(), want, "{text}");
        }
    }

    #[test]
    fn lines_that_are_wrong() {
        let conf = KdumpConf::parse(b"path\nfrobnicate 1\npath /a\n\0\xff\n");
        let errors: Vec<usize> = conf.errors().iter().map(|e| e.line).collect();
        assert_eq!(errors, [1, 2, 4]);
    }

    proptest! {
        #[test]
        fn lossless(text in prop_oneof![any::<Vec<u8>>(), "(path|ext4|raw|#| |\t|\n|\r\n|/a|x){0,30}".prop_map(String::into_bytes)]) {
            let conf = KdumpConf::parse(&text);
            prop_assert_eq!(conf.print(), text);
            let _ = (conf.target(), conf.errors());
        }
    }
}

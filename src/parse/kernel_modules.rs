//! What a kernel has as modules and what is built into it: `modules.dep`, `modules.builtin`
//! (modules.dep(5), Documentation/kbuild/kbuild.rst) and its configuration.

use std::collections::{BTreeMap, BTreeSet};

/// The endings of a module's file. The kernel's build compresses with the last three.
const ENDINGS: [&[u8]; 4] = [b".ko", b".ko.gz", b".ko.xz", b".ko.zst"];

/// The name of the module in a file: of `kernel/drivers/nvme/host/nvme-core.ko.xz`, `nvme_core`.
/// The kernel takes `-` for `_`. `None` when it is no module's file.
pub fn module_name(path: &[u8]) -> Option<String> {
    let file = path.rsplit(|b| *b == b'/').next()?;
    let stem = ENDINGS.iter().find_map(|ending| file.strip_suffix(*ending))?;
    let name = std::str::from_utf8(stem).ok().filter(|name| !name.is_empty())?;
    Some(name.replace('-', "_"))
}

/// The names in `modules.builtin`: a path a line.
pub fn builtin(content: &[u8]) -> BTreeSet<String> {
    content.split(|b| *b == b'\n').filter_map(|line| module_name(line.trim_ascii())).collect()
}

/// `modules.dep`: for each module the modules that have to be loaded before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    modules: BTreeMap<String, Vec<String>>,
}

impl Dependencies {
    /// Read it. A line that names no module is passed over: depmod writes none.
    pub fn parse(content: &[u8]) -> Self {
        let line = |line: &[u8]| {
            let colon = line.iter().position(|b| *b == b':')?;
            let name = module_name(&line[..colon])?;
            let before = line[colon + 1..].split(u8::is_ascii_whitespace).filter_map(module_name);
            Some((name, before.collect()))
        };
        Self { modules: content.split(|b| *b == b'\n').filter_map(line).collect() }
    }

    /// Whether there is a module of that name.
    pub fn has(&self, name: &str) -> bool {
        self.modules.contains_key(name)
    }

    /// The modules that have to be loaded before it. depmod lists those of those too.
    pub fn of(&self, name: &str) -> &[String] {
        self.modules.get(name).map_or(&[], Vec::as_slice)
    }
}

/// How a kernel's configuration has an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configured {
    /// `CONFIG_X=y`.
    BuiltIn,
    /// `CONFIG_X=m`.
    Module,
    /// Neither.
    Absent,
}

/// What a configuration (`/boot/config-*`) says of an option, named without `CONFIG_`.
pub fn configured(content: &[u8], option: &str) -> Configured {
    let of = |line: &[u8]| -> Option<Configured> {
        let line = line.strip_prefix(b"CONFIG_")?.strip_prefix(option.as_bytes())?;
        match line.trim_ascii_end() {
            b"=y" => Some(Configured::BuiltIn),
            b"=m" => Some(Configured::Module),
            _ => None,
        }
    };
    content.split(|b| *b == b'\n').find_map(of).unwrap_or(Configured::Absent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_module_is_named_by_its_file() {
        for (path, name) in [
            (&b"kernel/drivers/block/virtio_blk.ko"[..], Some("virtio_blk")),
            (b"usr/lib/modules/6.1/nvme-core.ko.zst", Some("nvme_core")),
            (b"nvme.ko.xz", Some("nvme")),
            (b"nvme.ko.gz", Some("nvme")),
            (b"nvme.ko.debug", None),
            (b"lib/virtio_blk", None),
            (b".ko", None),
            (b"", None),
        ] {
            assert_eq!(module_name(path).as_deref(), name);
        }
    }

    #[test]
    fn dependencies_are_read_by_name() {
        let text = b"kernel/a/virtio-blk.ko.xz: kernel/b/virtio.ko.xz kernel/b/virtio_ring.ko.xz\n\
            kernel/b/virtio.ko.xz:\nnonsense\n: x.ko\n";
        let found = Dependencies::parse(text);
        assert!(found.has("virtio_blk") && found.has("virtio") && !found.has("virtio_ring"));
        assert_eq!(found.of("virtio_blk"), ["virtio", "virtio_ring"]);
        assert!(found.of("virtio").is_empty() && found.of("nonsense").is_empty());
    }

    #[test]
    fn an_option_is_the_whole_name() {
        let text = b"# CONFIG_NVME is not set\nCONFIG_VIRTIO_BLK_SCSI=y\nCONFIG_VIRTIO_BLK=m\r\nCONFIG_VIRTIO=y";
        assert_eq!(configured(text, "VIRTIO_BLK"), Configured::Module);
        assert_eq!(configured(text, "VIRTIO"), Configured::BuiltIn);
        assert_eq!(configured(text, "NVME"), Configured::Absent);
        assert_eq!(configured(text, "VIRTIO_BL"), Configured::Absent);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), name in "[A-Z_]{0,8}") {
            let _ = (builtin(&bytes), Dependencies::parse(&bytes), configured(&bytes, &name), module_name(&bytes));
        }
    }
}

//! An initramfs for a fixture, packed from a list of names: git need not hold an image that no
//! reviewer can read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `[[initramfs]]` of a manifest or a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// Where it goes, relative to the root.
    path: PathBuf,
    /// The kernel whose modules it has; not needed without modules.
    #[serde(default)]
    release: String,
    /// Their files without the directory.
    #[serde(default)]
    modules: Vec<String>,
    /// Other files: name and content.
    #[serde(default)]
    files: BTreeMap<String, String>,
    /// Files of the tree, copied into it.
    #[serde(default)]
    copies: Vec<String>,
    /// `none`, `gzip`, `bzip2`, `xz`, `zstd` or `lz4`.
    compression: String,
    /// Whether an archive with CPU microcode stands before it.
    #[serde(default)]
    microcode: bool,
    /// Whether it was written long ago.
    #[serde(default)]
    old: bool,
    /// Bytes to leave out at the end.
    #[serde(default)]
    cut: usize,
}

impl Image {
    /// Write it into a tree.
    pub fn make(&self, root: &Path) {
        let mut entries = vec![("init".to_owned(), "#!/bin/sh\n".to_owned())];
        for module in &self.modules {
            let path = format!("usr/lib/modules/{}/kernel/drivers/{module}", self.release);
            entries.push((path, "a module".to_owned()));
        }
        entries.extend(self.files.clone());
        for name in &self.copies {
            let content = fs::read_to_string(root.join(name));
            entries.push((name.clone(), content.unwrap_or_else(|e| panic!("{name}: {e}"))));
        }
        let mut image = Vec::new();
        if self.microcode {
            let name = "kernel/x86/microcode/GenuineIntel.bin".to_owned();
            image = pack(&[(name, "microcode".to_owned())]);
        }
        image.extend(compress(&self.compression, &pack(&entries)));
        image.truncate(image.len() - self.cut);
        let path = root.join(&self.path);
        fs::write(&path, image).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if self.old {
            let time =
                std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(981_173_106);
            let file = fs::File::options().write(true).open(&path).expect("the image");
            file.set_modified(time).expect("a time");
        }
    }
}

/// An archive in the format newc, padded as cpio(1) pads it.
fn pack(entries: &[(String, String)]) -> Vec<u8> {
    let mut archive = Vec::new();
    let trailer = ("TRAILER!!!".to_owned(), String::new());
    for (number, (name, content)) in entries.iter().chain([&trailer]).enumerate() {
        let fields = [number, 0o100_644, 0, 0, 1, 0, content.len(), 0, 0, 0, 0, name.len() + 1, 0];
        archive.extend(b"070701");
        archive.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        archive.extend(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(content.as_bytes());
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}

fn compress(how: &str, content: &[u8]) -> Vec<u8> {
    match how {
        "none" => content.to_vec(),
        "gzip" => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(content).and_then(|()| encoder.finish()).expect("gzip")
        }
        "bzip2" => {
            let level = bzip2::Compression::default();
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
            encoder.write_all(content).and_then(|()| encoder.finish()).expect("bzip2")
        }
        "xz" => liblzma::encode_all(content, 0).expect("xz"),
        "zstd" => zstd::encode_all(content, 1).expect("zstd"),
        "lz4" => {
            let block = lz4_flex::block::compress(content);
            let size = u32::try_from(block.len()).expect("a small block");
            [&0x184c_2102_u32.to_le_bytes()[..], &size.to_le_bytes(), &block].concat()
        }
        other => panic!("there is no compression {other}"),
    }
}

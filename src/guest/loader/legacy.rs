//! The menu of GRUB 0.97.

use super::paths::BootPaths;
use super::{BootEntries, BootEntry, BootFile, Loader};
use crate::guest::{Fact, Guest};
use crate::model::{ByteString, GuestPath};
use crate::parse::grub_legacy::GrubLegacy;
use crate::parse::kernel_arguments::KernelArguments;

/// Read the menu.
pub fn read(guest: &Guest, paths: &BootPaths, config: &GuestPath) -> Fact<BootEntries> {
    let content = guest.file(config)?.unwrap_or_default();
    let menu = GrubLegacy::parse(&content);
    let mut entries = Vec::new();
    for entry in menu.entries() {
        let file = |named: &Option<(usize, Vec<u8>)>| -> Fact<Option<BootFile>> {
            Ok(match named {
                Some((line, path)) => Some(paths.file(guest, b"", path, *line)?),
                None => None,
            })
        };
        entries.push(BootEntry {
            title: ByteString::from(entry.title.as_slice()),
            id: None,
            source: config.clone(),
            line: entry.line,
            kernel: file(&entry.kernel)?,
            initrds: file(&entry.initrd)?.into_iter().collect(),
            arguments: KernelArguments::parse(&entry.arguments),
            arguments_line: entry.kernel.as_ref().map_or(entry.line, |(line, _)| *line),
            asks_for_password: false,
        });
    }
    let (line, wanted) = menu.setting("default").unwrap_or((0, b"0"));
    let number = match wanted {
        b"saved" => Some(saved(guest)?),
        text => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
    };
    let default = number.filter(|at| *at < entries.len());
    let mut doubts = Vec::new();
    if default.is_none() && !entries.is_empty() {
        doubts.push(format!(
            "{config}:{line}: the default `{}` is none of the {} entries",
            ByteString::from(wanted),
            entries.len()
        ));
    }
    Ok(BootEntries {
        loader: Loader::GrubLegacy,
        config: config.clone(),
        files: vec![config.clone()],
        entries,
        default,
        timeout: None,
        doubts,
    })
}

/// The entry that `savedefault` noted: a number on the first line of a padded file.
fn saved(guest: &Guest) -> Fact<usize> {
    let content = guest.file("/boot/grub/default")?.unwrap_or_default();
    let line = content.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line).trim().to_owned();
    Ok(text.parse().unwrap_or(0))
}

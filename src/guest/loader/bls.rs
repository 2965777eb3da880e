//! Boot loader entries, as GRUB's `blscfg` adds them to its menu.

use super::BootEntry;
use super::paths::BootPaths;
use crate::guest::{Fact, Guest};
use crate::model::{ByteString, GuestPath};
use crate::parse::bls::{self, BlsEntry};
use crate::parse::kernel_arguments::KernelArguments;

/// Where entries lie when no variable says otherwise.
const PLACES: [&str; 3] =
    ["/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"];

impl Guest {
    /// The files of boot loader entries, in the order in which GRUB lists them.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn bls_files(&self) -> Fact<Vec<GuestPath>> {
        for place in PLACES.map(GuestPath::from) {
            let found = in_directory(self, &place)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

/// The entries of a directory, the newest first.
pub fn in_directory(guest: &Guest, directory: &GuestPath) -> Fact<Vec<GuestPath>> {
    let mut names: Vec<Vec<u8>> = guest.list(directory)?;
    names.retain(|name| name.ends_with(b".conf"));
    names.sort_by(|a, b| bls::order(stem(a), stem(b)));
    Ok(names.iter().map(|name| directory.join(name)).collect())
}

/// The identifier of an entry: its file's name without `.conf`.
pub fn stem(name: &[u8]) -> &[u8] {
    name.strip_suffix(b".conf").unwrap_or(name)
}

/// Read an entry; `variable` knows the loader's variables, `root` is where paths start.
pub fn read(
    guest: &Guest,
    paths: &BootPaths,
    path: &GuestPath,
    root: &[u8],
    variable: &dyn Fn(&[u8]) -> Vec<u8>,
) -> Fact<BootEntry> {
    let content = guest.file(path)?.unwrap_or_default();
    let entry = BlsEntry::parse(&content);
    let expanded = |value: &[u8]| expand(value, variable);
    let kernel = match entry.get("linux") {
        Some((line, value)) => Some(paths.file(guest, root, &expanded(value), line)?),
        None => None,
    };
    let mut initrds = Vec::new();
    for (line, value) in entry.all("initrd") {
        let value = expanded(value);
        for named in value.split(|b| b.is_ascii_whitespace()).filter(|named| !named.is_empty()) {
            initrds.push(paths.file(guest, root, named, line)?);
        }
    }
    let options: Vec<Vec<u8>> = entry.all("options").map(|(_, value)| expanded(value)).collect();
    let id = stem(path.name());
    let line = kernel.as_ref().map_or(1, |kernel| kernel.line);
    // Empty without a value of the variable that it names: then anybody may boot it.
    let users = entry.get("grub_users").map(|(_, value)| expanded(value)).unwrap_or_default();
    let title = entry.get("title").map_or(id, |(_, title)| title);
    Ok(BootEntry {
        title: ByteString::from(title),
        id: Some(ByteString::from(id)),
        source: path.clone(),
        line,
        kernel,
        initrds,
        arguments: KernelArguments::parse(&options.join(&b' ')),
        arguments_line: entry.get("options").map_or(line, |(line, _)| line),
        asks_for_password: !users.trim_ascii().is_empty(),
    })
}

/// `$name` and `${name}` put in; a variable that is not set is nothing.
fn expand(value: &[u8], variable: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| *b == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = rest.first() == Some(&b'{');
        let inner = &rest[usize::from(braced)..];
        let length = inner.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        out.extend_from_slice(&variable(&inner[..length]));
        rest = &inner[length..];
        if braced {
            rest = rest.strip_prefix(b"}").unwrap_or(rest);
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let variable =
            |name: &[u8]| if name == b"kernelopts" { b"ro x".to_vec() } else { Vec::new() };
        for (value, expected) in [
            ("$kernelopts $tuned_params", "ro x "),
            ("a ${kernelopts}b", "a ro xb"),
            ("plain", "plain"),
            ("$", ""),
            ("a=${", "a="),
        ] {
            assert_eq!(expand(value.as_bytes(), &variable), expected.as_bytes(), "{value}");
        }
    }
}

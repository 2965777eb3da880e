//! What grub-mkconfig makes the arguments of the next configuration from: /etc/default/grub and what is read after it.

use crate::guest::{Fact, Family, Guest};
use crate::model::GuestPath;
use crate::parse::kernel_arguments::KernelArguments;
use crate::parse::key_value::KeyValue;

/// The generator's settings, as far as they make arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrubDefaults {
    /// The files, in the order in which they are read.
    pub files: Vec<GuestPath>,
    /// `GRUB_CMDLINE_LINUX`, which every entry gets.
    pub every: KernelArguments,
    /// `GRUB_CMDLINE_LINUX_DEFAULT`, which recovery entries do not get.
    pub normal: KernelArguments,
}

impl Guest {
    /// The generator's settings; `None` where there are none.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn grub_defaults(&self) -> Fact<Option<GrubDefaults>> {
        let files = self.grub_default_files()?;
        if files.is_empty() {
            return Ok(None);
        }
        let (mut every, mut normal) = (Vec::new(), Vec::new());
        for path in &files {
            let content = self.file(path)?.unwrap_or_default();
            let settings = KeyValue::parse(&content);
            for assignment in settings.assignments() {
                let value = || replaced(&assignment.value, &every, &normal);
                match assignment.key.as_slice() {
                    b"GRUB_CMDLINE_LINUX" => every = value(),
                    b"GRUB_CMDLINE_LINUX_DEFAULT" => normal = value(),
                    _ => {}
                }
            }
        }
        let (every, normal) = (KernelArguments::parse(&every), KernelArguments::parse(&normal));
        Ok(Some(GrubDefaults { files, every, normal }))
    }

    /// The files that the generator reads, in its order.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn grub_default_files(&self) -> Fact<Vec<GuestPath>> {
        let mut files = Vec::new();
        let main = GuestPath::from("/etc/default/grub");
        if self.stat(&main)?.is_some() {
            files.push(main);
        }
        // Debian's grub-mkconfig reads these; no other does.
        if self.os()?.family == Family::Deb {
            let parts = GuestPath::from("/etc/default/grub.d");
            let names = self.list(&parts)?;
            files.extend(names.iter().filter(|n| n.ends_with(b".cfg")).map(|n| parts.join(n)));
        }
        Ok(files)
    }
}

/// A value with what it says of the variables before it put in: a part adds to what the main file says.
fn replaced(value: &[u8], every: &[u8], normal: &[u8]) -> Vec<u8> {
    let text = [
        // The longer name first: the shorter begins it.
        (&b"${GRUB_CMDLINE_LINUX_DEFAULT}"[..], normal),
        (b"$GRUB_CMDLINE_LINUX_DEFAULT", normal),
        (b"${GRUB_CMDLINE_LINUX}", every),
        (b"$GRUB_CMDLINE_LINUX", every),
    ];
    text.into_iter().fold(value.to_vec(), |value, (name, with)| {
        let mut out = Vec::new();
        let mut rest = value.as_slice();
        while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(with);
            rest = &rest[at + name.len()..];
        }
        out.extend_from_slice(rest);
        out
    })
}

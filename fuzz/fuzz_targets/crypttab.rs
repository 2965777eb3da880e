//! /etc/crypttab, and the kernel's arguments that stand beside it.
#![no_main]

use guestprep::parse::crypttab::Crypttab;
use guestprep::parse::kernel_arguments::KernelArguments;
use guestprep::parse::luks_arguments::{LuksArguments, Reader};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let crypttab = Crypttab::parse(text);
    assert_eq!(crypttab.print(), text);
    for entry in crypttab.entries() {
        entry.source();
        entry.options();
    }
    // Its lines are arguments too: `luks.uuid=` is no less a name than a word of crypttab.
    let entries: Vec<_> = crypttab.entries().collect();
    for reader in [Reader::Initramfs, Reader::System] {
        let arguments = LuksArguments::of(&KernelArguments::parse(text), reader);
        let taken = entries.iter().filter(|entry| arguments.takes(entry)).count();
        assert!(taken <= entries.len() && arguments.beside(&entries).count() <= arguments.volumes.len());
    }
});

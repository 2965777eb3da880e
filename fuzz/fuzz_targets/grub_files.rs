//! The files that GRUB's are made of: grubenv, BLS entries, GRUB Legacy's menu, the kernel's arguments.
#![no_main]

use guestprep::parse::bls::{self, BlsEntry};
use guestprep::parse::grub_env::GrubEnv;
use guestprep::parse::grub_legacy::GrubLegacy;
use guestprep::parse::kernel_arguments::KernelArguments;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Ok(environment) = GrubEnv::parse(text) {
        GrubEnv::parse(&environment.print()).expect("what was printed is read");
    }
    assert_eq!(BlsEntry::parse(text).print(), text);
    assert_eq!(GrubLegacy::parse(text).print(), text);
    assert_eq!(KernelArguments::parse(text).print(), text);
    let (first, second) = text.split_at(text.len() / 2);
    assert_eq!(bls::order(first, second), bls::order(second, first).reverse());
});

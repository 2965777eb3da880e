//! What is taken out of a file before it goes into a bundle: what is left is left as it is the second time.
#![no_main]

use guestprep::parse::reduce::reduce;

/// A path of each kind that is reduced in its own way.
const PATHS: [&str; 8] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/boot/grub/grub.cfg",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/NetworkManager/system-connections/a",
    "/etc/cloud/cloud.cfg",
    "/proc/cmdline",
    "/etc/fstab",
];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let path = PATHS[usize::from(*first) % PATHS.len()].as_bytes();
    let once = reduce(path, text).content;
    assert_eq!(reduce(path, &once).content, once);
});

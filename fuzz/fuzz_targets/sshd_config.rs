//! sshd_config, and what an sshd takes of it by the names in its program.
#![no_main]

use guestprep::parse::sshd_config::{SshdConfig, takes};
use guestprep::parse::sshd_program::SshdProgram;

// A configuration, or a NUL, a list, a NUL, and a program.
libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    assert_eq!(SshdConfig::parse(text).print(), text);
    let Some(rest) = text.strip_prefix(b"\0") else { return };
    let mut parts = rest.splitn(2, |byte| *byte == 0);
    let list = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let Some(program) = SshdProgram::parse(parts.next().unwrap_or_default()) else { return };
    for keyword in ["ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "casignaturealgorithms"] {
        takes(&program, keyword, &list);
        program.knows(keyword);
    }
});

//! The guest that the forms are tried on, and what an audit of it prints.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::common::fixture::Fixture;

/// What a reader could stumble over: markup, the end of a CDATA section, a control character, what
/// begins a directive of TAP, a line without an end.
pub const HOSTILE: &[u8] = b"UUID=98ec47de-82c4-574b-8ec6-84ccd4f06082 / ext4 defaults 0 1\n\
      /dev/vdb1 /a&b<c>\"d'\\040]]>\x01\x1b[31m#TODO ext4 defaults,x=\xff\xc3 0 0\n\
      /dev/vdc1 /nofail ext4 nofail 0 0\nUUID=1 \\";

/// A debian-12 with this fstab.
pub fn guest(fstab: &[u8]) -> Fixture {
    let fixture = Fixture::distro_in_memory("debian-12");
    fs::write(fixture.root.join("etc/fstab"), fstab).expect("an fstab");
    fixture
}

/// What an audit prints, and its exit code.
pub fn audit(fixture: &Fixture, format: &str, more: &[&str]) -> (String, i32) {
    let done = Command::new(env!("CARGO_BIN_EXE_guestprep"))
        .env("LANG", "C")
        .args(["audit", "--format", format, "--root"])
        .arg(&fixture.root)
        .args(more)
        .output()
        .expect("guestprep runs");
    (String::from_utf8(done.stdout).expect("UTF-8"), done.status.code().expect("a code"))
}

/// The report as JSON.
pub fn report(fixture: &Fixture, more: &[&str]) -> Value {
    serde_json::from_str(&audit(fixture, "json", more).0).expect("a report")
}

/// A guest of which everything that its owner can choose tries to break out of where it is shown.
pub fn hostile() -> Fixture {
    let fixture = guest(HOSTILE);
    let etc = fixture.root.join("etc");
    fs::write(etc.join("hostname"), format!("{MARKUP}\n")).expect("a hostname");
    let fstab = format!(
        "/dev/vdb1 /{MARKUP} ext4 defaults 0 0\n/dev/vdc1 /a\u{202e}b\u{2066}c ext4 defaults 0 0\n"
    );
    let fstab = [HOSTILE, b"\n", fstab.as_bytes()].concat();
    fs::write(etc.join("fstab"), fstab).expect("an fstab");
    fixture
}

/// Markup that would set a mark in a page that took it for its own.
pub const MARKUP: &str = "<script>document.title='broken'</script><img/src=x/onerror=document.title='broken'>\"'&lt;</pre></style>";

/// A configuration beside the guest, as `--config` takes it.
pub fn config(fixture: &Fixture, text: &str) -> String {
    let path = fixture.root.join("../config.toml");
    fs::write(&path, text).expect("a configuration");
    path.display().to_string()
}

/// Run a program of this machine with a file, and what it says; none where there is no such program.
pub fn read_by(argv: &[&str]) -> Option<(bool, String)> {
    let done = Command::new(argv[0]).args(&argv[1..]).output().ok()?;
    let text = [done.stdout, done.stderr].concat();
    Some((done.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

/// Whether the system's Python has a module: of a Debian package, so not of another Python.
pub fn has_python(module: &str) -> bool {
    let import = format!("import {module}");
    read_by(&["/usr/bin/python3", "-c", &import]).is_some_and(|(is_there, _)| is_there)
}

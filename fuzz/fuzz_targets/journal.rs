//! The record of a run that was cut short anywhere, or that something else wrote into.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use guestprep::change::Store;

/// A state directory in memory with one run in it.
static STATE: LazyLock<PathBuf> = LazyLock::new(|| {
    let state = PathBuf::from(format!("/dev/shm/guestprep-fuzz.{}", std::process::id()));
    std::fs::create_dir_all(state.join("runs/20270101T000000Z-1")).expect("a directory");
    state
});

// The input is `run.json`, a NUL, and the journal.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let run = STATE.join("runs/20270101T000000Z-1");
    for name in ["run.json", "journal"] {
        std::fs::write(run.join(name), parts.next().unwrap_or_default()).expect("a file");
    }
    let store = Store::open_at(&STATE).expect("a state directory").expect("it is there");
    for run in store.runs().into_iter().flatten() {
        run.state();
        run.is_unfinished();
    }
});

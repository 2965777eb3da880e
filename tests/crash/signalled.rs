//! Asked by a signal to end: what is not begun is left, and what can be undone is undone.

use std::fs;
use std::sync::PoisonError;

use crate::common::fixture::Fixture;
use crate::common::live::alone;
use crate::common::state::assert_same;
use crate::subject::{Subject, until_held};
use crate::tree::{may_be_tried, tree};

/// What goes for good, in the order of its steps.
const HISTORY: &str = "root/.bash_history";
const MAIL: &str = "root/mbox";

fn use_it(fixture: &Fixture) {
    for path in [HISTORY, MAIL] {
        fs::write(fixture.root.join(path), "canary").expect("a file");
    }
}

#[test]
fn in_the_last_step_that_can_be_undone_it_spares_what_cannot() {
    let Some(fixture) = tree() else { return };
    use_it(&fixture);
    let subject = Subject::Tree(&fixture.root, None);
    let before = subject.state();
    let log = fixture.root.with_file_name("strace");
    let prepare = ["prepare", "--yes", "--check", "fstab-data-disk", "shell-history"];
    let prepare = subject.held(&prepare, "renameat2", 1, &log);
    until_held(&log, "renameat2", 1);
    prepare.signal("INT");
    prepare.wait().exits(4).says("asked the run to end; everything done before it is undone\n");
    assert_same(&before, &subject.state(), "after the signal");
    subject.guestprep(&["runs"]).exits(0).says("rolled back");
    subject.guestprep(&["rollback", "--yes"]).exits(2).says("no run");
    assert_same(&before, &subject.state(), "after the next commands");
}

#[test]
fn between_two_steps_that_cannot_be_undone_it_spares_the_second() {
    if !may_be_tried() {
        return;
    }
    let fixture = Fixture::distro("debian-12");
    use_it(&fixture);
    let subject = Subject::Tree(&fixture.root, None);
    let log = fixture.root.with_file_name("strace");
    let prepare = subject.held(
        &["prepare", "--yes", "--check", "shell-history", "mail-spool"],
        "unlinkat",
        1,
        &log,
    );
    until_held(&log, "unlinkat", 1);
    prepare.signal("INT");
    let done = prepare.wait().exits(5).says("signal 2 asked the run to end");
    let is_there = |path: &str| fixture.root.join(path).exists();
    assert_ne!(is_there(HISTORY), is_there(MAIL), "{done:?}");
    let (gone, kept) = if is_there(MAIL) { (HISTORY, MAIL) } else { (MAIL, HISTORY) };
    let (_, lost) = done.err.split_once("taken away for good:").expect("what is lost");
    assert!(lost.contains(gone) && !lost.contains(kept), "{done:?}");
    // Nobody finishes it.
    subject.guestprep(&["runs"]).exits(0).says("rolled back");
    assert!(is_there(kept));
}

#[test]
fn before_the_command_of_a_capture_it_is_not_run() {
    let _shared = crate::DISKS.read().unwrap_or_else(PoisonError::into_inner);
    alone(&["strace"], |live| {
        let subject = Subject::Live(live);
        let log = tempfile::NamedTempFile::new().expect("a file");
        let args = ["capture", "--check", "shell-history", "--", "touch", "/run/ran"];
        subject.guestprep(&args).exits(0);
        fs::remove_file(live.at("/run/ran")).expect("it is run where no signal comes");
        fs::write(live.at(HISTORY), "canary").expect("a history");
        // As the only file goes that goes for good.
        let capture = subject.held(&args, "unlinkat", 1, log.path());
        until_held(log.path(), "unlinkat", 1);
        capture.signal("TERM");
        capture.wait().exits(128 + 15).says("touch was not run: signal 15").says("is rolled back");
        assert!(!fs::exists(live.at("/run/ran")).expect("/run"));
        assert!(!fs::exists(live.at(HISTORY)).expect("/root"), "it was not held there");
    });
}

//! What is there again after prepare took it away is named, with who keeps writing it.

use std::fs;

use crate::common::command::until;
use crate::common::live::alone;

#[test]
fn who_writes_on_into_a_log_that_was_taken_away_is_named() {
    alone(&[], |live| {
        fs::create_dir_all(live.at("/var/log")).expect("a directory");
        fs::write(live.at("/var/log/cron"), "old").expect("a log");
        let script = "exec 3>>/var/log/messages; while :; do echo line >&3; done";
        let writer = live.start(&["sh", "-c", script]);
        let has_content = |path: &str| fs::metadata(live.at(path)).is_ok_and(|it| it.len() > 0);
        until("it writes", || has_content("/var/log/messages"));
        // On a busy machine the writer may not have its turn between the emptying and the look.
        let said =
            format!("/var/log/messages is there again: pid {} (sh -c exec 3>>", writer.pid());
        until("the writer is named", || {
            live.guestprep(&["prepare", "--yes", "--check", "log-files"]).err.contains(&said)
        });
        assert!(!has_content("/var/log/cron"), "the rest is gone");
        drop(writer);
        let done = live.guestprep(&["prepare", "--yes", "--check", "log-files"]).exits(0);
        assert!(!done.err.contains("there again"), "{}", done.err);
    });
}

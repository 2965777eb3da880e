//! A reviewed plan is taken as it is, or not at all.

use std::fs;

use crate::common::live::{Live, alone};
use crate::common::state::assert_same;

fn write_plan(live: &Live) {
    live.guestprep(&["plan", "--format", "json", "-o", "/run/plan.json"]).exits(0);
}

const REPLAY: [&str; 4] = ["prepare", "--yes", "--plan", "/run/plan.json"];

#[test]
fn a_plan_is_replayed_to_the_letter() {
    alone(&[], |live| {
        live.data();
        let before = live.state();
        write_plan(live);
        live.guestprep(&["prepare", "--yes"]).exits(0);
        let prepared = (live.fstab(), live.mounts());
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback");

        // A reviewer who left a check out gets what was reviewed, though more is to be done.
        let args = ["plan", "--skip", "data-disk-mounted", "--format", "json", "-o", "/run/part"];
        live.guestprep(&args).exits(0);
        live.guestprep(&["prepare", "--yes", "--plan", "/run/part"]).exits(1);
        assert_eq!(live.fstab(), prepared.0);
        assert!(live.mounts().contains("/data"), "{}", live.mounts());
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback");

        live.guestprep(&REPLAY).exits(0);
        assert_eq!((live.fstab(), live.mounts()), prepared);
        live.guestprep(&["rollback", "--yes"]).exits(0);
        assert_same(&before, &live.state(), "rollback");
    });
}

#[test]
fn a_plan_whose_base_moved_is_refused() {
    alone(&[], |live| {
        live.data();
        write_plan(live);
        live.append_fstab("# a word\n");
        let before = live.state();
        live.guestprep(&REPLAY).exits(2).says("not what the plan was made for");
        assert_same(&before, &live.state(), "a refused replay changed the guest");

        write_plan(live);
        live.chroot(&["umount", "/data"]).exits(0);
        let before = live.state();
        live.guestprep(&REPLAY).exits(2).says("is not mounted on /data any more");
        assert_same(&before, &live.state(), "a refused replay changed the guest");
    });
}

#[test]
fn a_plan_that_was_edited_is_refused() {
    alone(&[], |live| {
        live.data();
        write_plan(live);
        let before = live.state();
        let plan = fs::read_to_string(live.at("/run/plan.json")).expect("the plan");
        let others = [
            plan.replacen("/etc/fstab", "/etc/shadow", 1),
            plan.replacen("\"clone\"", "\"share\"", 1),
            plan.replacen("guestprep.plan/1", "guestprep.plan/2", 1),
            plan[..plan.len() / 2].to_owned(),
        ];
        for other in others {
            assert_ne!(plan, other);
            fs::write(live.at("/run/plan.json"), other).expect("the plan");
            live.guestprep(&REPLAY).exits(2);
            assert_same(&before, &live.state(), "a refused replay changed the guest");
        }
        live.guestprep(&["prepare", "--yes", "--plan", "/run/none"]).exits(2).says("/run/none");
    });
}

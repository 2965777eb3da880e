//! Killed and refused while it changes a running guest.

use std::fs;
use std::sync::PoisonError;

use crate::common::command::run;
use crate::common::live::{Live, alone};
use crate::subject::{Fault, States, Subject, kill_everywhere, refuse_everywhere};

/// A guest with a data disk, a bind mount of a part of it, and a swap file on it.
pub fn guest(live: &mut Live) {
    live.data();
    live.append_fstab("/data/www /srv none bind 0 0\n/data/swap none swap sw 0 0\n");
    fs::create_dir(live.at("/data/www")).expect("www");
    live.chroot(&["mount", "--bind", "/data/www", "/srv"]).exits(0);
    let swap = live.at("/data/swap");
    run(&["dd", "if=/dev/zero", &format!("of={swap}"), "bs=1M", "count=2"]);
    run(&["chmod", "600", &swap]);
    run(&["mkswap", &swap]);
    live.chroot(&["swapon", "/data/swap"]).exits(0);
}

fn killed(victim: &str) {
    let _shared = crate::DISKS.read().unwrap_or_else(PoisonError::into_inner);
    alone(&["strace", "mkswap"], |live| {
        guest(live);
        let subject = Subject::Live(live);
        let states = States::of(&subject);
        // clone and its kin: as it starts umount, swapoff, mount or swapon; wait4: while they run.
        for call in ["fsync", "renameat", "clone,clone3,fork,vfork", "wait4,waitid"] {
            let times = kill_everywhere(&subject, &states, victim, call);
            println!("{victim}: killed at {times} calls of {call}");
        }
    });
}

#[test]
fn prepare_killed_at_any_call() {
    killed("prepare");
}

#[test]
fn rollback_killed_at_any_call() {
    killed("rollback");
}

#[test]
fn what_the_kernel_refuses_is_said_and_undone() {
    let _shared = crate::DISKS.read().unwrap_or_else(PoisonError::into_inner);
    alone(&["strace", "mkswap"], |live| {
        guest(live);
        let subject = Subject::Live(live);
        let states = States::of(&subject);
        // Counted in umount, mount, swapoff and swapon, each a process of its own.
        for (victim, call) in [
            ("prepare", "umount2"),
            ("prepare", "swapoff"),
            ("prepare", "renameat"),
            ("rollback", "mount"),
            ("rollback", "swapon"),
            ("rollback", "renameat"),
        ] {
            let times = refuse_everywhere(&subject, &states, victim, call, &[Fault::Once("EBUSY")]);
            assert!(times > 0, "{victim} makes no call of {call}");
        }
    });
}

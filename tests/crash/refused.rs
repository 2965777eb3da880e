//! Refused by the system while it changes a tree: a full disk, a broken one, a security module.

use crate::subject::{CALLS, Fault, States, Subject, refuse_everywhere};
use crate::tree::tree;

fn refused(victim: &str, faults: &[Fault]) {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture);
    let states = States::of(&subject);
    let mut times = 0;
    for fault in faults {
        // What is said on a closed standard error is nobody's loss, and no change.
        for call in CALLS {
            times += refuse_everywhere(&subject, &states, victim, call, *fault);
        }
    }
    assert!(times > 40, "refused {times} times: strace did not see the calls");
}

#[test]
fn prepare_refused_once() {
    refused("prepare", &[Fault::Once("ENOSPC"), Fault::Once("EIO"), Fault::Once("EPERM")]);
}

#[test]
fn prepare_refused_from_then_on() {
    refused("prepare", &[Fault::Always("ENOSPC"), Fault::Always("EIO")]);
}

#[test]
fn rollback_refused_once() {
    refused("rollback", &[Fault::Once("ENOSPC"), Fault::Once("EIO"), Fault::Once("EPERM")]);
}

#[test]
fn rollback_refused_from_then_on() {
    refused("rollback", &[Fault::Always("ENOSPC"), Fault::Always("EIO")]);
}

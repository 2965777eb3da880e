//! Refused by the system while it changes a tree: a full disk, a broken one, a security module.

use crate::subject::{CALLS, Fault, States, Subject, refuse_everywhere};
use crate::tree::tree;

/// What the system may say: no room, a broken disk, a security module or a flag.
const ONCE: [Fault; 3] = [Fault::Once("ENOSPC"), Fault::Once("EIO"), Fault::Once("EPERM")];

/// From then on there is no room, or nothing works.
const FROM_THEN_ON: [Fault; 2] = [Fault::Always("ENOSPC"), Fault::Always("EIO")];

fn refused(victim: &str, faults: &[Fault]) {
    let Some(fixture) = tree() else { return };
    let subject = Subject::Tree(&fixture.root, None);
    let states = States::of(&subject);
    let times: usize =
        CALLS.iter().map(|call| refuse_everywhere(&subject, &states, victim, call, faults)).sum();
    assert!(times > 40, "refused {times} times: strace did not see the calls");
}

#[test]
fn prepare_refused_once() {
    refused("prepare", &ONCE);
}

#[test]
fn prepare_refused_from_then_on() {
    refused("prepare", &FROM_THEN_ON);
}

#[test]
fn rollback_refused_once() {
    refused("rollback", &ONCE);
}

#[test]
fn rollback_refused_from_then_on() {
    refused("rollback", &FROM_THEN_ON);
}

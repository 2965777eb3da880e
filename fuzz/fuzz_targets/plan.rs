//! A plan that somebody edited, and a report: what is read is written and read the same.
#![no_main]

use guestprep::model::{Plan, Report};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    if let Ok(plan) = serde_json::from_slice::<Plan>(text) {
        let written = serde_json::to_vec(&plan).expect("a plan is JSON");
        serde_json::from_slice::<Plan>(&written).expect("what was written is read");
    }
    if let Ok(report) = serde_json::from_slice::<Report>(text) {
        guestprep::report::json(&report);
        guestprep::report::tap(&report, guestprep::model::Severity::Blocker);
        guestprep::report::junit(&report, guestprep::model::Severity::Blocker);
    }
});

//! An audit as the command line makes it that is told nothing.

use guestprep::catalog::{self, Config, Language};
use guestprep::engine::{self, Selection, Settings};
use guestprep::guest::Guest;
use guestprep::model::{CheckId, Report, Severity};

/// The report on a guest, without the checks of `skip`.
pub fn audit(guest: &Guest, skip: &[&str]) -> Report {
    let skip = skip.iter().map(|id| CheckId::from(*id)).collect();
    let config = Config::default();
    let settings = Settings {
        profile: catalog::profile("clone").expect("the default profile"),
        config: &config,
        language: Language::En,
        fail_on: Severity::Blocker,
        selection: Selection { skip, ..Selection::default() },
    };
    engine::audit(guest, &settings).report
}

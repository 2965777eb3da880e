//! A fault of guestprep's own: what a panic comes to, and what of it is said.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Mutex;

use super::exit::{Exit, Outcome, Trouble};

/// Where the last panic was.
static PLACE: Mutex<Option<String>> = Mutex::new(None);

/// A probe that panics is reported as Unknown; the default hook's words would stand beside it. What
/// a panic says may quote the file that is read, as an index into a text does; where it was does not.
pub fn keep_quiet() {
    set_hook(Box::new(|info| {
        let Some(place) = info.location() else { return };
        tracing::debug!("a panic at {place}");
        if let Ok(mut last) = PLACE.lock() {
            *last = Some(place.to_string());
        }
    }));
}

/// Run a command. One that panics is told of: as after a kill, the next command finishes or undoes
/// what it had begun.
pub fn told(command: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|_| {
        let place = PLACE.lock().ok().and_then(|mut last| last.take());
        let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
        let what = format!("guestprep broke off{place}: this is a fault of its own");
        Err(Trouble::new(Exit::Undetermined, what).hint(
            "please report it; what was begun is finished or undone by the next command, such as \
             `guestprep runs`",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place_and_without_its_words() {
        let trouble = told(|| panic!("a secret")).unwrap_err();
        assert_eq!(trouble.exit, Exit::Undetermined);
        let text = trouble.to_string();
        assert!(text.starts_with("guestprep broke off"), "{text}");
        assert!(!text.contains("a secret"), "{text}");
        assert_eq!(told(|| Ok(Exit::Done)).unwrap(), Exit::Done);
    }
}

//! What a package's changelog says, for the few checks whose rule is a bug number.

use std::time::Duration;

use super::{Fact, Guest};

/// A changelog has some thousand lines.
const LIMIT: Duration = Duration::from_secs(10);

impl Guest {
    /// Whether the changelog of an installed rpm package names one of these words.
    ///
    /// # Errors
    /// Where the guest does not run, or rpm fails.
    pub fn rpm_changelog_names(&self, package: &str, words: &[&str]) -> Fact<bool> {
        let argv = ["rpm", "--query", "--changelog", package];
        self.rests_on_rpm_database();
        let output = self.runner().run(&argv, LIMIT)?;
        if !output.success() {
            return Err(super::Unknown(format!("rpm --changelog: {}", output.complaint())));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(words.iter().any(|word| text.contains(word)))
    }
}

//! The progress of long work, on a terminal and nowhere else.

use std::cell::OnceCell;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sys;

/// A line on standard error that says how far the work is, and goes when it is done. Work that is
/// over before it tells of itself shows none.
pub struct Progress {
    what: &'static str,
    bar: OnceCell<ProgressBar>,
}

impl Progress {
    /// Work on bytes. Nothing is shown unless standard error is a terminal.
    pub fn new(what: &'static str) -> Self {
        Self { what, bar: OnceCell::new() }
    }

    /// Change what the line calls the work.
    pub fn name(&self, what: String) {
        if let Some(bar) = self.bar.get() {
            bar.set_message(what);
        }
    }

    /// `done` bytes of `of` are done.
    pub fn at(&self, done: u64, of: u64) {
        let bar = self.bar.get_or_init(|| self.begin(of));
        bar.set_length(of);
        bar.set_position(done);
    }

    fn begin(&self, of: u64) -> ProgressBar {
        let target = if sys::is_terminal_err() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = "{msg} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        let style =
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(of), target).with_style(style).with_message(self.what)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

//! The progress of long work, on a terminal and nowhere else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sys;

/// A line on standard error that says how far the work is, and goes when it is done.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Work on bytes. Nothing is shown unless standard error is a terminal.
    pub fn new(what: &'static str) -> Self {
        let target = if sys::is_terminal_err() {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "{msg} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
        bar.set_style(
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_message(what);
        Self { bar }
    }

    /// `done` bytes of `of` are done.
    pub fn at(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

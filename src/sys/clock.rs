//! The time of day and the time that passes.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::trace::{self, Question};

/// Now, in RFC 3339, UTC, to the second.
pub fn now_rfc3339() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Now, as the sortable first part of a run's id.
pub fn run_stamp() -> String {
    Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// Today's date, UTC, as waivers write it: `2027-01-01`.
pub fn today() -> String {
    trace::asked(|| Question::Time);
    Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

/// Now, in seconds since 1970; 0 for a clock that stands before that.
pub fn seconds_since_1970() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// A time as [`now_rfc3339`] gives it, in seconds since 1970; 0 for what is none.
pub fn seconds_of_rfc3339(text: &str) -> u64 {
    let time = text.parse::<Timestamp>().map_or(0, Timestamp::as_second);
    u64::try_from(time).unwrap_or(0)
}

/// Measures how long a run takes, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Start measuring.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since the start.
    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A moment on the monotonic clock by which something has to be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// What is left until then.
    pub fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is left.
    pub fn is_over(&self) -> bool {
        self.left().is_zero()
    }
}

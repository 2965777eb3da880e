//! Time spans of systemd.time(7): `90s`, `1min 30s`, `5`, `2h30m`, `infinity`.

use std::time::Duration;

/// A time span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeSpan {
    /// A span of whole microseconds.
    Finite(Duration),
    /// `infinity`: without end. Greater than every finite span.
    Infinity,
}

const USEC: u64 = 1;
const MSEC: u64 = 1_000;
const SEC: u64 = 1_000_000;
const MINUTE: u64 = 60 * SEC;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// systemd's month is 30.4375 days, a twelfth of its year.
const MONTH: u64 = 2_629_800 * SEC;
/// systemd's year is 365.25 days.
const YEAR: u64 = 31_557_600 * SEC;

/// Units, each before every other one that is a prefix of it. `M` is a month and `m` a minute.
const UNITS: [(&str, u64); 30] = [
    ("seconds", SEC),
    ("second", SEC),
    ("sec", SEC),
    ("s", SEC),
    ("minutes", MINUTE),
    ("minute", MINUTE),
    ("min", MINUTE),
    ("months", MONTH),
    ("month", MONTH),
    ("M", MONTH),
    ("msec", MSEC),
    ("ms", MSEC),
    ("m", MINUTE),
    ("hours", HOUR),
    ("hour", HOUR),
    ("hr", HOUR),
    ("h", HOUR),
    ("days", DAY),
    ("day", DAY),
    ("d", DAY),
    ("weeks", WEEK),
    ("week", WEEK),
    ("w", WEEK),
    ("years", YEAR),
    ("year", YEAR),
    ("y", YEAR),
    ("usec", USEC),
    ("us", USEC),
    ("\u{b5}s", USEC),
    ("\u{3bc}s", USEC),
];

/// Reads a time span; a number without a unit is in seconds. `None` for what systemd refuses.
///
/// Fractions are cut to microseconds, each digit for itself, as systemd does. The largest finite span is just under
/// 2^64 microseconds. A caller that reads a unit's timeout has to know that 0 often means `infinity` there.
pub fn parse(text: &[u8]) -> Option<TimeSpan> {
    let text = skip_space(text);
    if let Some(rest) = text.strip_prefix(b"infinity") {
        return skip_space(rest).is_empty().then_some(TimeSpan::Infinity);
    }
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole;
        let fraction;
        (whole, fraction, rest) = number(rest)?;
        let spaced = skip_space(rest);
        let (unit, after) = unit(spaced);
        if spaced.len() == rest.len() && after.len() == rest.len() && !rest.is_empty() {
            // "12.34.56" and "5x": a number has to be followed by a space, a unit or the end.
            return None;
        }
        // Stricter than overflow: systemd compares with the quotient, rounded down.
        if whole >= u64::MAX / unit {
            return None;
        }
        total = add(total, whole * unit)?;
        let mut place = unit;
        for digit in fraction {
            place /= 10;
            total = add(total, u64::from(digit - b'0') * place)?;
        }
        rest = skip_space(after);
    }
    Some(TimeSpan::Finite(Duration::from_micros(total)))
}

/// The sum, unless it reaches `u64::MAX`, which is systemd's infinity.
fn add(a: u64, b: u64) -> Option<u64> {
    a.checked_add(b).filter(|&sum| sum < u64::MAX)
}

/// A whole number, the digits of its fraction, and the rest. `.5` has no whole number; `5.` is refused.
fn number(text: &[u8]) -> Option<(u64, &[u8], &[u8])> {
    // systemd reads with strtoll(3): a plus sign is taken, and a minus refused for what it means.
    let signed = text.strip_prefix(b"+").unwrap_or(text);
    let (whole, after) = digits(signed);
    let number =
        whole.iter().try_fold(0i64, |n, b| n.checked_mul(10)?.checked_add(i64::from(b - b'0')))?;
    let number = u64::try_from(number).ok()?;
    match after.strip_prefix(b".") {
        // strtoll finds no number in "+.5" and leaves the sign.
        Some(_) if whole.is_empty() && signed.len() != text.len() => None,
        Some(tail) => {
            let (fraction, after) = digits(tail);
            (!fraction.is_empty()).then_some((number, fraction, after))
        }
        None => (!whole.is_empty()).then_some((number, &[], after)),
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|b| b.is_ascii_digit()).count())
}

/// The unit at the start of the text in microseconds, seconds when there is none, and the rest.
fn unit(text: &[u8]) -> (u64, &[u8]) {
    UNITS
        .iter()
        .find_map(|(name, usec)| Some((*usec, text.strip_prefix(name.as_bytes())?)))
        .unwrap_or((SEC, text))
}

fn skip_space(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !b" \t\n\r".contains(b)).unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usec(text: &str) -> Option<u64> {
        match parse(text.as_bytes())? {
            TimeSpan::Finite(span) => Some(span.as_micros() as u64),
            TimeSpan::Infinity => Some(u64::MAX),
        }
    }

    #[test]
    fn spans() {
        for (text, want) in [
            ("5", Some(5_000_000)),
            ("90s", Some(90_000_000)),
            ("1min 30s", Some(90_000_000)),
            ("2h30m", Some(9_000_000_000)),
            ("1M", Some(2_629_800_000_000)),
            ("1y", Some(31_557_600_000_000)),
            (".5s", Some(500_000)),
            ("1.999999999s", Some(1_999_999)),
            ("1 1", Some(2_000_000)),
            ("\t+5 sec ", Some(5_000_000)),
            ("1\u{b5}s1\u{3bc}s1us", Some(3)),
            (" infinity\t", Some(u64::MAX)),
            ("0", Some(0)),
            ("", None),
            (" ", None),
            ("s", None),
            ("-1s", None),
            ("5.s", None),
            ("1..5s", None),
            ("1.5.5s", None),
            ("5S", None),
            ("5x", None),
            ("+.5", None),
            ("infinity s", None),
            ("584542y", None),
            ("18446744073709551615us", None),
        ] {
            assert_eq!(usec(text), want, "{text:?}");
        }
        assert!(TimeSpan::Infinity > TimeSpan::Finite(Duration::MAX));
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            parse(&text);
        }

        #[test]
        fn sums(seconds in 0u64..1_000_000, minutes in 0u64..1_000_000) {
            prop_assert_eq!(usec(&format!("{minutes}min{seconds}")), Some(minutes * MINUTE + seconds * SEC));
        }
    }
}

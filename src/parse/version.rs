//! Versions of packages and their order, as dpkg and rpm have it.
//!
//! Pure. A version is compared with one of the same kind alone; neither says what is newer across
//! distributions.

use std::cmp::Ordering;

/// The order of two versions as `dpkg --compare-versions` has it (deb-version(7)). `None` where one
/// of them is no version to dpkg.
pub fn compare_deb(left: &str, right: &str) -> Option<Ordering> {
    let (left, right) = (DebVersion::parse(left)?, DebVersion::parse(right)?);
    let order = left.epoch.cmp(&right.epoch);
    let order = order.then_with(|| compare_deb_part(left.upstream, right.upstream));
    Some(order.then_with(|| compare_deb_part(left.revision, right.revision)))
}

/// The order of two versions, `epoch:version-release` each, as rpm has it.
pub fn compare_rpm(left: &str, right: &str) -> Ordering {
    rpm_version::rpm_evr_compare(left, right)
}

/// `[epoch:]upstream[-revision]`.
struct DebVersion<'a> {
    epoch: u32,
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> DebVersion<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_ascii();
        let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
        let is_number = !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit());
        // dpkg keeps an epoch in an int.
        let epoch = is_number.then(|| epoch.parse().ok().filter(|e| *e <= i32::MAX as u32))??;
        let (upstream, revision) = match rest.rsplit_once('-') {
            Some((_, "")) => return None,
            Some((upstream, revision)) => (upstream, revision),
            None => (rest, ""),
        };
        let allowed =
            |extra: &'static [u8]| move |b: &u8| b.is_ascii_alphanumeric() || extra.contains(b);
        let is_valid = upstream.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && upstream.as_bytes().iter().all(allowed(b".+-~:"))
            && revision.as_bytes().iter().all(allowed(b".+~"));
        is_valid.then_some(Self {
            epoch,
            upstream: upstream.as_bytes(),
            revision: revision.as_bytes(),
        })
    }
}

/// Compare by turns what is no number, letter by letter, and numbers, by their value.
fn compare_deb_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        loop {
            let (a, b) = (weight(left), weight(right));
            if a != b {
                return a.cmp(&b);
            }
            if a == 0 {
                break;
            }
            (left, right) = (&left[1..], &right[1..]);
        }
        let (a, b) = (number(&mut left), number(&mut right));
        let order = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// How the first byte sorts: `~` before the end, the end and digits, letters, the rest.
fn weight(text: &[u8]) -> i32 {
    match text.first() {
        Some(b'~') => -1,
        None | Some(b'0'..=b'9') => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

/// The number that a text begins with, without leading zeros; it is taken off the text.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().position(|b| *b != b'0').unwrap_or(digits.len());
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_of_debian() {
        for (left, right, want) in [
            ("1.0", "1.0-0", Ordering::Equal),
            ("1.0~rc1", "1.0", Ordering::Less),
            ("1:0.9", "2.0", Ordering::Greater),
            ("2.36-9+deb12u3", "2.36-9+deb12u10", Ordering::Less),
            ("1.001", "1.1", Ordering::Equal),
            ("1.0a", "1.0+", Ordering::Less),
        ] {
            assert_eq!(compare_deb(left, right), Some(want), "{left} {right}");
        }
        for none in ["", "a1", "1.0-", ":1", "x:1", "1_0", "1 0", "2147483648:1"] {
            assert_eq!(compare_deb(none, "1"), None, "{none}");
        }
    }

    #[test]
    fn order_of_rpm() {
        for (left, right, want) in [
            ("4.2.46-28.el7", "4.2.46-31.el7", Ordering::Less),
            ("1:1.0.1e-42.el7", "1.0.2k-1", Ordering::Greater),
            ("2.17-55.el7_0.1", "2.17-55.el7", Ordering::Greater),
            ("1.0~rc1-1", "1.0-1", Ordering::Less),
            ("1.0^git1-1", "1.0-1", Ordering::Greater),
        ] {
            assert_eq!(compare_rpm(left, right), want, "{left} {right}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compared_without_panic(left in ".{0,12}", right in ".{0,12}") {
            let order = compare_deb(&left, &right);
            prop_assert_eq!(order.map(Ordering::reverse), compare_deb(&right, &left));
            prop_assert_eq!(compare_rpm(&left, &right).reverse(), compare_rpm(&right, &left));
        }
    }
}

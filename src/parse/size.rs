//! Sizes as people and the kernel write them.
//!
//! Pure. Which of the two ways a text is in, its reader knows: `2G` of a kernel's command line and
//! `2GiB` of our own configuration are the same number of bytes.

/// A size of the kernel's command line (memparse() of lib/cmdline.c): a number, decimal or `0x`
/// hexadecimal, and one letter K, M, G, T, P or E of either case, each 1024 of the one before; with
/// what stands behind it. `None` without a digit, and when it is more than 64 bits hold.
pub fn memparse(text: &[u8]) -> Option<(u64, &[u8])> {
    let (radix, digits) = match text {
        [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
            (16, rest)
        }
        // A leading zero is octal to simple_strtoull().
        [b'0', rest @ ..] if rest.first().is_some_and(u8::is_ascii_digit) => (8, text),
        _ => (10, text),
    };
    let is_digit = |b: &&u8| char::from(**b).is_digit(radix);
    let length = digits.iter().take_while(is_digit).count();
    let (number, rest) = digits.split_at(length);
    let number = u64::from_str_radix(std::str::from_utf8(number).ok()?, radix).ok()?;
    let shift = match rest.first().map(u8::to_ascii_uppercase) {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        Some(b'P') => 50,
        Some(b'E') => 60,
        _ => return Some((number, rest)),
    };
    Some((number.checked_mul(1 << shift)?, &rest[1..]))
}

/// A size as an operator writes it: `2GiB`, `512 MiB`, `1.5G`, `2147483648`. Units are of 1024,
/// with or without `iB` or `B`. `None` for anything else, and for zero.
pub fn human(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    let bytes = match number.split_once('.') {
        None => number.parse::<u64>().ok()?.checked_mul(1 << shift)?,
        Some((whole, part)) => {
            // Thousandths are as fine as anybody asks for.
            if part.is_empty() || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let scale = 10_u64.pow(u32::try_from(part.len()).ok()?);
            let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
            whole.checked_add(part.parse().ok()?)?.checked_mul(1 << shift)? / scale
        }
    };
    (bytes > 0).then_some(bytes)
}

/// Bytes for a reader: `617 bytes`, `3.4 MiB`.
pub fn shown(bytes: u64) -> String {
    let mut units = ["KiB", "MiB", "GiB", "TiB"].into_iter();
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, None);
    while tenths >= 10_240 {
        let Some(larger) = units.next() else { break };
        (tenths, unit) = (tenths / 1024, Some(larger));
    }
    match unit {
        None if bytes == 1 => "1 byte".to_owned(),
        None => format!("{bytes} bytes"),
        Some(unit) => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_of_the_command_line() {
        for (text, want) in [
            ("256M", Some((256 << 20, ""))),
            ("1g-4G", Some((1 << 30, "-4G"))),
            ("0x10k@", Some((16 << 10, "@"))),
            ("010", Some((8, ""))),
            ("0", Some((0, ""))),
            ("12,high", Some((12, ",high"))),
            ("auto", None),
            ("", None),
            ("99999999999999999999", None),
            ("99999999999E", None),
        ] {
            let got = memparse(text.as_bytes());
            assert_eq!(got, want.map(|(n, rest)| (n, rest.as_bytes())), "{text}");
        }
    }

    #[test]
    fn sizes_for_a_reader() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (3_565_158, "3.3 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(shown(bytes), text);
        }
    }

    #[test]
    fn sizes_of_operators() {
        for (text, want) in [
            ("2GiB", Some(2 << 30)),
            ("512 MiB", Some(512 << 20)),
            ("1.5G", Some(3 << 29)),
            ("0.25 GB", Some(1 << 28)),
            ("1048576", Some(1 << 20)),
            ("64k", Some(64 << 10)),
            ("0", None),
            ("GiB", None),
            ("2 GiB more", None),
            ("1.2345G", None),
            ("-1G", None),
            ("16777216T", None),
        ] {
            assert_eq!(human(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text(bytes: Vec<u8>, text: String) {
            if let Some((_, rest)) = memparse(&bytes) {
                prop_assert!(rest.len() < bytes.len());
            }
            let _ = human(&text);
        }

        #[test]
        fn a_number_with_its_unit(number in 1_u64..4096, unit in 0_usize..5) {
            let (letter, shift) = [("", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40)][unit];
            let text = format!("{number}{letter}");
            prop_assert_eq!(memparse(text.as_bytes()), Some((number << shift, &b""[..])));
            prop_assert_eq!(human(&text), Some(number << shift));
        }
    }
}

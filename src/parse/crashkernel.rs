//! `crashkernel=`: how much memory the kernel is asked to reserve for a crash kernel.
//!
//! Pure. The forms are those of the kernel's kernel-parameters.txt and kdump.rst: `SIZE[@OFFSET]`,
//! ranges of memory with a size each, `SIZE,high` with `SIZE,low`; and `auto`, which kernels of
//! Red Hat up to RHEL 8 know. What the kernel really reserved it says in
//! /sys/kernel/kexec_crash_size.

use super::size;

/// One `crashkernel=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrashKernel {
    /// `auto`: the kernel's own table, by its release.
    Auto,
    /// `SIZE[@OFFSET]`, bytes.
    Fixed(u64),
    /// `START-[END]:SIZE,...[@OFFSET]`.
    Ranges(Vec<Range>),
    /// `SIZE,high`: above 4 GiB where there is memory.
    High(u64),
    /// `SIZE,low`: below 4 GiB, beside one that is high.
    Low(u64),
    /// `SIZE,cma`: memory that the running system may use too; beside one of the others.
    Cma(u64),
}

/// A range of memory and what is reserved in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least memory, bytes.
    pub start: u64,
    /// Where it ends, exclusive; none for no end.
    pub end: Option<u64>,
    /// What is reserved, bytes.
    pub size: u64,
}

/// Reads the value behind `crashkernel=`. `None` for what the kernel would not take.
pub fn parse(value: &[u8]) -> Option<CrashKernel> {
    if value == b"auto" {
        return Some(CrashKernel::Auto);
    }
    // The kernel looks for a colon to tell ranges from a size (parse_crashkernel() of
    // kernel/crash_reserve.c).
    if value.contains(&b':') {
        return ranges(value).map(CrashKernel::Ranges);
    }
    let (size, rest) = size::memparse(value)?;
    match rest {
        b"" => Some(CrashKernel::Fixed(size)),
        b",high" => Some(CrashKernel::High(size)),
        b",low" => Some(CrashKernel::Low(size)),
        b",cma" => Some(CrashKernel::Cma(size)),
        [b'@', offset @ ..] => {
            let (_, rest) = size::memparse(offset)?;
            rest.is_empty().then_some(CrashKernel::Fixed(size))
        }
        _ => None,
    }
}

fn ranges(value: &[u8]) -> Option<Vec<Range>> {
    let (list, offset) = match value.iter().position(|b| *b == b'@') {
        Some(at) => (&value[..at], Some(&value[at + 1..])),
        None => (value, None),
    };
    if let Some(offset) = offset
        && !matches!(size::memparse(offset), Some((_, b"")))
    {
        return None;
    }
    list.split(|b| *b == b',').map(range).collect()
}

fn range(text: &[u8]) -> Option<Range> {
    let (start, rest) = size::memparse(text)?;
    let rest = rest.strip_prefix(b"-")?;
    let (end, rest) = match rest.strip_prefix(b":") {
        Some(_) => (None, rest),
        None => size::memparse(rest).map(|(end, rest)| (Some(end), rest))?,
    };
    let (size, rest) = size::memparse(rest.strip_prefix(b":")?)?;
    let is_empty = end.is_some_and(|end| end <= start);
    (rest.is_empty() && !is_empty).then_some(Range { start, end, size })
}

impl CrashKernel {
    /// What is asked for on a machine with so much memory, bytes; `None` for `auto`, which only
    /// the kernel's release answers.
    pub fn size_for(&self, memory: u64) -> Option<u64> {
        match self {
            CrashKernel::Auto => None,
            CrashKernel::Fixed(size)
            | CrashKernel::High(size)
            | CrashKernel::Low(size)
            | CrashKernel::Cma(size) => Some(*size),
            // The first range that fits, as the kernel has it.
            CrashKernel::Ranges(ranges) => Some(
                ranges
                    .iter()
                    .find(|r| memory >= r.start && r.end.is_none_or(|end| memory < end))
                    .map_or(0, |r| r.size),
            ),
        }
    }
}

/// Every `crashkernel=` of a command line, in order.
pub fn arguments(cmdline: &[u8]) -> Vec<&[u8]> {
    let words = cmdline.split(u8::is_ascii_whitespace);
    words.filter_map(|word| word.strip_prefix(b"crashkernel=")).collect()
}

/// What a command line asks for on a machine with so much memory: the last size or list of ranges,
/// or else the last `high` one with its `low` one. `Ok(None)` for `auto`.
///
/// # Errors
/// The value that the kernel would not take.
pub fn requested<'a>(values: &[&'a [u8]], memory: u64) -> Result<Option<u64>, &'a [u8]> {
    let (mut plain, mut high, mut low) = (None, None, 0);
    for value in values {
        match parse(value).ok_or(*value)? {
            CrashKernel::High(size) => high = Some(size),
            CrashKernel::Low(size) => low = size,
            CrashKernel::Cma(_) => {}
            other => plain = Some(other),
        }
    }
    Ok(match (plain, high) {
        (Some(plain), _) => plain.size_for(memory),
        (None, Some(high)) => Some(high.saturating_add(low)),
        // Without a high one the kernel passes over `low`.
        (None, None) => Some(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const M: u64 = 1 << 20;
    const G: u64 = 1 << 30;

    fn asked(text: &str, memory: u64) -> Result<Option<u64>, String> {
        let values = arguments(text.as_bytes());
        requested(&values, memory).map_err(|bad| String::from_utf8_lossy(bad).into_owned())
    }

    #[test]
    fn the_defaults_of_the_distributions() {
        for (text, memory, want) in [
            // EL9 (kdumpctl get-default-crashkernel).
            ("1G-4G:192M,4G-64G:256M,64G-102400T:512M", G - 1, 0),
            ("1G-4G:192M,4G-64G:256M,64G-102400T:512M", G, 192 * M),
            ("1G-4G:192M,4G-64G:256M,64G-102400T:512M", 4 * G, 256 * M),
            ("1G-4G:192M,4G-64G:256M,64G-102400T:512M", 64 * G, 512 * M),
            // EL10.
            ("2G-64G:256M,64G-:512M", 63 * G, 256 * M),
            ("2G-64G:256M,64G-:512M", 1000 * G, 512 * M),
            // Alibaba Cloud Linux 2.
            ("0M-2G:0M,2G-8G:192M,8G-:256M", 2 * G - 1, 0),
            ("0M-2G:0M,2G-8G:192M,8G-:256M", 2 * G, 192 * M),
            // kdump-tools 1.8.1 of Debian 12.
            ("384M-:128M", 383 * M, 0),
            ("384M-:128M", 4 * G, 128 * M),
            ("512M-2G:64M,2G-:128M@16M", 3 * G, 128 * M),
            ("128M@16M", G, 128 * M),
            ("0x10000000", G, 256 * M),
        ] {
            assert_eq!(
                asked(&format!("ro crashkernel={text} quiet"), memory),
                Ok(Some(want)),
                "{text} {memory}"
            );
        }
    }

    #[test]
    fn several_arguments() {
        assert_eq!(asked("crashkernel=128M crashkernel=256M", G), Ok(Some(256 * M)));
        assert_eq!(asked("crashkernel=205M,high crashkernel=72M,low", G), Ok(Some(277 * M)));
        assert_eq!(asked("crashkernel=72M,low", G), Ok(Some(0)));
        assert_eq!(asked("crashkernel=auto", G), Ok(None));
        assert_eq!(asked("ro", G), Ok(Some(0)));
        assert_eq!(asked("xcrashkernel=1M", G), Ok(Some(0)));
    }

    #[test]
    fn what_the_kernel_would_not_take() {
        for bad in [
            "",
            "M",
            "128M,",
            "128M@",
            "128M@x",
            "1G-4G",
            "1G-4G:",
            "1G:128M",
            "4G-1G:128M",
            "1G-4G:64M,",
            "1G-4G:64M@",
            "autox",
            "128M high",
            "-4G:128M",
            "1G-2G:64M:1M",
            "128Mb",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop_oneof![any::<Vec<u8>>(), "[0-9xMGk:@,.-]{0,24}".prop_map(String::into_bytes)], memory: u64) {
            if let Some(value) = parse(&bytes) {
                let _ = value.size_for(memory);
            }
            let _ = requested(&arguments(&bytes), memory);
        }

        #[test]
        fn ranges_that_touch_answer_for_every_memory(bounds in proptest::collection::btree_set(1_u64..4096, 2..8), memory in 0_u64..5000) {
            let bounds: Vec<u64> = bounds.into_iter().collect();
            let parts: Vec<String> = bounds.windows(2).map(|w| format!("{}M-{}M:{}M", w[0], w[1], w[0])).collect();
            let value = parts.join(",");
            let want = bounds.windows(2).find(|w| w[0] <= memory && memory < w[1]).map_or(0, |w| w[0] * M);
            prop_assert_eq!(requested(&[value.as_bytes()], memory * M), Ok(Some(want)));
        }
    }
}

//! The kernel's table of IPv4 neighbours: /proc/net/arp and /proc/net/stat/arp_cache (proc(5)).

/// How many neighbours /proc/net/arp lists, below its heading.
pub fn count(arp: &[u8]) -> usize {
    arp.split(|b| *b == b'\n').skip(1).filter(|line| !line.trim_ascii().is_empty()).count()
}

/// How often the table was full when a neighbour was to be added: the column `table_fulls`, which older kernels do not
/// have. A line stands for a processor, each number is hexadecimal.
pub fn overflows(arp_cache: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(arp_cache);
    let mut lines = text.lines();
    let column = lines.next()?.split_whitespace().position(|name| name == "table_fulls")?;
    let numbers =
        lines.filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(column)?, 16).ok());
    Some(numbers.fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_tables() {
        let arp = b"IP address       HW type     Flags       HW address            Mask     Device\n172.16.15.253    0x1         0x2         ee:ff:ff:ff:ff:ff     *        eth0\n";
        assert_eq!(count(arp), 1);
        let stat = b"entries  allocs   table_fulls\n00000003 00000009 0000000a\n00000003 00000002 00000001\n";
        assert_eq!(overflows(stat), Some(11));
        assert_eq!(overflows(b"entries  allocs\n00000003 00000009\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            count(&text);
            overflows(&text);
        }
    }
}

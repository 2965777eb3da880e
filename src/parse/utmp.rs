//! utmp(5): who is logged in on which terminal.
//!
//! The layout is glibc's and musl's on x86_64, the one that login, sshd and systemd write there.

/// The size of a record.
const RECORD: usize = 384;
/// `ut_type` of somebody who is logged in.
const USER_PROCESS: u16 = 7;
/// Where `ut_user` stands in a record, and how long it is.
const USER: std::ops::Range<usize> = 44..76;

/// The names of those who are logged in, each once. What is no whole record is passed over.
pub fn logged_in(text: &[u8]) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for record in text.chunks_exact(RECORD) {
        if u16::from_le_bytes([record[0], record[1]]) != USER_PROCESS {
            continue;
        }
        let field = &record[USER];
        let name = field.split(|byte| *byte == 0).next().unwrap_or_default();
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_vec());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, user: &[u8]) -> Vec<u8> {
        let mut record = vec![0; RECORD];
        record[0] = kind;
        record[USER.start..USER.start + user.len()].copy_from_slice(user);
        record
    }

    #[test]
    fn sessions_that_are_open() {
        let text = [
            record(2, b"reboot"),
            record(7, b"ann"),
            record(8, b"gone"),
            record(7, &[b'x'; 32]),
            record(7, b"ann"),
            record(7, b""),
            vec![7, 0, 0],
        ]
        .concat();
        assert_eq!(logged_in(&text), [b"ann".to_vec(), vec![b'x'; 32]]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(text in proptest::collection::vec(any::<u8>(), 0..1200)) {
            logged_in(&text);
        }
    }
}

//! Jobs of upstart (init(5) of upstart 1.x), as far as they say whether a job starts by itself.
//!
//! Read, never written.

/// Whether a job starts by itself: the last of its `start on` and `manual` stanzas decides. `None`
/// when it has neither, as an override often has.
pub fn starts_by_itself(text: &[u8]) -> Option<bool> {
    let mut starts = None;
    let mut in_script = false;
    for line in text.split(|b| *b == b'\n') {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if in_script {
            in_script = !(first == b"end" && second == b"script");
            continue;
        }
        match (first, second) {
            (b"start", b"on") => starts = Some(true),
            (b"manual", _) => starts = Some(false),
            (b"script", _) => in_script = true,
            (b"pre-start" | b"post-start" | b"pre-stop" | b"post-stop", b"script") => {
                in_script = true;
            }
            _ => {}
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_stanza_decides() {
        for (text, want) in [
            ("description \"x\"\nstart on filesystem or runlevel [2345]\n", Some(true)),
            ("start on startup\nmanual\n", Some(false)),
            ("manual\n start  on (a\n and b)\n", Some(true)),
            ("# start on x\nrespawn\n", None),
            ("script\nstart on x\nend script\n", None),
            ("pre-start script\n  manual\nend script\nstart on x\n", Some(true)),
            ("manually\n", None),
        ] {
            assert_eq!(starts_by_itself(text.as_bytes()), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in any::<Vec<u8>>()) {
            starts_by_itself(&text);
        }
    }
}

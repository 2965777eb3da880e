//! Patterns of `*` and `?`, as match_pattern() of OpenSSH has them.

/// Whether a text is like a pattern.
///
/// Goes back to the last `*` alone, so that a hostile pattern takes no longer than text times pattern.
pub fn is_like(text: &[u8], pattern: &[u8]) -> bool {
    let (mut at, mut in_pattern) = (0, 0);
    // Behind the last `*`, and where in the text what follows it was tried.
    let mut last_star = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                in_pattern += 1;
                last_star = Some((in_pattern, at));
            }
            Some(b) if *b == b'?' || *b == text[at] => (at, in_pattern) = (at + 1, in_pattern + 1),
            _ => {
                let Some((behind, tried)) = last_star else { return false };
                last_star = Some((behind, tried + 1));
                (at, in_pattern) = (tried + 1, behind);
            }
        }
    }
    pattern[in_pattern..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_of_includes() {
        for (name, pattern, fits) in [
            ("50-a.conf", "*.conf", true),
            (".conf", "*.conf", true),
            ("a.conf~", "*.conf", false),
            ("ab", "a?", true),
            ("abc", "a?", false),
            ("a", "a*b", false),
            ("", "**", true),
            ("", "?", false),
        ] {
            assert_eq!(is_like(name.as_bytes(), pattern.as_bytes()), fits, "{name} {pattern}");
        }
    }

    #[test]
    fn a_hostile_pattern_ends() {
        assert!(!is_like(
            &[b'a'; 4096],
            &b"*a".repeat(64).into_iter().chain([b'b']).collect::<Vec<_>>()
        ));
    }

    proptest! {
        #[test]
        fn as_a_regular_expression_has_it(text in "[ab]{0,8}", pattern in "[ab*?]{0,6}") {
            let same = pattern.replace('*', ".*").replace('?', ".");
            let same = regex::Regex::new(&format!("^{same}$")).expect("an expression");
            prop_assert_eq!(is_like(text.as_bytes(), pattern.as_bytes()), same.is_match(&text));
        }
    }
}

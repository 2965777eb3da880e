//! What a guest says, so that a reader sees what it is.

/// A text with what moves a terminal's cursor or the reader's eye shown as an escape: control
/// characters but line ends and tabs, marks that have no width, and those that turn the direction of
/// what follows (UAX 9, 2).
pub fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        (c.is_control() && !['\n', '\t'].contains(&c))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{61c}' | '\u{feff}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown() {
        assert_eq!(visible("a\u{202e}b\u{1b}\n中\u{200b}"), "a\\u{202e}b\\u{1b}\n中\\u{200b}");
    }
}

//! Text in lines that a terminal of 80 columns holds, where a Chinese character takes two.

use unicode_width::UnicodeWidthChar;

use crate::model::visible;

/// How many columns a line has.
pub const COLUMNS: usize = 80;

/// No line begins with these (GB/T 15834 and the rules of typesetting that follow it).
const NOT_FIRST: &str = "，。、；：？！）】》」』”’…,.;:?!)";
/// No line ends with these.
const NOT_LAST: &str = "（【《「『“‘(";

/// Lines of at most [`COLUMNS`], the first behind `first` and the others behind as many blanks as
/// `rest`, with what hides shown ([`visible`]). A word that is longer than a line (a path, a UUID) is never cut: it is there to be copied.
pub fn wrapped(text: &str, first: &str, rest: usize) -> String {
    let text = visible(text);
    let mut out = String::from(first);
    let mut column = width(first);
    let mut is_empty = true;
    for word in words(&text) {
        let (body, blanks) = word.split_at(word.trim_end().len());
        if !is_empty && column + width(body) > COLUMNS {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', rest));
            column = rest;
        }
        out.push_str(word);
        column += width(body) + blanks.len();
        is_empty = false;
    }
    out.truncate(out.trim_end().len());
    out
}

/// How many columns a text takes; what moves the cursor takes none.
pub fn width(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

/// The parts between which a line may end, each with the blanks that follow it.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        if before.is_some_and(|before| may_end_between(before, c)) {
            words.push(&text[start..at]);
            start = at;
        }
        before = Some(c);
    }
    words.push(&text[start..]);
    words
}

fn may_end_between(before: char, after: char) -> bool {
    if before.is_whitespace() || after.is_whitespace() {
        return before.is_whitespace() && !after.is_whitespace();
    }
    let is_wide = |c: char| c.width() == Some(2);
    (is_wide(before) || is_wide(after)) && !NOT_FIRST.contains(after) && !NOT_LAST.contains(before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chinese_breaks_between_characters_and_not_before_a_full_stop() {
        let text = "数据盘".repeat(14) + "，卸载。";
        let lines = wrapped(&text, "  ", 2);
        assert_eq!(width(lines.lines().next().unwrap()), 80, "{lines}");
        for line in lines.lines() {
            assert!(width(line) <= COLUMNS && !line.trim().starts_with(['，', '。']), "{lines}");
        }
    }

    #[test]
    fn a_path_is_never_cut() {
        let path = format!("/{}", "x".repeat(100));
        assert_eq!(wrapped(&format!("see {path} there"), "", 2), format!("see\n  {path}\n  there"));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(text in "[a-z数据，。 ]{0,300}") {
            let lines = wrapped(&text, "* ", 2);
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(bare(&lines), bare(&format!("* {text}")));
            for line in lines.lines().filter(|line| line.trim().contains(' ')) {
                prop_assert!(width(line) <= COLUMNS, "{}", line);
            }
        }
    }
}

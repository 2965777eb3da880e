//! GRUB's `test` command, `[ ... ]`.

/// What a file test asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTest {
    /// `-e`
    Exists,
    /// `-f`
    Regular,
    /// `-s`
    NotEmpty,
    /// `-d`
    Directory,
}

/// Whether the expression holds. `file` answers for files.
///
/// What cannot be read as an expression is false, as a command that fails is. (grub-core/commands/test.c)
pub fn holds(words: &[Vec<u8>], file: &mut dyn FnMut(FileTest, &[u8]) -> bool) -> bool {
    let mut expression = Expression { words, at: 0, depth: 0, file };
    let value = expression.or();
    value && expression.at == words.len()
}

struct Expression<'a> {
    words: &'a [Vec<u8>],
    at: usize,
    depth: usize,
    file: &'a mut dyn FnMut(FileTest, &[u8]) -> bool,
}

impl Expression<'_> {
    fn take(&mut self, word: &[u8]) -> bool {
        let is_next = self.words.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(is_next);
        is_next
    }

    fn or(&mut self) -> bool {
        let mut value = self.and();
        while self.take(b"-o") {
            let right = self.and();
            value |= right;
        }
        value
    }

    fn and(&mut self) -> bool {
        let mut value = self.one();
        while self.take(b"-a") {
            let right = self.one();
            value &= right;
        }
        value
    }

    fn one(&mut self) -> bool {
        self.depth += 1;
        if self.depth > 64 {
            return false;
        }
        let value = self.term();
        self.depth -= 1;
        value
    }

    fn term(&mut self) -> bool {
        let rest = &self.words[self.at.min(self.words.len())..];
        if let [left, operator, right, ..] = rest
            && let Some(value) = compared(left, operator, right)
        {
            self.at += 3;
            return value;
        }
        if let [operator, operand, ..] = rest {
            let test = match operator.as_slice() {
                b"-z" | b"-n" => {
                    self.at += 2;
                    return operand.is_empty() == (operator == b"-z");
                }
                b"-e" => Some(FileTest::Exists),
                b"-f" => Some(FileTest::Regular),
                b"-s" => Some(FileTest::NotEmpty),
                b"-d" => Some(FileTest::Directory),
                _ => None,
            };
            if let Some(test) = test {
                self.at += 2;
                return (self.file)(test, operand);
            }
        }
        if self.take(b"!") {
            return !self.one();
        }
        if self.take(b"(") {
            let value = self.or();
            return self.take(b")") && value;
        }
        match rest.first() {
            Some(word) => {
                self.at += 1;
                !word.is_empty()
            }
            None => false,
        }
    }
}

fn compared(left: &[u8], operator: &[u8], right: &[u8]) -> Option<bool> {
    let number = |text: &[u8]| -> i64 {
        std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    };
    Some(match operator {
        b"=" | b"==" => left == right,
        b"!=" => left != right,
        b"<" => left < right,
        b">" => left > right,
        b"-eq" => number(left) == number(right),
        b"-ne" => number(left) != number(right),
        b"-lt" => number(left) < number(right),
        b"-le" => number(left) <= number(right),
        b"-gt" => number(left) > number(right),
        b"-ge" => number(left) >= number(right),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        for (text, expected) in [
            ("", false),
            ("x", true),
            ("-z", true),
            ("-n x", true),
            ("a = a", true),
            ("a != a", false),
            ("! a = b", true),
            ("a = b -o c = c", true),
            ("a = a -a c = d", false),
            ("2 -gt 10", false),
            ("-s there", true),
            ("-s gone -o -n x", true),
            ("( a = b ) -o ( -f there )", true),
            ("a b c", false),
        ] {
            let words: Vec<Vec<u8>> =
                text.split_whitespace().map(|w| w.as_bytes().to_vec()).collect();
            assert_eq!(holds(&words, &mut |_, path| path == b"there"), expected, "{text}");
        }
        assert!(!holds(&vec![b"!".to_vec(); 1000], &mut |_, _| true));
    }
}

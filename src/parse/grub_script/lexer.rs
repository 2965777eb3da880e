//! The words of a GRUB script.

use super::{Piece, Word};
use crate::parse::lines::LineError;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word.
    Word(Word),
    /// The end of a line, or `;`.
    Separator,
    /// `{` as a word of its own.
    Open,
    /// `}` as a word of its own.
    Close,
    /// The end of the text.
    End,
}

/// Reads tokens, one ahead.
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    ahead: Option<(usize, Token)>,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, line: 1, ahead: None }
    }

    /// The line of the next token where it was looked at, else of where reading stands.
    pub fn line(&self) -> usize {
        self.ahead.as_ref().map_or(self.line, |(line, _)| *line)
    }

    pub fn peek(&mut self) -> Result<&Token, LineError> {
        if self.ahead.is_none() {
            self.skip_blanks();
            let line = self.line;
            self.ahead = Some((line, self.read()?));
        }
        Ok(self.ahead.as_ref().map_or(&Token::End, |(_, token)| token))
    }

    pub fn next(&mut self) -> Result<Token, LineError> {
        self.peek()?;
        Ok(self.ahead.take().map_or(Token::End, |(_, token)| token))
    }

    fn skip_blanks(&mut self) {
        loop {
            match self.text[self.at..] {
                [b' ' | b'\t' | b'\r', ..] => self.at += 1,
                [b'\\', b'\n', ..] => {
                    self.at += 2;
                    self.line += 1;
                }
                [b'#', ..] => {
                    let rest = &self.text[self.at..];
                    self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn read(&mut self) -> Result<Token, LineError> {
        match self.text.get(self.at) {
            None => Ok(Token::End),
            Some(b'\n') => {
                self.at += 1;
                self.line += 1;
                Ok(Token::Separator)
            }
            Some(b';') => {
                self.at += 1;
                Ok(Token::Separator)
            }
            Some(b'{') => {
                self.at += 1;
                Ok(Token::Open)
            }
            Some(b'}') => {
                self.at += 1;
                Ok(Token::Close)
            }
            Some(b'|' | b'&' | b'<' | b'>') => {
                Err(LineError { line: self.line, reason: "GRUB has no pipes and redirections" })
            }
            Some(_) => self.word(),
        }
    }

    fn word(&mut self) -> Result<Token, LineError> {
        let start = self.at;
        let mut pieces = Vec::new();
        let mut plain = Vec::new();
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'|' | b'&' | b'<' | b'>' | b'{' | b'}' => break,
                b'\r' if matches!(self.text.get(self.at + 1), None | Some(b'\n')) => break,
                b'\\' => {
                    match self.text.get(self.at + 1) {
                        Some(b'\n') => self.line += 1,
                        Some(&escaped) => plain.push(escaped),
                        None => {}
                    }
                    self.at = (self.at + 2).min(self.text.len());
                }
                b'\'' => {
                    let rest = &self.text[self.at + 1..];
                    let Some(end) = rest.iter().position(|b| *b == b'\'') else {
                        return Err(self.unclosed());
                    };
                    plain.extend_from_slice(&rest[..end]);
                    self.line += rest[..end].iter().filter(|b| **b == b'\n').count();
                    self.at += end + 2;
                }
                b'"' => self.double_quoted(&mut plain, &mut pieces)?,
                b'$' => self.variable(&mut plain, &mut pieces, false),
                _ => {
                    plain.push(byte);
                    self.at += 1;
                }
            }
        }
        if !plain.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Token::Word(Word { span: start..self.at, pieces }))
    }

    fn unclosed(&self) -> LineError {
        LineError { line: self.line, reason: "the quote is not closed" }
    }

    fn double_quoted(
        &mut self,
        plain: &mut Vec<u8>,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), LineError> {
        let unclosed = self.unclosed();
        self.at += 1;
        loop {
            match self.text.get(self.at) {
                None => return Err(unclosed),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'$') => self.variable(plain, pieces, true),
                Some(b'\\')
                    if matches!(self.text.get(self.at + 1), Some(b'$' | b'"' | b'\\' | b'\n')) =>
                {
                    match self.text[self.at + 1] {
                        b'\n' => self.line += 1,
                        escaped => plain.push(escaped),
                    }
                    self.at += 2;
                }
                Some(&byte) => {
                    self.line += usize::from(byte == b'\n');
                    plain.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// `$name`, `${name}` and the special ones; a lone `$` is itself.
    fn variable(&mut self, plain: &mut Vec<u8>, pieces: &mut Vec<Piece>, is_quoted: bool) {
        let rest = &self.text[self.at + 1..];
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let (name, length) = match rest {
            [b'{', inner @ ..] => match inner.iter().position(|b| *b == b'}') {
                Some(end) => (&inner[..end], end + 2),
                None => (&[][..], 0),
            },
            [b'?' | b'*' | b'@' | b'#', ..] => (&rest[..1], 1),
            // `$10` is the first argument and a zero.
            [digit, ..] if digit.is_ascii_digit() => (&rest[..1], 1),
            _ => {
                let end = rest.iter().take_while(|b| is_name(b)).count();
                (&rest[..end], end)
            }
        };
        if name.is_empty() {
            plain.push(b'$');
            self.at += 1;
            return;
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(plain)));
        }
        pieces.push(Piece::Variable { name: name.to_vec(), is_quoted });
        self.line += name.iter().filter(|b| **b == b'\n').count();
        self.at += 1 + length;
    }
}

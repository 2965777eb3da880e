//! GRUB 2's script language, as far as a grub.cfg uses it.
//!
//! Words, quotes, variables, `if`, loops, functions and the blocks of `menuentry` and `submenu` (GRUB manual, "Writing
//! full configuration files"). Nothing is run or expanded here: `guest` does, which knows the variables. A word keeps its
//! place in the text, so that an edit changes that word and nothing else. Never panics; what is no script is an error
//! with its line.

mod edit;
mod lexer;

use std::ops::Range;

use super::lines::LineError;
pub use edit::{Wanted, with_arguments};
use lexer::{Lexer, Token};

/// `if` and blocks may stand this deep in each other; grub-mkconfig writes two or three.
const MAX_DEPTH: usize = 64;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// A command.
    Command(Command),
    /// `if`: the conditions with what follows each, and what follows `else`.
    If {
        /// A condition, which is true when its last command is, and what is done then.
        branches: Vec<(Vec<Statement>, Vec<Statement>)>,
        /// What is done when no condition is true.
        otherwise: Vec<Statement>,
    },
    /// `for`, `while` or `until`, whose body may be run any number of times.
    Loop {
        /// The number of the line that it begins on.
        line: usize,
        /// What it repeats.
        body: Vec<Statement>,
    },
    /// The definition of a function.
    Function {
        /// Its name.
        name: Vec<u8>,
        /// What it does.
        body: Vec<Statement>,
    },
}

/// A command with its words and, for `menuentry` and `submenu`, its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The number of the line that it begins on, from 1.
    pub line: usize,
    /// Its words; never empty.
    pub words: Vec<Word>,
    /// What stands in the braces behind it.
    pub block: Option<Vec<Statement>>,
}

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where it stands in the text, quotes included.
    pub span: Range<usize>,
    /// What it is made of.
    pub pieces: Vec<Piece>,
}

/// A part of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Itself, quotes removed.
    Text(Vec<u8>),
    /// The value of a variable.
    Variable {
        /// Its name.
        name: Vec<u8>,
        /// Whether it stands in double quotes: else its value is split at blanks.
        is_quoted: bool,
    },
}

impl Word {
    /// The word, where it names no variable.
    pub fn literal(&self) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(part) => text.extend_from_slice(part),
                Piece::Variable { .. } => return None,
            }
        }
        Some(text)
    }
}

/// Reads a script.
///
/// # Errors
/// The line at which it is no script, and why. GRUB stops reading a configuration there too.
pub fn parse(text: &[u8]) -> Result<Vec<Statement>, LineError> {
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    let statements = parser.statements(&[])?;
    match parser.lexer.peek()? {
        Token::End => Ok(statements),
        _ => Err(parser.error("this closes nothing that is open")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
}

/// Words that end a list of statements when they stand where a command would.
type Ends<'e> = &'e [&'static [u8]];

impl Parser<'_> {
    fn error(&self, reason: &'static str) -> LineError {
        LineError { line: self.lexer.line(), reason }
    }

    /// Statements up to one of the words in `ends`, a closing brace or the end, which is left there.
    fn statements(&mut self, ends: Ends<'_>) -> Result<Vec<Statement>, LineError> {
        if self.depth > MAX_DEPTH {
            return Err(self.error("too many blocks stand in each other"));
        }
        self.depth += 1;
        let mut found = Vec::new();
        loop {
            match self.lexer.peek()? {
                Token::Separator => {
                    self.lexer.next()?;
                }
                Token::End | Token::Close => break,
                Token::Open => {
                    return Err(self.error("a brace opens a block that belongs to no command"));
                }
                Token::Word(word) => match keyword(word) {
                    Some(name) if ends.contains(&name) => break,
                    _ => found.push(self.statement()?),
                },
            }
        }
        self.depth -= 1;
        Ok(found)
    }

    /// As [`Parser::statements`], where GRUB's grammar asks for one at least.
    fn some(&mut self, ends: Ends<'_>) -> Result<Vec<Statement>, LineError> {
        let found = self.statements(ends)?;
        if found.is_empty() { Err(self.error("a command was expected")) } else { Ok(found) }
    }

    fn statement(&mut self) -> Result<Statement, LineError> {
        let line = self.lexer.line();
        let Token::Word(first) = self.lexer.next()? else {
            return Err(self.error("a command was expected"));
        };
        match keyword(&first) {
            Some(b"if") => self.conditional(),
            Some(b"while" | b"until") => {
                self.some(&[b"do"])?;
                self.body_of_loop(line)
            }
            Some(b"for") => {
                while let Token::Word(_) = self.lexer.peek()? {
                    self.lexer.next()?;
                }
                self.statements(&[b"do"])?;
                self.body_of_loop(line)
            }
            Some(b"function") => {
                let Token::Word(name) = self.lexer.next()? else {
                    return Err(self.error("a function has no name"));
                };
                let name =
                    name.literal().ok_or_else(|| self.error("a function has no plain name"))?;
                while *self.lexer.peek()? == Token::Separator {
                    self.lexer.next()?;
                }
                let body = self.block()?.ok_or_else(|| self.error("a function has no body"))?;
                Ok(Statement::Function { name, body })
            }
            Some(b"then" | b"else" | b"elif" | b"fi" | b"do" | b"done") => {
                Err(LineError { line, reason: "this closes nothing that is open" })
            }
            _ => self.command(line, first),
        }
    }

    fn command(&mut self, line: usize, first: Word) -> Result<Statement, LineError> {
        let takes_block = first.literal().is_some_and(|name| {
            matches!(name.as_slice(), b"menuentry" | b"submenu" | b"hiddenentry")
        });
        let mut words = vec![first];
        loop {
            match self.lexer.peek()? {
                Token::Word(_) => {
                    if let Token::Word(word) = self.lexer.next()? {
                        words.push(word);
                    }
                }
                Token::Open if takes_block => {
                    let block = self.block()?;
                    return Ok(Statement::Command(Command { line, words, block }));
                }
                Token::Open => {
                    return Err(self.error("a brace opens a block that belongs to no command"));
                }
                Token::Separator | Token::Close | Token::End => {
                    return Ok(Statement::Command(Command { line, words, block: None }));
                }
            }
        }
    }

    fn conditional(&mut self) -> Result<Statement, LineError> {
        let mut branches = Vec::new();
        loop {
            let condition = self.some(&[b"then"])?;
            self.expect(b"then", "an if has no then")?;
            let body = self.some(&[b"elif", b"else", b"fi"])?;
            branches.push((condition, body));
            let Token::Word(word) = self.lexer.next()? else {
                return Err(self.error("an if has no fi"));
            };
            match keyword(&word) {
                Some(b"elif") => {}
                Some(b"else") => {
                    let otherwise = self.some(&[b"fi"])?;
                    self.expect(b"fi", "an if has no fi")?;
                    return Ok(Statement::If { branches, otherwise });
                }
                _ => return Ok(Statement::If { branches, otherwise: Vec::new() }),
            }
        }
    }

    fn body_of_loop(&mut self, line: usize) -> Result<Statement, LineError> {
        self.expect(b"do", "a loop has no do")?;
        let body = self.some(&[b"done"])?;
        self.expect(b"done", "a loop has no done")?;
        Ok(Statement::Loop { line, body })
    }

    fn block(&mut self) -> Result<Option<Vec<Statement>>, LineError> {
        if *self.lexer.peek()? != Token::Open {
            return Ok(None);
        }
        let line = self.lexer.line();
        self.lexer.next()?;
        let body = self.some(&[])?;
        match self.lexer.next()? {
            Token::Close => Ok(Some(body)),
            _ => Err(LineError { line, reason: "the block is not closed" }),
        }
    }

    fn expect(&mut self, wanted: &[u8], reason: &'static str) -> Result<(), LineError> {
        match self.lexer.next()? {
            Token::Word(word) if keyword(&word) == Some(wanted) => Ok(()),
            _ => Err(self.error(reason)),
        }
    }
}

/// The reserved word that a word is: one unquoted piece of the right length.
fn keyword(word: &Word) -> Option<&'static [u8]> {
    const KEYWORDS: [&[u8]; 12] = [
        b"if",
        b"then",
        b"elif",
        b"else",
        b"fi",
        b"while",
        b"until",
        b"for",
        b"do",
        b"done",
        b"function",
        b"in",
    ];
    let [Piece::Text(text)] = word.pieces.as_slice() else { return None };
    // A quoted word is longer in the text than what it says.
    KEYWORDS
        .into_iter()
        .find(|keyword| *keyword == text.as_slice() && word.span.len() == text.len())
}

/// A word in GRUB's quoting that is this text.
pub fn quote(text: &str) -> Vec<u8> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_=./,:+@%^~".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.as_bytes().to_vec();
    }
    // Within single quotes nothing is special, and a single quote cannot stand there.
    format!("'{}'", text.replace('\'', r"'\''")).into_bytes()
}

#[cfg(test)]
mod tests;

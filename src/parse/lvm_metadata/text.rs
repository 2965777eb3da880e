//! The language of LVM's metadata and configuration: nested sections, `key = value`, numbers, strings and lists.
//!
//! As lvmconfig(8) writes it, and no more than its metadata use. Nesting is bounded, so that no text exhausts the stack.

use super::MetadataError;

const MAX_DEPTH: usize = 16;

/// A section: its sections and its values, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Section(Vec<(String, Node)>);

#[derive(Debug)]
enum Node {
    Section(Section),
    Value(Value),
}

#[derive(Debug)]
enum Value {
    Number(u64),
    Text(String),
    List(Vec<Value>),
    /// A fraction or a negative number, of which the metadata need none.
    Other,
}

impl Section {
    fn value(&self, key: &str) -> Option<&Value> {
        self.0.iter().find_map(|(name, node)| match node {
            Node::Value(value) if name == key => Some(value),
            _ => None,
        })
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.0.iter().filter_map(|(name, node)| match node {
            Node::Section(section) => Some((name.as_str(), section)),
            Node::Value(_) => None,
        })
    }

    pub(super) fn section(&self, key: &str) -> Option<&Section> {
        self.sections().find_map(|(name, section)| (name == key).then_some(section))
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The strings under a key: one, or those of a list.
    pub(super) fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        let values = match self.value(key) {
            Some(Value::List(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        values.iter().filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A list of alternating strings and numbers.
    pub(super) fn pairs(&self, key: &str) -> impl Iterator<Item = (&str, u64)> {
        let values = match self.value(key) {
            Some(Value::List(values)) => values.as_slice(),
            _ => &[],
        };
        values.as_chunks::<2>().0.iter().filter_map(|pair| match pair {
            [Value::Text(text), Value::Number(number)] => Some((text.as_str(), *number)),
            _ => None,
        })
    }
}

/// # Errors
/// [`MetadataError::Syntax`].
pub(super) fn parse(text: &[u8]) -> Result<Section, MetadataError> {
    // The text in a metadata area ends with a NUL.
    let text = super::super::field::c_string(text);
    let mut reader = Reader { text, at: 0 };
    let section = reader.section(0)?;
    reader.blank();
    if reader.at < text.len() {
        return Err(reader.error("a brace too many"));
    }
    Ok(section)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, reason: &'static str) -> MetadataError {
        MetadataError::Syntax { at: self.at, reason }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn take_while(&mut self, accept: impl Fn(u8) -> bool) -> &[u8] {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        loop {
            self.take_while(|byte| byte.is_ascii_whitespace());
            if self.peek() != Some(b'#') {
                return;
            }
            self.take_while(|byte| byte != b'\n');
        }
    }

    /// The inside of a section, up to its brace or the end of the text.
    fn section(&mut self, depth: usize) -> Result<Section, MetadataError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deep"));
        }
        let mut section = Section::default();
        loop {
            self.blank();
            if matches!(self.peek(), None | Some(b'}')) {
                return Ok(section);
            }
            let name = self.name()?;
            self.blank();
            let node = if self.take(b'=') {
                Node::Value(self.value(depth)?)
            } else if self.take(b'{') {
                let inner = self.section(depth + 1)?;
                if !self.take(b'}') {
                    return Err(self.error("a section without an end"));
                }
                Node::Section(inner)
            } else {
                return Err(self.error("neither a value nor a section"));
            };
            section.0.push((name, node));
        }
    }

    fn name(&mut self) -> Result<String, MetadataError> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+./@#:".contains(&byte);
        let name = String::from_utf8_lossy(self.take_while(is_name)).into_owned();
        if name.is_empty() { Err(self.error("not a name")) } else { Ok(name) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, MetadataError> {
        self.blank();
        match self.peek() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'[') if depth <= MAX_DEPTH => self.list(depth + 1),
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => Ok(self.number()),
            _ => Err(self.error("not a value")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, MetadataError> {
        self.at += 1;
        let mut values = Vec::new();
        loop {
            self.blank();
            if self.take(b']') {
                return Ok(Value::List(values));
            }
            values.push(self.value(depth)?);
            self.blank();
            // A comma may stand after the last one too.
            if !self.take(b',') && self.peek() != Some(b']') {
                return Err(self.error("a list without an end"));
            }
        }
    }

    fn number(&mut self) -> Value {
        let digits = self.take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.map_or(Value::Other, Value::Number)
    }

    /// A string in double quotes, in which a backslash takes the next byte as it is.
    fn string(&mut self) -> Result<String, MetadataError> {
        self.at += 1;
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' => bytes.extend(self.peek().inspect(|_| self.at += 1)),
                _ => bytes.push(byte),
            }
        }
        Err(self.error("a string without an end"))
    }
}

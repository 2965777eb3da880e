//! YAML (of netplan, of cloud-init) as a tree whose nodes know their lines.
//!
//! The parser is saphyr-parser's. Nothing is ever printed: an edit is a change of whole lines of the original text, which
//! the places are for. Anchors, aliases and tags are not followed but told ([`Node::is_plain`]), because what they
//! stand for is not on their line.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::lines::LineError;

/// More levels than any configuration has.
const MAX_DEPTH: usize = 64;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The line that it starts on, from 1.
    pub line: usize,
    /// The line that it ends on.
    pub last_line: usize,
    /// Where it stands in the text, in bytes. Of a block of lines only the start is known.
    pub span: Range<usize>,
    /// Whether it has neither anchor nor tag.
    pub is_plain: bool,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word, a number, a text.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in order.
    Map(Vec<(Node, Node)>),
    /// What stands elsewhere behind an anchor.
    Alias,
}

impl Node {
    /// The text of a scalar.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The keys and values of a map; none of anything else.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// A key with its value; of repeated keys the last.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.entries().iter().rev().find(|(name, _)| name.as_str() == Some(key))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// What YAML 1.1, which netplan and cloud-init read, takes for true and false.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_str()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some(true),
            "false" | "no" | "off" | "n" => Some(false),
            _ => None,
        }
    }

    /// Whether an alias, an anchor or a tag is in it.
    pub fn has_reference(&self) -> bool {
        !self.is_plain
            || match &self.value {
                Value::Alias => true,
                Value::Scalar(_) => false,
                Value::List(items) => items.iter().any(Node::has_reference),
                Value::Map(entries) => {
                    entries.iter().any(|(key, value)| key.has_reference() || value.has_reference())
                }
            }
    }
}

/// Something that is open: a list or map with what it has so far.
struct Open {
    line: usize,
    start: usize,
    is_map: bool,
    is_plain: bool,
    nodes: Vec<Node>,
}

/// Reads the one document of a text; `None` where there is nothing in it.
///
/// # Errors
/// The first line that is no YAML, with what is wrong; a second document; absurdly many levels.
pub fn parse(text: &[u8]) -> Result<Option<Node>, LineError> {
    let fail = |line, reason| LineError { line, reason };
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        fail(1 + before.iter().filter(|b| **b == b'\n').count(), "it is not UTF-8")
    })?;
    let mut reader = Reader { text, bytes: text.char_indices().map(|(at, _)| at).collect() };
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| fail(error.marker().line(), "it is not YAML"))?;
        let node = match event {
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if open.len() >= MAX_DEPTH =>
            {
                let _ = (anchor, tag);
                return Err(fail(span.start.line(), "it has too many levels"));
            }
            Event::SequenceStart(anchor, tag) => {
                open.push(reader.open(span, false, anchor == 0 && tag.is_none()));
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                open.push(reader.open(span, true, anchor == 0 && tag.is_none()));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(done) => reader.close(done, span),
                None => continue,
            },
            Event::Scalar(value, style, anchor, tag) => {
                let is_plain = anchor == 0 && tag.is_none();
                let mut node = reader.leaf(span, Value::Scalar(value.into_owned()), is_plain);
                if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
                    node.span.end = closing(text, &node.span);
                }
                node
            }
            Event::Alias(_) => reader.leaf(span, Value::Alias, true),
            Event::DocumentStart(_) if root.is_some() => {
                return Err(fail(span.start.line(), "a second document begins"));
            }
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.nodes.push(node),
            None => root = Some(node),
        }
    }
    Ok(root.filter(
        |node| !matches!(&node.value, Value::Scalar(text) if text.is_empty() || text == "~"),
    ))
}

struct Reader<'a> {
    text: &'a str,
    /// Where each character starts; the parser counts in characters.
    bytes: Vec<usize>,
}

impl Reader<'_> {
    fn byte(&mut self, character: usize) -> usize {
        self.bytes.get(character).copied().unwrap_or(self.text.len())
    }

    fn open(&mut self, span: Span, is_map: bool, is_plain: bool) -> Open {
        let start = self.byte(span.start.index());
        Open { line: span.start.line(), start, is_map, is_plain, nodes: Vec::new() }
    }

    fn close(&mut self, done: Open, span: Span) -> Node {
        // Only `]` and `}` are wider than a point. A block has no mark at its end, and what it starts with may be an
        // anchor or a tag.
        let is_flow = span.end.index() > span.start.index();
        let inner = done.nodes.last().map(|node| (node.last_line, node.span.end));
        let (last_line, end) = match inner {
            // A block ends with what is in it: the parser notes its end where the next thing begins.
            Some(inner) if !is_flow => inner,
            None if !is_flow => (done.line, done.start),
            _ => (span.end.line(), self.byte(span.end.index())),
        };
        let value = if done.is_map {
            let mut entries = Vec::new();
            let mut nodes = done.nodes.into_iter();
            while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
                entries.push((key, value));
            }
            Value::Map(entries)
        } else {
            Value::List(done.nodes)
        };
        Node {
            line: done.line,
            last_line,
            span: done.start..end.max(done.start),
            is_plain: done.is_plain,
            value,
        }
    }

    fn leaf(&mut self, span: Span, value: Value, is_plain: bool) -> Node {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        // Blanks and line ends behind a value are not part of it.
        let end = start + self.text.get(start..end).map_or(0, |t| t.trim_end().len());
        let breaks = self.text.get(start..end).map_or(0, |t| t.matches('\n').count());
        let line = span.start.line();
        Node { line, last_line: line + breaks, span: start..end, is_plain, value }
    }
}

/// Where a quoted text ends: the parser counts a comment behind it in.
fn closing(text: &str, span: &Range<usize>) -> usize {
    let bytes = text.as_bytes();
    let Some(quote) = bytes.get(span.start) else { return span.end };
    let mut at = span.start + 1;
    while at < span.end {
        match bytes[at] {
            b'\\' if *quote == b'"' => at += 1,
            byte if byte == *quote && bytes.get(at + 1) == Some(quote) && *quote == b'\'' => {
                at += 1
            }
            byte if byte == *quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    span.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nodes_know_their_lines() {
        let text = "# first\na:\n  b: [1,\n    2]\n  c:\n  - x  # é\n  - y\n\nd: 'é z' # w\n";
        let root = parse(text.as_bytes()).unwrap().unwrap();
        let a = root.get("a").unwrap();
        let b = a.entry("b").unwrap();
        assert_eq!((b.0.line, b.1.last_line, b.1.items().len()), (3, 4, 2));
        let c = a.entry("c").unwrap();
        assert_eq!((c.0.line, c.1.line, c.1.last_line), (5, 6, 7));
        let d = root.get("d").unwrap();
        assert_eq!((d.line, &text[d.span.clone()]), (9, "'é z'"));
        assert_eq!(a.last_line, 7);
    }

    #[test]
    fn a_block_ends_with_what_is_in_it_whatever_stands_before_it() {
        for (text, last_line) in [
            ("a: &x\n  b: 1\nc: 2\n", 2),
            ("a: !!map\n  b: 1\n\n# c\nc: 2\n", 2),
            ("a: &x {b: 1,\n  c: 2}\nc: 2\n", 2),
            ("a: &x [\n  1\n  ]\nc: 2\n", 3),
        ] {
            let root = parse(text.as_bytes()).unwrap().unwrap();
            assert_eq!(root.get("a").unwrap().last_line, last_line, "{text}");
        }
        assert_eq!(parse(b"&:\n:").unwrap().unwrap().last_line, 2);
    }

    #[test]
    fn what_is_refused() {
        for (text, line, reason) in
            [("a: [\n", 2, "it is not YAML"), ("a: 1\n---\nb: 2\n", 2, "a second document begins")]
        {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.reason), (line, reason), "{text}");
        }
        assert_eq!(parse(b"a\n\xff").unwrap_err().line, 2);
        assert_eq!(parse(b"# nothing\n"), Ok(None));
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn references_are_told() {
        assert!(parse(b"a: &x 1\nb: *x\n").unwrap().unwrap().has_reference());
        assert!(parse(b"a: !!str 1\n").unwrap().unwrap().has_reference());
        assert!(!parse(b"a: 1\n").unwrap().unwrap().has_reference());
    }

    proptest! {
        #[test]
        fn any_bytes(text: Vec<u8>) {
            let _ = parse(&text);
        }

        #[test]
        fn any_marks(text in "[\\[\\]{}:,\\-#'\"|>&*! \na-cé]{0,60}") {
            if let Ok(Some(node)) = parse(text.as_bytes()) {
                let lines = text.split('\n').count();
                prop_assert!(node.line >= 1 && node.last_line <= lines.max(1), "{node:?}");
            }
        }
    }
}

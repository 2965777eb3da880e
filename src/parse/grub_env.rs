//! GRUB's environment block, `grubenv`: what the loader remembers from boot to boot.
//!
//! A signature line, `name=value` lines and a padding of `#` up to a fixed size, which the file must keep: GRUB writes into
//! the blocks that it has and cannot make it longer (GRUB manual, "The GRUB environment block"). Lossless: an edit replaces
//! one value and takes the room from the padding.

/// The first line.
const SIGNATURE: &[u8] = b"# GRUB Environment Block\n";

/// A parsed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubEnv {
    text: Vec<u8>,
    variables: Vec<Variable>,
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The number of its line, from 1.
    pub line: usize,
    /// Its name.
    pub name: Vec<u8>,
    /// Its value, escapes taken off.
    pub value: Vec<u8>,
    /// Where the value stands in the text.
    span: std::ops::Range<usize>,
}

/// Why a block cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GrubEnvError {
    /// GRUB reads nothing of a file that does not begin so.
    #[error("it does not begin with the line `# GRUB Environment Block`")]
    Signature,
    /// The new value is longer than what the padding can give.
    #[error("the environment block has no room for the new value")]
    Full,
}

impl GrubEnv {
    /// Reads a block.
    ///
    /// # Errors
    /// [`GrubEnvError::Signature`], as GRUB itself would say.
    pub fn parse(text: &[u8]) -> Result<Self, GrubEnvError> {
        if !text.starts_with(SIGNATURE) {
            return Err(GrubEnvError::Signature);
        }
        let mut variables: Vec<Variable> = Vec::new();
        let mut at = SIGNATURE.len();
        let mut line = 2;
        while at < text.len() {
            let end = end_of_line(text, at);
            let raw = &text[at..end];
            if raw.first() != Some(&b'#')
                && let Some(equals) = raw.iter().position(|b| *b == b'=')
            {
                let span = at + equals + 1..end;
                let value = unescaped(&text[span.clone()]);
                variables.push(Variable { line, name: raw[..equals].to_vec(), value, span });
            }
            line += raw.iter().filter(|b| **b == b'\n').count() + 1;
            at = end + 1;
        }
        Ok(Self { text: text.to_vec(), variables })
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        self.text.clone()
    }

    /// Every variable, in order.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The value of a variable; of repeated names the last, which is set over the others.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.variables.iter().rev().find(|v| v.name == name.as_bytes());
        found.map(|v| v.value.as_slice())
    }

    /// The block with another value for a variable that it has, of the same size. A name that it does not have changes
    /// nothing.
    ///
    /// # Errors
    /// [`GrubEnvError::Full`].
    pub fn with_value(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, GrubEnvError> {
        let Some(found) = self.variables.iter().rev().find(|v| v.name == name.as_bytes()) else {
            return Ok(self.print());
        };
        let new = escaped(value);
        // A value may end in `#`: the padding is what follows the last line.
        let last = self.variables.last().map_or(0, |v| v.span.end);
        let padding = self.text[last..].iter().rev().take_while(|b| **b == b'#').count();
        let body = self.text.len() - padding;
        let room = (found.span.len() + padding).checked_sub(new.len()).ok_or(GrubEnvError::Full)?;
        // Without a padding GRUB could still read the block, but our own line-wise edits would see a line less.
        if room == 0 {
            return Err(GrubEnvError::Full);
        }
        let mut out = self.text[..found.span.start].to_vec();
        out.extend_from_slice(&new);
        out.extend_from_slice(&self.text[found.span.end..body]);
        out.resize(self.text.len(), b'#');
        Ok(out)
    }
}

/// The end of the line that begins at `at`, its newline left out; an escaped newline is part of a value.
fn end_of_line(text: &[u8], at: usize) -> usize {
    let mut end = at;
    while end < text.len() && text[end] != b'\n' {
        end += if text[end] == b'\\' { 2 } else { 1 };
    }
    end.min(text.len())
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    out
}

fn escaped(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for &byte in value {
        if matches!(byte, b'\\' | b'\n') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(body: &str) -> Vec<u8> {
        let mut text = [SIGNATURE, body.as_bytes()].concat();
        text.resize(1024, b'#');
        text
    }

    #[test]
    fn variables_with_their_lines() {
        let env = GrubEnv::parse(&block(
            "saved_entry=0\n# note\nkernelopts=root=UUID=1 ro \na=b\\\\c\\\nd\nz=1\n",
        ))
        .unwrap();
        let shown: Vec<_> = env
            .variables()
            .iter()
            .map(|v| (v.line, v.name.as_slice(), v.value.as_slice()))
            .collect();
        assert_eq!(
            shown,
            [
                (2, &b"saved_entry"[..], &b"0"[..]),
                (4, b"kernelopts", b"root=UUID=1 ro "),
                (5, b"a", b"b\\c\nd"),
                (7, b"z", b"1"),
            ]
        );
    }

    #[test]
    fn an_edit_keeps_the_size() {
        let env = GrubEnv::parse(&block("kernelopts=ro quiet\nz=1\n")).unwrap();
        let longer = env.with_value("kernelopts", b"ro quiet nopti").unwrap();
        assert_eq!(longer, block("kernelopts=ro quiet nopti\nz=1\n"));
        assert_eq!(env.with_value("kernelopts", b"ro").unwrap(), block("kernelopts=ro\nz=1\n"));
        assert_eq!(env.with_value("kernelopts", &[b'x'; 1000]), Err(GrubEnvError::Full));
        assert_eq!(env.with_value("nothing", b"1").unwrap(), env.print());
        assert_eq!(GrubEnv::parse(b""), Err(GrubEnvError::Signature));
    }

    proptest! {
        #[test]
        fn any_bytes(body in prop_oneof![any::<Vec<u8>>(), "[ab=#\\\\\n]{0,60}".prop_map(String::into_bytes)], value: Vec<u8>) {
            let text = [SIGNATURE, &body].concat();
            let env = GrubEnv::parse(&text).unwrap();
            prop_assert_eq!(env.print(), text.clone());
            for variable in env.variables() {
                let name = String::from_utf8_lossy(&variable.name).into_owned();
                if let Ok(new) = env.with_value(&name, &value) {
                    prop_assert_eq!(new.len(), text.len());
                }
            }
        }

        #[test]
        fn what_is_written_is_read(value in "[a-z\\\\\n =]{0,40}") {
            let env = GrubEnv::parse(&block("a=1\nkernelopts=x\nb=2\n")).unwrap();
            let again = GrubEnv::parse(&env.with_value("kernelopts", value.as_bytes()).unwrap()).unwrap();
            prop_assert_eq!(again.get("kernelopts"), Some(value.as_bytes()));
            prop_assert_eq!(again.get("a"), Some(&b"1"[..]));
            prop_assert_eq!(again.get("b"), Some(&b"2"[..]));
        }
    }
}

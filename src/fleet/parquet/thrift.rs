//! Thrift's compact protocol, as far as a Parquet file's metadata needs it (thrift-compact-protocol.md of Apache Thrift).

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A struct under way. Its fields are written in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: u8,
}

impl Struct {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A field's header: how far its number is from the last one's, and its type.
    fn field(mut self, number: u8, kind: u8) -> Self {
        self.bytes.push((number - self.last) << 4 | kind);
        self.last = number;
        self
    }

    pub(super) fn i32(self, number: u8, value: usize) -> Self {
        let mut this = self.field(number, I32);
        varint(&mut this.bytes, zigzag(value));
        this
    }

    pub(super) fn i64(self, number: u8, value: usize) -> Self {
        let mut this = self.field(number, I64);
        varint(&mut this.bytes, zigzag(value));
        this
    }

    /// A bool's value is its type.
    pub(super) fn yes(self, number: u8) -> Self {
        self.field(number, 1)
    }

    pub(super) fn text(self, number: u8, text: &str) -> Self {
        let mut this = self.field(number, BINARY);
        binary(&mut this.bytes, text);
        this
    }

    pub(super) fn inner(self, number: u8, inner: Struct) -> Self {
        let mut this = self.field(number, STRUCT);
        this.bytes.extend(inner.end());
        this
    }

    pub(super) fn structs(self, number: u8, inner: Vec<Struct>) -> Self {
        let mut this = self.list(number, STRUCT, inner.len());
        for one in inner {
            this.bytes.extend(one.end());
        }
        this
    }

    pub(super) fn texts(self, number: u8, texts: &[&str]) -> Self {
        let mut this = self.list(number, BINARY, texts.len());
        for text in texts {
            binary(&mut this.bytes, text);
        }
        this
    }

    pub(super) fn i32s(self, number: u8, values: &[usize]) -> Self {
        let mut this = self.list(number, I32, values.len());
        for value in values {
            varint(&mut this.bytes, zigzag(*value));
        }
        this
    }

    fn list(self, number: u8, kind: u8, length: usize) -> Self {
        let mut this = self.field(number, LIST);
        match u8::try_from(length) {
            Ok(length @ 0..15) => this.bytes.push(length << 4 | kind),
            _ => {
                this.bytes.push(0xf0 | kind);
                varint(&mut this.bytes, length as u64);
            }
        }
        this
    }

    /// Its bytes, ended.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn binary(out: &mut Vec<u8>, text: &str) {
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// A number that is never negative here, as signed ones are written.
fn zigzag(value: usize) -> u64 {
    (value as u64) << 1
}

/// Seven bits a byte, the lowest first (ULEB128).
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

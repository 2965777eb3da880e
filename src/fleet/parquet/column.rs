//! One column of a group of rows: its levels, its values, and its page.

use std::io::{self, Write};

use super::thrift::{Struct, varint};

/// Level of zstd: the second fastest; pages are small.
const LEVEL: i32 = 3;
const ZSTD: usize = 6;
const PLAIN: usize = 0;
const RLE: usize = 3;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    OptionalText,
    /// Milliseconds since 1970, UTC.
    Time,
    Count,
    /// A list of text, which may be empty.
    Texts,
}

impl Kind {
    /// `Type` of parquet.thrift.
    fn number(self) -> usize {
        match self {
            Kind::Count => 1,
            Kind::Time => 2,
            Kind::Text | Kind::OptionalText | Kind::Texts => 6,
        }
    }

    /// SchemaElement of parquet.thrift; a list has three (LogicalTypes.md).
    pub(super) fn schema(self, name: &str) -> Vec<Struct> {
        const REQUIRED: usize = 0;
        const OPTIONAL: usize = 1;
        const REPEATED: usize = 2;
        let leaf =
            |repetition, name| Struct::new().i32(1, self.number()).i32(3, repetition).text(4, name);
        let text = |repetition, name| {
            leaf(repetition, name).i32(6, 0).inner(10, Struct::new().inner(1, Struct::new()))
        };
        match self {
            Kind::Text => vec![text(REQUIRED, name)],
            Kind::OptionalText => vec![text(OPTIONAL, name)],
            Kind::Count => vec![leaf(REQUIRED, name)],
            Kind::Time => {
                let milliseconds = Struct::new().inner(1, Struct::new());
                let timestamp = Struct::new().yes(1).inner(2, milliseconds);
                vec![leaf(REQUIRED, name).i32(6, 9).inner(10, Struct::new().inner(8, timestamp))]
            }
            Kind::Texts => vec![
                Struct::new()
                    .i32(3, REQUIRED)
                    .text(4, name)
                    .i32(5, 1)
                    .i32(6, 3)
                    .inner(10, Struct::new().inner(3, Struct::new())),
                Struct::new().i32(3, REPEATED).text(4, "list").i32(5, 1),
                text(REQUIRED, "element"),
            ],
        }
    }
}

/// Levels of one bit, as runs.
#[derive(Debug, Default)]
struct Levels(Vec<(u64, bool)>);

impl Levels {
    fn push(&mut self, level: bool) {
        match self.0.last_mut() {
            Some((count, last)) if *last == level => *count += 1,
            _ => self.0.push((1, level)),
        }
    }

    /// The hybrid of runs and packed bits with runs alone, behind its length (Encodings.md).
    fn write(&self, out: &mut Vec<u8>) {
        let mut runs = Vec::new();
        for (count, level) in &self.0 {
            varint(&mut runs, count << 1);
            runs.push(u8::from(*level));
        }
        length(out, runs.len());
        out.extend(runs);
    }
}

fn length(out: &mut Vec<u8>, length: usize) {
    // A page of a group of rows is far below 4 GiB.
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// A column under way.
#[derive(Debug)]
pub(super) struct Column {
    kind: Kind,
    repetition: Levels,
    definition: Levels,
    /// Values and absences.
    entries: usize,
    values: Vec<u8>,
}

/// A column that was written.
#[derive(Debug)]
pub(super) struct Chunk {
    offset: usize,
    entries: usize,
    /// Bytes of page and header before and after compression.
    pub(super) plain: usize,
    pub(super) compressed: usize,
}

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            repetition: Levels::default(),
            definition: Levels::default(),
            entries: 0,
            values: Vec::new(),
        }
    }

    pub(super) fn text(&mut self, text: Option<&str>) {
        self.entries += 1;
        self.definition.push(text.is_some());
        if let Some(text) = text {
            self.put(text);
        }
    }

    pub(super) fn texts<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        let before = self.entries;
        for text in texts {
            self.repetition.push(self.entries > before);
            self.text(Some(text));
        }
        if self.entries == before {
            self.repetition.push(false);
            self.text(None);
        }
    }

    pub(super) fn time(&mut self, seconds: u32) {
        self.entries += 1;
        self.values.extend((i64::from(seconds) * 1000).to_le_bytes());
    }

    pub(super) fn count(&mut self, count: u16) {
        self.entries += 1;
        self.values.extend(i32::from(count).to_le_bytes());
    }

    fn put(&mut self, text: &str) {
        length(&mut self.values, text.len());
        self.values.extend_from_slice(text.as_bytes());
    }

    /// Write it as one page, `offset` bytes from the begin of the file.
    pub(super) fn write(self, offset: usize, out: &mut dyn Write) -> io::Result<Chunk> {
        let mut page = Vec::new();
        if self.kind == Kind::Texts {
            self.repetition.write(&mut page);
        }
        if matches!(self.kind, Kind::Texts | Kind::OptionalText) {
            self.definition.write(&mut page);
        }
        page.extend(&self.values);
        let packed = zstd::bulk::compress(&page, LEVEL)?;
        let data = Struct::new().i32(1, self.entries).i32(2, PLAIN).i32(3, RLE).i32(4, RLE);
        let header =
            Struct::new().i32(1, 0).i32(2, page.len()).i32(3, packed.len()).inner(5, data).end();
        out.write_all(&header)?;
        out.write_all(&packed)?;
        Ok(Chunk {
            offset,
            entries: self.entries,
            plain: header.len() + page.len(),
            compressed: header.len() + packed.len(),
        })
    }
}

impl Chunk {
    /// ColumnChunk of parquet.thrift.
    pub(super) fn meta(&self, name: &str, kind: Kind) -> Struct {
        let path: &[&str] = match kind {
            Kind::Texts => &[name, "list", "element"],
            _ => &[name],
        };
        let meta = Struct::new()
            .i32(1, kind.number())
            .i32s(2, &[PLAIN, RLE])
            .texts(3, path)
            .i32(4, ZSTD)
            .i64(5, self.entries)
            .i64(6, self.plain)
            .i64(7, self.compressed)
            .i64(9, self.offset);
        Struct::new().i64(2, self.offset).inner(3, meta)
    }
}

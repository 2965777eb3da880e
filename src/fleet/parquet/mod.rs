//! The hosts as a Parquet file, one a row, for DuckDB, Spark, ClickHouse and their like.
//!
//! The format that is written is the least that every reader knows: pages of version 1, values plain, each page
//! compressed by zstd (Apache Parquet format 2.10). The crate `parquet` reads and writes much more, and would add 0.9 MiB
//! to the program for the six kinds of column that a host has.

mod column;
mod thrift;

use std::io::{self, Write};

use column::{Chunk, Column, Kind};
use thrift::Struct;

use super::hosts::Merged;
use super::row::Host;

/// Rows that are held in memory before they are written; a reader takes groups of rows in parallel.
const GROUP: usize = 20_000;
const MAGIC: &[u8] = b"PAR1";

const COLUMNS: [(&str, Kind); 18] = [
    ("host", Kind::Text),
    ("hostname", Kind::OptionalText),
    ("instance_id", Kind::OptionalText),
    ("verdict", Kind::Text),
    ("started", Kind::Time),
    ("family", Kind::OptionalText),
    ("os", Kind::OptionalText),
    ("version_id", Kind::OptionalText),
    ("kernel", Kind::OptionalText),
    ("profile", Kind::OptionalText),
    ("mode", Kind::OptionalText),
    ("version", Kind::OptionalText),
    ("reason", Kind::OptionalText),
    ("waived", Kind::Count),
    ("blockers", Kind::Texts),
    ("warnings", Kind::Texts),
    ("advice", Kind::Texts),
    ("unknown", Kind::Texts),
];

/// Write the hosts as a Parquet file.
///
/// # Errors
/// What the writer says.
pub fn parquet(merged: &Merged, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(MAGIC)?;
    let mut offset = MAGIC.len();
    let mut groups: Vec<(usize, Vec<Chunk>)> = Vec::new();
    let mut started = String::new();
    for numbers in merged.sorted().chunks(GROUP) {
        let mut columns = COLUMNS.map(|(_, kind)| Column::new(kind));
        for number in numbers {
            let seconds = merged.rows[*number as usize].started;
            add(&mut columns, &merged.host(*number, &mut started), seconds);
        }
        let mut chunks = Vec::new();
        for column in columns {
            let chunk = column.write(offset, out)?;
            offset += chunk.compressed;
            chunks.push(chunk);
        }
        groups.push((numbers.len(), chunks));
    }
    let footer = footer(merged.rows.len(), &groups);
    out.write_all(&footer)?;
    out.write_all(&u32::try_from(footer.len()).map_err(io::Error::other)?.to_le_bytes())?;
    out.write_all(MAGIC)
}

fn add(columns: &mut [Column; COLUMNS.len()], host: &Host<'_>, seconds: u32) {
    let [
        name,
        hostname,
        instance_id,
        verdict,
        started,
        family,
        os,
        version_id,
        kernel,
        profile,
        mode,
        version,
        reason,
        waived,
        lists @ ..,
    ] = columns;
    name.text(Some(&host.host));
    verdict.text(Some(&host.verdict));
    started.time(seconds);
    waived.count(host.waived);
    for (column, text) in [
        (hostname, &host.hostname),
        (instance_id, &host.instance_id),
        (family, &host.family),
        (os, &host.os),
        (version_id, &host.version_id),
        (kernel, &host.kernel),
        (profile, &host.profile),
        (mode, &host.mode),
        (version, &host.version),
        (reason, &host.reason),
    ] {
        column.text(text.as_deref());
    }
    for (column, (_, ids)) in lists.iter_mut().zip(host.lists()) {
        column.texts(ids.iter().map(|id| &**id));
    }
}

/// FileMetaData of parquet.thrift. Fields are named by their numbers there.
fn footer(rows: usize, groups: &[(usize, Vec<Chunk>)]) -> Vec<u8> {
    let mut schema = vec![Struct::new().text(4, "hosts").i32(5, COLUMNS.len())];
    schema.extend(COLUMNS.iter().flat_map(|(name, kind)| kind.schema(name)));
    let row_group = |(rows, chunks): &(usize, Vec<Chunk>)| {
        let size = chunks.iter().map(|chunk| chunk.plain).sum();
        let named = COLUMNS.iter().zip(chunks);
        let columns = named.map(|((name, kind), chunk)| chunk.meta(name, *kind)).collect();
        Struct::new().structs(1, columns).i64(2, size).i64(3, *rows)
    };
    let written_by = format!("guestprep version {}", env!("CARGO_PKG_VERSION"));
    Struct::new()
        .i32(1, 2)
        .structs(2, schema)
        .i64(3, rows)
        .structs(4, groups.iter().map(row_group).collect())
        .text(6, &written_by)
        .end()
}

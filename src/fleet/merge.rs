//! Reads all inputs by several threads.

use std::sync::{Mutex, PoisonError};
use std::thread;

use memchr::memchr_iter;
use serde_json::error::Category;

use super::blocks::{Block, Blocks, Input, documents};
use super::hosts::Merged;
use super::sheet::Sheet;
use super::turn::Turn;

/// Merge what comes in. A thread takes a block, reads its documents while others read theirs, and enters them when the
/// blocks before it are entered.
pub fn merge(inputs: impl Iterator<Item = Input> + Send, threads: usize) -> Merged {
    let blocks = Mutex::new(Blocks::new(inputs.fuse()));
    let turn = Turn::new(Merged::default());
    let work = || {
        let mut buffer = Vec::new();
        loop {
            let mut source = blocks.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(block) = source.next(&mut buffer) else { return };
            let ticket = turn.ticket(block.number);
            drop(source);
            let read = read(&buffer, &block);
            ticket.then(|merged| enter(merged, &block, read));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            // A thread that cannot be had is not missed: its work is done by the others.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    turn.into_inner()
}

/// A document, or why it is none, at its line.
type Read<'b> = (u64, Result<Sheet<'b>, String>);

fn read<'b>(buffer: &'b [u8], block: &Block) -> Vec<Read<'b>> {
    let mut all = Vec::with_capacity(256);
    for (line, document) in documents(buffer, block.line) {
        let document = match line {
            1 => document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document),
            _ => document,
        };
        if document.first() != Some(&b'{') {
            foreign(document, line, &mut all);
            continue;
        }
        let mut values = serde_json::Deserializer::from_slice(document).into_iter::<Sheet<'b>>();
        match values.next() {
            Some(Ok(sheet)) => {
                all.push((line, Ok(sheet)));
                let (own, rest) = document.split_at(values.byte_offset());
                foreign(rest, line + memchr_iter(b'\n', own).count() as u64, &mut all);
            }
            Some(Err(e)) => all.push((line + e.line().saturating_sub(1) as u64, Err(reason(&e)))),
            None => {}
        }
    }
    all
}

/// Lines that belong to no document. Blank ones are none.
fn foreign<'b>(lines: &'b [u8], first: u64, all: &mut Vec<Read<'b>>) {
    for (line, text) in (first..).zip(lines.split(|byte| *byte == b'\n')) {
        if !text.trim_ascii().is_empty() {
            all.push((line, Err("it is no JSON object".to_owned())));
        }
    }
}

/// The parser's words, without the place, which is said as that of the input.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    match error.classify() {
        Category::Data => format!("it is no report: {what}"),
        Category::Eof => "it is cut off".to_owned(),
        Category::Syntax | Category::Io => format!("it is no JSON: {what}"),
    }
}

fn enter(merged: &mut Merged, block: &Block, read: Vec<Read<'_>>) {
    for (line, document) in read {
        let entered = document.and_then(|sheet| {
            let place = || format!("{}:{line}", block.source);
            merged.take(&sheet, &place)
        });
        if let Err(reason) = entered {
            merged.fault(&block.source, line, reason);
        }
    }
    if let Some(reason) = &block.fault {
        merged.fault(&block.source, 0, reason.as_str());
    }
}

//! The hosts as CSV (RFC 4180, its lines ended by a newline alone), one a row. A field that a spreadsheet would
//! evaluate begins with an apostrophe instead.

use std::io::{self, Write};

use super::hosts::Merged;
use super::sheet::Text;
use crate::model::visible;

/// Write one row a host, with a header. Ids of checks are separated by a blank.
///
/// # Errors
/// What the writer says.
pub fn csv(merged: &Merged, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(
        b"host,hostname,instance_id,verdict,started,family,os,version_id,kernel,profile,mode,version,reason,waived,\
          blockers,warnings,advice,unknown\n",
    )?;
    let mut started = String::new();
    for number in merged.sorted() {
        let host = merged.host(number, &mut started);
        let optional = [
            &host.family,
            &host.os,
            &host.version_id,
            &host.kernel,
            &host.profile,
            &host.mode,
            &host.version,
            &host.reason,
        ];
        let text = |text: &Option<Text<'_>>| text.as_deref().unwrap_or("").to_owned();
        let mut fields = vec![host.host.to_string(), text(&host.hostname), text(&host.instance_id)];
        fields.extend([host.verdict.to_string(), host.started.to_string()]);
        fields.extend(optional.map(text));
        fields.push(host.waived.to_string());
        fields.extend(
            host.lists().map(|(_, ids)| ids.iter().map(|id| &**id).collect::<Vec<_>>().join(" ")),
        );
        let quoted: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        writeln!(out, "{}", quoted.join(","))?;
    }
    Ok(())
}

/// What makes a spreadsheet take a field for a formula, quoted or not. What a host says of itself may be
/// one that sends away what is beside it.
const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\n'];

fn quoted(field: &str) -> String {
    let mut field = visible(field);
    if field.starts_with(FORMULAS) {
        field.insert(0, '\'');
    }
    if field.contains(['"', ',', '\n']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field
}

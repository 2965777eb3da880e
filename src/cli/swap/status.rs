//! `guestprep swap status`

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::args::{Format, SwapStatusArgs};
use crate::cli::exit::{Exit, Outcome, Trouble};
use crate::cli::setup;
use crate::guest::{Absence, ActiveSwap, BootItem, ConfiguredSwap, Guest, SwapOrigin};
use crate::model::{GuestPath, Impact, Policy, visible};
use crate::sys;

pub fn run(args: &SwapStatusArgs) -> Outcome {
    let (root, _) = setup::absolute(&args.target)?;
    let policy = Policy { system_disk: args.target.system_disk.clone(), ..Policy::default() };
    let guest = setup::guest(root.as_deref(), policy)?;
    let rows = rows(&guest)?;
    let resume: Vec<String> =
        guest.swap()?.resume.iter().map(|resume| resume.device.to_string()).collect();
    let doubts = &guest.swap()?.doubts;
    let text = match args.format {
        Format::Json => {
            let swaps: Vec<Value> = rows.iter().map(Row::json).collect();
            let value = json!({
                "schema": "guestprep.swap/1",
                "swaps": swaps,
                "resume": resume,
                "unknown": doubts,
            });
            format!("{value:#}\n")
        }
        Format::Text => visible(&text(&rows, &resume, doubts)),
    };
    sys::print(text.as_bytes())?;
    Ok(if doubts.is_empty() { Exit::Done } else { Exit::Undetermined })
}

/// One swap, on or configured.
struct Row {
    what: String,
    /// What turns it on; none for one that nothing turns on.
    from: Option<String>,
    /// Bytes, where it is on.
    size: Option<u64>,
    used: Option<u64>,
    priority: Option<i32>,
    is_memory: bool,
    new_instance: Outlook,
}

/// What a new instance from the image does with a swap.
enum Outlook {
    Has,
    Lacks(Impact, u64),
    Ignores,
    Untold(String),
}

impl Outlook {
    fn of(item: &BootItem) -> Self {
        match &item.absence {
            Absence::Present => Outlook::Has,
            Absence::Own | Absence::Through(_) => Outlook::Lacks(item.impact(), item.seconds()),
            Absence::Untold(why) => Outlook::Untold(why.clone()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Outlook::Has => "swaps to it too".to_owned(),
            Outlook::Lacks(Impact::StopsBoot, _) => "lacks it: boot waits for ever".to_owned(),
            Outlook::Lacks(Impact::DelaysBoot, seconds) => {
                format!("lacks it: boot waits {seconds} s")
            }
            Outlook::Lacks(Impact::Harmless, _) => "lacks it: boot goes on".to_owned(),
            Outlook::Ignores => "does not swap to it".to_owned(),
            Outlook::Untold(why) => format!("not known: {why}"),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Outlook::Has => "has",
            Outlook::Lacks(..) => "lacks",
            Outlook::Ignores => "ignores",
            Outlook::Untold(_) => "unknown",
        }
    }
}

fn rows(guest: &Guest) -> Result<Vec<Row>, Trouble> {
    let space = guest.swap()?;
    let mut rows = Vec::new();
    for (at, swap) in space.configured.iter().enumerate() {
        let active = space.active_of(at);
        rows.push(Row {
            from: Some(origin(swap)),
            new_instance: match &swap.origin {
                SwapOrigin::Fstab { item, .. } | SwapOrigin::Unit { item, .. } => {
                    Outlook::of(&guest.boot()?.items[*item])
                }
                _ => Outlook::Has,
            },
            ..Row::of(swap.what.to_string(), active)
        });
    }
    for active in space.active.iter().filter(|active| active.from.is_empty()) {
        rows.push(Row::of(GuestPath::new(&active.swap.path).to_string(), Some(active)));
    }
    for at in &space.unused {
        rows.push(Row::of(guest.disks()?.devices[*at].path(), None));
    }
    Ok(rows)
}

fn origin(swap: &ConfiguredSwap) -> String {
    match &swap.origin {
        SwapOrigin::Fstab { line, .. } => format!("/etc/fstab:{line}"),
        SwapOrigin::Unit { name, .. } => name.clone(),
        SwapOrigin::PartitionType => "its partition type".to_owned(),
        SwapOrigin::ZramGenerator(path) => path.to_string(),
        SwapOrigin::Service { name, .. } => format!("{name}.service"),
        SwapOrigin::Command { path, line } | SwapOrigin::CloudInit { path, line } => {
            format!("{path}:{line}")
        }
    }
}

impl Row {
    fn of(what: String, active: Option<&ActiveSwap>) -> Self {
        Self {
            what,
            from: None,
            size: active.map(|active| active.swap.size_kib * 1024),
            used: active.map(|active| active.swap.used_kib * 1024),
            priority: active.map(|active| active.swap.priority),
            is_memory: active.is_some_and(|active| active.is_memory),
            new_instance: Outlook::Ignores,
        }
    }

    fn state(&self) -> &'static str {
        match (self.size.is_some(), self.from.is_some()) {
            (true, true) => "on",
            (true, false) => "on, by hand",
            (false, true) => "configured",
            (false, false) => "unused",
        }
    }

    fn cells(&self) -> [String; 7] {
        let mib = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |b| format!("{} MiB", b >> 20));
        [
            self.what.clone(),
            self.state().to_owned(),
            mib(self.size),
            mib(self.used),
            self.priority.map_or("-".to_owned(), |priority| priority.to_string()),
            self.from.clone().unwrap_or_else(|| "-".to_owned()),
            self.new_instance.shown(),
        ]
    }

    fn json(&self) -> Value {
        let (impact, seconds) = match &self.new_instance {
            Outlook::Lacks(impact, seconds) => (Some(impact.as_str()), Some(*seconds)),
            _ => (None, None),
        };
        json!({
            "what": self.what,
            "active": self.size.is_some(),
            "configured": self.from.is_some(),
            "from": self.from,
            "size": self.size,
            "used": self.used,
            "priority": self.priority,
            "memory": self.is_memory,
            "new_instance": self.new_instance.word(),
            "impact": impact,
            "wait_seconds": seconds,
        })
    }
}

fn text(rows: &[Row], resume: &[String], doubts: &[String]) -> String {
    const HEAD: [&str; 7] =
        ["SWAP", "STATE", "SIZE", "USED", "PRIORITY", "TURNED ON BY", "A NEW INSTANCE"];
    let mut out = String::new();
    if rows.is_empty() {
        out.push_str("Nothing swaps, and nothing would at the next boot.\n");
    } else {
        let lines: Vec<[String; 7]> =
            std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        for line in &lines {
            let mut shown = String::new();
            for (cell, width) in line.iter().zip(&widths) {
                let _ = write!(shown, "{cell:<width$}  ");
            }
            out.push_str(shown.trim_end());
            out.push('\n');
        }
    }
    for device in resume {
        let _ = writeln!(out, "The next boot looks on {device} for a hibernated system.");
    }
    for doubt in doubts {
        let _ = writeln!(out, "Not known: {doubt}");
    }
    out
}

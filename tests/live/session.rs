//! The session that README shows: its commands are run on the guest that it describes, and say what stands there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use regex::Regex;

use crate::common::live::{GUESTPREP, Live, alone};

/// A command of the session, and what it says.
struct Exchange {
    command: String,
    said: String,
}

#[test]
fn readme_shows_what_is_said() {
    alone(&[], |live| {
        guest(live);
        let mut tries = 0..20;
        let (shown, wrong) = loop {
            let (shown, wrong) = hold(live);
            // The kernel shows the swaps of the guests beside this one too. The session ends as it began.
            if wrong.is_empty() || !has_others_swap(&shown) || tries.next().is_none() {
                break (shown, wrong);
            }
        };
        assert!(wrong.is_empty(), "README shows another answer to {wrong:?} than this:\n{shown}");
    });
}

/// Run the session: what is said, and the commands whose answer is another one than README shows.
fn hold(live: &Live) -> (String, Vec<String>) {
    let mut shown = String::new();
    let mut wrong = Vec::new();
    for Exchange { command, said } in session() {
        let now = live.chroot(&["sh", "-c", &format!("{command} 2>&1")]);
        shown.push_str(&format!("# {command}\n{}", now.out));
        if !is_alike(&said, &now.out) {
            wrong.push(command);
        }
    }
    (shown, wrong)
}

/// Whether a swap of another guest is in it, whose path is longer than the one of this guest.
fn has_others_swap(shown: &str) -> bool {
    shown.contains("/root/data/swap")
}

/// A data disk on /data, a bind mount and a swap file that live on it.
fn guest(live: &mut Live) {
    live.data();
    live.append_fstab("/data/www /srv none bind 0 0\n/data/swap none swap sw 0 0\n");
    fs::create_dir_all(live.at("/srv")).expect("/srv");
    fs::create_dir(live.at("/data/www")).expect("www");
    std::os::unix::fs::symlink(GUESTPREP, live.at("/usr/sbin/guestprep")).expect("a link");
    fs::write(live.at("/data/swap"), vec![0; (2 << 20) + (64 << 10)]).expect("a swap file");
    fs::set_permissions(live.at("/data/swap"), fs::Permissions::from_mode(0o600))
        .expect("its mode");
    for command in ["mount --bind /data/www /srv", "mkswap /data/swap", "swapon /data/swap"] {
        live.chroot(&["sh", "-c", command]).exits(0);
    }
}

/// What stands in README under "A session".
fn session() -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).expect("README.md");
    let (_, text) = text.split_once("\n## A session\n").expect("a session");
    let text = text.split_once("\n## ").expect("what follows").0;
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in text.lines() {
        let line = line.strip_prefix("    ").unwrap_or_default();
        if let Some(command) = line.strip_prefix("# ") {
            exchanges.push(Exchange { command: command.to_owned(), said: String::new() });
        } else if let Some(exchange) = exchanges.last_mut() {
            exchange.said.push_str(line);
            exchange.said.push('\n');
        }
    }
    assert!(exchanges.len() > 4, "{} commands", exchanges.len());
    exchanges
}

/// Whether what README shows is what is said now, but for names, numbers and the places of line ends that are the
/// machine's. Paragraphs may be left out, which a line in brackets says.
fn is_alike(shown: &str, said: &str) -> bool {
    let words = of_any_machine(said);
    let left_out = Regex::new(r"(?m)^\[.*\]$").expect("a pattern");
    let paragraphs = left_out.split(shown).flat_map(|part| part.split("\n\n"));
    paragraphs.map(of_any_machine).all(|part| words.contains(&part))
        && checks(shown) == checks(said)
}

/// The text without what is another machine's.
fn of_any_machine(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (pattern, name) in [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
        (r"/dev/loop\d+", "LOOP"),
        (r"\d{8}T\d{6}Z-\d+", "RUN"),
        (r"\bkernel( is)? \d\S*", "KERNEL"),
        (r"\bpid \d+", "PID"),
        // The kernel counts down from swap to swap, whoever's they are.
        (r"MiB -\d+", "MiB PRIORITY"),
        (r"\b(vm|container|bare metal),", "MACHINE,"),
        (r"\b(BIOS|UEFI)\b", "FIRMWARE"),
        (r"passed \d+, failed \d+, unknown \d+, not applicable \d+", "COUNTS"),
        (r"\d+ advice", "ADVICE"),
    ] {
        text = Regex::new(pattern).expect("a pattern").replace_all(&text, name).into_owned();
    }
    text
}

/// How many checks were made, by the counts under a report; `None` where there are none.
fn checks(text: &str) -> Option<u32> {
    let counts = Regex::new(r"passed (\d+), failed (\d+), unknown (\d+), not applicable (\d+)");
    let counts = counts.expect("a pattern").captures(text)?;
    Some((1..5).map(|n| counts[n].parse::<u32>().expect("a number")).sum())
}

//! `guestprep scan`

use serde_json::{Value, json};

use super::args::{Cli, ScanArgs, ScanFormat, TargetArgs};
use super::confine::{self, Later};
use super::exit::{Exit, Outcome, Trouble};
use super::progress::Progress;
use super::setup;
use super::target::Target;
use crate::catalog::Language;
use crate::guest::{Guest, Reader};
use crate::model::{GuestPath, Policy, visible};
use crate::parse::size;
use crate::report::Style;
use crate::report::sarif::{SarifKind, SarifNotice, SarifPlace, SarifResult, SarifRule, SarifRun};
use crate::secrets::{Found, Limits, Options, Rules, Scanned, scan};
use crate::sys;

pub fn run(cli: &Cli, args: &ScanArgs) -> Outcome {
    let rules = Rules::with_site(&setup::secret_rules()?, &args.rules).map_err(Trouble::usage)?;
    let options = options(args)?;
    if let Some(steps) = args.nice {
        sys::be_nice(steps)?;
    }
    let target = TargetArgs { root: args.target.root.clone(), state_dir: None, system_disk: None };
    let guest = Target::look(&target, &args.image)?.guest(Policy::default())?;
    confine::to_look(&guest, Later::writes(args.output.as_deref()));
    let size = guest.fs_use(&GuestPath::from("/")).ok().flatten();
    let used = size.map_or(0, |space| space.size.saturating_sub(space.free));
    let progress = Progress::new("scanning");
    let scanned = scan(&guest, &rules, &options, &|tally| {
        progress.at(tally.bytes(), used.max(tally.bytes()));
        progress.name(format!("{} files,", tally.files()));
    });
    drop(progress);
    let scanned = scanned.map_err(Trouble::usage)?;
    let language = setup::language(cli);
    let text = match args.format {
        ScanFormat::Json => json_of(&scanned, &rules, &guest, language),
        ScanFormat::Sarif => sarif_of(&scanned, &rules, language),
        ScanFormat::Text => {
            let style = setup::style(args.color, args.output.is_some());
            text_of(&scanned, &rules, &guest, language, style)
        }
    };
    match &args.output {
        Some(path) => sys::write_named(path, text.as_bytes())?,
        None if args.quiet => {}
        None => sys::print(text.as_bytes())?,
    }
    Ok(match (scanned.found.is_empty(), scanned.unread.is_empty()) {
        (false, _) => Exit::NotReady,
        (true, false) => Exit::Undetermined,
        (true, true) => Exit::Done,
    })
}

fn options(args: &ScanArgs) -> Result<Options, Trouble> {
    let max_file_size = size::human(&args.max_file_size).ok_or_else(|| {
        Trouble::usage(format!("--max-file-size {}: it is no size", args.max_file_size))
            .hint("write it as 512MiB or 2GiB")
    })?;
    let mut paths = Vec::new();
    for path in &args.paths {
        // Of this machine a path may be relative; of another guest there is nothing to be relative to.
        let path = match (&args.target.root, &args.image.image) {
            (None, None) => sys::absolute(path)?,
            _ => path.clone(),
        };
        paths.push(GuestPath::new(path.as_os_str().as_encoded_bytes()));
    }
    Ok(Options {
        paths,
        trusts_packages: args.trust_packages,
        crosses: args.all_filesystems,
        threads: args.threads,
        limits: Limits { max_file_size, unpacks: !args.no_unpack },
    })
}

fn title<'a>(rules: &'a Rules, id: &'a str, language: Language) -> &'a str {
    match (rules.rule(id), language) {
        (Some(rule), Language::En) => &rule.en,
        (Some(rule), Language::Zh) => &rule.zh,
        (None, _) => id,
    }
}

/// How an image was read, where the guest is one.
fn reader(guest: &Guest) -> Option<&'static str> {
    guest.disk_image().map(|image| image.reader().as_str())
}

fn json_of(scanned: &Scanned, rules: &Rules, guest: &Guest, language: Language) -> String {
    let row = |found: &Found| {
        json!({
            "rule": found.rule,
            "title": title(rules, &found.rule, language),
            "path": found.at.path,
            "inside": found.at.inside,
            "line": found.at.line,
            "column": found.at.column,
            "mask": found.mask,
            "fingerprint": found.fingerprint,
        })
    };
    let waived: Vec<Value> = scanned
        .waived
        .iter()
        .map(|(found, why)| {
            let mut row = row(found);
            row["why"] = json!(why);
            row
        })
        .collect();
    let unread: Vec<Value> =
        scanned.unread.iter().map(|(path, why)| json!({ "path": path, "reason": why })).collect();
    let document = json!({
        "schema": "guestprep.scan/1",
        "tool": { "name": "guestprep", "version": env!("CARGO_PKG_VERSION") },
        "mode": guest.mode().as_str(),
        "reader": reader(guest),
        "files": scanned.files,
        "bytes": scanned.bytes,
        "trusted": scanned.trusted,
        "knows_packages": scanned.knows_packages,
        "found": scanned.found.iter().map(row).collect::<Vec<_>>(),
        "waived": waived,
        "unread": unread,
    });
    format!("{document:#}\n")
}

fn sarif_of(scanned: &Scanned, rules: &Rules, language: Language) -> String {
    let told = rules.rules().iter().map(|rule| SarifRule {
        id: rule.id.clone(),
        title: title(rules, &rule.id, language).to_owned(),
        level: "error",
        why: String::new(),
        remedy: String::new(),
        references: rule.references.clone(),
        tags: Vec::new(),
    });
    let result = |found: &Found, why: Option<&String>| {
        let inside: String = found.at.inside.iter().map(|name| format!(" in {name}")).collect();
        // Lines of a member are not lines of the file.
        let is_whole = found.at.inside.is_empty();
        SarifResult {
            rule: found.rule.clone(),
            kind: SarifKind::Fail,
            level: "error",
            message: format!("{}{inside}: {}", title(rules, &found.rule, language), found.mask),
            place: SarifPlace::File {
                path: found.at.path.as_bytes().to_vec(),
                line: is_whole.then_some(found.at.line),
                column: is_whole.then_some(found.at.column),
            },
            fingerprint: found.fingerprint.clone(),
            suppressed: why.cloned(),
            properties: Value::Null,
        }
    };
    let found = scanned.found.iter().map(|found| result(found, None));
    let waived = scanned.waived.iter().map(|(found, why)| result(found, Some(why)));
    let notice = |why: &String| SarifNotice { level: "error", rule: None, text: why.clone() };
    SarifRun {
        rules: told.collect(),
        results: found.chain(waived).collect(),
        notices: scanned.unread.iter().map(|(_, why)| notice(why)).collect(),
        category: "guestprep/scan/".to_owned(),
        started: None,
        properties: Value::Null,
    }
    .document()
}

/// The words of the answer: waived, unread, trusted, and that nothing is.
const EN: [&str; 4] = [
    "waived",
    "unread",
    "files of packages among them as they were installed",
    "no package is trusted: there is no database of dpkg",
];
const ZH: [&str; 4] =
    ["已豁免", "未能读取", "个文件与软件包安装时一致", "未信任任何软件包：没有 dpkg 数据库"];

fn text_of(
    scanned: &Scanned,
    rules: &Rules,
    guest: &Guest,
    language: Language,
    style: Style,
) -> String {
    use std::fmt::Write as _;
    let words = if language == Language::Zh { ZH } else { EN };
    let mut out = String::new();
    for found in &scanned.found {
        let title = title(rules, &found.rule, language);
        let _ = writeln!(
            out,
            "{}  {}  {title}: {}  {}",
            style.bold(&visible(&found.at.to_string())),
            found.rule,
            visible(&found.mask),
            style.dim(&found.fingerprint)
        );
    }
    for (found, why) in &scanned.waived {
        let line = format!("{}  {}  {}: {why}", words[0], found.at, found.rule);
        let _ = writeln!(out, "{}", style.dim(&visible(&line)));
    }
    for (_, why) in &scanned.unread {
        let _ = writeln!(out, "{}  {}", style.unknown(words[1]), visible(why));
    }
    let size = size_of(scanned.bytes);
    let (found, files) = (scanned.found.len(), scanned.files);
    let _ = match language {
        Language::En => {
            let ends = |is_one: bool| if is_one { "" } else { "s" };
            let (secrets, paths) = (ends(found == 1), ends(files == 1));
            write!(out, "{found} secret{secrets}; {files} file{paths}, {size}")
        }
        Language::Zh => write!(out, "{found} 个机密；{files} 个文件，{size}"),
    };
    if scanned.trusted > 0 {
        let _ = write!(out, "; {} {}", scanned.trusted, words[2]);
    }
    if scanned.knows_packages == Some(false) {
        let _ = write!(out, "; {}", words[3]);
    }
    if !scanned.unread.is_empty() {
        let _ = write!(out, "; {} {}", scanned.unread.len(), words[1]);
    }
    if reader(guest) == Some(Reader::UserSpace.as_str()) {
        let _ = match language {
            Language::En => write!(out, "; read in user space, by one thread"),
            Language::Zh => write!(out, "；由用户空间单线程读取"),
        };
    }
    out.push('\n');
    out
}

#[allow(clippy::cast_precision_loss)] // Shown with one digit behind the point.
fn size_of(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1024)),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

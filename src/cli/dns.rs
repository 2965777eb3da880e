//! `guestprep dns`

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::{Cli, DnsAction, DnsArgs, DnsFixArgs, DnsStatusArgs, Format};
use super::change::{Change, carry_out};
use super::exit::{Exit, Outcome, Trouble};
use super::setup;
use crate::catalog;
use crate::guest::{Guest, Keeper, RESOLV_CONF, Resolver};
use crate::model::{ByteString, CheckId, Edit, Policy, Verdict, visible};
use crate::parse::resolv_conf::is_single_request_reopen;
use crate::probe;
use crate::sys;

/// The check whose repair `dns fix` is.
const CHECK: &str = "dns-no-single-request-reopen";

pub fn run(cli: &Cli, args: &DnsArgs) -> Outcome {
    match &args.action {
        DnsAction::Status(args) => status(args),
        DnsAction::Fix(args) => fix(cli, args),
    }
}

/// Who writes resolv.conf, what it says, and where that is kept. Changes nothing.
fn status(args: &DnsStatusArgs) -> Outcome {
    setup::finish_interrupted(args.root.as_deref(), None)?;
    let guest = setup::guest(args.root.as_deref(), Policy::default())?;
    let resolver = guest.resolver()?;
    let text = match args.format {
        Format::Json => format!("{:#}\n", as_json(resolver)),
        Format::Text => visible(&as_text(resolver)),
    };
    sys::print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// The repair of the one check, journalled as `prepare` does it.
fn fix(cli: &Cli, args: &DnsFixArgs) -> Outcome {
    let config = setup::read_config(args.config.as_deref())?;
    let dns = config.dns.single_request_reopen.unwrap_or_default();
    let language = setup::language(cli);
    let root = args.root.as_deref().map(sys::absolute).transpose()?;
    let state_dir = args.state_dir.as_deref().map(sys::absolute).transpose()?;
    let change = Change {
        command: "dns fix",
        root: root.as_deref(),
        state_dir: state_dir.as_deref(),
        policy: Policy { dns, ..Policy::default() },
        yes: args.yes,
    };
    let mut left = Vec::new();
    carry_out(&change, |guest| edits(guest, language, &mut left))?;
    for reason in &left {
        sys::say(reason);
    }
    Ok(Exit::Done)
}

/// The edits that the check offers; what it can only tell goes to `left`.
fn edits(
    guest: &Guest,
    language: catalog::Language,
    left: &mut Vec<String>,
) -> Result<Vec<(CheckId, Edit)>, Trouble> {
    let (Some(spec), Some(probe)) = (catalog::check(CHECK), probe::find(CHECK)) else {
        return Ok(Vec::new());
    };
    let texts = spec.texts(language);
    let findings = match (probe.judge)(guest)? {
        Verdict::Pass => Vec::new(),
        Verdict::NotApplicable(key) => {
            left.push(texts.reason(key));
            Vec::new()
        }
        Verdict::Fail(findings) => findings,
        Verdict::Unknown { reason, .. } => return Err(Trouble::new(Exit::Undetermined, reason)),
    };
    let mut edits = Vec::new();
    for finding in findings {
        if finding.fix.is_empty() {
            left.push(format!("left as it is: {}", texts.message(finding.key, &finding.values)));
        }
        edits.extend(finding.fix.into_iter().map(|edit| (CheckId::from(CHECK), edit)));
    }
    Ok(edits)
}

fn words(options: &[Vec<u8>]) -> String {
    ByteString::from(options.join(&b' ')).to_string()
}

/// The options that the resolver has now, of all lines.
fn in_force(resolver: &Resolver) -> Vec<Vec<u8>> {
    let file = resolver.file.iter();
    file.flat_map(|file| file.options()).map(<[u8]>::to_vec).collect()
}

fn has_it(options: &[Vec<u8>]) -> bool {
    options.iter().any(|word| is_single_request_reopen(word))
}

fn as_text(resolver: &Resolver) -> String {
    let mut out = format!("{RESOLV_CONF}: written by {}", resolver.owner.as_str());
    if let Some(target) = &resolver.link {
        let _ = write!(out, "; a link to {target}");
    }
    for (is_so, what) in [
        (resolver.file.is_none(), "; there is no such file"),
        (resolver.is_immutable, "; immutable"),
        (resolver.is_covered, "; covered by a mount, which no image carries"),
    ] {
        out.push_str(if is_so { what } else { "" });
    }
    let options = in_force(resolver);
    let shown = if options.is_empty() { "none".to_owned() } else { words(&options) };
    let _ = write!(out, "\noptions: {shown}\n");
    let answer = if has_it(&options) { "yes" } else { "no" };
    let _ = writeln!(out, "single-request-reopen: {answer}");
    if !resolver.of_sessions.is_empty() {
        let own = words(&resolver.of_sessions);
        let _ = writeln!(out, "of sessions alone: {own} (RES_OPTIONS in /etc/environment)");
    }
    for keeper in &resolver.keepers {
        let shown = match keeper.options.is_empty() {
            true => "no options".to_owned(),
            false => words(&keeper.options),
        };
        let _ = writeln!(out, "kept in {}: {shown}", place(keeper));
    }
    out
}

fn place(keeper: &Keeper) -> String {
    match keeper.line {
        Some(line) => format!("{}:{line}", keeper.path),
        None => keeper.path.to_string(),
    }
}

fn as_json(resolver: &Resolver) -> Value {
    let list = |options: &[Vec<u8>]| -> Vec<String> {
        options.iter().map(|word| ByteString::from(word.as_slice()).to_string()).collect()
    };
    let options = in_force(resolver);
    let kept: Vec<Value> = resolver
        .keepers
        .iter()
        .map(|k| json!({ "path": k.path, "line": k.line, "options": list(&k.options) }))
        .collect();
    json!({
        "schema": "guestprep.dns/1",
        "path": RESOLV_CONF,
        "exists": resolver.file.is_some(),
        "owner": resolver.owner.as_str(),
        "link": resolver.link,
        "immutable": resolver.is_immutable,
        "covered": resolver.is_covered,
        "options": list(&options),
        "single_request_reopen": has_it(&options),
        "session_options": list(&resolver.of_sessions),
        "kept_in": kept,
    })
}

//! `guestprep list`

use serde_json::{Map, Value, json};

use super::args::{Cli, Format, ListArgs};
use super::exit::{Exit, Outcome};
use super::setup;
use crate::catalog::{CHECKS, CheckSpec, Language, PROFILES};
use crate::sys;

pub fn run(cli: &Cli, args: &ListArgs) -> Outcome {
    let language = setup::language(cli);
    let text = match args.format {
        Format::Json => {
            let rows: Vec<Value> = CHECKS.iter().map(|spec| row(spec, language)).collect();
            format!("{:#}\n", json!({ "schema": "guestprep.list/1", "checks": rows }))
        }
        Format::Text => CHECKS
            .iter()
            .map(|spec| {
                let fix = if spec.fix.is_some() { "fix" } else { "   " };
                format!(
                    "{:<24} {:<8} {:<15} {fix}  {}\n",
                    spec.id,
                    spec.severity,
                    spec.category,
                    spec.texts(language).title
                )
            })
            .collect(),
    };
    sys::print(text.as_bytes())?;
    Ok(Exit::Done)
}

fn row(spec: &CheckSpec, language: Language) -> Value {
    let severity: Map<String, Value> = PROFILES
        .iter()
        .map(|profile| {
            let word = profile.severity_of(spec).map(|severity| severity.as_str());
            (profile.name.to_owned(), json!(word))
        })
        .collect();
    json!({
        "id": spec.id,
        "title": spec.texts(language).title,
        "category": spec.category,
        "severity": severity,
        "since": spec.since,
        "live": spec.live,
        "offline": spec.offline,
        "fix": spec.fix.as_ref().map(|fix| json!({ "actions": fix.actions, "reversible": fix.reversible })),
    })
}

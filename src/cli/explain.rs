//! `guestprep explain`

use std::fmt::Write as _;

use super::args::{Cli, ExplainArgs};
use super::exit::{Exit, Outcome};
use super::setup;
use crate::catalog::{self, CheckSpec, Language, PROFILES, QUESTIONS};
use crate::sys;

pub fn run(cli: &Cli, args: &ExplainArgs) -> Outcome {
    let spec = catalog::check(&args.id).ok_or_else(|| setup::no_such_check(&args.id))?;
    sys::print(text(spec, setup::language(cli)).as_bytes())?;
    Ok(Exit::Done)
}

fn text(spec: &CheckSpec, language: Language) -> String {
    let texts = spec.texts(language);
    let (why, remedy, says, asked, sources) = match language {
        Language::En => ("Why", "What to do", "What it says", "Questions it answers", "Sources"),
        Language::Zh => ("原因", "处理方法", "检查结果", "相关问题", "来源"),
    };
    let mut out = String::new();
    let _ = writeln!(out, "{}\n{}\n", spec.id, texts.title);
    let severities: Vec<String> = PROFILES
        .iter()
        .map(|profile| {
            let word = profile.severity_of(spec).map_or("off", |severity| severity.as_str());
            format!("{} {word}", profile.name)
        })
        .collect();
    let _ = writeln!(out, "{} | {}\n", spec.category, severities.join(", "));
    let _ = writeln!(out, "{why}\n{}\n", wrapped(texts.why, language));
    let _ = writeln!(out, "{remedy}\n{}\n", wrapped(texts.remedy, language));
    let _ = writeln!(out, "{says}");
    for (key, message) in texts.findings {
        let own = spec.finding_severity(key).map(|s| format!(" [{s}]")).unwrap_or_default();
        let _ = writeln!(out, "  {key}{own}: {message}");
    }
    let questions: Vec<_> = QUESTIONS.iter().filter(|q| q.checks.contains(&spec.id)).collect();
    if !questions.is_empty() {
        let _ = writeln!(out, "\n{asked}");
    }
    for question in questions {
        let says = match language {
            Language::En => question.en,
            Language::Zh => question.zh,
        };
        let _ = writeln!(out, "  {}\n{}", question.asks, wrapped(says, language));
        for command in question.commands {
            let _ = writeln!(out, "  guestprep {command}");
        }
    }
    let _ = writeln!(out, "\n{sources}");
    for reference in spec.references {
        let _ = writeln!(out, "  {reference}");
    }
    out
}

/// Words wrapped at 78 columns and indented by two; Chinese has no blanks to wrap at.
fn wrapped(text: &str, language: Language) -> String {
    if language == Language::Zh {
        return format!("  {text}");
    }
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        if lines.last().is_some_and(|line| line.len() + 1 + word.len() > 78) {
            lines.push(String::from(" "));
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

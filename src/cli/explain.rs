//! `guestprep explain`

use std::fmt::Write as _;

use super::args::{Cli, ExplainArgs};
use super::deliver;
use super::exit::{Exit, Outcome};
use super::setup;
use crate::catalog::{self, CheckSpec, Language, PROFILES, QUESTIONS};
use crate::report::{fill, wrapped};
use crate::sys;

pub fn run(cli: &Cli, args: &ExplainArgs) -> Outcome {
    let spec = catalog::check(&args.id).ok_or_else(|| setup::no_such_check(&args.id))?;
    sys::print(text(spec, setup::language(cli)).as_bytes())?;
    Ok(Exit::Done)
}

/// The headings, and what `prepare` does about it, in one language.
struct Headings {
    why: &'static str,
    remedy: &'static str,
    says: &'static str,
    asked: &'static str,
    sources: &'static str,
    mends: &'static str,
    erases: &'static str,
    by_hand: &'static str,
    off: &'static str,
}

const EN: Headings = Headings {
    why: "Why it matters",
    remedy: "What to do",
    says: "What it says",
    asked: "Questions of the image FAQ that it answers",
    sources: "Sources",
    mends: "`guestprep prepare --check {id}` mends what it can, and rollback undoes it: {actions}",
    erases: "`guestprep prepare --check {id}` takes away what it can, for good: {actions}",
    by_hand: "Nothing of it is mended by `guestprep prepare`.",
    off: "off",
};

const ZH: Headings = Headings {
    why: "为什么重要",
    remedy: "处理方法",
    says: "检查会报告什么",
    asked: "对应的镜像 FAQ 问题",
    sources: "来源",
    mends: "`guestprep prepare --check {id}` 会修复可以修复的部分，rollback 可以撤销：{actions}",
    erases: "`guestprep prepare --check {id}` 会永久清除可以清除的部分，无法撤销：{actions}",
    by_hand: "`guestprep prepare` 不会修改它。",
    off: "不检查",
};

fn text(spec: &CheckSpec, language: Language) -> String {
    let texts = spec.texts(language);
    let words = deliver::words(language);
    let headings = match language {
        Language::En => EN,
        Language::Zh => ZH,
    };
    let mut out = String::new();
    let _ = writeln!(out, "{}\n{}\n", spec.id, wrapped(texts.title, "", 0));
    let severities: Vec<String> = PROFILES
        .iter()
        .map(|profile| {
            let severity = profile.severity_of(spec);
            let word = severity.map_or(headings.off, |severity| words.severity(severity));
            format!("{} {word}", profile.name)
        })
        .collect();
    let _ = writeln!(out, "{} | {}", words.category(spec.category), severities.join(words.comma));
    paragraph(&mut out, headings.why, texts.why);
    paragraph(&mut out, headings.remedy, texts.remedy);
    let _ = match &spec.fix {
        Some(fix) => {
            let actions = fix.actions.join(words.comma);
            let done = if fix.reversible { headings.mends } else { headings.erases };
            let line = fill(done, &[("id", spec.id), ("actions", &actions)]);
            writeln!(out, "{}", indented(&line))
        }
        None => writeln!(out, "{}", indented(headings.by_hand)),
    };
    let _ = writeln!(out, "\n{}", headings.says);
    for (key, message) in texts.findings {
        let own = spec.finding_severity(key).map(|s| format!(" [{}]", words.severity(s)));
        let line = format!("{key}{}: {message}", own.unwrap_or_default());
        let _ = writeln!(out, "{}", wrapped(&line, "  ", 4));
    }
    let questions: Vec<_> = QUESTIONS.iter().filter(|q| q.checks.contains(&spec.id)).collect();
    if !questions.is_empty() {
        let _ = writeln!(out, "\n{}", headings.asked);
    }
    for question in questions {
        let says = match language {
            Language::En => question.en,
            Language::Zh => question.zh,
        };
        let _ = writeln!(out, "{}", wrapped(question.asks, "  ", 2));
        let _ = writeln!(out, "{}", wrapped(says, "    ", 4));
        for command in question.commands {
            let _ = writeln!(out, "    guestprep {command}");
        }
    }
    let _ = writeln!(out, "\n{}", headings.sources);
    for reference in spec.references {
        let _ = writeln!(out, "{}", wrapped(reference, "  ", 4));
    }
    out
}

fn paragraph(out: &mut String, heading: &str, text: &str) {
    let _ = writeln!(out, "\n{heading}\n{}", indented(text));
}

fn indented(text: &str) -> String {
    wrapped(text, "  ", 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::CHECKS;

    #[test]
    fn rollback_is_promised_where_it_undoes() {
        for spec in CHECKS {
            let told = text(spec, Language::En);
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            let undone = spec.fix.as_ref().is_some_and(|fix| fix.reversible);
            assert_eq!(told.contains("and rollback undoes it:"), undone, "{}", spec.id);
        }
    }
}

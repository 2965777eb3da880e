//! The report for a person: the answer first, then what is bad from worst to mildest, then what
//! could not be told, then what to do next.

use std::fmt::Write as _;

use super::Style;
use crate::model::{
    CheckResult, Decision, Impact, RemedyKind, Report, ReportedFinding, Severity, VerdictName,
};

/// The report's own words in one language.
#[derive(Debug)]
pub struct Words {
    severity: [&'static str; 3],
    impact: [&'static str; 3],
    unknown: &'static str,
    waived: &'static str,
    fix_automatic: &'static str,
    fix_partly: &'static str,
    fix_manual: &'static str,
    counts: &'static str,
    next_prepare: &'static str,
    next_explain: &'static str,
    ready: &'static str,
    undetermined: &'static str,
}

impl Words {
    /// English.
    pub const EN: Words = Words {
        severity: ["advice", "warning", "blocker"],
        impact: ["harmless", "delays boot", "stops boot"],
        unknown: "unknown",
        waived: "waived",
        fix_automatic: "guestprep prepare mends it",
        fix_partly: "guestprep prepare mends a part of it; the rest by hand",
        fix_manual: "to be mended by hand",
        counts: "passed {pass}, failed {fail}, unknown {unknown}, not applicable {na}",
        next_prepare: "Next: `guestprep plan` shows what `guestprep prepare` would change.",
        next_explain: "`guestprep explain {id}` says why it matters and what to do.",
        ready: "A clone without its data disks boots and can be logged in to.",
        undetermined: "No blocker was found, but not everything could be judged.",
    };

    /// Chinese.
    pub const ZH: Words = Words {
        severity: ["建议", "警告", "阻断"],
        impact: ["无影响", "延迟启动", "无法启动"],
        unknown: "未知",
        waived: "已豁免",
        fix_automatic: "可由 guestprep prepare 修复",
        fix_partly: "部分可由 guestprep prepare 修复，其余需人工处理",
        fix_manual: "需人工处理",
        counts: "通过 {pass}，失败 {fail}，未知 {unknown}，不适用 {na}",
        next_prepare: "下一步：`guestprep plan` 显示 `guestprep prepare` 将做的更改。",
        next_explain: "`guestprep explain {id}` 说明原因和处理方法。",
        ready: "不带数据盘的克隆实例可以启动并登录。",
        undetermined: "未发现阻断项，但有检查无法判定。",
    };
}

/// Render a report as text.
pub fn text(report: &Report, words: &Words, style: Style) -> String {
    let mut out = String::new();
    header(&mut out, report, style);
    for severity in [Severity::Blocker, Severity::Warning, Severity::Advice] {
        let at_this = |c: &&CheckResult| c.severity == severity && !c.findings.is_empty();
        for check in report.checks.iter().filter(at_this) {
            failed(&mut out, check, words, style);
        }
    }
    for check in report.checks.iter().filter(|c| c.verdict == VerdictName::Unknown) {
        let _ =
            writeln!(out, "{}  {}", style.unknown(words.unknown), style.bold(check.id.as_str()));
        let _ = writeln!(out, "    {}\n", check.reason.as_deref().unwrap_or(""));
    }
    for waived in &report.waived {
        let _ =
            writeln!(out, "{}  {}: {}", style.dim(words.waived), waived.id, waived.finding.message);
        let _ = writeln!(out, "    {}\n", waived.reason);
    }
    let summary = &report.summary;
    let counts = words
        .counts
        .replace("{pass}", &summary.pass.to_string())
        .replace("{fail}", &summary.fail.to_string())
        .replace("{unknown}", &summary.unknown.to_string())
        .replace("{na}", &summary.not_applicable.to_string());
    let _ = writeln!(out, "{}", style.dim(&counts));
    next(&mut out, report, words);
    out
}

fn header(out: &mut String, report: &Report, style: Style) {
    let guest = &report.guest;
    let _ = write!(out, "{}", style.decision(report.verdict));
    let summary = &report.summary;
    let counts: Vec<String> = [
        (summary.blockers, "blocker", "blockers"),
        (summary.warnings, "warning", "warnings"),
        (summary.advice, "advice", "advice"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
    .collect();
    if !counts.is_empty() {
        let _ = write!(out, "  {}", counts.join(", "));
    }
    let mut facts = Vec::new();
    facts.extend(guest.hostname.clone());
    facts.push(guest.os.pretty_name.clone().unwrap_or_else(|| "unknown distribution".to_owned()));
    facts.extend(guest.kernel.as_ref().map(|kernel| format!("kernel {kernel}")));
    facts.push(guest.init.clone());
    facts.push(format!("profile {}", report.profile));
    if let Some(image) = &guest.image {
        let how = match image.reader.as_str() {
            "kernel" => "mounted by the kernel",
            _ => "read in user space",
        };
        facts.push(format!("{} image {how}", image.container));
    }
    let _ = writeln!(out, "\n{}", style.dim(&facts.join(", ")));
    for what in guest.image.iter().flat_map(|image| &image.left_out) {
        let _ = writeln!(out, "{}", style.dim(&format!("not seen: {what}")));
    }
    out.push('\n');
}

fn failed(out: &mut String, check: &CheckResult, words: &Words, style: Style) {
    let label = style.severity(check.severity, words.severity[check.severity as usize]);
    let _ =
        writeln!(out, "{label}  {}  {}", style.bold(check.id.as_str()), style.dim(&check.title));
    for finding in &check.findings {
        one(out, finding, check.severity, words, style);
    }
    let automatic =
        check.findings.iter().filter(|f| f.remedy.kind == RemedyKind::Automatic).count();
    let fix = match automatic {
        // Advice is worth knowing; nobody has to do anything about it.
        0 if check.severity == Severity::Advice => "",
        0 => words.fix_manual,
        count if count == check.findings.len() => words.fix_automatic,
        _ => words.fix_partly,
    };
    if !fix.is_empty() {
        let _ = writeln!(out, "    {}", style.dim(fix));
    }
    out.push('\n');
}

fn one(
    out: &mut String,
    finding: &ReportedFinding,
    of_check: Severity,
    words: &Words,
    style: Style,
) {
    let mut notes = Vec::new();
    if finding.severity != of_check {
        notes.push(words.severity[finding.severity as usize].to_owned());
    }
    if let Some(impact) = finding.impact {
        let word = words.impact[impact as usize];
        notes.push(match (impact, finding.values.get("seconds")) {
            (Impact::DelaysBoot, Some(seconds)) => format!("{word} {seconds} s"),
            _ => word.to_owned(),
        });
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" [{}]", notes.join(", ")) };
    let _ = writeln!(
        out,
        "    {}: {}{}",
        style.bold(&finding.subject.to_string()),
        finding.message,
        notes
    );
    if let Some(evidence) = &finding.evidence {
        for line in evidence.lines() {
            let _ = writeln!(out, "        {}", style.dim(line));
        }
    }
}

fn next(out: &mut String, report: &Report, words: &Words) {
    match report.verdict {
        Decision::Ready => {
            let _ = writeln!(out, "{}", words.ready);
        }
        Decision::Undetermined => {
            let _ = writeln!(out, "{}", words.undetermined);
        }
        Decision::NotReady => {}
    }
    let findings = || report.checks.iter().flat_map(|c| c.findings.iter().map(move |f| (c, f)));
    if findings().any(|(_, f)| f.remedy.kind == RemedyKind::Automatic) {
        let _ = writeln!(out, "{}", words.next_prepare);
    }
    let worst = findings().max_by_key(|(_, f)| f.severity);
    if let Some((check, _)) = worst {
        let _ = writeln!(out, "{}", words.next_explain.replace("{id}", check.id.as_str()));
    }
}

//! The report's own words, in both languages, side by side; those of the checks are the catalogue's.
//!
//! Names in braces are filled in by [`fill`]; a test holds both languages to the same ones.

use crate::model::{Category, Decision, Impact, Severity, VerdictName, Waiver};

macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// The report's own words in one language.
        #[derive(Debug)]
        #[expect(missing_docs, reason = "each is named as what it says, which stands beside it")]
        pub struct Words {
            $(pub $name: &'static str,)*
        }

        impl Words {
            /// English.
            pub const EN: Words = Words { $($name: $en,)* };
            /// Chinese.
            pub const ZH: Words = Words { $($name: $zh,)* };
            /// Every word by its name, in English and in Chinese.
            pub const BOTH: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $zh),)*];
        }
    };
}

words! {
    language: "en", "zh-CN";
    ready: "READY", "就绪";
    not_ready: "NOT READY", "未就绪";
    undetermined: "UNDETERMINED", "无法判定";
    says_ready: "A clone without its data disks boots and can be logged in to.",
        "不带数据盘的克隆实例可以启动并登录。";
    says_undetermined: "No blocker was found, but not everything could be judged.",
        "未发现阻断项，但有检查无法判定。";

    blocker: "blocker", "阻断";
    warning: "warning", "警告";
    advice: "advice", "建议";
    one_blocker: "1 blocker", "1 项阻断";
    one_warning: "1 warning", "1 项警告";
    one_advice: "1 advice", "1 项建议";
    blockers: "{n} blockers", "{n} 项阻断";
    warnings: "{n} warnings", "{n} 项警告";
    advices: "{n} advice", "{n} 项建议";

    harmless: "harmless", "无影响";
    delays_boot: "delays boot", "延迟启动";
    delays_boot_by: "delays boot {seconds} s", "启动延迟 {seconds} 秒";
    stops_boot: "stops boot", "无法启动";

    passed: "passed", "通过";
    failed: "failed", "失败";
    not_applicable: "not applicable", "不适用";
    unknown: "unknown", "未知";
    waived: "waived", "已豁免";
    counts: "passed {pass}, failed {fail}, unknown {unknown}, not applicable {na}",
        "通过 {pass}，失败 {fail}，未知 {unknown}，不适用 {na}";

    storage: "storage", "存储";
    boot: "boot", "启动";
    critical_files: "critical files", "关键文件";
    network: "network", "网络";
    services: "services", "服务";
    identity: "identity", "身份标识";
    residue: "residue", "残留信息";

    comma: ", ", "，";
    unknown_distribution: "unknown distribution", "未知发行版";
    kernel: "kernel {release}", "内核 {release}";
    profile: "profile {name}", "场景 {name}";
    image_by_kernel: "{container} image mounted by the kernel", "{container} 镜像，由内核挂载";
    image_in_user_space: "{container} image read in user space", "{container} 镜像，在用户空间读取";
    not_seen: "not seen: {what}", "未能查看：{what}";

    waiver_until: "until {day}", "有效期至 {day}";
    waiver_without_end: "without an end", "无截止日期";
    waiver_ended: "the waiver ended on {day}, so it counts again: {reason}",
        "豁免已于 {day} 到期，重新计入结果：{reason}";
    by_hand: "By hand:", "手动处理：";
    rest_by_hand: "The rest by hand:", "其余手动处理：";
    next: "Next:", "下一步：";
    next_plan: "what prepare would change", "查看 prepare 将做的更改";
    next_explain: "why it matters, and what to do", "了解原因和处理方法";

    filter: "Show", "筛选";
    all_categories: "all categories", "全部类别";
    evidence: "evidence", "依据";
    remedy: "remedy", "处理方法";
    other_checks: "Other checks", "其他检查";
    waivers: "Waived findings", "已豁免的问题";
    nothing_shown: "Nothing is shown: the filter hides it all.", "没有可显示的内容：全部被筛选条件隐藏。";
    taken: "taken {time}", "检查时间 {time}";
    host: "guest", "主机";
    digest: "digest", "摘要";
    digest_holds: "digest: it is that of the report: {digest}", "摘要：与报告内容一致：{digest}";
    digest_differs: "{file}: the report was changed: its digest or its counts are not those of what it says",
        "{file}：报告已被修改：摘要或计数与内容不一致";
    no_signature: "there is no signature {file}", "没有签名文件 {file}";
    not_signed: "signature: none; who changes a report can make its digest anew",
        "签名：无；修改报告的人也可以重新生成摘要";
    signature_good: "signature: {who}", "签名：{who}";
    signature_of_anyone: "signature: {who}; whose key that is was not asked: --allowed-signers FILE --identity WHO",
        "签名：{who}；未核实密钥属于谁：请使用 --allowed-signers FILE --identity WHO";
    signature_bad: "the signature is not one of this report: {why}", "签名与该报告不符：{why}";
    made_by: "made by guestprep {version}", "由 guestprep {version} 生成";
}

impl Words {
    /// The answer.
    pub fn decision(&self, decision: Decision) -> &'static str {
        match decision {
            Decision::Ready => self.ready,
            Decision::NotReady => self.not_ready,
            Decision::Undetermined => self.undetermined,
        }
    }

    /// A severity.
    pub fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Blocker => self.blocker,
            Severity::Warning => self.warning,
            Severity::Advice => self.advice,
        }
    }

    /// So many findings of a severity.
    pub fn findings(&self, severity: Severity, count: usize) -> String {
        let (one, many) = match severity {
            Severity::Blocker => (self.one_blocker, self.blockers),
            Severity::Warning => (self.one_warning, self.warnings),
            Severity::Advice => (self.one_advice, self.advices),
        };
        if count == 1 { one.to_owned() } else { fill(many, &[("n", &count.to_string())]) }
    }

    /// What absence does to boot, and for how long where that is known.
    pub fn impact(&self, impact: Impact, seconds: Option<&String>) -> String {
        match (impact, seconds) {
            (Impact::Harmless, _) => self.harmless.to_owned(),
            (Impact::StopsBoot, _) => self.stops_boot.to_owned(),
            (Impact::DelaysBoot, None) => self.delays_boot.to_owned(),
            (Impact::DelaysBoot, Some(seconds)) => {
                fill(self.delays_boot_by, &[("seconds", seconds)])
            }
        }
    }

    /// A check's verdict.
    pub fn verdict(&self, verdict: VerdictName) -> &'static str {
        match verdict {
            VerdictName::Pass => self.passed,
            VerdictName::Fail => self.failed,
            VerdictName::NotApplicable => self.not_applicable,
            VerdictName::Unknown => self.unknown,
        }
    }

    /// A category.
    pub fn category(&self, category: Category) -> &'static str {
        match category {
            Category::Storage => self.storage,
            Category::Boot => self.boot,
            Category::CriticalFiles => self.critical_files,
            Category::Network => self.network,
            Category::Services => self.services,
            Category::Identity => self.identity,
            Category::Residue => self.residue,
        }
    }

    /// Why a finding is to stay, who says so, and until when.
    pub fn waiver(&self, waiver: &Waiver) -> String {
        let until = match &waiver.until {
            Some(day) => fill(self.waiver_until, &[("day", day)]),
            None => self.waiver_without_end.to_owned(),
        };
        let who: Vec<&str> = waiver.owner.as_deref().into_iter().chain([until.as_str()]).collect();
        format!("{} ({})", waiver.reason, who.join(self.comma))
    }

    /// That a finding was waived and counts again.
    pub fn ended(&self, waiver: &Waiver) -> String {
        let why = match &waiver.owner {
            Some(owner) => format!("{} ({owner})", waiver.reason),
            None => waiver.reason.clone(),
        };
        let day = waiver.until.as_deref().unwrap_or_default();
        fill(self.waiver_ended, &[("day", day), ("reason", &why)])
    }

    /// What is known of the guest, as parts of a line.
    pub fn facts(&self, report: &crate::model::Report) -> Vec<String> {
        let guest = &report.guest;
        let mut facts = Vec::new();
        facts.extend(guest.hostname.clone());
        let os = guest.os.pretty_name.clone();
        facts.push(os.unwrap_or_else(|| self.unknown_distribution.to_owned()));
        facts.extend(guest.kernel.as_ref().map(|name| fill(self.kernel, &[("release", name)])));
        facts.push(guest.init.clone());
        facts.push(fill(self.profile, &[("name", &report.profile)]));
        if let Some(image) = &guest.image {
            let how = match image.reader.as_str() {
                "kernel" => self.image_by_kernel,
                _ => self.image_in_user_space,
            };
            facts.push(fill(how, &[("container", &image.container)]));
        }
        facts
    }
}

/// A text with its names in braces filled in.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        out.push_str(before);
        let value = values.iter().find(|(known, _)| *known == name);
        out.push_str(value.map_or(name, |(_, value)| value));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_name_the_same_values() {
        let names = |text: &str| {
            let parts = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
            let mut names: Vec<String> = parts.map(|(name, _)| name.to_owned()).collect();
            names.sort();
            names
        };
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for (word, en, zh) in Words::BOTH {
            assert!(!en.is_empty() && !zh.is_empty(), "{word}");
            assert_eq!(names(en), names(zh), "{word}");
            let is_sign = ["language", "comma"].contains(word);
            assert!(is_sign || is_chinese(zh) && !is_chinese(en), "{word}: {en} / {zh}");
        }
    }

    #[test]
    fn values_that_look_like_names_are_left_alone() {
        assert_eq!(fill("{a} and {b}", &[("a", "{b}"), ("b", "{")]), "{b} and {");
        assert_eq!(fill("{a", &[("a", "x")]), "{a");
    }
}

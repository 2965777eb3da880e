//! The merge's own words.

/// The words of one language. What stands in braces is filled in.
#[derive(Debug)]
pub struct Words {
    /// For `lang` of HTML.
    pub(super) code: &'static str,
    pub(super) hosts: &'static str,
    /// By state, from good to bad.
    pub(super) states: [&'static str; 4],
    /// Advice, warning, blocker, unknown.
    pub(super) weights: [&'static str; 4],
    pub(super) read: &'static str,
    pub(super) superseded: &'static str,
    pub(super) left_aside: &'static str,
    pub(super) checks: &'static str,
    pub(super) systems: &'static str,
    pub(super) outliers: &'static str,
    pub(super) not_ready_hosts: &'static str,
    pub(super) undetermined_hosts: &'static str,
    pub(super) unreached_hosts: &'static str,
    pub(super) drift: &'static str,
    /// Worse, better, appeared, gone.
    pub(super) changes: [&'static str; 4],
    pub(super) faults: &'static str,
    pub(super) whole: &'static str,
    pub(super) more: &'static str,
    pub(super) nobody: &'static str,
    pub(super) host: &'static str,
    pub(super) verdict: &'static str,
    pub(super) started: &'static str,
    pub(super) system: &'static str,
    pub(super) search: &'static str,
    pub(super) shown: &'static str,
    pub(super) all: &'static str,
    pub(super) title: &'static str,
}

impl Words {
    /// English.
    pub const EN: Words = Words {
        code: "en",
        hosts: "hosts",
        states: ["ready", "no answer", "undetermined", "not ready"],
        weights: ["advice", "warning", "blocker", "unknown"],
        read: "{reports} reports of {hosts} hosts, {oldest} to {newest}",
        superseded: "{count} older reports of the same hosts are not counted",
        left_aside: "{count} files of a folder were left aside for their names",
        checks: "Checks",
        systems: "Systems",
        outliers: "Fail where at most one in twenty of their system does",
        not_ready_hosts: "Not ready",
        undetermined_hosts: "Undetermined",
        unreached_hosts: "No answer",
        drift: "Since {since}: {worse} worse, {better} better, {appeared} new, {gone} gone, {same} the same",
        changes: ["worse", "better", "new", "gone"],
        faults: "Not read: {count}",
        whole: "the input as a whole",
        more: "and {count} more (--format csv or json has all)",
        nobody: "There is no report.",
        host: "Host",
        verdict: "Verdict",
        started: "Audited",
        system: "System",
        search: "Search hosts, systems and checks",
        shown: "{shown} of {all}",
        all: "all",
        title: "guestprep: the fleet",
    };

    /// Chinese.
    pub const ZH: Words = Words {
        code: "zh",
        hosts: "台主机",
        states: ["就绪", "无应答", "无法判定", "未就绪"],
        weights: ["建议", "警告", "阻断", "未知"],
        read: "{hosts} 台主机的 {reports} 份报告，{oldest} 至 {newest}",
        superseded: "同一主机的 {count} 份较旧报告未计入",
        left_aside: "目录中有 {count} 个文件因名称未读取",
        checks: "检查项",
        systems: "系统",
        outliers: "同类系统中至多二十分之一的主机才有的问题",
        not_ready_hosts: "未就绪",
        undetermined_hosts: "无法判定",
        unreached_hosts: "无应答",
        drift: "自 {since} 以来：{worse} 台变差，{better} 台变好，{appeared} 台新增，{gone} 台消失，{same} 台不变",
        changes: ["变差", "变好", "新增", "消失"],
        faults: "未能读取：{count}",
        whole: "整个输入",
        more: "另有 {count} 项（--format csv 或 json 列出全部）",
        nobody: "没有报告。",
        host: "主机",
        verdict: "结论",
        started: "检查时间",
        system: "系统",
        search: "搜索主机、系统和检查项",
        shown: "{all} 台中的 {shown} 台",
        all: "全部",
        title: "guestprep：主机群",
    };
}

/// Fill a name in braces.
pub(super) fn filled(text: &str, values: &[(&str, &str)]) -> String {
    values
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

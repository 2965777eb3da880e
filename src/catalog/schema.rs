//! What a check's TOML file may say. Shared with `build.rs`, so it names nothing of ours.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One `checks/<check-id>.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckFile {
    /// `blocker`, `warning` or `advice`, under the profile `clone`; other profiles may differ.
    pub severity: String,
    /// The category's word.
    pub category: String,
    /// The version that first had the check.
    pub since: String,
    /// `live`, `offline` or both.
    pub on: Vec<String>,
    /// Distribution families; empty means all.
    #[serde(default)]
    pub families: Vec<String>,
    /// Where the rule comes from.
    pub references: Vec<String>,
    /// Whether its findings are facts to be told and none is a fault: the check passes with them.
    #[serde(default)]
    pub informs: bool,
    /// How it is judged.
    pub rule: RuleFile,
    /// What `prepare` does about it.
    pub fix: Option<FixFile>,
    /// Every message key that its probe files.
    pub findings: BTreeMap<String, FindingFile>,
    /// The paths that must not be there, for the check that judges by them.
    #[serde(default)]
    pub path: Vec<PathFile>,
    /// The rows of a table of known defects, for the check that judges by one.
    #[serde(default)]
    pub defect: Vec<DefectFile>,
    /// The rows of a table of ended releases, for the check that judges by one.
    #[serde(default)]
    pub release: Vec<ReleaseFile>,
    /// The rows of a table of fixed versions, for the check that judges by one.
    #[serde(default)]
    pub fixed: Vec<FixedFile>,
    /// English.
    pub en: TextsFile,
    /// Chinese.
    pub zh: TextsFile,
}

/// `[[path]]`: what must not be there, and what becomes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PathFile {
    /// Patterns, as `model::Erasure` has them; `~/` is the home of every account, wherever it lies.
    pub glob: Vec<String>,
    /// `remove`, `remove-file`, `contents` or `truncate`: a word of `model::ErasureKind`.
    #[serde(rename = "do")]
    pub how: String,
    /// Patterns of names that are left.
    #[serde(default)]
    pub except: Vec<String>,
    /// Distribution families; empty means all.
    #[serde(default)]
    pub families: Vec<String>,
    /// On a running guest, what changed within so many seconds is left.
    pub older_than: Option<u64>,
}

/// `[[defect]]`: kernels that are known to be bad.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DefectFile {
    /// The message key.
    pub key: String,
    /// The distributions, as os-release names them in `ID`.
    pub os: Vec<String>,
    /// Releases, each with all builds of it.
    #[serde(default)]
    pub kernels: Vec<String>,
    /// The first release of a range.
    pub from: Option<String>,
    /// The release that ends it and is not in it.
    pub before: Option<String>,
    /// What it shows itself with alone: `nfs`.
    pub with: Option<String>,
    /// A kernel argument that avoids it.
    pub without: Option<String>,
    /// Who says so.
    pub source: String,
}

/// `[[release]]`: a release that is no longer maintained, and where its packages are no longer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReleaseFile {
    /// The distributions, as os-release names them in `ID`.
    pub os: Vec<String>,
    /// The first number of `VERSION_ID`.
    pub version: u32,
    /// The day on which it ended.
    pub ended: String,
    /// Hosts that do not have it any more; `.example.org` takes in every host below that name.
    pub hosts: Vec<String>,
    /// Hosts that one of those takes in and that still have the packages.
    #[serde(default)]
    pub kept: Vec<String>,
    /// Where it is kept.
    pub instead: String,
    /// Who says so.
    pub source: String,
}

/// `[[fixed]]`: the version of a package in which a release fixed a vulnerability.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FixedFile {
    /// The distributions, as os-release names them in `ID`.
    pub os: Vec<String>,
    /// The first number of `VERSION_ID`.
    pub version: u32,
    /// The package.
    pub package: String,
    /// The version, `epoch:version-release`, from which on it is fixed.
    pub fixed: String,
    /// The version before which it was not there yet, where it came late.
    pub since: Option<String>,
    /// The vulnerability.
    pub cve: String,
    /// Who says so.
    pub source: String,
}

/// `[rule]`: the closed set of ways to judge.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum RuleFile {
    /// A probe of that name.
    Native(String),
    /// By the check's list of paths: a regular file with content is a finding.
    Paths,
}

/// `[fix]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FixFile {
    /// The plan's action words.
    pub actions: Vec<String>,
    /// Whether rollback undoes it.
    pub reversible: bool,
}

/// `[findings.<key>]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FindingFile {
    /// Where a finding weighs differently from its check.
    pub severity: Option<String>,
}

/// `[en]` and `[zh]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TextsFile {
    /// What the check is called.
    pub title: String,
    /// Why it matters: whole sentences.
    pub why: String,
    /// What to do: whole sentences.
    pub remedy: String,
    /// A message for each key, with named values in braces.
    pub findings: BTreeMap<String, String>,
    /// A sentence for each reason why the question does not arise.
    #[serde(default)]
    pub not_applicable: BTreeMap<String, String>,
}

/// One `checks/profiles/<profile>.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProfileFile {
    /// One sentence: what the profile is for.
    pub en: String,
    /// The same in Chinese.
    pub zh: String,
    /// Severities that differ from the checks' own; `off` leaves a check out.
    #[serde(default)]
    pub severity: BTreeMap<String, String>,
    /// Whether `prepare` takes away for good what identity and residue checks find.
    #[serde(default)]
    pub erases: bool,
    /// Severities of single findings, by check and message key.
    #[serde(default)]
    pub finding: BTreeMap<String, BTreeMap<String, String>>,
}

/// One `checks/peers/<peer>.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerFile {
    /// The command or script.
    pub name: String,
    /// Where its operations are read.
    pub source: String,
    /// What it does, in its order.
    pub operation: Vec<OperationFile>,
}

/// `[[operation]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationFile {
    /// As the peer calls it.
    pub name: String,
    /// What it takes away, sets or looks at.
    pub does: String,
    /// The checks that see to the same.
    #[serde(default)]
    pub checks: Vec<String>,
    /// Why it is left out, or where ours differ.
    #[serde(default)]
    pub note: String,
}

/// One `checks/faq/<faq>.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaqFile {
    /// The questions, in the FAQ's order.
    pub question: Vec<QuestionFile>,
}

/// `[[question]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionFile {
    /// The question as the FAQ puts it.
    pub asks: String,
    /// What the FAQ says.
    pub en: String,
    /// The same in Chinese.
    pub zh: String,
    /// The checks that look.
    #[serde(default)]
    pub checks: Vec<String>,
    /// The commands that answer or mend, without `guestprep`.
    #[serde(default)]
    pub commands: Vec<String>,
}

//! What a file of rules looks like: `checks/secrets/*.toml`, and the site's own in
//! `/etc/guestprep/secrets.d`. `build.rs` includes this file, so it uses nothing of ours.

use serde::Deserialize;

/// A file of rules.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RulesFile {
    /// Its rules. Where two match at one place, one for files of any name counts, then the first.
    #[serde(default)]
    pub rule: Vec<RuleFile>,
    /// What is never a secret, whatever a rule says.
    #[serde(default)]
    pub allow: Vec<AllowFile>,
    /// Findings that were looked at and are to stay.
    #[serde(default)]
    pub waive: Vec<WaiveFile>,
}

/// What a secret of one kind looks like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleFile {
    /// Its one name.
    pub id: String,
    /// What it finds, in English.
    pub en: String,
    /// What it finds, in Chinese.
    pub zh: String,
    /// A regular expression over bytes. It begins with one of the keywords; the group `secret` is
    /// the secret, or all of it where there is no such group.
    pub pattern: String,
    /// The literals that a match begins with. Only where one stands is the pattern tried.
    pub keywords: Vec<String>,
    /// Whether upper case, lower case and a capital of a keyword are the same.
    #[serde(default)]
    pub any_case: bool,
    /// Whether files that are no text are searched too.
    #[serde(default)]
    pub binary: bool,
    /// Whether somebody might guess the secret, as one can a password. Its digest is shown nowhere.
    #[serde(default)]
    pub guessable: bool,
    /// The least entropy of a secret, in bits a byte.
    #[serde(default)]
    pub entropy: f64,
    /// What a secret must be beside matching: the name of a validator.
    pub validator: Option<String>,
    /// Regular expressions; a secret that one of them matches whole is none.
    #[serde(default)]
    pub allow: Vec<String>,
    /// The ends of the paths of the files that it is for; empty means all.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The path of the file that the examples stand in, for a rule that is for files of certain names.
    pub example_path: Option<String>,
    /// Where the format is told.
    #[serde(default)]
    pub references: Vec<String>,
    /// Texts in which it finds one secret. `¦` is taken out before, so that no forge takes them for
    /// live ones.
    #[serde(default)]
    pub positive: Vec<String>,
    /// Texts that look like one and in which it finds none.
    #[serde(default)]
    pub negative: Vec<String>,
}

/// What is never a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AllowFile {
    /// Why.
    pub why: String,
    /// The rules that it is about; empty means all.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Regular expressions; a secret that one of them matches whole is allowed.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Regular expressions; in a file whose path one of them matches whole everything is.
    #[serde(default)]
    pub paths: Vec<String>,
    /// SHA-256 of secrets that everybody knows, without white space.
    #[serde(default)]
    pub sha256: Vec<String>,
}

/// A finding that was looked at and is to stay.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WaiveFile {
    /// Its fingerprint, as reports show it.
    pub fingerprint: String,
    /// Why, and until when: `why, until 2027-01-01`.
    pub why: String,
}

//! The rules, compiled: literals that say where a secret could begin, and one regular expression of
//! all patterns that is tried there and nowhere else.

use std::fmt;

use aho_corasick::packed;
use regex_automata::meta::{BuildError, Cache, Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind, PatternSet, Span};

use super::finding::Secret;
use super::schema::{AllowFile, RuleFile, RulesFile, WaiveFile};
use super::validator::Validator;

/// How far a match reaches at most: a private key of 16384 bits takes 12.5 KiB.
pub(super) const REACH: usize = 16 * 1024;

/// Literals that one pass looks for. Beyond this the buckets of the vectorised search (Teddy, of the
/// Hyperscan project) fill, and it stops at every other byte; a second pass over bytes that lie in
/// the processor's cache costs less.
const LITERALS_A_PASS: usize = 48;

/// How many of a literal's first bytes a pass compares, if none of its literals has fewer.
const TEDDY_BYTES: usize = 4;

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its one name.
    pub id: String,
    /// What it finds, in English.
    pub en: String,
    /// What it finds, in Chinese.
    pub zh: String,
    /// Where its format is told.
    pub references: Vec<String>,
    pub(super) binary: bool,
    pub(super) guessable: bool,
    /// The pattern alone, which tells where the secret lies in a match: of all patterns in one, every
    /// state would carry the groups of every other.
    exact: Regex,
    literals: Vec<Vec<u8>>,
    entropy: f64,
    validator: Option<Validator>,
    paths: Vec<String>,
}

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct RuleError {
    file: String,
    reason: String,
}

/// All rules of a scan.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    passes: Vec<packed::Searcher>,
    /// Every pattern, tried where a literal stands.
    regex: Regex,
    /// What is allowed of secrets, and of paths.
    secrets: Allowed,
    paths: Allowed,
    known: Vec<String>,
    waived: Vec<WaiveFile>,
}

/// What a thread needs to try patterns.
#[derive(Debug)]
pub(super) struct Scratch {
    cache: Cache,
}

/// What was matched.
#[derive(Debug)]
pub(super) struct Match {
    pub rule: usize,
    pub secret: Span,
    pub end: usize,
}

impl Rules {
    /// The rules that come with the program.
    ///
    /// # Errors
    /// Never, in a build whose tests pass.
    pub fn built_in() -> Result<Self, RuleError> {
        Self::with_site(&[], &[])
    }

    /// The rules that come with the program, and the site's own by file name and text; where any
    /// are named, these alone.
    ///
    /// # Errors
    /// A file that is no file of rules, with line and column; a pattern that is none; a name that
    /// is taken, or that no rule has.
    pub fn with_site(site: &[(String, String)], only: &[String]) -> Result<Self, RuleError> {
        let mut all = RulesFile::default();
        let built_in = super::BUILT_IN.iter().map(|(name, text)| (*name, *text));
        let site = site.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        for (file, text) in built_in.chain(site) {
            let fail = |reason: String| RuleError { file: file.to_owned(), reason };
            let read: RulesFile = toml::from_str(text).map_err(|e| fail(e.to_string()))?;
            for rule in read.rule {
                if all.rule.iter().any(|known| known.id == rule.id) {
                    return Err(fail(format!("there is a rule {} already", rule.id)));
                }
                check(&rule).map_err(&fail)?;
                all.rule.push(rule);
            }
            all.allow.extend(read.allow);
            all.waive.extend(read.waive);
        }
        // What a format tells is that; what only the file's name tells comes behind.
        all.rule.sort_by_key(|rule| !rule.paths.is_empty());
        if !only.is_empty() {
            for id in only {
                if !all.rule.iter().any(|rule| rule.id == *id) {
                    let reason = format!("there is no rule {id}");
                    return Err(RuleError { file: "--rule".to_owned(), reason });
                }
            }
            all.rule.retain(|rule| only.contains(&rule.id));
        }
        Self::compile(all)
    }

    fn compile(all: RulesFile) -> Result<Self, RuleError> {
        let fail = |what: &str, e: &dyn fmt::Display| RuleError {
            file: what.to_owned(),
            reason: e.to_string(),
        };
        let patterns: Vec<&str> = all.rule.iter().map(|rule| rule.pattern.as_str()).collect();
        let regex = build(&patterns, Regex::config().which_captures(WhichCaptures::Implicit))
            .map_err(|e| fail("the patterns", &e))?;
        let passes = passes(all.rule.iter().flat_map(literals).collect())
            .iter()
            .map(|literals| {
                packed::Searcher::new(literals)
                    .ok_or_else(|| fail("the keywords", &"they cannot be searched for"))
            })
            .collect::<Result<_, _>>()?;
        let mut secrets = Vec::new();
        let mut paths = Vec::new();
        for AllowFile { rules, secrets: of_secrets, paths: of_paths, .. } in &all.allow {
            secrets.extend(of_secrets.iter().map(|pattern| (pattern.clone(), rules.clone())));
            paths.extend(of_paths.iter().map(|pattern| (pattern.clone(), rules.clone())));
        }
        let mut rules = Vec::new();
        for rule in all.rule {
            secrets.extend(rule.allow.iter().map(|row| (row.clone(), vec![rule.id.clone()])));
            let validator = rule.validator.as_deref().map(Validator::named).transpose();
            rules.push(Rule {
                exact: regex_of(&[&rule.pattern]).map_err(|e| fail(&rule.id, &e))?,
                literals: literals(&rule),
                validator: validator.map_err(|e| fail(&rule.id, &e))?,
                id: rule.id,
                en: rule.en,
                zh: rule.zh,
                references: rule.references,
                binary: rule.binary,
                guessable: rule.guessable,
                entropy: rule.entropy,
                paths: rule.paths,
            });
        }
        Ok(Self {
            passes,
            regex,
            secrets: Allowed::new(secrets)?,
            paths: Allowed::new(paths)?,
            known: all.allow.iter().flat_map(|allow| allow.sha256.clone()).collect(),
            waived: all.waive,
            rules,
        })
    }

    /// Every rule, in the order that they are tried in.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of that name.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// Why a finding is to stay, and until when, where somebody looked at it.
    pub fn waiver(&self, fingerprint: &str) -> Option<&str> {
        let waived = self.waived.iter().find(|waived| waived.fingerprint == fingerprint);
        waived.map(|waived| waived.why.as_str())
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch { cache: self.regex.create_cache() }
    }

    /// Tell every place in a range of a text where a secret could begin, pass by pass.
    pub(super) fn candidates(
        &self,
        text: &[u8],
        range: Span,
        mut found: impl FnMut(usize) -> usize,
    ) {
        for pass in &self.passes {
            let mut at = range.start;
            // A literal may reach beyond the range, in which it only has to begin.
            while let Some(hit) = pass.find_in(text, (at..text.len()).into()) {
                if hit.start() >= range.end {
                    break;
                }
                at = found(hit.start()).max(hit.start() + 1);
            }
        }
    }

    /// What matches at a place, if it is a secret.
    pub(super) fn matches(
        &self,
        scratch: &mut Scratch,
        text: &[u8],
        at: usize,
        file: &InFile,
    ) -> Option<Match> {
        let end = text.len().min(at + REACH);
        let input = Input::new(text).span(at..end).anchored(Anchored::Yes);
        let first = self.regex.search_half_with(&mut scratch.cache, &input)?.pattern().as_usize();
        // What the first of them refuses another may be right about.
        (first..self.rules.len())
            .filter(|rule| *rule == first || self.rules[*rule].may_begin(&text[at..end]))
            .find_map(|rule| self.accepts(rule, &input, file))
    }

    fn accepts(&self, at: usize, input: &Input, file: &InFile) -> Option<Match> {
        let rule = &self.rules[at];
        if !rule.binary && !file.is_text {
            return None;
        }
        if !rule.paths.is_empty()
            && !rule.paths.iter().any(|end| file.name.ends_with(end.as_bytes()))
        {
            return None;
        }
        let mut captures = rule.exact.create_captures();
        rule.exact.captures(input.clone(), &mut captures);
        let whole = captures.get_match()?.span();
        let span = captures.get_group_by_name("secret").unwrap_or(whole);
        let secret = Secret::new(&input.haystack()[span]);
        if rule.entropy > 0.0 && entropy(secret.bytes()) < rule.entropy
            || self.secrets.allows(secret.bytes(), rule)
            || self.paths.allows(file.path, rule)
            || rule.validator.is_some_and(|is_valid| !is_valid.accepts(secret.bytes()))
            || !self.known.is_empty() && self.known.contains(&secret.digest())
        {
            return None;
        }
        Some(Match { rule: at, secret: span, end: whole.end })
    }
}

impl Rule {
    /// Whether one of its literals stands at the beginning of a text.
    fn may_begin(&self, text: &[u8]) -> bool {
        self.literals.iter().any(|literal| text.starts_with(literal))
    }
}

/// Patterns of what is allowed, each of some rules or of all.
#[derive(Debug)]
struct Allowed {
    regex: Option<Regex>,
    /// The rules that a pattern is about; none means all.
    rules: Vec<Vec<String>>,
}

impl Allowed {
    fn new(rows: Vec<(String, Vec<String>)>) -> Result<Self, RuleError> {
        let whole: Vec<String> = rows.iter().map(|(row, _)| format!("^(?:{row})$")).collect();
        let all = Regex::config().match_kind(MatchKind::All);
        let built = (!whole.is_empty()).then(|| build(&whole, all)).transpose();
        let regex = built
            .map_err(|e| RuleError { file: "what is allowed".to_owned(), reason: e.to_string() })?;
        Ok(Self { regex, rules: rows.into_iter().map(|(_, rules)| rules).collect() })
    }

    fn allows(&self, bytes: &[u8], rule: &Rule) -> bool {
        let Some(regex) = &self.regex else { return false };
        let mut matched = PatternSet::new(regex.pattern_len());
        regex.which_overlapping_matches(&Input::new(bytes), &mut matched);
        matched.iter().any(|pattern| {
            let rules = &self.rules[pattern.as_usize()];
            rules.is_empty() || rules.contains(&rule.id)
        })
    }
}

/// What matters of the file that a text is from.
#[derive(Clone, Copy, Debug)]
pub(super) struct InFile<'a> {
    /// Its path in the guest.
    pub path: &'a [u8],
    /// The name that the text itself has: of a member of an archive its own, of what is compressed the
    /// one that it unpacks to.
    pub name: &'a [u8],
    pub is_text: bool,
}

fn regex_of(patterns: &[impl AsRef<str>]) -> Result<Regex, Box<BuildError>> {
    build(patterns, Regex::config())
}

fn build(patterns: &[impl AsRef<str>], config: Config) -> Result<Regex, Box<BuildError>> {
    Regex::builder()
        .configure(config.utf8_empty(false).nfa_size_limit(Some(32 << 20)))
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .build_many(patterns)
        .map_err(Box::new)
}

/// The literals, pass by pass, so that each pass stops seldom: on text this is more than twice as
/// fast as by the alphabet.
fn passes(mut literals: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    literals.sort();
    literals.dedup();
    // A short literal makes its whole pass compare fewer bytes, and stop for what only begins alike.
    // What begins with one goes with it, or both would tell the same place.
    let is_short = |literal: &Vec<u8>| literal.len() < TEDDY_BYTES;
    let shortest: Vec<Vec<u8>> = literals.iter().filter(|one| is_short(one)).cloned().collect();
    let (short, mut long): (Vec<_>, Vec<_>) = literals
        .into_iter()
        .partition(|literal| shortest.iter().any(|short| literal.starts_with(short)));
    // Teddy puts into one bucket what has the same low halves in its first bytes: elsewhere the same
    // halves would fill another.
    long.sort_by_cached_key(|literal| {
        let halves = literal.iter().take(TEDDY_BYTES).map(|byte| byte & 0xf);
        (halves.collect::<Vec<_>>(), literal.clone())
    });
    let chunks = [short, long];
    chunks.iter().flat_map(|all| all.chunks(LITERALS_A_PASS)).map(<[_]>::to_vec).collect()
}

/// The literals of a rule, in the cases that it takes.
fn literals(rule: &RuleFile) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for keyword in &rule.keywords {
        if rule.any_case {
            let lower = keyword.to_ascii_lowercase();
            let mut capital = lower.clone();
            if let Some(first) = capital.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            all.extend([lower.into_bytes(), capital.into_bytes()]);
            all.push(keyword.to_ascii_uppercase().into_bytes());
        } else {
            all.push(keyword.clone().into_bytes());
        }
    }
    all
}

fn check(rule: &RuleFile) -> Result<(), String> {
    let id = &rule.id;
    if rule.keywords.is_empty() || rule.keywords.iter().any(|keyword| keyword.len() < 3) {
        return Err(format!("rule {id}: it has no keyword, or one shorter than 3 bytes"));
    }
    for pattern in std::iter::once(&rule.pattern).chain(&rule.allow) {
        regex_of(&[pattern]).map_err(|e| {
            use std::error::Error as _;
            let cause = e.source().map_or_else(|| e.to_string(), ToString::to_string);
            format!("rule {id}: {cause}")
        })?;
    }
    Ok(())
}

/// Shannon's entropy of bytes, in bits a byte.
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    #[allow(clippy::cast_precision_loss)] // No secret has 2^52 bytes.
    let length = bytes.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    -shares.map(|share| share * share.log2()).sum::<f64>()
}

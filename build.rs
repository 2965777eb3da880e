//! Turns `checks/*.toml` into constants, so that no run spends time on reading its own catalogue.
//!
//! A file that does not fit the schema, a message key without its text in both languages, or a
//! severity that does not exist fails the build here, with the file's name.

#![allow(clippy::disallowed_methods)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/catalog/schema.rs"]
#[allow(dead_code)]
mod schema;
#[path = "src/secrets/schema.rs"]
#[allow(dead_code)]
mod secrets;

use schema::{
    CheckFile, DefectFile, FaqFile, FixedFile, OperationFile, PathFile, PeerFile, ProfileFile,
    QuestionFile, ReleaseFile, RuleFile, TextsFile,
};

fn main() {
    println!("cargo::rerun-if-changed=checks");
    println!("cargo::rerun-if-changed=src/catalog/schema.rs");
    println!("cargo::rerun-if-changed=src/secrets/schema.rs");
    // Only packaging/build links by it, with a flag whose file cargo does not look into.
    println!("cargo::rerun-if-changed=packaging/link/daemon.ld");
    let mut code = String::new();
    let mut defects = "/// Every known defect, in the order of the table.\n\
        pub const DEFECTS: &[Defect] = &[\n"
        .to_owned();
    let mut releases = "/// Every release that has ended, in the order of the table.\n\
        pub const RELEASES: &[Release] = &[\n"
        .to_owned();
    let mut fixed = "/// Every fixed version, in the order of the table.\n\
        pub const FIXED: &[Fixed] = &[\n"
        .to_owned();
    let mut paths = "/// Every listed path, by check.\n\
        pub static LISTED: &[ListedPath] = &[\n"
        .to_owned();
    code.push_str(
        "/// Every built-in check, sorted by id.\npub static CHECKS: &[CheckSpec] = &[\n",
    );
    for path in toml_files(Path::new("checks")) {
        let check: CheckFile = read(&path);
        push_check(&mut code, &path, &check);
        check.defect.iter().for_each(|row| push_defect(&mut defects, &path, &check, row));
        check.release.iter().for_each(|row| push_release(&mut releases, &path, row));
        check.fixed.iter().for_each(|row| push_fixed(&mut fixed, &path, row));
        check.path.iter().for_each(|row| push_paths(&mut paths, &path, row));
    }
    defects.push_str("];\n");
    releases.push_str("];\n");
    fixed.push_str("];\n");
    paths.push_str("];\n");
    code.push_str(
        "];\n\n/// Every profile, sorted by name.\npub static PROFILES: &[Profile] = &[\n",
    );
    for path in toml_files(Path::new("checks/profiles")) {
        let profile: ProfileFile = read(&path);
        push_profile(&mut code, &path, &profile);
    }
    code.push_str(
        "];\n\n/// The questions that users ask, in the order of their FAQs.\n\
         pub static QUESTIONS: &[Question] = &[\n",
    );
    for path in toml_files(Path::new("checks/faq")) {
        let faq: FaqFile = read(&path);
        push_questions(&mut code, &path, &faq);
    }
    code.push_str("];\n\n/// What others do, sorted by file.\npub static PEERS: &[Peer] = &[\n");
    for path in toml_files(Path::new("checks/peers")) {
        let peer: PeerFile = read(&path);
        push_peer(&mut code, &path, &peer);
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("secrets.rs"), secret_rules()).expect("OUT_DIR is writable");
    fs::write(out.join("catalogue.rs"), code).expect("OUT_DIR is writable");
    fs::write(out.join("defects.rs"), defects).expect("OUT_DIR is writable");
    fs::write(out.join("releases.rs"), releases).expect("OUT_DIR is writable");
    fs::write(out.join("paths.rs"), paths).expect("OUT_DIR is writable");
    fs::write(out.join("fixed.rs"), fixed).expect("OUT_DIR is writable");
}

/// The files of rules as texts: a site's own are read by the same code.
fn secret_rules() -> String {
    let mut code = "/// The rules that come with the program, by file name, sorted.\n\
        static BUILT_IN: &[(&str, &str)] = &[\n"
        .to_owned();
    for path in toml_files(Path::new("checks/secrets")) {
        let file: secrets::RulesFile = read(&path);
        for rule in &file.rule {
            let place = format!("{}: {}", path.display(), rule.id);
            assert!(!rule.positive.is_empty(), "{place} has no positive example");
            assert!(!rule.negative.is_empty(), "{place} has no negative example");
            assert!(!rule.references.is_empty(), "{place} does not say where its format is told");
        }
        let full = fs::canonicalize(&path).expect("a path that was just read");
        writeln!(code, "({:?}, include_str!({full:?})),", path.display().to_string())
            .expect("a String takes all");
    }
    code.push_str("];\n");
    code
}

fn toml_files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap_or_else(|e| panic!("cannot list {}: {e}", directory.display()))
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    paths
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text =
        fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn stem(path: &Path) -> &str {
    path.file_stem().and_then(|s| s.to_str()).expect("a file name in UTF-8")
}

fn push_check(code: &mut String, path: &Path, check: &CheckFile) {
    let rule = match &check.rule {
        RuleFile::Native(probe) => format!("Rule::Native({probe:?})"),
        RuleFile::Paths => "Rule::Paths".to_owned(),
    };
    let has_paths = matches!(check.rule, RuleFile::Paths);
    assert!(has_paths != check.path.is_empty(), "{}: [[path]] and its rule", path.display());
    for (language, texts) in [("en", &check.en), ("zh", &check.zh)] {
        for key in check.findings.keys() {
            assert!(
                texts.findings.contains_key(key),
                "{}: [{language}.findings] has no text for `{key}`",
                path.display()
            );
        }
        for key in texts.findings.keys() {
            assert!(
                check.findings.contains_key(key),
                "{}: [{language}.findings] has `{key}`, which [findings] does not declare",
                path.display()
            );
        }
    }
    assert!(
        check.en.not_applicable.keys().eq(check.zh.not_applicable.keys()),
        "{}: [en.not-applicable] and [zh.not-applicable] differ in keys",
        path.display()
    );
    write!(
        code,
        "CheckSpec {{ id: {:?}, severity: {}, category: {}, since: {:?}, live: {}, offline: {}, \
         families: &{:?}, references: &{:?}, informs: {}, rule: {}, fix: {}, findings: &[",
        stem(path),
        severity(path, &check.severity),
        category(path, &check.category),
        check.since,
        check.on.iter().any(|w| w == "live"),
        check.on.iter().any(|w| w == "offline"),
        check.families,
        check.references,
        check.informs,
        rule,
        match &check.fix {
            None => "None".to_owned(),
            Some(fix) => format!(
                "Some(FixSpec {{ actions: &{:?}, reversible: {} }})",
                fix.actions, fix.reversible
            ),
        },
    )
    .expect("a String takes all");
    for (key, finding) in &check.findings {
        let own = match &finding.severity {
            None => "None".to_owned(),
            Some(word) => format!("Some({})", severity(path, word)),
        };
        write!(code, "FindingSpec {{ key: {key:?}, severity: {own} }}, ")
            .expect("a String takes all");
    }
    writeln!(code, "], en: {}, zh: {} }},", texts(&check.en), texts(&check.zh))
        .expect("a String takes all");
}

fn push_defect(code: &mut String, path: &Path, check: &CheckFile, row: &DefectFile) {
    let (path, key) = (path.display(), &row.key);
    assert!(check.findings.contains_key(key), "{path}: [findings] does not declare `{key}`");
    let has_range = row.from.is_some() && row.before.is_some();
    assert!(has_range == row.kernels.is_empty(), "{path}: `{key}` has kernels, or from and before");
    assert!(row.with.as_deref().is_none_or(|with| with == "nfs"), "{path}: `{key}`: with is `nfs`");
    assert!(!row.os.is_empty() && !row.source.is_empty(), "{path}: `{key}` has no os or source");
    writeln!(
        code,
        "Defect {{ key: {key:?}, os: &{:?}, kernels: &{:?}, range: {:?}, with_nfs: {}, without: {:?} }},",
        row.os,
        row.kernels,
        row.from.as_ref().zip(row.before.as_ref()),
        row.with.is_some(),
        row.without,
    )
    .expect("a String takes all");
}

fn push_release(code: &mut String, path: &Path, row: &ReleaseFile) {
    let is_full = !row.os.is_empty() && !row.hosts.is_empty() && !row.source.is_empty();
    assert!(is_full, "{}: a release has no os, hosts or source", path.display());
    writeln!(
        code,
        "Release {{ os: &{:?}, version: {}, ended: {:?}, hosts: &{:?}, kept: &{:?}, instead: {:?} }},",
        row.os, row.version, row.ended, row.hosts, row.kept, row.instead,
    )
    .expect("a String takes all");
}

fn push_fixed(code: &mut String, path: &Path, row: &FixedFile) {
    let is_full = !row.os.is_empty() && !row.cve.is_empty() && !row.source.is_empty();
    assert!(is_full, "{}: a fixed version has no os, cve or source", path.display());
    writeln!(
        code,
        "Fixed {{ os: &{:?}, version: {}, package: {:?}, fixed: {:?}, since: {:?}, cve: {:?} }},",
        row.os, row.version, row.package, row.fixed, row.since, row.cve,
    )
    .expect("a String takes all");
}

fn push_paths(code: &mut String, path: &Path, row: &PathFile) {
    let how = match row.how.as_str() {
        "remove" => "ErasureKind::Remove",
        "remove-file" => "ErasureKind::RemoveFile",
        "contents" => "ErasureKind::Contents",
        "truncate" => "ErasureKind::Truncate",
        word => panic!("{}: nothing is done by `{word}`", path.display()),
    };
    for glob in &row.glob {
        let is_whole = glob.starts_with('/') || glob.starts_with("~/");
        assert!(is_whole, "{}: `{glob}` is neither absolute nor below ~/", path.display());
        writeln!(
            code,
            "ListedPath {{ check: {:?}, glob: {glob:?}, how: {how}, except: &{:?}, families: &{:?}, older_than: {:?} }},",
            stem(path),
            row.except,
            row.families,
            row.older_than,
        )
        .expect("a String takes all");
    }
}

fn texts(texts: &TextsFile) -> String {
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(k, v)| format!("({k:?}, {:?})", v.trim())).collect::<Vec<_>>().join(", ")
    };
    format!(
        "Texts {{ title: {:?}, why: {:?}, remedy: {:?}, findings: &[{}], not_applicable: &[{}] }}",
        texts.title.trim(),
        texts.why.trim(),
        texts.remedy.trim(),
        pairs(&texts.findings),
        pairs(&texts.not_applicable)
    )
}

fn push_profile(code: &mut String, path: &Path, profile: &ProfileFile) {
    let mut rows = String::new();
    for (id, word) in &profile.severity {
        assert!(
            Path::new("checks").join(format!("{id}.toml")).exists(),
            "{}: there is no check `{id}`",
            path.display()
        );
        let value = if word == "off" {
            "None".to_owned()
        } else {
            format!("Some({})", severity(path, word))
        };
        write!(rows, "({id:?}, {value}), ").expect("a String takes all");
    }
    let mut findings = String::new();
    for (id, keys) in &profile.finding {
        let check: CheckFile = read(&Path::new("checks").join(format!("{id}.toml")));
        for (key, word) in keys {
            assert!(check.findings.contains_key(key), "{}: {id} files no `{key}`", path.display());
            write!(findings, "({id:?}, {key:?}, {}), ", severity(path, word))
                .expect("a String takes all");
        }
    }
    writeln!(
        code,
        "Profile {{ name: {:?}, en: {:?}, zh: {:?}, severity: &[{rows}], findings: &[{findings}], erases: {:?} }},",
        stem(path),
        profile.en,
        profile.zh,
        profile.erases
    )
    .expect("a String takes all");
}

fn push_questions(code: &mut String, path: &Path, faq: &FaqFile) {
    for question in &faq.question {
        let QuestionFile { asks, en, zh, checks, commands } = question;
        assert!(
            !checks.is_empty() || !commands.is_empty(),
            "{}: nothing answers `{asks}`",
            path.display()
        );
        writeln!(
            code,
            "Question {{ asks: {asks:?}, en: {en:?}, zh: {zh:?}, checks: &{checks:?}, commands: &{commands:?} }},"
        )
        .expect("a String takes all");
    }
}

fn push_peer(code: &mut String, path: &Path, peer: &PeerFile) {
    let PeerFile { name, source, operation } = peer;
    writeln!(code, "Peer {{ name: {name:?}, source: {source:?}, operations: &[")
        .expect("a String takes all");
    for OperationFile { name, does, checks, note } in operation {
        assert!(
            !checks.is_empty() || !note.is_empty(),
            "{}: neither a check nor a reason for `{name}`",
            path.display()
        );
        writeln!(
            code,
            "Operation {{ name: {name:?}, does: {does:?}, checks: &{checks:?}, note: {note:?} }},"
        )
        .expect("a String takes all");
    }
    code.push_str("] },\n");
}

fn severity(path: &Path, word: &str) -> &'static str {
    match word {
        "blocker" => "Severity::Blocker",
        "warning" => "Severity::Warning",
        "advice" => "Severity::Advice",
        _ => panic!("{}: there is no severity `{word}`", path.display()),
    }
}

fn category(path: &Path, word: &str) -> &'static str {
    match word {
        "storage" => "Category::Storage",
        "boot" => "Category::Boot",
        "critical-files" => "Category::CriticalFiles",
        "network" => "Category::Network",
        "services" => "Category::Services",
        "identity" => "Category::Identity",
        "residue" => "Category::Residue",
        _ => panic!("{}: there is no category `{word}`", path.display()),
    }
}

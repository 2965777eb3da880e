//! `guestprep generate`

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory;

use super::args::{Cli, GenerateArgs, Generated};
use super::exit::{Exit, Outcome};
use crate::catalog::{CHECKS, CheckSpec, PEERS, PROFILES, QUESTIONS};
use crate::model::Category;
use crate::sys;

/// The categories in the order of a boot: what is on the disk, what starts it, what it runs.
const CATEGORIES: [(Category, &str); 7] = [
    (Category::Storage, "Storage: will the clone boot without the data disks?"),
    (Category::Boot, "Boot: is the boot chain whole?"),
    (Category::CriticalFiles, "Critical files, which the cloud reads"),
    (Category::Network, "Network: will the clone be reached?"),
    (Category::Services, "Services and kernel state"),
    (Category::Identity, "Identity: what two clones must not share"),
    (Category::Residue, "Residue: what must not leave with a shared image"),
];

pub fn run(_cli: &Cli, args: &GenerateArgs) -> Outcome {
    match &args.what {
        Generated::Catalogue => sys::print(catalogue().as_bytes())?,
        Generated::Schema => sys::print(super::schema::schema().as_bytes())?,
        Generated::Man { output } => man(output.as_deref())?,
        Generated::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "guestprep", &mut text);
            sys::print(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// guestprep(1), and where there is a directory a page for every command in it: guestprep-audit(1),
/// guestprep-swap-on(1).
fn man(directory: Option<&Path>) -> sys::Result<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match directory {
        Some(directory) => pages(&command, "guestprep", directory),
        None => sys::print(&page(&command, "guestprep", "standard output")?),
    }
}

fn pages(command: &clap::Command, name: &str, directory: &Path) -> sys::Result<()> {
    let text = page(command, name, &directory.display().to_string())?;
    sys::write_named(&directory.join(format!("{name}.1")), &text)?;
    for part in command.get_subcommands().filter(|part| !part.is_hide_set()) {
        pages(part, &format!("{name}-{}", part.get_name()), directory)?;
    }
    Ok(())
}

/// A page of a command, for a place that a message names.
fn page(command: &clap::Command, name: &str, to: &str) -> sys::Result<Vec<u8>> {
    // The date of a page would make every build another one.
    let page = clap_mangen::Man::new(command.clone())
        .title(name)
        .date("")
        .source(concat!("guestprep ", env!("CARGO_PKG_VERSION")))
        .manual("guestprep");
    let mut text = Vec::new();
    page.render(&mut text)
        .map_err(|error| sys::Error::new("write", to, sys::ErrorKind::Other, error))?;
    Ok(text)
}

/// `checks/README.md`.
fn catalogue() -> String {
    let mut out = String::from(
        "<!-- Written by `guestprep generate catalogue > checks/README.md`; change checks/*.toml instead. -->\n\n\
         # The checks\n\n\
         Every check is a file `<check-id>.toml` in this directory. Severities are those of the profiles \
         clone, share and import; a finding can weigh less than its check. *Fix* is what `guestprep prepare` \
         does, by policy where the check says so, and `guestprep rollback` undoes it; what is done *for good* nothing \
         undoes, and it is done under a profile that asks for it (share), or when the check or its category is named.\n",
    );
    for (category, heading) in CATEGORIES {
        let specs: Vec<&CheckSpec> = CHECKS.iter().filter(|s| s.category == category).collect();
        if specs.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n## {heading}\n");
        out.push_str("| check | clone | share | import | fix | what is wrong |\n");
        out.push_str("|---|---|---|---|---|---|\n");
        for spec in &specs {
            let fix = spec.fix.as_ref().map_or(String::new(), |fix| {
                let for_good = if fix.reversible { "" } else { " for good" };
                fix.actions.join(", ") + for_good
            });
            let _ = writeln!(
                out,
                "| [{id}](#{id}) | {} | {} | {} | {fix} | {} |",
                severity(spec, "clone"),
                severity(spec, "share"),
                severity(spec, "import"),
                spec.en.title,
                id = spec.id,
            );
        }
    }
    out.push_str(
        "\n## The questions that users ask\n\n\
         The questions of the image FAQ of Alibaba Cloud ECS that concern a Linux guest, what the FAQ says, \
         and what answers them here. `guestprep explain CHECK` names them too. Questions about prices, quotas, \
         consoles, Windows, FreeBSD, licences and the choice of a system are not about a guest's state, and \
         upgrading a distribution is another tool's work.\n\n\
         | question | what the FAQ says | answered by |\n|---|---|---|\n",
    );
    for question in QUESTIONS {
        let checks = question.checks.iter().map(|id| format!("[{id}](#{id})"));
        let commands = question.commands.iter().map(|command| format!("`guestprep {command}`"));
        let by: Vec<String> = checks.chain(commands).collect();
        let _ = writeln!(out, "| {} | {} | {} |", question.asks, question.en, by.join(", "));
    }
    peers(&mut out);
    for spec in CHECKS {
        section(&mut out, spec);
    }
    out
}

/// What others take away before an image is made, operation by operation.
fn peers(out: &mut String) {
    out.push_str(
        "\n## What others do\n\n\
         Every operation of the tools that clean a guest for an image: the check of ours that sees to the same, \
         or why none does.\n",
    );
    for peer in PEERS {
        let _ = writeln!(out, "\n**{}** ({})\n", peer.name, peer.source);
        out.push_str("| operation | what it is about | here |\n|---|---|---|\n");
        for operation in peer.operations {
            let ids: Vec<String> =
                operation.checks.iter().map(|id| format!("[{id}](#{id})")).collect();
            let parts = [ids.join(", "), operation.note.to_owned()];
            let parts = parts.iter().filter(|part| !part.is_empty());
            let here = parts.map(String::as_str).collect::<Vec<_>>().join(". ");
            let _ = writeln!(out, "| {} | {} | {here} |", operation.name, operation.does);
        }
    }
}

/// One check in full, under its id as the anchor.
fn section(out: &mut String, spec: &CheckSpec) {
    let texts = &spec.en;
    let _ = writeln!(out, "\n### {}\n\n**{}.** {}\n", spec.id, texts.title, texts.why);
    let _ = writeln!(out, "{}\n", texts.remedy);
    for (key, message) in texts.findings {
        let weighs = spec.finding_severity(key).map(|s| format!(" ({s})")).unwrap_or_default();
        let _ = writeln!(out, "- `{key}`{weighs}: {message}");
    }
    let _ = writeln!(out, "\nSources: {}", spec.references.join("; "));
}

/// The word of a profile's severity; a dash where the check is not run.
fn severity(spec: &CheckSpec, profile: &str) -> &'static str {
    let found = PROFILES.iter().find(|known| known.name == profile);
    found.and_then(|profile| profile.severity_of(spec)).map_or("-", |severity| severity.as_str())
}

//! From what was typed to what it means: the guest, the settings, the language, the colours.

use std::path::{Path, PathBuf};

use super::args::{Cli, Color, Lang, LookArgs, SelectArgs, TargetArgs};
use super::exit::{Exit, Trouble};
use crate::catalog::{self, CHECKS, Config, Language, PROFILES, Profile};
use crate::change::{Recovered, RolledBack, Store, recover};
use crate::engine::{Selection, Settings};
use crate::guest::{Guest, Mode, SavedSettings};
use crate::model::{Category, CheckId, Policy, Report, VerdictName};
use crate::report::Style;
use crate::sys::{self, ErrorKind, Lock};

/// Where the operator's configuration lies.
const CONFIG: &str = "/etc/guestprep/config.toml";
/// And its parts, which come after it.
const CONFIG_PARTS: &str = "/etc/guestprep/conf.d";
/// And the site's rules for the secret scan.
const SECRET_RULES: &str = "/etc/guestprep/secrets.d";
/// No configuration is larger than this.
const MAX_CONFIG: u64 = 1 << 20;

/// What selection and configuration mean.
pub struct Choice {
    /// The configuration.
    pub config: Config,
    /// The profile.
    pub profile: &'static Profile,
    select: Selection,
    fail_on: crate::model::Severity,
    language: Language,
    secret_rules: Vec<(String, String)>,
}

impl Choice {
    /// Read the configuration and understand the selection.
    pub fn read(cli: &Cli, args: &SelectArgs) -> Result<Self, Trouble> {
        Self::in_language(language(cli), args)
    }

    /// As [`Choice::read`], in a language that is known already.
    pub fn in_language(language: Language, args: &SelectArgs) -> Result<Self, Trouble> {
        let mut choice = Self::of(language, args, &config_files(args.config.as_deref())?)?;
        choice.secret_rules = secret_rules()?;
        Ok(choice)
    }

    /// As [`Choice::read`], for a bundle, which brings the configuration that it was made with:
    /// this machine's is for this machine. What is typed goes before both.
    pub fn of_bundle(cli: &Cli, args: &SelectArgs, saved: &SavedSettings) -> Result<Self, Trouble> {
        let mut files: Vec<(PathBuf, String)> = Vec::new();
        match args.config.as_deref() {
            Some(named) => files = config_files(Some(named))?,
            None => {
                let saved = saved.config.iter();
                files.extend(saved.map(|(name, text)| (PathBuf::from(name), text.clone())));
            }
        }
        let mut choice = Self::of(language(cli), args, &files)?;
        if args.profile.is_none() && args.config.is_none() {
            choice.profile = find_profile(&saved.profile)?;
        }
        Ok(choice)
    }

    /// Without the site's rules of the secret scan.
    fn of(
        language: Language,
        args: &SelectArgs,
        files: &[(PathBuf, String)],
    ) -> Result<Self, Trouble> {
        let config = parse_config(files)?;
        let name = args.profile.as_deref().or(config.profile.as_deref()).unwrap_or("clone");
        let profile = find_profile(name)?;
        let category = args.category.as_deref().map(find_category).transpose()?;
        let select = Selection {
            only: find_checks(&args.checks)?,
            skip: find_checks(&args.skip)?,
            category,
        };
        let (fail_on, secret_rules) = (args.fail_on.into(), Vec::new());
        Ok(Self { config, profile, select, fail_on, language, secret_rules })
    }

    /// How an audit is to be made.
    pub fn settings(&self) -> Settings<'_> {
        Settings {
            profile: self.profile,
            config: &self.config,
            language: self.language,
            fail_on: self.fail_on,
            selection: Selection {
                only: self.select.only.clone(),
                skip: self.select.skip.clone(),
                category: self.select.category,
            },
        }
    }

    /// What is wanted of the guest.
    pub fn policy(&self, system_disk: Option<&str>) -> Policy {
        let mounts = &self.config.mounts;
        Policy {
            data_disks: mounts.data_disks.unwrap_or_default(),
            umount: mounts.umount.unwrap_or_default(),
            system: mounts.system.clone().unwrap_or_default(),
            system_disk: system_disk.map(str::to_owned),
            clear_flags: mounts.clear_flags.unwrap_or(false),
            dns: self.config.dns.single_request_reopen.unwrap_or_default(),
            selinux: self.config.selinux.want.unwrap_or_default(),
            swap: self.config.swap.want.unwrap_or_default(),
            metadata: self.config.metadata.policy(),
            mitigations: self.config.mitigations.want.unwrap_or_default(),
            kdump: self.config.kdump.want.unwrap_or_default(),
            fixed_address: self.config.network.fixed.unwrap_or_default(),
            own_hosts: self.config.network.own_hosts.unwrap_or_default(),
            users: self.config.clean.users.clone().unwrap_or_default(),
            leaves_contents: false,
            secret_rules: self.secret_rules.clone(),
        }
    }
}

fn find_profile(name: &str) -> Result<&'static Profile, Trouble> {
    catalog::profile(name).ok_or_else(|| {
        let known: Vec<&str> = PROFILES.iter().map(|p| p.name).collect();
        Trouble::usage(format!("there is no profile {name}"))
            .hint(format!("there are {}", known.join(", ")))
    })
}

/// The language that titles and messages are to be in.
pub fn language(cli: &Cli) -> Language {
    match cli.lang {
        Some(Lang::En) => Language::En,
        Some(Lang::Zh) => Language::Zh,
        None => ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .map_or(Language::En, |locale| Language::of_locale(&locale)),
    }
}

/// The guest that is meant.
pub fn guest(root: Option<&Path>, policy: Policy) -> Result<Guest, Trouble> {
    let opened = match root {
        Some(path) => Guest::tree(path, policy),
        None => Guest::live(policy),
    };
    opened.map_err(|error| {
        let exit = if root.is_some() { Exit::Usage } else { Exit::Undetermined };
        let trouble = Trouble::new(exit, &error);
        match root {
            Some(_) => trouble.hint("--root takes the directory that holds the guest's tree"),
            None => trouble,
        }
    })
}

/// The state directory of a guest that is to be changed, made where it is missing, and its lock.
pub fn store(guest: &Guest, state_dir: Option<&Path>) -> Result<(Store, Lock), Trouble> {
    let store = Store::create(guest, state_dir).map_err(nothing_changed)?;
    let lock = store.lock().map_err(nothing_changed)?;
    Ok((store, lock))
}

/// The system refused, before anything of the guest was touched. That is no wrong use.
pub fn nothing_changed(error: sys::Error) -> Trouble {
    match error.kind() {
        ErrorKind::Busy => Trouble::from(error),
        _ => Trouble::new(Exit::Failed, format!("{error}; nothing was changed")),
    }
}

/// Undo whatever a killed run left of this guest. A run that is at work now is left alone.
pub fn finish_interrupted(root: Option<&Path>, state_dir: Option<&Path>) -> Result<(), Trouble> {
    let guest = guest(root, Policy::default())?;
    let store = match Store::open(&guest, state_dir) {
        Ok(Some(store)) => store,
        Ok(None) => return Ok(()),
        // An ordinary user may not see the state directory, and has nothing to finish there.
        Err(error) if error.kind() == ErrorKind::Permission && !sys::is_root() => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !sys::is_root() {
        return Ok(());
    }
    let _lock = match store.lock() {
        Ok(lock) => lock,
        Err(error) if error.kind() == ErrorKind::Busy => return Ok(()),
        Err(error) if error.kind() == ErrorKind::ReadOnly => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    finish_interrupted_in(&guest, &store)
}

/// As [`finish_interrupted`], with the lock held.
pub fn finish_interrupted_in(guest: &Guest, store: &Store) -> Result<(), Trouble> {
    for recovered in recover(guest, store)? {
        let (what, result) = match recovered {
            Recovered::RolledBack { what, result } => (what, result),
            Recovered::Finished { id, failures } => {
                sys::say(&format!("run {id} was cut short in phase 2; it is finished now"));
                failures.iter().for_each(|error| sys::say(&error.to_string()));
                continue;
            }
            Recovered::Left { id, what, why } => {
                sys::say(&format!(
                    "run {id} {what}, and is left as it is: {why}; if this is no clone, \
                     `guestprep rollback {id}` undoes it"
                ));
                continue;
            }
        };
        if result.left.is_empty() {
            sys::say(&format!("run {} {}; it is rolled back now", result.id, what));
        } else {
            return Err(incomplete(&result, what));
        }
    }
    Ok(())
}

/// What a rollback could not undo, as trouble.
pub fn incomplete(result: &RolledBack, what: &str) -> Trouble {
    let left: Vec<String> =
        result.left.iter().map(|l| format!("  {}: {}", l.step, l.reason)).collect();
    Trouble::new(
        Exit::Incomplete,
        format!(
            "run {} {what}; not all of it could be rolled back:\n{}",
            result.id,
            left.join("\n")
        ),
    )
    .hint(format!("mend what is named, then `guestprep rollback {}`", result.id))
}

/// Who is not root learns that root may be told what could not be told here.
pub fn say_what_root_would_see(args: &LookArgs, guest: &Guest, report: &Report) {
    let is_here = guest.mode() == Mode::Live && args.bundle.is_none();
    let unknown = report.checks.iter().filter(|check| check.verdict == VerdictName::Unknown);
    let count = unknown.count();
    if is_here && count > 0 && !sys::is_root() && !args.output.quiet {
        sys::say(&format!("unknown {count}, and root may read more: run it with sudo"));
    }
}

/// Changing a guest needs root, whoever owns the tree: owners, labels and flags must be kept.
pub fn require_root(command: &str) -> Result<(), Trouble> {
    if sys::is_root() {
        return Ok(());
    }
    Err(Trouble::usage(format!("{command} changes the guest and needs root; nothing was changed"))
        .hint(format!("run `sudo guestprep {command}`")))
}

/// The style of what goes to standard output.
pub fn style(color: Color, to_file: bool) -> Style {
    match color {
        Color::Always => Style::colored(),
        Color::Never => Style::plain(),
        Color::Auto => {
            let plain = to_file
                || !sys::is_terminal_out()
                || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            if plain { Style::plain() } else { Style::colored() }
        }
    }
}

/// The target's paths made absolute, before the working directory is left.
pub fn absolute(target: &TargetArgs) -> Result<(Option<PathBuf>, Option<PathBuf>), Trouble> {
    let make = |path: &Option<PathBuf>| path.as_deref().map(sys::absolute).transpose();
    Ok((make(&target.root)?, make(&target.state_dir)?))
}

pub fn read_config(named: Option<&Path>) -> Result<Config, Trouble> {
    parse_config(&config_files(named)?)
}

/// The configuration's files and their texts, in the order that they count in.
pub fn config_files(named: Option<&Path>) -> Result<Vec<(PathBuf, String)>, Trouble> {
    let paths = match named {
        Some(path) => vec![path.to_owned()],
        None => {
            let mut paths = vec![PathBuf::from(CONFIG)];
            paths.extend(sys::list_named(Path::new(CONFIG_PARTS), ".toml")?);
            paths
        }
    };
    let mut files = Vec::new();
    for path in paths {
        let Some(bytes) = sys::read_named(&path, MAX_CONFIG)? else {
            if named.is_some() {
                return Err(Trouble::usage(format!(
                    "cannot read {}: there is no such file",
                    path.display()
                )));
            }
            continue;
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| Trouble::usage(format!("{}: it is not UTF-8", path.display())))?;
        files.push((path, text));
    }
    Ok(files)
}

/// The site's own rules for the secret scan, by name and text of their files.
pub fn secret_rules() -> Result<Vec<(String, String)>, Trouble> {
    let mut files = Vec::new();
    for path in sys::list_named(Path::new(SECRET_RULES), ".toml")? {
        files.extend(config_files(Some(&path))?);
    }
    Ok(files.into_iter().map(|(path, text)| (path.display().to_string(), text)).collect())
}

fn parse_config(files: &[(PathBuf, String)]) -> Result<Config, Trouble> {
    let mut config = Config::default();
    for (path, text) in files {
        config.merge(Config::parse(path, text).map_err(Trouble::usage)?);
    }
    Ok(config)
}

fn find_checks(ids: &[String]) -> Result<Vec<CheckId>, Trouble> {
    ids.iter()
        .flat_map(|ids| ids.split(','))
        .map(|id| match catalog::check(id) {
            Some(spec) => Ok(CheckId::from(spec.id)),
            None => Err(no_such_check(id)),
        })
        .collect()
}

/// There is no check of that name; perhaps another was meant.
pub fn no_such_check(id: &str) -> Trouble {
    let trouble = Trouble::usage(format!("there is no check {id}"));
    match catalog::nearest(id, CHECKS.iter().map(|c| c.id)) {
        Some(name) => trouble.hint(format!("did you mean {name}? `guestprep list` shows all")),
        None => trouble.hint("`guestprep list` shows all"),
    }
}

fn find_category(name: &str) -> Result<Category, Trouble> {
    const ALL: [Category; 7] = [
        Category::Storage,
        Category::Boot,
        Category::CriticalFiles,
        Category::Network,
        Category::Services,
        Category::Identity,
        Category::Residue,
    ];
    ALL.into_iter().find(|c| c.as_str() == name).ok_or_else(|| {
        let known: Vec<&str> = ALL.iter().map(|c| c.as_str()).collect();
        Trouble::usage(format!("there is no category {name}"))
            .hint(format!("there are {}", known.join(", ")))
    })
}

//! The menu of GRUB 2: its script run as far as it decides what is booted.
//!
//! Variables, conditions, functions, `load_env`, `search`, `configfile`, `source` and `blscfg` are done as GRUB does them;
//! a command that draws, loads modules or waits is taken to succeed. What cannot be followed is a doubt with its line.

mod commands;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::menu::{Item, Menu, What};
use super::paths::BootPaths;
use super::test::{self, FileTest};
use super::{BootEntries, BootEntry, BootFile, Loader};
use crate::guest::{Fact, FileKind, Guest, Unknown};
use crate::model::{ByteString, GuestPath};
use crate::parse::grub_script::{self, Command, Piece, Statement, Word};

/// A configuration of some thousand entries takes fewer statements.
const MAX_STEPS: usize = 200_000;
/// Functions, submenus and files that lead to files, in each other.
const MAX_DEPTH: usize = 16;

/// Variables that GRUB itself sets before it reads a configuration, as 2.02 and later do.
const FEATURES: [&str; 9] = [
    "feature_chainloader_bpb",
    "feature_ntldr",
    "feature_platform_search_hint",
    "feature_default_font_path",
    "feature_all_video_module",
    "feature_menuentry_id",
    "feature_menuentry_options",
    "feature_200_final",
    "feature_nativedisk_cmd",
];

/// Run the configuration and list its menu.
pub fn read(
    guest: &Guest,
    paths: &BootPaths,
    config: &GuestPath,
    is_efi: bool,
) -> Fact<BootEntries> {
    let mut run = Run::new(guest, paths, config, is_efi);
    run.file(config)?;
    let wanted = run.env.get(&b"default"[..]).cloned();
    let timeout = run.env.get(&b"timeout"[..]).map(|value| ByteString::from(value.as_slice()));
    let menu = std::mem::take(&mut run.menu);
    let mut entries = Vec::new();
    let shown = run.boot_all(&menu, &mut entries)?;
    let default = shown.choose(wanted.as_deref());
    Ok(BootEntries {
        loader: Loader::Grub2,
        config: config.clone(),
        files: run.files,
        entries,
        default,
        timeout,
        doubts: run.doubts,
    })
}

type Env = BTreeMap<Vec<u8>, Vec<u8>>;

/// A line of the menu before its block is run.
struct Line {
    title: Vec<u8>,
    id: Option<Vec<u8>>,
    file: GuestPath,
    line: usize,
    /// Whether it is for none but the users that it names and the superusers.
    is_restricted: bool,
    body: Body,
}

enum Body {
    Entry(Rc<[Statement]>),
    Submenu(Rc<[Statement]>),
    Bls(Box<BootEntry>),
}

/// What an entry's block boots.
#[derive(Default)]
struct Booted {
    kernel: Option<BootFile>,
    arguments: Vec<u8>,
    initrds: Vec<BootFile>,
}

struct Run<'a> {
    guest: &'a Guest,
    paths: &'a BootPaths,
    env: Env,
    functions: BTreeMap<Vec<u8>, Rc<[Statement]>>,
    menu: Vec<Line>,
    /// Set while an entry's block is run.
    booted: Option<Booted>,
    /// The file that is run now.
    here: GuestPath,
    files: Vec<GuestPath>,
    doubts: Vec<String>,
    steps: usize,
    depth: usize,
    /// Set by a `return` or by a file that took over.
    is_over: bool,
}

impl<'a> Run<'a> {
    fn new(guest: &'a Guest, paths: &'a BootPaths, config: &GuestPath, is_efi: bool) -> Self {
        let mut env = Env::new();
        let mut set = |name: &str, value: &[u8]| env.insert(name.into(), value.to_vec());
        for name in FEATURES {
            set(name, b"y");
        }
        set("menuentry_id_option", b"--id");
        set("grub_cpu", if is_efi { b"x86_64" } else { b"i386" });
        set("grub_platform", if is_efi { b"efi" } else { b"pc" });
        let directory = [b"(guest)", config.parent().as_bytes()].concat();
        set("prefix", &directory);
        set("config_directory", &directory);
        Self {
            guest,
            paths,
            env,
            functions: BTreeMap::new(),
            menu: Vec::new(),
            booted: None,
            here: config.clone(),
            files: Vec::new(),
            doubts: Vec::new(),
            steps: 0,
            depth: 0,
            is_over: false,
        }
    }

    /// Run a configuration file.
    fn file(&mut self, path: &GuestPath) -> Fact<()> {
        let Some(content) = self.guest.file(path)? else {
            self.doubts.push(format!("{}: it leads to {path}, which is not there", self.here));
            return Ok(());
        };
        let script = grub_script::parse(&content)
            .map_err(|error| Unknown(format!("{path}:{}: {}", error.line, error.reason)))?;
        if !self.files.contains(path) {
            self.files.push(path.clone());
        }
        let before = std::mem::replace(&mut self.here, path.clone());
        self.deeper(|run| run.all(&script).map(|_| ()))?;
        self.here = before;
        Ok(())
    }

    fn deeper<T>(&mut self, what: impl FnOnce(&mut Self) -> Fact<T>) -> Fact<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Unknown(format!("{}: it leads back to itself", self.here)));
        }
        self.depth += 1;
        let result = what(self);
        self.depth -= 1;
        result
    }

    /// Run statements; answers whether the last command succeeded.
    fn all(&mut self, statements: &[Statement]) -> Fact<bool> {
        let mut status = true;
        for statement in statements {
            if self.is_over {
                break;
            }
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Unknown(format!("{}: it does not come to an end", self.here)));
            }
            status = match statement {
                Statement::Command(command) => self.command(command)?,
                Statement::Function { name, body } => {
                    self.functions.insert(name.clone(), body.as_slice().into());
                    true
                }
                Statement::Loop { line, body } => {
                    if decides(body) {
                        self.doubts.push(format!("{}:{line}: a loop makes entries", self.here));
                    }
                    true
                }
                Statement::If { branches, otherwise } => self.conditional(branches, otherwise)?,
            };
        }
        Ok(status)
    }

    fn conditional(
        &mut self,
        branches: &[(Vec<Statement>, Vec<Statement>)],
        otherwise: &[Statement],
    ) -> Fact<bool> {
        for (condition, body) in branches {
            if self.all(condition)? {
                return self.all(body);
            }
        }
        self.all(otherwise)
    }

    fn command(&mut self, command: &Command) -> Fact<bool> {
        if let Some(block) = &command.block {
            return Ok(self.menu_line(command, block));
        }
        let words = self.expand_all(&command.words);
        let Some(name) = words.first() else { return Ok(true) };
        if let Some(body) = self.functions.get(name).cloned() {
            return self.deeper(|run| run.all(&body));
        }
        self.builtin(name, &words[1..], command.line)
    }

    /// `menuentry` and `submenu`: the block is run once the whole configuration is read.
    fn menu_line(&mut self, command: &Command, block: &[Statement]) -> bool {
        let words = self.expand_all(&command.words);
        let options = words.get(1..).unwrap_or_default();
        let (title, id) = commands::title_and_id(options);
        let is_restricted = commands::is_restricted(options);
        let body: Rc<[Statement]> = block.into();
        let is_submenu = words.first().is_some_and(|name| name == b"submenu");
        let body = if is_submenu { Body::Submenu(body) } else { Body::Entry(body) };
        let (file, line) = (self.here.clone(), command.line);
        self.menu.push(Line { title, id, file, line, is_restricted, body });
        true
    }

    /// Run the block of every line, as if it were chosen, and give the menu with what it boots.
    fn boot_all(&mut self, lines: &[Line], entries: &mut Vec<BootEntry>) -> Fact<Menu> {
        let mut menu = Menu::default();
        let env = self.env.clone();
        // Without superusers nobody is asked (grub-core/normal/auth.c, is_authenticated()).
        let has_superusers = env.contains_key(&b"superusers"[..]);
        for line in lines {
            self.here = line.file.clone();
            self.env = env.clone();
            self.is_over = false;
            let first = entries.len();
            let what = match &line.body {
                Body::Bls(entry) => {
                    entries.push((**entry).clone());
                    What::Entry(entries.len() - 1)
                }
                Body::Entry(body) => {
                    self.booted = Some(Booted::default());
                    self.all(body)?;
                    let booted = self.booted.take().unwrap_or_default();
                    entries.push(entry(line, booted));
                    What::Entry(entries.len() - 1)
                }
                Body::Submenu(body) => {
                    let inner = self.deeper(|run| {
                        run.all(body)?;
                        let lines = std::mem::take(&mut run.menu);
                        run.boot_all(&lines, entries)
                    })?;
                    What::Submenu(inner)
                }
            };
            // A submenu asks before it boots what is in it.
            for entry in &mut entries[first..] {
                entry.asks_for_password |= line.is_restricted;
                entry.asks_for_password &= has_superusers;
            }
            menu.items.push(Item { title: line.title.clone(), id: line.id.clone(), what });
        }
        self.env = env;
        Ok(menu)
    }

    fn expand_all(&self, words: &[Word]) -> Vec<Vec<u8>> {
        words.iter().flat_map(|word| self.expand(word)).collect()
    }

    /// The words that a word becomes: an unquoted variable is split at blanks, and nothing where it is empty.
    fn expand(&self, word: &Word) -> Vec<Vec<u8>> {
        let mut done = Vec::new();
        let mut open: Option<Vec<u8>> = None;
        for piece in &word.pieces {
            match piece {
                Piece::Text(text) => open.get_or_insert_default().extend_from_slice(text),
                Piece::Variable { name, is_quoted: true } => {
                    open.get_or_insert_default().extend_from_slice(self.value(name));
                }
                Piece::Variable { name, is_quoted: false } => {
                    let mut parts = self.value(name).split(|b| b.is_ascii_whitespace()).peekable();
                    while let Some(part) = parts.next() {
                        if !part.is_empty() {
                            open.get_or_insert_default().extend_from_slice(part);
                        }
                        if parts.peek().is_some() {
                            done.extend(open.take());
                        }
                    }
                }
            }
        }
        done.extend(open);
        done
    }

    fn value(&self, name: &[u8]) -> &[u8] {
        self.env.get(name).map_or(&[], Vec::as_slice)
    }

    fn resolve(&self, path: &[u8]) -> Fact<GuestPath> {
        self.paths.resolve(self.guest, self.value(b"root"), path)
    }

    fn test(&self, words: &[Vec<u8>]) -> Fact<bool> {
        let mut failed = None;
        let mut file = |test: FileTest, path: &[u8]| {
            let about = self.resolve(path).and_then(|path| self.guest.stat(&path));
            match about {
                Ok(None) => false,
                Ok(Some(about)) => match test {
                    FileTest::Exists => true,
                    FileTest::Regular => about.kind == FileKind::Regular,
                    FileTest::NotEmpty => about.size > 0,
                    FileTest::Directory => about.kind == FileKind::Directory,
                },
                Err(why) => {
                    failed = Some(why);
                    false
                }
            }
        };
        let value = test::holds(words, &mut file);
        failed.map_or(Ok(value), Err)
    }
}

fn entry(line: &Line, booted: Booted) -> BootEntry {
    BootEntry {
        title: ByteString::from(line.title.as_slice()),
        id: line.id.as_deref().map(ByteString::from),
        source: line.file.clone(),
        line: line.line,
        arguments_line: booted.kernel.as_ref().map_or(line.line, |kernel| kernel.line),
        kernel: booted.kernel,
        initrds: booted.initrds,
        arguments: crate::parse::kernel_arguments::KernelArguments::parse(&booted.arguments),
        asks_for_password: false,
    }
}

/// Whether statements that may or may not be run would change the menu.
fn decides(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| match statement {
        Statement::Command(command) => {
            let name = command.words.first().and_then(Word::literal).unwrap_or_default();
            let decides = [&b"menuentry"[..], b"submenu", b"blscfg", b"configfile", b"source"];
            decides.contains(&name.as_slice()) || name.starts_with(b"linux")
        }
        Statement::If { branches, otherwise } => {
            branches.iter().any(|(_, body)| decides(body)) || decides(otherwise)
        }
        Statement::Loop { body, .. } | Statement::Function { body, .. } => decides(body),
    })
}

//! The commands of GRUB that decide what is booted.

use super::{Body, Line, Run};
use crate::guest::Fact;
use crate::guest::loader::bls;
use crate::model::ByteString;
use crate::parse::grub_env::GrubEnv;

/// Options of `menuentry` that take a value (GRUB manual, "menuentry").
const WITH_VALUE: [&[u8]; 4] = [b"--class", b"--users", b"--hotkey", b"--source"];

/// The title of a menu entry and its identifier.
pub fn title_and_id(words: &[Vec<u8>]) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut title, mut id) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if let Some(value) = word.strip_prefix(b"--id=") {
            id = Some(value.to_vec());
        } else if word == b"--id" {
            id = words.next().cloned();
        } else if WITH_VALUE.contains(&word.as_slice()) {
            words.next();
        } else if !word.starts_with(b"--") && title.is_none() {
            title = Some(word.clone());
        }
    }
    (title.unwrap_or_default(), id)
}

/// Whether an entry is for none but superusers and the users that it names, where there are superusers: `--users` goes before
/// `--unrestricted`, and without either it is so (GRUB manual, "Security"; grub-core/commands/menuentry.c).
pub fn is_restricted(words: &[Vec<u8>]) -> bool {
    let names = |option: &[u8]| words.iter().any(|word| word == option);
    names(b"--users")
        || words.iter().any(|word| word.starts_with(b"--users="))
        || !names(b"--unrestricted")
}

impl Run<'_> {
    /// Run a command of GRUB; answers whether it succeeds.
    pub(super) fn builtin(&mut self, name: &[u8], words: &[Vec<u8>], line: usize) -> Fact<bool> {
        match name {
            b"[" | b"test" => {
                let words = match words.split_last() {
                    Some((last, rest)) if name == b"[" && last == b"]" => rest,
                    _ => words,
                };
                return self.test(words);
            }
            b"false" | b"keystatus" => return Ok(false),
            b"set" => words.iter().for_each(|word| self.assign(word)),
            b"unset" => words.iter().for_each(|word| {
                self.env.remove(word);
            }),
            b"load_env" => return self.load_env(words),
            b"search" | b"search.fs_uuid" => return Ok(self.search(name, words)),
            b"configfile" | b"normal" | b"source" | b"." => return self.chain(name, words, line),
            b"blscfg" => self.blscfg(words)?,
            b"return" | b"exit" => {
                self.is_over = true;
                return Ok(words.first().is_none_or(|status| status == b"0"));
            }
            b"linux" | b"linux16" | b"linuxefi" | b"kernel" => self.linux(words, line)?,
            b"initrd" | b"initrd16" | b"initrdefi" => self.initrd(words, line)?,
            _ if words.is_empty() && name.contains(&b'=') => self.assign(name),
            _ => {}
        }
        Ok(true)
    }

    fn assign(&mut self, word: &[u8]) {
        if let Some(at) = word.iter().position(|b| *b == b'=') {
            self.env.insert(word[..at].to_vec(), word[at + 1..].to_vec());
        }
    }

    /// `load_env [-f FILE] [--skip-sig] [NAME...]`
    fn load_env(&mut self, words: &[Vec<u8>]) -> Fact<bool> {
        let mut file = [self.value(b"prefix"), b"/grubenv"].concat();
        let mut names: Vec<&[u8]> = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == b"-f" || word == b"--file" {
                file = words.next().cloned().unwrap_or_default();
            } else if let Some(named) = word.strip_prefix(b"--file=") {
                file = named.to_vec();
            } else if !word.starts_with(b"-") {
                names.push(word);
            }
        }
        let path = self.resolve(&file)?;
        let Some(content) = self.guest.file(&path)? else { return Ok(false) };
        let env = match GrubEnv::parse(&content) {
            Ok(env) => env,
            Err(why) => {
                // GRUB goes on without: what is set in it is then not set.
                self.doubts.push(format!("{path}:1: {why}"));
                return Ok(false);
            }
        };
        for variable in env.variables() {
            if names.is_empty() || names.contains(&variable.name.as_slice()) {
                self.env.insert(variable.name.clone(), variable.value.clone());
            }
        }
        Ok(true)
    }

    /// `search --fs-uuid --set=VARIABLE UUID` and `search.fs_uuid UUID VARIABLE`: a filesystem that the guest boots from is
    /// found; for any other the hint stays, as where GRUB finds nothing.
    fn search(&mut self, name: &[u8], words: &[Vec<u8>]) -> bool {
        let mut variable = b"root".to_vec();
        let mut by_uuid = name == b"search.fs_uuid";
        let mut operands: Vec<&[u8]> = Vec::new();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            match word.as_slice() {
                b"--fs-uuid" | b"-u" => by_uuid = true,
                b"--set" | b"-s" => {
                    // The name may be left out: `--set UUID` sets root, and GRUB cannot tell either.
                    if let Some(next) =
                        words.peek().filter(|next| next.iter().all(u8::is_ascii_lowercase))
                    {
                        variable = (*next).clone();
                        words.next();
                    }
                }
                b"--hint" | b"-h" => {
                    words.next();
                }
                _ => match word.strip_prefix(b"--set=") {
                    Some(named) => variable = named.to_vec(),
                    None if word.starts_with(b"-") => {}
                    None => operands.push(word),
                },
            }
        }
        if name == b"search.fs_uuid"
            && let Some(named) = operands.get(1)
        {
            variable = named.to_vec();
        }
        match operands.first() {
            Some(uuid) if by_uuid && self.paths.has_uuid(uuid) => {
                self.env.insert(variable, [b"uuid/", *uuid].concat());
                true
            }
            _ => !by_uuid,
        }
    }

    /// `configfile` takes over, `source` comes back.
    fn chain(&mut self, name: &[u8], words: &[Vec<u8>], line: usize) -> Fact<bool> {
        let Some(named) = words.first() else { return Ok(false) };
        let path = self.resolve(named)?;
        if self.guest.stat(&path)?.is_none() {
            if self.booted.is_none() {
                let shown = ByteString::from(named.as_slice());
                self.doubts.push(format!("{}:{line}: {shown} is not there", self.here));
            }
            return Ok(false);
        }
        if self.booted.is_some() {
            // An entry that leads to another menu boots no kernel of its own.
            return Ok(true);
        }
        if matches!(name, b"configfile" | b"normal") {
            let directory = [b"(guest)", path.parent().as_bytes()].concat();
            self.env.insert(b"config_directory".to_vec(), directory);
            self.menu.clear();
            self.file(&path)?;
            self.is_over = true;
        } else {
            self.file(&path)?;
            self.is_over = false;
        }
        Ok(true)
    }

    fn blscfg(&mut self, words: &[Vec<u8>]) -> Fact<()> {
        let named = words.first().cloned().unwrap_or_else(|| self.value(b"blsdir").to_vec());
        let files = match named.as_slice() {
            b"" | b"default" => self.guest.bls_files()?,
            path => bls::in_directory(self.guest, &self.resolve(path)?)?,
        };
        for path in files {
            let root = self.value(b"root").to_vec();
            let variable = |name: &[u8]| self.value(name).to_vec();
            let entry = bls::read(self.guest, self.paths, &path, &root, &variable)?;
            self.menu.push(Line {
                title: entry.title.as_bytes().to_vec(),
                id: entry.id.as_ref().map(|id| id.as_bytes().to_vec()),
                file: path,
                line: entry.line,
                is_restricted: false,
                body: Body::Bls(Box::new(entry)),
            });
        }
        Ok(())
    }

    fn linux(&mut self, words: &[Vec<u8>], line: usize) -> Fact<()> {
        let Some((path, arguments)) = words.split_first() else { return Ok(()) };
        let kernel = self.paths.file(self.guest, self.value(b"root"), path, line)?;
        if let Some(booted) = &mut self.booted {
            booted.kernel = Some(kernel);
            // A word with blanks is handed on in double quotes (grub_create_loader_cmdline()).
            let quoted = arguments.iter().map(|word| match word.contains(&b' ') {
                true => [b"\"", word.as_slice(), b"\""].concat(),
                false => word.clone(),
            });
            booted.arguments = quoted.collect::<Vec<_>>().join(&b' ');
        }
        Ok(())
    }

    fn initrd(&mut self, words: &[Vec<u8>], line: usize) -> Fact<()> {
        let root = self.value(b"root").to_vec();
        for path in words.iter().filter(|word| !word.is_empty() && !word.starts_with(b"--")) {
            let file = self.paths.file(self.guest, &root, path, line)?;
            if let Some(booted) = &mut self.booted {
                booted.initrds.push(file);
            }
        }
        Ok(())
    }
}

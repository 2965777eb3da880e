//! The program of sshd, which knows what its configuration may name.

use std::io::Read;

use crate::guest::{Fact, Guest, MAX_FILE, Unknown};
use crate::model::GuestPath;
use crate::parse::sshd_program::SshdProgram;
use crate::sys::{Notes, Record};

/// Where it lies. The second is Arch's.
const PROGRAMS: [&str; 2] = ["/usr/sbin/sshd", "/usr/bin/sshd"];

/// Where notes have it: the program is too large to be kept.
const FACT: &str = "sshd-program";

impl Guest {
    /// What the program of sshd says of itself.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it is not OpenSSH's.
    pub fn sshd_program(&self) -> Fact<&SshdProgram> {
        let fact = self.facts.sshd.program.get_or_init(|| match &self.record {
            Some(Record::Read(notes)) => noted(notes),
            Some(Record::Written(recorder)) => {
                let found = read(self);
                let fact = found.as_ref().map_err(|why| &why.0);
                let value = serde_json::to_value(fact).unwrap_or_default();
                recorder.note(|notes| {
                    notes.facts.insert(FACT.to_owned(), value);
                });
                found
            }
            None => read(self),
        });
        fact.as_ref().map_err(Clone::clone)
    }
}

fn read(guest: &Guest) -> Fact<SshdProgram> {
    for path in PROGRAMS.map(GuestPath::from) {
        let Some(mut stream) = guest.root().open_stream(&path, MAX_FILE)? else { continue };
        let mut program = Vec::new();
        let read = stream.read_to_end(&mut program);
        read.map_err(|error| Unknown(format!("cannot read {path}: {error}")))?;
        return SshdProgram::parse(&program)
            .ok_or_else(|| Unknown(format!("{path} is not a program of OpenSSH")));
    }
    Err(Unknown(format!("there is no {}", PROGRAMS[0])))
}

fn noted(notes: &Notes) -> Fact<SshdProgram> {
    let Some(value) = notes.facts.get(FACT) else {
        return Err(Notes::not_held("read", PROGRAMS[0]).into());
    };
    let fact: Result<SshdProgram, String> = serde_json::from_value(value.clone())
        .map_err(|error| Unknown(format!("what the bundle says of sshd is broken: {error}")))?;
    fact.map_err(Unknown)
}

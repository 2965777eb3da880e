//! /etc/selinux/config, as libselinux reads it when boot loads the policy.
//!
//! Not as a shell: the mode is the first line that begins with `SELINUX=` and goes on with a word that libselinux knows,
//! in any case, whatever follows that word; quotes are not taken off. The type is the last `SELINUXTYPE=`.

use super::fields::{is_c_space, trim};
use super::lines::{self, LineError};

/// What SELinux does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It denies what the policy does not allow.
    Enforcing,
    /// It logs what it would deny.
    Permissive,
    /// No policy is loaded.
    Disabled,
}

/// A parsed file, lossless.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelinuxConfig {
    lines: Vec<lines::Line<()>>,
    mode: Option<(usize, Mode)>,
    policy: Option<Vec<u8>>,
    errors: Vec<LineError>,
}

impl SelinuxConfig {
    /// Reads the file. Never fails: see [`SelinuxConfig::errors`].
    pub fn parse(text: &[u8]) -> SelinuxConfig {
        let mut file = SelinuxConfig::default();
        file.lines = lines::parse(text, |number, raw, _| file.line(number, raw));
        file
    }

    /// The bytes that were parsed.
    pub fn print(&self) -> Vec<u8> {
        lines::print(&self.lines)
    }

    /// A line without its ending, by its number.
    pub fn raw(&self, line: usize) -> Option<&[u8]> {
        self.lines.get(line.checked_sub(1)?).map(|line| line.raw.as_slice())
    }

    /// The mode, and the line that says it.
    pub fn mode(&self) -> Option<(usize, Mode)> {
        self.mode
    }

    /// The policy's name: a directory below /etc/selinux. libselinux takes `targeted` where none is named.
    pub fn policy(&self) -> &[u8] {
        self.policy.as_deref().unwrap_or(b"targeted")
    }

    /// Lines that name no mode, although they mean to.
    pub fn errors(&self) -> &[LineError] {
        &self.errors
    }

    fn line(&mut self, number: usize, raw: &[u8]) {
        if let Some(value) = raw.strip_prefix(b"SELINUX=") {
            let value = trim(value, is_c_space);
            let is = |word: &[u8]| {
                value.len() >= word.len() && value[..word.len()].eq_ignore_ascii_case(word)
            };
            let mode = match () {
                () if is(b"enforcing") => Mode::Enforcing,
                () if is(b"permissive") => Mode::Permissive,
                () if is(b"disabled") => Mode::Disabled,
                () => {
                    let reason = "not enforcing, permissive or disabled";
                    return self.errors.push(LineError { line: number, reason });
                }
            };
            self.mode = self.mode.or(Some((number, mode)));
        } else if let Some(value) = trim(raw, is_c_space).strip_prefix(b"SELINUXTYPE=") {
            let value = trim(value, is_c_space);
            if value.is_empty() || value.contains(&b'/') || value.contains(&0) {
                let reason = "not the name of a policy";
                return self.errors.push(LineError { line: number, reason });
            }
            self.policy = Some(value.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_mode_counts() {
        let file = SelinuxConfig::parse(
            b"# SELINUX= is one of these\n SELINUX=disabled\nSELINUX= Permissive # why\nSELINUX=disabled\nSELINUXTYPE=mls \n",
        );
        assert_eq!(file.mode(), Some((3, Mode::Permissive)));
        assert_eq!(file.policy(), b"mls");
        assert!(file.errors().is_empty());
        assert_eq!(SelinuxConfig::parse(b"").policy(), b"targeted");
    }

    #[test]
    fn quotes_are_no_part_of_a_mode() {
        let file = SelinuxConfig::parse(b"SELINUX=\"disabled\"\nSELINUXTYPE=\n");
        assert_eq!(file.mode(), None);
        assert_eq!(file.errors().iter().map(|e| e.line).collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #[test]
        fn print_undoes_parse(text in prop_oneof![any::<Vec<u8>>(), "(SELINUX=|SELINUXTYPE=|disabled|[ \r\n\"/a])*".prop_map(String::into_bytes)]) {
            let file = SelinuxConfig::parse(&text);
            prop_assert_eq!(file.print(), text);
            if let Some((line, _)) = file.mode() {
                prop_assert!(file.raw(line).unwrap().starts_with(b"SELINUX="));
            }
        }
    }
}

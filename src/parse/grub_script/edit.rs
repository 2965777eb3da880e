//! Kernel arguments in a grub.cfg: edits that change the words of `linux` and the value of a variable, nothing else.

use std::ops::Range;

use super::{Command, Statement, Word, parse, quote};
use crate::parse::kernel_arguments::{self, KernelArguments};
use crate::parse::lines::LineError;

/// Commands whose words behind the first are the kernel's arguments.
const LINUX: [&[u8]; 3] = [b"linux", b"linux16", b"linuxefi"];
/// Variables that boot loader entries take their arguments from.
const VARIABLES: [&[u8]; 2] = [b"kernelopts", b"default_kernelopts"];

/// What is wanted of the arguments of one kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Arguments to be there.
    pub add: Vec<String>,
    /// Arguments to be gone.
    pub remove: Vec<String>,
}

/// The configuration with arguments edited.
///
/// `wanted` says what is to become of one list of arguments, which it is shown.
///
/// # Errors
/// When it is no script.
pub fn with_arguments(
    text: &[u8],
    wanted: &dyn Fn(&KernelArguments) -> Wanted,
) -> Result<Vec<u8>, LineError> {
    let statements = parse(text)?;
    let mut edits: Vec<(Range<usize>, Vec<u8>)> = Vec::new();
    walk(&statements, &mut |command| edits.extend(edited(text, command, wanted)));
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (span, new) in edits {
        out.extend_from_slice(&text[copied..span.start]);
        out.extend_from_slice(&new);
        copied = span.end;
    }
    out.extend_from_slice(&text[copied..]);
    Ok(out)
}

/// Every command, in the order of the text.
fn walk(statements: &[Statement], visit: &mut dyn FnMut(&Command)) {
    for statement in statements {
        match statement {
            Statement::Command(command) => {
                visit(command);
                walk(command.block.as_deref().unwrap_or_default(), visit);
            }
            Statement::If { branches, otherwise } => {
                for (condition, body) in branches {
                    walk(condition, visit);
                    walk(body, visit);
                }
                walk(otherwise, visit);
            }
            Statement::Loop { body, .. } | Statement::Function { body, .. } => walk(body, visit),
        }
    }
}

fn edited(
    text: &[u8],
    command: &Command,
    wanted: &dyn Fn(&KernelArguments) -> Wanted,
) -> Option<(Range<usize>, Vec<u8>)> {
    let name = command.words[0].literal()?;
    if name == b"set" {
        let [_, word] = command.words.as_slice() else { return None };
        return variable(text, word, wanted);
    }
    if !LINUX.contains(&name.as_slice()) {
        return None;
    }
    let kernel = command.words.get(1)?;
    let file = text[kernel.span.clone()].rsplit(|b| *b == b'/').next().unwrap_or_default();
    if file.starts_with(b"memtest") {
        return None;
    }
    let start = kernel.span.end;
    let end = command.words.last()?.span.end;
    // A word that names a variable is taken as it stands.
    let word = |word: &Word| {
        let says = word.literal().unwrap_or_else(|| text[word.span.clone()].to_vec());
        (word.span.start - start..word.span.end - start, says)
    };
    let words: Vec<_> = command.words[2..].iter().map(word).collect();
    let shown: Vec<Vec<u8>> = words.iter().map(|(_, says)| says.clone()).collect();
    let wanted = wanted(&KernelArguments::parse(&shown.join(&b' ')));
    let old = &text[start..end];
    let new = kernel_arguments::edit(old, &words, 0, &wanted.add, &wanted.remove, quote);
    // The first argument needs a blank before it.
    let blank = if words.is_empty() && !new.is_empty() { &b" "[..] } else { b"" };
    (new != old).then(|| (start..end, [blank, &new].concat()))
}

/// `set kernelopts="..."`, as grub-mkconfig writes it: one word whose value stands in double quotes.
fn variable(
    text: &[u8],
    word: &Word,
    wanted: &dyn Fn(&KernelArguments) -> Wanted,
) -> Option<(Range<usize>, Vec<u8>)> {
    let raw = &text[word.span.clone()];
    let equals = raw.iter().position(|b| *b == b'=')?;
    let inner = raw[equals + 1..].strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if !VARIABLES.contains(&&raw[..equals]) || inner.iter().any(|b| b"\"\\\n".contains(b)) {
        return None;
    }
    let arguments = KernelArguments::parse(inner);
    let wanted = wanted(&arguments);
    let start = word.span.start + equals + 2;
    let new = arguments.edited(&wanted.add, &wanted.remove);
    (new != inner).then(|| (start..start + inner.len(), new))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "if [ -z \"${kernelopts}\" ]; then\n  set kernelopts=\"root=/dev/vda1 ro nopti \"\nfi\nmenuentry 'A' {\n\tlinux\t/vmlinuz-1 root=/dev/vda1 ro 'a b' $more nopti\n}\nsubmenu S {\n menuentry 'M' {\n linux16 /memtest86+.bin\n }\n menuentry 'B' {\n linux /v\n }\n}\n";

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn arguments_change_and_nothing_else() {
        let wanted = |_: &KernelArguments| Wanted {
            add: owned(&["root=UUID=1", "x=a;b"]),
            remove: owned(&["nopti"]),
        };
        let new = String::from_utf8(with_arguments(CONFIG.as_bytes(), &wanted).unwrap()).unwrap();
        let expected = CONFIG
            .replace("\"root=/dev/vda1 ro nopti \"", "\"root=UUID=1 ro x=a;b \"")
            .replace("root=/dev/vda1 ro 'a b' $more nopti", "root=UUID=1 ro 'a b' $more 'x=a;b'")
            .replace("linux /v\n", "linux /v root=UUID=1 'x=a;b'\n");
        assert_eq!(new, expected);
        let again = with_arguments(new.as_bytes(), &wanted).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), new);
    }

    #[test]
    fn nothing_wanted_nothing_done() {
        let none = |_: &KernelArguments| Wanted::default();
        assert_eq!(with_arguments(CONFIG.as_bytes(), &none).unwrap(), CONFIG.as_bytes());
        assert!(with_arguments(b"menuentry {", &none).is_err());
    }
}

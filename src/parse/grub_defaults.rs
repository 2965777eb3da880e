//! Kernel arguments in a file of shell variables: /etc/default/grub, /etc/sysconfig/bootloader.
//!
//! Beside [`super::key_value`], which replaces a whole value: here a word of a value is taken out or put in, and what else
//! stands in the value, variables among it, keeps its bytes.

use super::kernel_arguments::KernelArguments;
use super::key_value::{Assignment, KeyValue};
use super::lines::LineError;

/// Says what becomes of one assignment, given its place among all of the file, itself and its arguments: what takes their
/// place, or `None` to leave them.
pub type Edit<'a> = dyn FnMut(usize, &Assignment, &KernelArguments) -> Option<Vec<u8>> + 'a;

/// The file with the values of some variables edited.
///
/// # Errors
/// The line of a value that is quoted in a way that cannot be edited without changing what it says.
pub fn with_values(text: &[u8], edit: &mut Edit) -> Result<Vec<u8>, LineError> {
    let file = KeyValue::parse(text);
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (index, assignment) in file.assignments().iter().enumerate() {
        let raw = &text[assignment.span.clone()];
        let inner = inside(raw);
        let old = KernelArguments::parse(inner.unwrap_or(&assignment.value));
        let Some(new) = edit(index, assignment, &old) else { continue };
        if new == old.print() {
            continue;
        }
        let quote = match raw.first() {
            Some(&quote @ (b'"' | b'\'')) if inner.is_some() => quote,
            _ if assignment.expands => {
                let reason = "the value cannot be edited without changing what a shell makes of it";
                return Err(LineError { line: assignment.line, reason });
            }
            _ => b'"',
        };
        out.extend_from_slice(&text[copied..assignment.span.start]);
        out.push(quote);
        if inner.is_some() && matches!(raw.first(), Some(b'"' | b'\'')) {
            out.extend_from_slice(&new);
        } else {
            for byte in new {
                if matches!(byte, b'"' | b'\\' | b'$' | b'`') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        }
        out.push(quote);
        copied = assignment.span.end;
    }
    out.extend_from_slice(&text[copied..]);
    Ok(out)
}

/// What stands in one pair of quotes, or in none, and means itself but for variables.
fn inside(raw: &[u8]) -> Option<&[u8]> {
    let (inner, special): (&[u8], &[u8]) = match raw {
        [b'"', inner @ .., b'"'] => (inner, b"\"\\`\n"),
        [b'\'', inner @ .., b'\''] => (inner, b"'\n"),
        plain => (plain, b"\"'\\`$\n"),
    };
    (!inner.iter().any(|b| special.contains(b))).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edited(text: &str, add: &[&str], remove: &[&str]) -> Result<String, LineError> {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let (add, remove) = (owned(add), owned(remove));
        let mut edit = |_: usize, assignment: &Assignment, old: &KernelArguments| {
            (assignment.key == b"A").then(|| old.edited(&add, &remove))
        };
        with_values(text.as_bytes(), &mut edit).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn words_of_a_value() {
        assert_eq!(
            edited("A=\"ro quiet\" # x\nB=\"ro\"\n", &["a=1"], &["ro"]).unwrap(),
            "A=\"quiet a=1\" # x\nB=\"ro\"\n"
        );
        assert_eq!(edited("A='$x ro'\nA=\"$A ro\"\n", &[], &["ro"]).unwrap(), "A='$x'\nA=\"$A\"\n");
        assert_eq!(edited("A=\nA=ro\n", &["b"], &[]).unwrap(), "A=\"b\"\nA=\"ro b\"\n");
        assert_eq!(
            edited("A=\"a=\\\"x y\\\" ro\"\n", &[], &["ro"]).unwrap(),
            "A=\"a=\\\"x y\\\"\"\n"
        );
        assert_eq!(edited("A=\"ro `cat x`\"\n", &[], &["ro"]).unwrap_err().line, 1);
        // What cannot be edited is left alone where nothing is to be changed.
        assert_eq!(edited("A=\"`x` \\\"\"\n", &[], &["ro"]).unwrap(), "A=\"`x` \\\"\"\n");
    }

    proptest! {
        #[test]
        fn any_bytes(text in prop_oneof![any::<Vec<u8>>(), "(A=[\"']?[ab= $\\\\\"'`]{0,6}[\"']?\n){0,4}".prop_map(String::into_bytes)]) {
            let same = with_values(&text, &mut |_, _, old| Some(old.print())).unwrap();
            prop_assert_eq!(same, text.clone());
            let _ = with_values(&text, &mut |_, _, old| Some(old.edited(&["x=1".to_owned()], &["a".to_owned()])));
        }
    }
}

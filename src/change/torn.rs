//! A file that was being written in place when the run was cut short.

use super::step;
use super::store::Run;
use crate::model::Action;

/// The content that a step gives a file which had this one; `None` when the step writes none, or
/// the file is not what the plan expects.
pub fn result(action: &Action, original: &[u8]) -> Option<Vec<u8>> {
    match action {
        Action::EditFile { edits, append, .. } => step::edited(original, edits, append),
        Action::WriteFile { content, .. } => Some(content.as_bytes().to_vec()),
        _ => None,
    }
}

/// Whether a file is partly what it was before a step and partly what the step makes it: nobody but
/// this run, writing one over the other, leaves such a thing. What somebody else wrote is never
/// taken for it.
pub fn is_torn(run: &Run, step: &str, now: &[u8], original: &[u8]) -> bool {
    let step = run.header.plan.steps.iter().find(|known| known.id == step);
    step.and_then(|step| result(&step.action, original))
        .is_some_and(|after| is_mixture(now, original, &after))
}

fn is_mixture(now: &[u8], one: &[u8], other: &[u8]) -> bool {
    let lengths = one.len().min(other.len())..=one.len().max(other.len());
    lengths.contains(&now.len())
        && now
            .iter()
            .enumerate()
            .all(|(at, byte)| one.get(at) == Some(byte) || other.get(at) == Some(byte))
}

#[cfg(test)]
mod tests {
    use super::is_mixture;

    #[test]
    fn a_torn_file_is_ours_and_anything_else_is_not() {
        let (before, after) = (b"one two\n", b"#one two\nthree\n");
        for ours in [&b"one two\n"[..], b"#one two\nthree\n", b"one two\n\nthree\n", b"#one two\n"]
        {
            assert!(is_mixture(ours, before, after), "{:?}", String::from_utf8_lossy(ours));
        }
        for theirs in [&b""[..], b"one", b"one twx\n", b"#one two\nthree\nfour\n"] {
            assert!(!is_mixture(theirs, before, after), "{:?}", String::from_utf8_lossy(theirs));
        }
    }
}

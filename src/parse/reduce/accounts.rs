//! The password field of passwd(5), group(5), shadow(5) and gshadow(5), and of their backups.

use super::{MARK, Reduced, lines, name_of, without_end};

/// The files, whatever comes behind the name: `-`, `.bak`, `.rpmsave`.
const FILES: [&[u8]; 4] = [b"passwd", b"group", b"shadow", b"gshadow"];

pub(super) fn is_account_file(path: &[u8]) -> bool {
    let name = name_of(path);
    FILES.iter().any(|file| {
        let rest = name.strip_prefix(*file);
        rest.is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric))
    })
}

pub(super) fn reduce(text: &[u8]) -> Reduced {
    let mut reduced = Reduced { content: Vec::with_capacity(text.len()), count: 0 };
    for line in lines(text) {
        let (line, end) = without_end(line);
        let mut fields = line.splitn(3, |b| *b == b':');
        match (fields.next(), fields.next(), fields.next()) {
            (Some(name), Some(password), rest) if !name.starts_with(b"#") => {
                let kept = marker(password);
                reduced.count += usize::from(kept != password);
                reduced.content.extend_from_slice(name);
                reduced.content.push(b':');
                reduced.content.extend_from_slice(&kept);
                if let Some(rest) = rest {
                    reduced.content.push(b':');
                    reduced.content.extend_from_slice(rest);
                }
            }
            _ => reduced.content.extend_from_slice(line),
        }
        reduced.content.extend_from_slice(end);
    }
    reduced
}

/// What stands for a password that tells as much about whether and how it lets somebody in.
fn marker(password: &[u8]) -> Vec<u8> {
    let locks = password.iter().take_while(|b| matches!(b, b'!' | b'*')).count();
    let (locks, rest) = password.split_at(locks);
    let marker: Vec<u8> = match rest {
        // Words that tools write where there is no password.
        b"" | b"x" | b"LK" | b"NP" | b"!" => rest.to_vec(),
        _ if rest.starts_with(b"$") => scheme(rest),
        // BSDi's extended DES, and the traditional one: 13 characters of the same alphabet.
        _ if rest.len() == 20 && rest[0] == b'_' => b"_reducedreducedredu.".to_vec(),
        _ if rest.len() == 13 && rest.iter().all(|b| is_base64(*b)) => b"reducedreduce".to_vec(),
        _ => MARK.to_vec(),
    };
    [locks, &marker].concat()
}

/// `$6$` and its like, with a hash behind it that is none.
fn scheme(hash: &[u8]) -> Vec<u8> {
    let id = hash[1..].split(|b| *b == b'$').next().unwrap_or_default();
    let has_end = hash.len() > id.len() + 1;
    let is_id = !id.is_empty() && id.len() <= 10 && id.iter().all(|b| b.is_ascii_alphanumeric());
    match is_id && has_end {
        true => [b"$", id, b"$", MARK].concat(),
        false => MARK.to_vec(),
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/')
}

//! Takes secrets out of what is to be sent to somebody else.
//!
//! What is left of a file parses to the same answers: a hash of a password becomes a marker of the
//! same scheme, a key its type, a value the word `reduced`. When in doubt it is taken out. The
//! table is [`RULES`]: each rule sees the whole content, as the rules before it left it. Nothing
//! here gives out what a secret was.

mod accounts;
mod assignments;
mod keys;
mod luks;
mod tokens;
mod yaml;

/// What stands where a secret stood.
const MARK: &[u8] = b"reduced";

/// A content without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// What is left.
    pub content: Vec<u8>,
    /// How many secrets were taken out.
    pub count: usize,
}

/// One kind of secret.
struct Rule {
    /// Whether the rule is for a file of this path.
    applies: fn(&[u8]) -> bool,
    /// Take the secrets out.
    reduce: fn(&[u8]) -> Reduced,
}

/// The kinds of secrets, in the order that they are taken out.
const RULES: [Rule; 7] = [
    // passwd(5), shadow(5) and their kin, and the backups of them: the second field.
    Rule { applies: accounts::is_account_file, reduce: accounts::reduce },
    // The header of a LUKS volume: salts and the digest of its key.
    Rule { applies: luks::is_device, reduce: luks::reduce },
    // Private keys in PEM, and the keys of OpenSSH's one-line formats.
    Rule { applies: everywhere, reduce: keys::reduce },
    // Hashes of crypt(5) and grub, passwords in addresses, access keys, arguments of commands.
    Rule { applies: everywhere, reduce: tokens::reduce },
    Rule { applies: tokens::is_grub, reduce: tokens::reduce_grub },
    // Values that stand below their key: user data and configuration of cloud-init, netplan.
    Rule { applies: yaml::is_yaml, reduce: yaml::reduce },
    // `password=`, `psk=`, `KEY1=`, `rd.luks.key=` and whatever else is named as a secret.
    Rule { applies: everywhere, reduce: assignments::reduce },
];

fn everywhere(_path: &[u8]) -> bool {
    true
}

/// What is left may hold another secret: a field that stood behind colons that went with a value is
/// the second one now. So often the rules go over a content at most; the second time finds nothing
/// in what is not made up.
const PASSES: usize = 4;

/// Take the secrets out of the content of a file of this path.
pub fn reduce(path: &[u8], content: &[u8]) -> Reduced {
    let mut reduced = Reduced { content: content.to_vec(), count: 0 };
    for _ in 0..PASSES {
        let before = reduced.count;
        for rule in RULES.iter().filter(|rule| (rule.applies)(path)) {
            let next = (rule.reduce)(&reduced.content);
            reduced = Reduced { content: next.content, count: reduced.count + next.count };
        }
        if reduced.count == before {
            break;
        }
    }
    reduced
}

/// The lines of a text, each with its end.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|b| *b == b'\n')
}

/// A line and its end.
fn without_end(line: &[u8]) -> (&[u8], &[u8]) {
    let mut length = line.len();
    while length > 0 && matches!(line[length - 1], b'\n' | b'\r') {
        length -= 1;
    }
    line.split_at(length)
}

/// The last component of a path.
fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}

/// The text without the ranges of its secrets.
fn cut(text: &[u8], secrets: &[std::ops::Range<usize>], mark: &[u8]) -> Reduced {
    let mut content = Vec::with_capacity(text.len());
    let (mut from, mut count) = (0, 0);
    for secret in secrets {
        if secret.start < from || &text[secret.clone()] == mark {
            continue;
        }
        content.extend_from_slice(&text[from..secret.start]);
        content.extend_from_slice(mark);
        from = secret.end;
        count += 1;
    }
    content.extend_from_slice(&text[from..]);
    Reduced { content, count }
}

#[cfg(test)]
mod tests;

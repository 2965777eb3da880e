//! The records of a pax extended header, as far as they say something of a file's data: pure.
//!
//! Source: POSIX.1-2017, pax, "pax Extended Header"; the GNU tar manual, "Storing Sparse Files".

/// A piece of a sparse file that is no hole: where it begins, and how long it is, in bytes.
pub(super) type Extent = (u64, u64);

/// What a header says of the file that follows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// Its path, where it does not fit the usual header.
    pub(super) path: Option<String>,
    /// How many bytes it takes in the archive.
    pub(super) size: Option<u64>,
    /// Whether its data begins with the map of its holes (sparse format 1.0).
    pub(super) map_in_data: bool,
    /// Its size with the holes.
    pub(super) real_size: Option<u64>,
    /// What is not a hole (sparse formats 0.0 and 0.1).
    pub(super) map: Option<Vec<Extent>>,
}

/// Read a header's records; what is wrong with them is a whole clause.
pub(super) fn records(mut bytes: &[u8]) -> Result<Records, String> {
    let mut found = Records::default();
    let (mut path, mut sparse_name) = (None, None);
    let mut major = None;
    let mut offset = None;
    while !bytes.is_empty() {
        let (record, rest) = split_record(bytes).ok_or("a pax header in it is malformed")?;
        bytes = rest;
        let (key, value) = record;
        let number = || number(value).ok_or("a pax header in it has a number that is none");
        match key {
            b"path" => path = Some(String::from_utf8_lossy(value).into_owned()),
            b"size" => found.size = Some(number()?),
            b"GNU.sparse.major" => major = Some(number()?),
            b"GNU.sparse.name" => {
                sparse_name = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => found.real_size = Some(number()?),
            b"GNU.sparse.map" => {
                found.map = Some(pairs(value).ok_or("the map of its holes is malformed")?);
            }
            b"GNU.sparse.offset" => offset = Some(number()?),
            b"GNU.sparse.numbytes" => {
                let start = offset.take().ok_or("the map of its holes is malformed")?;
                found.map.get_or_insert_default().push((start, number()?));
            }
            _ => {}
        }
    }
    // A sparse file has a made-up path, and its own beside it.
    found.path = sparse_name.or(path);
    found.map_in_data = match major {
        None | Some(0) => false,
        Some(1) => true,
        Some(other) => return Err(format!("it is of the unknown sparse format {other}")),
    };
    if found.real_size.is_none() && (found.map_in_data || found.map.is_some()) {
        return Err("a pax header in it does not say how large its sparse file is".to_owned());
    }
    Ok(found)
}

/// A key and its value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// A record says its own length first: `13 size=3584\n`. A value may hold any byte.
fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), rest))
}

fn pairs(value: &[u8]) -> Option<Vec<Extent>> {
    if value.is_empty() {
        return Some(Vec::new());
    }
    let numbers: Option<Vec<u64>> = value.split(|byte| *byte == b',').map(number).collect();
    let numbers = numbers.filter(|numbers| numbers.len() % 2 == 0)?;
    Some(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// A decimal number, digits alone.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

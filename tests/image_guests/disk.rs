//! A tree as a disk: a partition table, and the filesystems that the tree's fstab calls the
//! system's.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use guestprep::guest::is_system_target;
use guestprep::model::GuestPath;
use guestprep::parse::fstab::Fstab;
use guestprep::parse::source::Source;
use walkdir::WalkDir;

use crate::host::run;

const MIB: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// How much of a disk stays free for what a filesystem needs beside the files, in MiB.
const ROOM: u64 = 6;

/// The signature of every disk with an MBR: its first partition has the PARTUUID 01234567-01.
const SIGNATURE: u32 = 0x0123_4567;

/// A jump, as GRUB's boot.img begins with: a BIOS has something to start.
const BOOT_CODE: [u8; 2] = [0xeb, 0x63];

/// How a disk is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Primary partitions (MBR).
    Mbr,
    /// GPT, by sfdisk(8).
    Gpt,
}

/// A partition to be.
struct Part {
    number: usize,
    source: Source,
    target: GuestPath,
    range: std::ops::Range<u64>,
}

/// Make a disk of a tree: a partition for the root, and one for each filesystem that its fstab names
/// as a part of the system. Owners, modes, times, attributes and file flags are those of the tree.
pub fn of_tree(root: &Path, image: &Path, table: Table) {
    let mut parts = parts(root);
    let mut at = MIB;
    // The root is the last on the disk, where it can grow.
    parts.sort_by_key(|part| part.target == GuestPath::from("/"));
    for part in &mut parts {
        let size = match part.target.as_bytes() {
            b"/" => size_of(root) + ROOM * MIB,
            b"/boot" => size_of(&root.join("boot")) + 4 * MIB,
            b"/usr" => size_of(&root.join("usr")) + 4 * MIB,
            _ => 4 * MIB,
        };
        part.range = at..at + size.next_multiple_of(MIB);
        at = part.range.end;
    }
    let file = File::create(image).expect("an image");
    // A GPT has a copy of itself at the end.
    file.set_len(at + MIB).expect("its size");
    match table {
        Table::Mbr => file.write_all_at(&mbr(&parts), 0).expect("its partition table"),
        Table::Gpt => {
            gpt(&parts, image);
            file.write_all_at(&BOOT_CODE, 0).expect("its boot code");
        }
    }
    drop(file);
    let mut moved = Vec::new();
    // What lies on another filesystem is not on the root's.
    for part in &parts {
        match part.target.as_bytes() {
            b"/boot" | b"/usr" => {
                let name = String::from_utf8_lossy(&part.target.as_bytes()[1..]).into_owned();
                let (own, apart) = (root.join(&name), root.with_file_name(format!("{name}-apart")));
                if fs::rename(&own, &apart).is_ok() {
                    make(Some(&apart), image, part);
                    fs::create_dir(&own).expect("a mount point");
                    moved.push((own, apart));
                } else {
                    make(None, image, part);
                }
            }
            b"/" => make(Some(root), image, part),
            target => {
                make(None, image, part);
                let below = GuestPath::new(target);
                let inside = |(own, apart): &(PathBuf, PathBuf)| {
                    let own = GuestPath::new(own.strip_prefix(root).ok()?.as_os_str().as_bytes());
                    let rest = below.as_bytes().strip_prefix(own.as_bytes())?;
                    Some(apart.join(OsStr::from_bytes(rest.strip_prefix(b"/")?)))
                };
                let from = moved.iter().find_map(inside);
                let own = || root.join(OsStr::from_bytes(&target[1..]));
                fill_fat(&from.unwrap_or_else(own), image, part.range.start);
            }
        }
    }
    for (own, apart) in moved {
        fs::remove_dir(&own).expect("the mount point");
        fs::rename(&apart, &own).expect("what was moved");
    }
}

/// What fstab calls the system, the root first; each device once.
fn parts(root: &Path) -> Vec<Part> {
    let text = fs::read(root.join("etc/fstab")).unwrap_or_default();
    let fstab = Fstab::parse(&text);
    let part = |number, source, target| Part { number, source, target, range: 0..0 };
    let mut wanted: Vec<(Source, GuestPath)> = Vec::new();
    for entry in fstab.entries() {
        let target = GuestPath::new(&entry.target.value);
        let source = Source::parse(&entry.source.value);
        let is_system = is_system_target(&target);
        let is_device = !matches!(source, Source::Network(_) | Source::Keyword(_));
        if is_system && is_device && wanted.iter().all(|(s, t)| *s != source && *t != target) {
            wanted.push((source, target));
        }
    }
    let slash = GuestPath::from("/");
    let own = wanted.iter().position(|(_, target)| *target == slash);
    let own = own.map_or(Source::Keyword(Vec::new()), |at| wanted.remove(at).0);
    let mut taken = vec![number_of(&own).unwrap_or(1)];
    let mut parts = vec![part(taken[0], own, slash)];
    for (source, target) in wanted {
        let free = (1..=4).find(|number| !taken.contains(number));
        let Some(number) = number_of(&source).filter(|n| !taken.contains(n)).or(free) else {
            continue;
        };
        taken.push(number);
        parts.push(part(number, source, target));
    }
    parts
}

/// The partition's number in a kernel's name.
fn number_of(source: &Source) -> Option<usize> {
    let Source::Path(path) = source else { return None };
    let digits = path.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&path[path.len() - digits..]).ok()?.parse().ok()?;
    (1..=4).contains(&number).then_some(number)
}

/// How many bytes the files of a tree take.
fn size_of(tree: &Path) -> u64 {
    let files = WalkDir::new(tree).into_iter().filter_map(Result::ok);
    files.filter_map(|file| file.metadata().ok()).map(|about| about.len() + 1024).sum()
}

/// The first sector of a disk with primary partitions.
fn mbr(parts: &[Part]) -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..BOOT_CODE.len()].copy_from_slice(&BOOT_CODE);
    sector[440..444].copy_from_slice(&SIGNATURE.to_le_bytes());
    for part in parts {
        let entry = 446 + 16 * (part.number - 1);
        let is_esp = matches!(part.target.as_bytes(), b"/boot/efi" | b"/efi");
        sector[entry + 4] = if is_esp { 0xef } else { 0x83 };
        let start = u32::try_from(part.range.start / SECTOR).expect("a small disk");
        let length = part.range.end - part.range.start;
        let sectors = u32::try_from(length / SECTOR).expect("a small disk");
        sector[entry + 8..entry + 12].copy_from_slice(&start.to_le_bytes());
        sector[entry + 12..entry + 16].copy_from_slice(&sectors.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// A table that sfdisk writes.
fn gpt(parts: &[Part], image: &Path) {
    let mut script = "label: gpt\n".to_owned();
    for part in parts {
        let kind = match part.target.as_bytes() {
            b"/boot/efi" | b"/efi" => "U",
            _ => "L",
        };
        let (start, end) = (part.range.start / SECTOR, part.range.end / SECTOR);
        let size = end - start;
        script += &format!("{}: start={start},size={size},type={kind}\n", part.number);
    }
    let path = image.with_extension("sfdisk");
    fs::write(&path, script).expect("a script");
    let (image, path) = (image.display(), path.display());
    run("sh", &["-c", &format!("sfdisk -q --no-reread --no-tell-kernel {image} < {path}")]);
}

/// Make the filesystem of a partition, with a tree in it.
fn make(from: Option<&Path>, image: &Path, part: &Part) {
    let blocks = format!("{}k", (part.range.end - part.range.start) / 1024);
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let uuid = text(part.source.uuid());
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    if matches!(part.target.as_bytes(), b"/boot/efi" | b"/efi") {
        let id = uuid.map(|uuid| uuid.replace('-', "")).filter(|id| id.len() == 8);
        add(&["-i", id.as_deref().unwrap_or("12345678")]);
        add(&["--offset", &(part.range.start / SECTOR).to_string()]);
        arguments.push(image.display().to_string());
        arguments.push(((part.range.end - part.range.start) / 1024).to_string());
        run("mkfs.vfat", &arguments);
        return;
    }
    add(&["-q", "-F", "-t", "ext4", "-N", "4096", "-O", "^has_journal"]);
    add(&["-E", &format!("offset={},lazy_itable_init=1", part.range.start)]);
    // A UUID that no filesystem can have stays without one.
    if let Some(uuid) = uuid.filter(|uuid| uuid.len() == 36) {
        add(&["-U", &uuid]);
    }
    if let Some(label) = text(part.source.label()) {
        add(&["-L", &label]);
    }
    if let Some(from) = from {
        add(&["-d", from.to_str().expect("UTF-8")]);
    }
    arguments.push(image.display().to_string());
    arguments.push(blocks);
    run("mke2fs", &arguments);
    if let Some(from) = from {
        keep_flags(from, image, part.range.start);
    }
}

/// Copy what is in a directory to the FAT filesystem at an offset.
fn fill_fat(from: &Path, image: &Path, offset: u64) {
    let names: Vec<String> = fs::read_dir(from)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .collect();
    if !names.is_empty() {
        let on = format!("{}@@{offset}", image.display());
        let mut arguments = vec!["-s".to_owned(), "-i".to_owned(), on];
        arguments.extend(names);
        arguments.push("::".to_owned());
        run("mcopy", &arguments);
    }
}

/// The immutable and append-only flags of a tree, which mke2fs does not copy.
fn keep_flags(tree: &Path, image: &Path, offset: u64) {
    /// In an inode's flags: it keeps its blocks in extents, as all that mke2fs copies do.
    const EXTENTS: u32 = 0x8_0000;
    const KEPT: u32 = 0x30;
    let mut commands = String::new();
    for entry in WalkDir::new(tree).into_iter().filter_map(Result::ok) {
        if !entry.file_type().is_file() {
            continue;
        }
        let file = File::open(entry.path()).expect("a file");
        let flags = rustix::fs::ioctl_getflags(&file).map_or(0, |flags| flags.bits()) & KEPT;
        if flags != 0 {
            let path = entry.path().strip_prefix(tree).expect("below the tree");
            let flags = flags | EXTENTS;
            commands += &format!("set_inode_field /{} flags {flags:#x}\n", path.display());
        }
    }
    if commands.is_empty() {
        return;
    }
    let script = image.with_extension("debugfs");
    fs::write(&script, commands).expect("a script");
    let named = format!("{}?offset={offset}", image.display());
    run("debugfs", &["-w", "-f", script.to_str().expect("UTF-8"), &named]);
}

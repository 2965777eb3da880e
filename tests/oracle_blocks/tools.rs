//! Running the tools, reading an image as `guest` would read a disk, and asking blkid.

use guestprep::parse::superblock::{self, Superblock, Unidentified};
use guestprep::parse::window::{MAX_RANGE, MAX_READS, Unread, Window};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Where the tools are: many live in sbin, which is not on the path of a user.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Whether all these tools are here. Says so if not: a test that is left out must not look passed.
pub fn have(tools: &[&str]) -> bool {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| !PATH.split(':').any(|dir| Path::new(dir).join(tool).exists()))
        .collect();
    for tool in &missing {
        eprintln!("left out: {tool} is not installed");
    }
    missing.is_empty()
}

/// Runs a tool and gives its standard output. It must succeed.
pub fn run(program: &str, args: &[&str]) -> String {
    run_with(program, args, "")
}

/// Runs a tool with text on its standard input.
pub fn run_with(program: &str, args: &[&str], input: &str) -> String {
    let (ok, stdout, stderr) = attempt(program, args, input);
    assert!(ok, "{program} {args:?}: {stderr}{stdout}");
    stdout
}

/// Runs a tool: whether it succeeded, its standard output and its standard error.
pub fn attempt(program: &str, args: &[&str], input: &str) -> (bool, String, String) {
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    // A tool that does not read its input closes it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// A sparse image file in a directory of its own.
pub struct Image {
    dir: TempDir,
}

impl Image {
    /// An image of `mib` MiB of zeros.
    pub fn new(mib: u64) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        File::create(image.path()).unwrap().set_len(mib << 20).unwrap();
        image
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Its path as an argument.
    pub fn arg(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Runs a tool with the image as its last argument.
    pub fn make(&self, program: &str, args: &[&str]) {
        let path = self.arg();
        run(program, &[args, &[&path]].concat());
    }

    pub fn write(&self, offset: u64, bytes: &[u8]) {
        let file = File::options().write(true).open(self.path()).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    pub fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        File::open(self.path()).unwrap().read_exact_at(&mut bytes, offset).unwrap();
        bytes
    }

    pub fn size(&self) -> u64 {
        self.path().metadata().unwrap().len()
    }

    pub fn set_size(&self, bytes: u64) {
        File::options().write(true).open(self.path()).unwrap().set_len(bytes).unwrap();
    }
}

/// Reads the ranges that a parser wants, then those that it asks for, as the documentation of `window` says.
pub fn drive<T, E>(
    path: &Path,
    wanted: fn(u64) -> Vec<std::ops::Range<u64>>,
    mut parse: impl FnMut(&Window) -> Result<T, E>,
    unread: fn(&E) -> Option<&Unread>,
) -> Result<T, E> {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    let mut window = Window::new(size);
    let add = |window: &mut Window, range: std::ops::Range<u64>| {
        assert!(
            range.end <= size && range.start < range.end && range.end - range.start <= MAX_RANGE,
            "{range:?}"
        );
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start).unwrap();
        window.insert(range.start, bytes);
    };
    for range in wanted(size) {
        add(&mut window, range);
    }
    for _ in 0..MAX_READS {
        let result = parse(&window);
        let Some(range) = result.as_ref().err().and_then(unread).map(|unread| unread.0.clone())
        else {
            return result;
        };
        add(&mut window, range);
    }
    panic!("the parser asks for more and more");
}

pub fn identify(path: &Path) -> Result<Option<Superblock>, Unidentified> {
    drive(path, superblock::wanted, superblock::identify, |error| match error {
        Unidentified::Unread(unread) => Some(unread),
        Unidentified::Ambiguous(_) => None,
    })
}

/// What `blkid -p` says of a file or a device; empty if it knows nothing.
pub fn blkid(path: &Path) -> BTreeMap<String, String> {
    let (_, stdout, _) = attempt("blkid", &["-p", "-o", "export", path.to_str().unwrap()], "");
    // The format is for a shell: special characters have a backslash before them.
    let unescaped = |value: &str| {
        let mut text = String::new();
        let mut characters = value.chars();
        while let Some(character) = characters.next() {
            text.extend(if character == '\\' { characters.next() } else { Some(character) });
        }
        text
    };
    stdout
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), unescaped(value)))
        .collect()
}

/// Identifies an image and compares everything that blkid says of it too.
#[track_caller]
pub fn agree(image: &Image) -> Superblock {
    let found = identify(&image.path()).unwrap().expect("nothing was identified");
    let blkid = blkid(&image.path());
    let expected = |key: &str| blkid.get(key).cloned();
    let label = found.label.as_ref().map(|label| String::from_utf8(label.clone()).unwrap());
    assert_eq!(Some(found.kind.to_string()), expected("TYPE"), "{blkid:?}");
    assert_eq!(found.uuid, expected("UUID"), "{blkid:?}");
    assert_eq!(found.uuid_sub, expected("UUID_SUB"), "{blkid:?}");
    assert_eq!(label, expected("LABEL"), "{blkid:?}");
    assert_eq!(found.version, expected("VERSION"), "{blkid:?}");
    assert_eq!(found.block_size.map(|size| size.to_string()), expected("BLOCK_SIZE"), "{blkid:?}");
    found
}

//! Images, the tools of e2fsprogs, and files as sources of bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use guestprep::parse::ext::{Ext, ReadAt};
use tempfile::TempDir;

/// Where the tools are: many live in sbin, which is not on the path of a user.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A file as a source of bytes.
pub struct Source(File);

impl ReadAt for Source {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

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

/// A command with nothing of the caller's environment. Without MKE2FS_CONFIG's defaults: the features are the test's.
pub fn command(argv: &[&str]) -> Command {
    let mut command = Command::new(argv[0]);
    command
        .args(&argv[1..])
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC");
    command
}

/// Runs a command that has to succeed and gives its standard output.
#[track_caller]
pub fn run(argv: &[&str]) -> String {
    let output = command(argv).output().unwrap_or_else(|error| panic!("{argv:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{argv:?}: {}{}", text(&output.stderr), text(&output.stdout));
    text(&output.stdout)
}

/// An image file in a directory of its own.
pub struct Image {
    pub dir: TempDir,
}

impl Image {
    /// A filesystem of `mib` MiB, made by mke2fs with these arguments.
    pub fn new(mib: u64, arguments: &[&str]) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        File::create(image.path()).unwrap().set_len(mib << 20).unwrap();
        let path = image.arg();
        run(&[&["mke2fs", "-q", "-F"], arguments, &[&path]].concat());
        image
    }

    /// Another copy of an image.
    pub fn copy_of(path: &Path) -> Self {
        let image = Self { dir: tempfile::tempdir().unwrap() };
        run(&["cp", "--sparse=always", path.to_str().unwrap(), &image.arg()]);
        image
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Its path as an argument.
    pub fn arg(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    /// Runs commands of debugfs that write.
    pub fn debugfs(&self, commands: &[&str]) {
        let script = self.dir.path().join("script");
        std::fs::write(&script, commands.join("\n")).unwrap();
        run(&["debugfs", "-w", "-f", script.to_str().unwrap(), &self.arg()]);
    }

    /// What one command of debugfs says.
    pub fn ask(&self, request: &str) -> String {
        run(&["debugfs", "-R", request, &self.arg()])
    }

    /// The filesystem as the product reads it.
    #[track_caller]
    pub fn open(&self) -> Ext<Source> {
        open(&self.path()).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Opens an image with the product.
pub fn open(path: &Path) -> Result<Ext<Source>, guestprep::parse::ext::ExtError> {
    let file = File::open(path).unwrap();
    let size = file.metadata().unwrap().len();
    Ext::open(Source(file), size)
}

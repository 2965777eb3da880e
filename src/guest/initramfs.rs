//! What is inside the initramfs images, read by threads of their own while other checks run.
//!
//! An image takes from a tenth of a second to some seconds to decompress, so reading begins with
//! the audit and is waited for where a probe asks. The main thread opens the files, because the
//! guest's root is its own; a worker only reads what was opened. On the machine that guestprep
//! runs on, results are kept in memory until it reboots, each for one unchanged file (inode, size,
//! time of change, digest of its beginning); of another guest none is kept, because whoever made
//! its filesystem chose all of these.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufReader, Read};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Fact, Guest, Unknown};
use crate::model::{GuestPath, Sha256, sha256_hex};
use crate::parse::cpio::Entry;
use crate::parse::initramfs::{LIMITS, read};
use crate::parse::kernel_modules::module_name;
use crate::sys::{Cache, Notes, Record, Stamp, Stream, Time, trace};

/// No initramfs file is larger than this, in bytes.
const MAX_IMAGE: u64 = 1 << 30;

/// So many images are read at once, where there are as many processors.
const MAX_WORKERS: usize = 4;

/// How much of an image its digest is of, in bytes.
const HEAD: usize = 64 << 10;

/// More bytes of module names than this hold no kernel's.
const MAX_NAMES: usize = 4 << 20;

/// Files of images in which dracut's module `squash` hides the rest.
const PACKED_ROOTS: [&str; 3] = ["squash-root.img", "squashfs-root.img", "erofs-root.img"];

/// Where systemd lies in an image.
const SYSTEMD: [&str; 2] = ["usr/lib/systemd/systemd", "lib/systemd/systemd"];

/// What is known of one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initramfs {
    /// The names of its modules, by the kernel release whose directory they lie in; under an empty
    /// release those that lie directly in /lib, as EL5's mkinitrd puts them.
    modules: BTreeMap<String, BTreeSet<String>>,
    /// The systemd in it.
    pub systemd: Option<PackedFile>,
    /// A filesystem in it whose content was not looked at.
    pub packed_root: Option<String>,
    /// When the image was written.
    pub modified: Time,
}

/// A file inside an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedFile {
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Its time of modification, in seconds since the epoch.
    pub modified: u32,
}

impl Initramfs {
    /// Whether a kernel finds a module in it.
    pub fn has_module(&self, release: &str, module: &str) -> bool {
        [release, ""]
            .iter()
            .filter_map(|release| self.modules.get(*release))
            .any(|names| names.contains(module))
    }
}

/// The images that are being read, and those that were.
#[derive(Default)]
pub(super) struct Images {
    reading: RefCell<BTreeMap<GuestPath, Receiver<Fact<Initramfs>>>>,
    known: RefCell<BTreeMap<GuestPath, Fact<Rc<Initramfs>>>>,
    lie_on_image: Cell<bool>,
}

/// One image to read.
struct Job {
    path: GuestPath,
    stream: Stream,
    cache: Option<Arc<Cache>>,
    answer: Sender<Fact<Initramfs>>,
}

impl Drop for Images {
    /// The filesystems of an image are unmounted when its guest is gone, and the initramfs that no
    /// check asked for may still be read by then: a file that is open holds its filesystem.
    fn drop(&mut self) {
        if self.lie_on_image.get() {
            for (_, receiver) in std::mem::take(self.reading.get_mut()) {
                // What was read is of no use now, and neither is why it could not be.
                let _ = receiver.recv();
            }
        }
    }
}

impl Guest {
    /// Begin to read the initramfs of every kernel, beside whatever the caller does next.
    pub fn read_ahead(&self) {
        if matches!(self.record, Some(Record::Read(_))) {
            return; // What was found in the images is in the notes.
        }
        let kernels = self.kernels().unwrap_or_default();
        self.begin(kernels.iter().flat_map(|kernel| kernel.initramfs.iter().cloned()));
    }

    /// Whether the guest has dracut(8), which makes its initramfs where initramfs-tools does not.
    ///
    /// # Errors
    /// When the paths of it cannot be looked at.
    pub fn has_dracut(&self) -> Fact<bool> {
        for path in ["/usr/bin/dracut", "/sbin/dracut"] {
            if self.stat(&path.into())?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is in an image; waits until it is read.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is of a kind that is not read.
    pub fn initramfs(&self, path: &GuestPath) -> Fact<Rc<Initramfs>> {
        if let Some(Record::Read(notes)) = &self.record {
            return noted(notes, path);
        }
        self.begin([path.clone()]);
        // Whoever began to read it, this answer rests on it too.
        trace::asked_file(path);
        if let Some(receiver) = self.facts.images.reading.borrow_mut().remove(path) {
            let broke = || Unknown(format!("reading {path} broke; please report this"));
            let read = receiver.recv().unwrap_or_else(|_| Err(broke())).map(Rc::new);
            self.facts.images.known.borrow_mut().insert(path.clone(), read);
        }
        let known = self.facts.images.known.borrow();
        let found = known.get(path).cloned();
        let found = found.unwrap_or_else(|| Err(Unknown(format!("{path} was not read"))));
        if let Some(Record::Written(recorder)) = &self.record {
            let fact = found.as_deref().map_err(|why| &why.0);
            let value = serde_json::to_value(fact).unwrap_or_default();
            recorder.note(|notes| {
                notes.facts.insert(name_in_notes(path), value);
            });
        }
        found
    }

    /// Begin to read those images that nobody asked for before.
    fn begin(&self, paths: impl IntoIterator<Item = GuestPath>) {
        let images = &self.facts.images;
        images.lie_on_image.set(self.image.is_some());
        let cache = self.is_running_here().then(Cache::open).flatten().map(Arc::new);
        let mut jobs = VecDeque::new();
        for path in paths {
            if images.known.borrow().contains_key(&path)
                || images.reading.borrow().contains_key(&path)
            {
                continue;
            }
            let stream = match self.root().open_stream(&path, MAX_IMAGE) {
                Ok(Some(stream)) => stream,
                Ok(None) => {
                    let gone = Err(Unknown(format!("{path} is missing")));
                    images.known.borrow_mut().insert(path, gone);
                    continue;
                }
                Err(error) => {
                    images.known.borrow_mut().insert(path, Err(error.into()));
                    continue;
                }
            };
            let (answer, receiver) = channel();
            images.reading.borrow_mut().insert(path.clone(), receiver);
            jobs.push_back(Job { path, stream, cache: cache.clone(), answer });
        }
        work(jobs);
    }
}

/// What was found in an image when the guest was looked at: images are too large to be kept.
fn noted(notes: &Notes, path: &GuestPath) -> Fact<Rc<Initramfs>> {
    let Some(value) = notes.facts.get(&name_in_notes(path)) else {
        return Err(Notes::not_held("read", path).into());
    };
    let fact: Result<Initramfs, String> = serde_json::from_value(value.clone())
        .map_err(|error| Unknown(format!("what the bundle says of {path} is broken: {error}")))?;
    fact.map(Rc::new).map_err(Unknown)
}

fn name_in_notes(path: &GuestPath) -> String {
    format!("initramfs:{path}")
}

/// Hand the images to as many threads as there are images and processors.
fn work(jobs: VecDeque<Job>) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = jobs.len().min(processors).min(MAX_WORKERS);
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..workers {
        let jobs = Arc::clone(&jobs);
        std::thread::spawn(move || {
            let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(job) = next() {
                let answer = job.answer.clone();
                // Nobody waits for it where the check that would have asked was left out.
                let _ = answer.send(read_image(job));
            }
        });
    }
}

/// What a file was when its image was read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    version: String,
    path: GuestPath,
    stamp: Stamp,
    head: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    key: Key,
    image: Initramfs,
}

fn read_image(job: Job) -> Fact<Initramfs> {
    let Job { path, stream, cache, .. } = job;
    let stamp = stream.stamp();
    let broken = |why: &dyn std::fmt::Display| Unknown(format!("cannot read {path}: {why}"));
    let head = stream.head(HEAD).map_err(|e| broken(&e))?;
    let key = Key {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stamp,
        head: sha256_hex(&head),
        path: path.clone(),
    };
    let name = format!("initramfs-{}", &sha256_hex(path.as_bytes())[..16]);
    if let Some(cache) = &cache
        && let Some(kept) = cache.read(&name)
        && let Ok(kept) = serde_json::from_slice::<Kept>(&kept)
        && kept.key == key
    {
        return Ok(kept.image);
    }
    let image = contents(BufReader::with_capacity(128 << 10, stream), stamp.modified)
        .map_err(|e| broken(&e))?;
    let kept = Kept { key, image };
    if let (Some(cache), Ok(bytes)) = (cache, serde_json::to_vec(&kept)) {
        cache.write(&name, &bytes);
    }
    Ok(kept.image)
}

fn contents(
    image: impl std::io::BufRead,
    modified: Time,
) -> crate::parse::initramfs::Result<Initramfs> {
    let mut found =
        Initramfs { modules: BTreeMap::new(), systemd: None, packed_root: None, modified };
    let mut bytes = 0;
    read(image, LIMITS, &mut |entry, content| {
        let name = entry.name.strip_prefix(b"./").unwrap_or(entry.name);
        let name = name.strip_prefix(b"/").unwrap_or(name);
        if let Some((release, module)) = module(name) {
            bytes += release.len() + module.len();
            if bytes > MAX_NAMES {
                return Err(std::io::Error::other("it has more modules than any kernel"));
            }
            found.modules.entry(release).or_default().insert(module);
        } else if SYSTEMD.iter().any(|path| name == path.as_bytes()) && entry.is_file() {
            found.systemd = Some(digest_of(entry, content)?);
        } else if let Some(root) = PACKED_ROOTS.iter().find(|root| name == root.as_bytes()) {
            found.packed_root = Some((*root).to_owned());
        }
        Ok(())
    })?;
    Ok(found)
}

/// The kernel release and the name of a module, by its path in an image.
fn module(path: &[u8]) -> Option<(String, String)> {
    let module = module_name(path)?;
    let below = path.strip_prefix(b"usr/").unwrap_or(path);
    let release = match below.strip_prefix(b"lib/modules/") {
        Some(rest) => rest.split(|b| *b == b'/').next()?,
        None if below.strip_prefix(b"lib/").is_some_and(|file| !file.contains(&b'/')) => b"",
        None => return None,
    };
    Some((String::from_utf8_lossy(release).into_owned(), module))
}

fn digest_of(entry: &Entry, content: &mut dyn Read) -> std::io::Result<PackedFile> {
    let mut digest = Sha256::default();
    let mut buffer = [0; 16 << 10];
    let mut size = 0;
    loop {
        match content.read(&mut buffer)? {
            0 => break,
            read => {
                digest.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
    Ok(PackedFile { size, sha256: digest.finish(), modified: entry.modified })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_belongs_to_the_release_of_its_directory() {
        for (path, found) in [
            (
                "usr/lib/modules/6.1.0/kernel/drivers/block/virtio_blk.ko",
                Some(("6.1.0", "virtio_blk")),
            ),
            ("lib/modules/3.10.0/extra/nvme-core.ko.xz", Some(("3.10.0", "nvme_core"))),
            ("lib/virtio_blk.ko", Some(("", "virtio_blk"))),
            ("lib/firmware/virtio_blk.ko", None),
            ("virtio_blk.ko", None),
            ("lib/modules/6.1.0/modules.dep", None),
        ] {
            let found = found.map(|(release, name)| (release.to_owned(), name.to_owned()));
            assert_eq!(module(path.as_bytes()), found, "{path}");
        }
    }
}

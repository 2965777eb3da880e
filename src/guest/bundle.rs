//! Bundles: what was asked of a guest and what it answered, as one file that can be sent.
//!
//! A bundle is a tar compressed by zstd: `bundle.json`, and the contents under their own paths
//! below `root/`, `proc/`, `sys/` and `dev/`. Secrets are taken out when a content is noted
//! ([`crate::parse::reduce`]). A guest that is made of a bundle answers from memory alone.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{Facts, Guest, Mode, Seen};
use crate::model::{ByteString, Policy, Tool};
use crate::parse::archive::{self, ArchiveError};
use crate::parse::reduce;
use crate::sys::{Kernel, Noted, Notes, Record, Recorder, Root, Runner, Space, Whose};

/// The schema that this version writes and reads.
const SCHEMA: &str = "guestprep.bundle/1";

/// The name of the description.
const DESCRIPTION: &str = "bundle.json";

/// A guest's answers, with what is needed to ask them again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bundle {
    schema: String,
    /// What made it.
    pub tool: Tool,
    /// When, RFC 3339, UTC.
    pub created: String,
    /// How the guest was looked at.
    pub mode: Mode,
    /// The settings of the audit that it was made for.
    pub settings: SavedSettings,
    /// Questions and answers.
    pub notes: Notes,
}

/// The settings of the audit that a bundle was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SavedSettings {
    /// The profile.
    pub profile: String,
    /// `--system-disk`.
    pub system_disk: Option<String>,
    /// The configuration: each file's name and text, in the order that they were read in.
    pub config: Vec<(String, String)>,
}

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is no archive that can be one.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The description is missing.
    #[error("{DESCRIPTION} is not in it")]
    NoDescription,
    /// The description is no JSON of the schema.
    #[error("{DESCRIPTION}: {0}")]
    Description(String),
    /// Another version made it.
    #[error("{DESCRIPTION}: its schema is {0}, and this version reads {SCHEMA}")]
    Schema(String),
    /// The description names a content that is missing.
    #[error("{0}: {DESCRIPTION} names it, and it is not in the bundle")]
    Missing(String),
    /// There is a content that the description does not name.
    #[error("{0}: {DESCRIPTION} does not name it")]
    Unnamed(String),
}

impl Guest {
    /// The same guest, whose every answer is noted from now on, without its secrets. It cannot be
    /// changed.
    pub fn recorded_by(mut self, recorder: &Recorder) -> Self {
        let path = std::os::unix::ffi::OsStrExt::as_bytes(self.root.path().as_os_str()).to_vec();
        recorder.note(|notes| notes.path = ByteString::from(path));
        if let Some(image) = &self.image {
            image.note(recorder);
        }
        let kernel = |kernel: &Option<Kernel>, whose| {
            kernel.as_ref().map(|kernel| kernel.recorded_by(recorder, whose))
        };
        self.root = self.root.recorded_by(recorder, Space::Root);
        self.kernel = kernel(&self.kernel, Whose::Guest);
        self.host = kernel(&self.host, Whose::Host);
        self.runner = self.runner.recorded_by(recorder);
        self.record = Some(Record::Written(recorder.clone()));
        self.facts = Facts::default();
        self
    }

    /// A recorder that takes secrets out of what it notes.
    pub fn recorder() -> Recorder {
        Recorder::new(|path, content| {
            let reduced = reduce::reduce(path.as_bytes(), content);
            (reduced.content, reduced.count)
        })
    }

    /// A text without what may be a secret in it.
    pub fn without_secrets(text: &[u8]) -> Vec<u8> {
        reduce::reduce(b"/", text).content
    }

    /// The guest that a bundle was collected from. Nothing of this machine is asked.
    ///
    /// # Errors
    /// When what the bundle says of a disk image does not fit together.
    pub fn bundle(bundle: Bundle, policy: Policy) -> Result<Self, BundleError> {
        let notes = Rc::new(bundle.notes);
        let seen = match bundle.mode {
            Mode::Image => Some(Seen::replayed(&notes).map_err(BundleError::Description)?),
            Mode::Live | Mode::Tree => None,
        };
        Ok(Self {
            mode: bundle.mode,
            root: Root::replayed(&notes, Space::Root, notes.path.as_os_str().into()),
            kernel: Kernel::replayed(&notes, Whose::Guest),
            host: Kernel::replayed(&notes, Whose::Host),
            image: None,
            seen: seen.map(Rc::new),
            runner: Runner::replayed(&notes),
            policy,
            record: Some(Record::Read(notes)),
            facts: Facts::default(),
        })
    }
}

impl Bundle {
    /// What a recorder noted of a guest.
    pub fn new(
        recorder: &Recorder,
        mode: Mode,
        settings: SavedSettings,
        created: String,
        tool: Tool,
    ) -> Self {
        let notes = recorder.notes();
        let schema = SCHEMA.to_owned();
        let mut bundle = Self { schema, tool, created, mode, settings, notes };
        // Of two looks at the beginning of a disk the longer one is named.
        let named: BTreeSet<String> = bundle.named().into_iter().map(str::to_owned).collect();
        bundle.notes.contents.retain(|name, _| named.contains(name));
        bundle
    }

    /// The bundle as a file.
    ///
    /// # Errors
    /// When it cannot be packed.
    pub fn write(&self) -> std::io::Result<Vec<u8>> {
        let mut description = serde_json::to_vec_pretty(self)?;
        description.push(b'\n');
        archive::pack((DESCRIPTION, &description), &self.notes.contents, self.notes.now)
    }

    /// Read a file that is not trusted.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Schema {
            schema: String,
        }
        let broken = |error: serde_json::Error| BundleError::Description(error.to_string());
        let mut contents = archive::unpack(bytes)?;
        let description = contents.remove(DESCRIPTION).ok_or(BundleError::NoDescription)?;
        let known: Schema = serde_json::from_slice(&description).map_err(broken)?;
        if known.schema != SCHEMA {
            return Err(BundleError::Schema(known.schema));
        }
        let mut bundle: Bundle = serde_json::from_slice(&description).map_err(broken)?;
        let named = bundle.named();
        if let Some(missing) = named.iter().find(|name| !contents.contains_key(**name)) {
            return Err(BundleError::Missing((*missing).to_owned()));
        }
        if let Some(unnamed) = contents.keys().find(|name| !named.contains(name.as_str())) {
            return Err(BundleError::Unnamed(unnamed.clone()));
        }
        bundle.notes.contents = contents;
        Ok(bundle)
    }

    /// The contents that the answers name.
    fn named(&self) -> BTreeSet<&str> {
        let of_files =
            self.notes.files.values().flat_map(|files| files.values()).filter_map(|notes| {
                match &notes.content {
                    Some(Noted::Is(stored)) => Some(stored.entry.as_str()),
                    _ => None,
                }
            });
        let of_devices = self
            .notes
            .kernels
            .values()
            .flat_map(|kernel| kernel.devices.values())
            .flat_map(|device| device.pieces.values())
            .map(String::as_str);
        of_files.chain(of_devices).collect()
    }
}

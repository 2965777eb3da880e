//! `--bundle`: a guest that was collected elsewhere.

use std::path::Path;

use super::args::{Cli, SelectArgs};
use super::exit::Trouble;
use super::setup::Choice;
use crate::guest::{Bundle, BundleError, Guest};
use crate::sys;

/// No bundle is larger than this, in bytes.
const MAX_BUNDLE: u64 = 128 << 20;

/// Read a bundle: its guest, and what is to be asked of it.
pub fn open(
    cli: &Cli,
    select: &SelectArgs,
    system_disk: Option<&str>,
    path: &Path,
) -> Result<(Choice, Guest), Trouble> {
    let shown = path.display();
    let bytes = sys::read_named(path, MAX_BUNDLE)?
        .ok_or_else(|| Trouble::usage(format!("cannot read {shown}: there is no such file")))?;
    let refused = |error: BundleError| {
        Trouble::usage(format!("cannot read the bundle {shown}: {error}"))
            .hint("`guestprep collect -o FILE` makes one")
    };
    let bundle = Bundle::read(&bytes).map_err(refused)?;
    let choice = Choice::of_bundle(cli, select, &bundle.settings)?;
    let system_disk = system_disk.or(bundle.settings.system_disk.as_deref());
    let policy = choice.policy(system_disk);
    let guest = Guest::bundle(bundle, policy).map_err(refused)?;
    Ok((choice, guest))
}

//! What systemd does with fstab, crypttab and units. The rules were read from boots of systemd 252
//! (tests/vm/impact.tsv) and agree with systemd-fstab-generator(8), systemd.mount(5) and
//! systemd-cryptsetup-generator(8).

use super::{Absence, BootItem, Fields, ItemKind, Origin, Pull};
use crate::guest::{Fact, Guest, MAX_FILE, Place, units};
use crate::model::{ByteString, GuestPath};
use crate::parse::options::Options;
use crate::parse::source::Source;
use crate::parse::timespan::{self, TimeSpan};
use crate::parse::unit::{Settings, UnitFile};
use crate::parse::unit_name;

/// systemd's DefaultTimeoutStartSec and DefaultDeviceTimeoutSec (systemd-system.conf(5)), seconds.
const DEFAULT_WAIT: u64 = 90;

/// The targets that boot passes on its way to a login; one that lacks what it requires fails.
const ON_THE_WAY: [&[u8]; 4] =
    [b"local-fs.target", b"sysinit.target", b"basic.target", b"multi-user.target"];

/// How long boot waits for a device.
pub struct Waits {
    default: Option<u64>,
}

impl Waits {
    /// The default of this guest. Where its systemd knows `DefaultDeviceTimeoutSec=` (252 and later,
    /// and EL8 and EL9 by a backport), that or 90 s, whatever `DefaultTimeoutStartSec=` says; before,
    /// the latter. The arguments of the kernel outdo the files.
    pub fn read(guest: &Guest) -> Fact<Self> {
        let (mut device, mut start) = (None, None);
        for path in guest.conf_files("systemd/system.conf")? {
            let Some(text) = guest.file(&path)? else { continue };
            let file = UnitFile::parse(&text);
            let span = |key| last_span(file.settings(), key);
            device = span("DefaultDeviceTimeoutSec").or(device);
            start = span("DefaultTimeoutStartSec").or(start);
        }
        // Where the loader's menu cannot be read, the checks of it say so.
        let arguments = guest.boot_arguments().ok().flatten().cloned().unwrap_or_default();
        let argument = |key: &[u8]| {
            let named = arguments.words().iter().filter(|word| word.is_named(key));
            named.filter_map(|word| timespan::parse(word.value.as_deref()?)).next_back()
        };
        start = argument(b"systemd.default_timeout_start_sec").or(start);
        let of_argument = argument(b"systemd.default_device_timeout_sec");
        let mut is_apart = None;
        if device.or(start).or(of_argument).is_some() {
            let program = Program::read(guest);
            is_apart = program.knows("DefaultDeviceTimeoutSec");
            device = device.filter(|_| is_apart != Some(false));
            let is_heeded = program.knows("systemd.default_device_timeout_sec") != Some(false);
            device = of_argument.filter(|_| is_heeded).or(device);
        }
        let start = start.filter(|_| is_apart != Some(true));
        Ok(Self { default: device.or(start).map_or(Some(DEFAULT_WAIT), seconds) })
    }

    /// How long boot waits for a device with these options; `None` for ever.
    pub fn of(&self, options: &Options) -> Option<u64> {
        let wanted = options
            .value("x-systemd.device-timeout")
            .or_else(|| options.value("comment=systemd.device-timeout"));
        match wanted.and_then(timespan::parse) {
            Some(span) => seconds(span),
            None => self.default,
        }
    }
}

/// The last value of a setting that is a span: systemd passes over what it cannot read.
fn last_span(settings: &Settings, key: &str) -> Option<TimeSpan> {
    let own = settings.assignments().iter().filter(|own| own.section == b"Manager");
    own.filter(|own| own.key == key.as_bytes())
        .filter_map(|own| timespan::parse(&own.value))
        .next_back()
}

/// The program that runs as process 1, which has the names of all settings in it: versions say
/// little of what a distribution took over from later ones.
struct Program(Option<Vec<u8>>);

impl Program {
    fn read(guest: &Guest) -> Self {
        let paths = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"].map(GuestPath::from);
        let read = |path| guest.root().read(path, MAX_FILE).ok().flatten();
        Self(paths.iter().find_map(read))
    }

    /// Whether it knows a setting; `None` where it cannot be told.
    fn knows(&self, name: &str) -> Option<bool> {
        let has = |name: &str| {
            let finder = memchr::memmem::Finder::new(name);
            self.0.as_ref().is_some_and(|program| finder.find(program).is_some())
        };
        has("DefaultTimeoutStartSec").then(|| has(name))
    }
}

/// A span in whole seconds, rounded up; 0 means no limit, as in JobRunningTimeoutSec=.
fn seconds(span: TimeSpan) -> Option<u64> {
    match span {
        TimeSpan::Infinity => None,
        TimeSpan::Finite(span) if span.is_zero() => None,
        TimeSpan::Finite(span) => {
            Some(span.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX))
        }
    }
}

pub fn fstab_pull(guest: &Guest, fields: &Fields) -> Pull {
    let options = fields.options;
    if fields.is_swap {
        // `nofail` turns Requires= into Wants=, but the swap unit stays ordered before
        // swap.target, so boot waits for its device all the same.
        return if fields.noauto() { Pull::Never } else { Pull::Awaited };
    }
    if fields.is_at("/") {
        // The root is mounted already. With the wrong source systemd-remount-fs fails, and a root
        // that the kernel mounted read-only stays so: nothing that writes comes up.
        return if root_is_writable(guest) { Pull::Background } else { Pull::Required };
    }
    if fields.is_at("/usr") {
        return Pull::Required; // Mounted in the initramfs, whatever the options say.
    }
    if options.has("x-systemd.automount") || options.has("comment=systemd.automount") {
        return Pull::OnAccess;
    }
    let required_by: Vec<&[u8]> = options.values("x-systemd.required-by").collect();
    let wanted_by = options.values("x-systemd.wanted-by").next().is_some();
    if !required_by.is_empty() || wanted_by {
        // These replace the link from local-fs.target, and `noauto` has no say then.
        return if fields.nofail() {
            Pull::Background
        } else if required_by.iter().any(|unit| ON_THE_WAY.contains(unit)) {
            Pull::Required
        } else {
            Pull::Awaited
        };
    }
    if fields.noauto() {
        Pull::Never
    } else if fields.nofail() {
        Pull::Background
    } else if fields.is_network() {
        Pull::Awaited // Required by remote-fs.target, which multi-user.target only wants.
    } else {
        Pull::Required
    }
}

/// Whether the kernel mounts the root read-write by itself: `rw` on the command line.
fn root_is_writable(guest: &Guest) -> bool {
    let Some(kernel) = guest.kernel() else { return false };
    let Ok(Some(cmdline)) = kernel.proc("/cmdline") else { return false };
    let mut words = cmdline.split(u8::is_ascii_whitespace);
    words.rfind(|word| matches!(*word, b"rw" | b"ro")) == Some(b"rw")
}

/// The first device that `x-systemd.requires=` names and a clone lacks, and where it lies: the
/// mount waits for it as for a source of its own.
pub fn lacking_device(guest: &Guest, options: &Options) -> Fact<Option<(ByteString, Place)>> {
    for named in options.values("x-systemd.requires") {
        let path = match named.strip_suffix(b".device").map(unit_name::unescape_path) {
            Some(Some(path)) => path,
            _ => named.to_vec(),
        };
        if !path.starts_with(b"/dev/") {
            continue;
        }
        let place = guest.place(&Source::parse(&path), None)?;
        if matches!(
            place,
            Place::Data { .. } | Place::Missing | Place::Closed { .. } | Place::Untold(_)
        ) {
            return Ok(Some((ByteString::from(path.as_slice()), place)));
        }
    }
    Ok(None)
}

pub fn crypttab_pull(guest: &Guest, options: &Options) -> Pull {
    if options.switch("noauto", "auto") == Some(true) {
        Pull::Never
    } else if options.switch("nofail", "fail") == Some(true) || is_left_to_nobody(guest, options) {
        Pull::Background
    } else {
        Pull::Awaited // Required by cryptsetup.target, which sysinit.target only wants.
    }
}

/// Find the mounts that boot waits for because of a service: what a service requires by
/// `RequiresMountsFor=` is started with it, `noauto` or not, and the service fails without it.
pub fn hold(guest: &Guest, items: &mut [BootItem]) -> Fact<()> {
    let is_lacking = |item: &BootItem| {
        matches!(item.kind, ItemKind::Mount | ItemKind::Automount)
            && item.absence != Absence::Present
    };
    if !items.iter().any(is_lacking) {
        return Ok(()); // The services of a guest are many, and need not be read for nothing.
    }
    let requirements = units::required_mounts(guest)?;
    for item in items.iter_mut().filter(|item| is_lacking(item)) {
        let Some(target) = &item.target else { continue };
        let required = requirements.iter().find(|(_, path)| path.is_within(target));
        item.held_by = required.map(|(service, _)| service.clone());
        // systemd-user-sessions.service, which lets people in, is After=home.mount.
        let is_started = !matches!(item.pull, Pull::Never | Pull::OnAccess);
        if target.as_bytes() == b"/home" && is_started {
            item.held_by = Some("systemd-user-sessions.service".to_owned());
        }
    }
    Ok(())
}

/// Whether a volume belongs to remote-cryptsetup.target and nothing pulls that in, as on Debian.
/// Releases without that target open such a volume with all others.
pub fn is_left_to_nobody(guest: &Guest, options: &Options) -> bool {
    const TARGET: &str = "remote-cryptsetup.target";
    let is_there =
        |path: &str| guest.root().lstat(&GuestPath::from(path)).is_ok_and(|found| found.is_some());
    let directories = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
    let pullers = ["multi-user", "remote-fs", "sysinit", "graphical"];
    options.has("_netdev")
        && directories.iter().any(|directory| is_there(&format!("{directory}/{TARGET}")))
        && !directories.iter().any(|directory| {
            pullers.iter().any(|p| is_there(&format!("{directory}/{p}.target.wants/{TARGET}")))
        })
}

/// The units that boot would start, as items.
pub fn read_units(guest: &Guest, items: &mut Vec<BootItem>) -> Fact<()> {
    let waits = Waits::read(guest)?;
    for unit in &guest.units()?.units {
        let options = Options::systemd(unit.options.as_bytes());
        let source = Source::parse(unit.what.as_bytes());
        let required = unit
            .pulled_by
            .iter()
            .any(|(puller, required)| *required && puller == "local-fs.target");
        let pull = if unit.is_automount() {
            Pull::OnAccess
        } else if options.switch("nofail", "fail") == Some(true) && !unit.is_swap() {
            Pull::Background // Ordered before no target then, required by one or not.
        } else if required {
            Pull::Required
        } else {
            Pull::Awaited // Ordered before local-fs.target or swap.target by default.
        };
        items.push(BootItem {
            origin: Origin::Unit { name: unit.name.clone(), path: unit.path.clone() },
            kind: if unit.is_automount() {
                ItemKind::Automount
            } else if unit.is_swap() {
                ItemKind::Swap
            } else {
                ItemKind::Mount
            },
            source_text: ByteString::from(unit.what.as_bytes()),
            place: guest.place(&source, unit.target.as_ref())?,
            source,
            target: unit.target.clone(),
            fstype: unit.fstype.clone(),
            wait: waits.of(&options),
            options,
            pull,
            needs: Vec::new(),
            held_by: None,
            absence: Absence::Present,
        });
    }
    Ok(())
}

//! The real grub-mkconfig as the second opinion: what it writes from the settings that were edited has the same arguments
//! as what it wrote before once that was edited, entry by entry.
//!
//! It runs in a mount namespace of its own, over the guest's /boot and /etc/default, with a grub-probe that tells of the
//! guest's disk. Debian's generator; those of the other families are not to be had here.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::fixture::Fixture;
use guestprep::change::{Interrupt, Phase2, RunKind, Store, compose, execute, roll_back};
use guestprep::guest::{Guest, Mode};
use guestprep::model::{CheckId, Edit, Policy, Verdict};
use guestprep::probe;

const UUID: &str = "98ec47de-82c4-574b-8ec6-84ccd4f06082";

/// Runs in the namespace: `$1` is the directory of the test, `$2` the UUID of the root filesystem.
const NAMESPACE: &str = r#"
mount --make-rprivate /
mkdir "$1/dev"
mount -t tmpfs none "$1/dev"
touch "$1/dev/null" "$1/dev/vda1"
mkdir -p "$1/dev/disk/by-uuid"
touch "$1/dev/disk/by-uuid/$2"
mount --bind /dev/null "$1/dev/null"
mount --rbind "$1/dev" /dev
mount --bind "$1/root/boot" /boot
mount --bind "$1/root/etc/default" /etc/default
mount --bind "$1/grub-probe" /usr/sbin/grub-probe
mount --bind "$1/grub-mkrelpath" /usr/bin/grub-mkrelpath
exec grub-mkconfig
"#;

const PROBE: &str = r#"#!/bin/sh
for word; do
  case $word in
    --target=device) echo /dev/vda1 ;;
    --target=fs_uuid) echo 98ec47de-82c4-574b-8ec6-84ccd4f06082 ;;
    --target=partuuid) echo 01234567-01 ;;
    --target=fs) echo ext2 ;;
    --target=partmap) echo msdos ;;
    --target=compatibility_hint) echo hd0,msdos1 ;;
    --target=hints_string) echo "--hint='hd0,msdos1'" ;;
  esac
done
"#;

/// What the generator writes for the guest as it is; none where this machine cannot run it.
fn generate(root: &Path) -> Option<String> {
    let place = root.parent().expect("a place");
    for (name, text) in [("grub-probe", PROBE), ("grub-mkrelpath", "#!/bin/sh\necho \"$1\"\n")] {
        fs::write(place.join(name), text).expect("a file");
        fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let _ = fs::remove_dir(place.join("dev"));
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", NAMESPACE, "sh"]).arg(place).arg(UUID);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
    let output = command.output().ok()?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{complaint}");
    Some(String::from_utf8(output.stdout).expect("UTF-8"))
}

fn can_run() -> bool {
    let has = |program: &str| Path::new("/usr/sbin").join(program).exists();
    let is_root = rustix::process::geteuid().is_root();
    let may = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|s| s.success());
    if has("grub-mkconfig") && has("grub-probe") && is_root && may {
        return true;
    }
    println!("left out: it takes root, mount namespaces and grub-common");
    false
}

/// The title and the sorted arguments of every entry.
fn entries(guest: &Guest) -> Vec<(String, Vec<String>)> {
    let menu = guest.boot_entries().expect("a menu");
    assert_eq!(menu.doubts, Vec::<String>::new());
    let mut found = Vec::new();
    for entry in &menu.entries {
        assert!(entry.kernel.as_ref().is_some_and(|k| k.exists), "{entry:?}");
        let mut words: Vec<String> = entry
            .arguments
            .arguments()
            .iter()
            .map(|a| String::from_utf8_lossy(&entry.arguments.print()[a.span.clone()]).into_owned())
            .collect();
        words.sort();
        found.push((entry.title.to_string(), words));
    }
    found
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// Settings, and what is wanted of the arguments.
struct Case {
    settings: &'static str,
    part: Option<&'static str>,
    add: &'static [&'static str],
    remove: &'static [&'static str],
}

const CASES: [Case; 8] = [
    Case {
        settings: "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"net.ifnames=0 nopti\"\n",
        part: None,
        add: &["crashkernel=256M"],
        remove: &["nopti"],
    },
    // What only normal entries have stays theirs.
    Case {
        settings: "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet crashkernel=128M splash\"\nGRUB_CMDLINE_LINUX=\"\"\n",
        part: None,
        add: &["crashkernel=256M", "mitigations=off"],
        remove: &["splash"],
    },
    Case {
        settings: "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n",
        part: None,
        add: &["crashkernel=256M", "nopti"],
        remove: &["quiet"],
    },
    // kdump-tools adds to what the main file says.
    Case {
        settings: "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"console=ttyS0\"\n",
        part: Some(
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M\"\n",
        ),
        add: &["crashkernel=2G-:256M"],
        remove: &["console"],
    },
    Case {
        settings: "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"a=1\"\n",
        part: Some(
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M\"\n",
        ),
        add: &[],
        remove: &["crashkernel"],
    },
    // A part that says it anew.
    Case {
        settings: "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet nopti\"\nGRUB_CMDLINE_LINUX=\"a=1\"\n",
        part: Some(
            "# Cloud Image specific Grub settings\nGRUB_CMDLINE_LINUX_DEFAULT=\"console=tty1 console=ttyS0\"\nGRUB_CMDLINE_LINUX='b=2'\n",
        ),
        add: &["a=3", "spectre_v2=off"],
        remove: &["nopti"],
    },
    // In both: one is enough.
    Case {
        settings: "GRUB_CMDLINE_LINUX_DEFAULT=\"x=1 quiet\"\nGRUB_CMDLINE_LINUX=\"y x=2\"\n",
        part: None,
        add: &["x=3"],
        remove: &["y"],
    },
    Case {
        settings: "GRUB_CMDLINE_LINUX=\"dyndbg=\\\"file a.c\\\" ro nopti\"\nGRUB_CMDLINE_LINUX_DEFAULT=\nGRUB_DISABLE_RECOVERY=true\n",
        part: None,
        add: &["mitigations=auto,nosmt"],
        remove: &["nopti"],
    },
];

fn guest(fixture: &Fixture) -> Guest {
    fixture.guest(Mode::Tree, Policy::default())
}

fn take(fixture: &Fixture, edits: &[(CheckId, Edit)]) -> Store {
    let first = guest(fixture);
    let plan = compose(&first, "clone", edits).expect("a plan");
    let store =
        Store::create(&first, Some(&fixture.root.with_file_name("state"))).expect("a store");
    let quiet = &mut |_: &_| {};
    execute(&first, &store, &plan, RunKind::Prepare, Phase2::Now, &Interrupt::default(), quiet)
        .expect("done");
    store
}

#[test]
fn the_generator_agrees_with_what_was_edited() {
    if !can_run() {
        return;
    }
    for (number, case) in CASES.iter().enumerate() {
        let fixture = Fixture::distro("debian-12");
        let root = &fixture.root;
        let config = root.join("boot/grub/grub.cfg");
        fs::write(root.join("etc/default/grub"), case.settings).expect("the settings");
        if let Some(part) = case.part {
            fs::create_dir_all(root.join("etc/default/grub.d")).expect("a directory");
            fs::write(root.join("etc/default/grub.d/50-part.cfg"), part).expect("a part");
        }
        let Some(written) = generate(root) else { return };
        fs::write(&config, &written).expect("a configuration");
        let before = entries(&guest(&fixture));
        assert!(before.len() >= 2, "{before:?}");
        let lines = guest(&fixture).command_lines().expect("command lines").clone();
        let next_kernel = lines.next_kernel.expect("settings");
        let next_boot = lines.next_boot.expect("a default entry");
        for argument in next_kernel.arguments() {
            assert!(
                next_boot.last(&String::from_utf8_lossy(&argument.key)).is_some(),
                "{number}: {argument:?}"
            );
        }

        let edit = Edit::KernelArguments { add: words(case.add), remove: words(case.remove) };
        let store = take(&fixture, &[(CheckId::from("a"), edit)]);
        let edited = entries(&guest(&fixture));
        assert_ne!(before, edited, "{number}");
        let changed = fs::read_to_string(&config).expect("a configuration");
        fs::write(&config, generate(root).expect("it ran before")).expect("a configuration");
        let generated = entries(&guest(&fixture));
        assert_eq!(
            edited, generated,
            "{number}: what was edited, and what grub-mkconfig makes of the settings"
        );

        fs::write(&config, &changed).expect("as the plan left it");
        let mut run = store.runs().expect("runs").pop().expect("a run");
        let back = roll_back(&guest(&fixture), &mut run).expect("a rollback");
        assert!(back.left.is_empty(), "{number}: {back:?}");
        assert_eq!(fs::read_to_string(&config).expect("a configuration"), written, "{number}");
        assert_eq!(
            generate(root).expect("it ran before"),
            written,
            "{number}: the settings are back"
        );
    }
}

#[test]
fn after_boot_device_name_is_mended_the_generator_writes_uuids() {
    if !can_run() {
        return;
    }
    for setting in ["GRUB_DISABLE_LINUX_UUID=true\n", "GRUB_CMDLINE_LINUX=\"root=/dev/vda1\"\n"] {
        let fixture = Fixture::distro("debian-12");
        let root = &fixture.root;
        let config = root.join("boot/grub/grub.cfg");
        let settings = format!("GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\n{setting}");
        fs::write(root.join("etc/default/grub"), settings).expect("the settings");
        let Some(written) = generate(root) else { return };
        assert!(written.contains("root=/dev/vda1"), "{written}");
        fs::write(&config, written).expect("a configuration");
        let probe = probe::find("boot-device-name").expect("a probe");
        let Ok(Verdict::Fail(findings)) = (probe.judge)(&guest(&fixture)) else {
            panic!("it is to fail")
        };
        let edits: Vec<_> = findings
            .into_iter()
            .flat_map(|f| f.fix)
            .map(|e| (CheckId::from("boot-device-name"), e))
            .collect();
        take(&fixture, &edits);
        assert_eq!((probe.judge)(&guest(&fixture)), Ok(Verdict::Pass));
        let edited = fs::read_to_string(&config).expect("a configuration");
        let generated = generate(root).expect("it ran before");
        assert!(!generated.contains("/dev/vda1"), "{generated}");
        let uuids = |text: &str| text.matches(&format!("root=UUID={UUID}")).count();
        assert!(uuids(&edited) >= 3 && !edited.contains("root=/dev/"), "{edited}");
        fs::write(&config, generated).expect("a configuration");
        assert_eq!((probe.judge)(&guest(&fixture)), Ok(Verdict::Pass));
    }
}

#[test]
fn what_grub_script_check_refuses_is_an_error_and_what_it_takes_is_none() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("grub.cfg");
    for (script, is_good) in [
        ("set default=0\nmenuentry 'A' --id a { linux /v ro; initrd /i }\n", true),
        (
            "submenu 'S' $menuentry_id_option 'x' {\n\tmenuentry \"M\" {\n\t\techo 'l'\n\t}\n}\n",
            true,
        ),
        ("if [ -s $prefix/grubenv ]; then\n load_env\nelif [ x ]; then y; else z\nfi\n", true),
        ("function f {\n x\n}\nf # a note\n", true),
        ("for i in a b; do echo $i; done\nwhile false; do x; done\n", true),
        ("a \\\n b 'c d' \"e ${f} \\$g\"\n", true),
        ("menuentry 'A' {\n linux /v\n", false),
        ("menuentry 'A' {\n}\n", false),
        ("if x; then\nfi\n", false),
        ("if x\n y\nfi\n", false),
        ("echo 'a\n", false),
        ("a\n}\n", false),
        ("fi\n", false),
        ("a | b\n", false),
        ("function { x\n}\n", false),
    ] {
        let own = guestprep::parse::grub_script::parse(script.as_bytes());
        assert_eq!(own.is_ok(), is_good, "{script}: {own:?}");
        fs::write(&path, script).expect("a script");
        let Ok(output) = Command::new("grub-script-check").arg(&path).output() else {
            println!("left out: grub-script-check is not installed");
            return;
        };
        assert_eq!(output.status.success(), is_good, "{script}");
    }
}

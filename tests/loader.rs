//! The boot loader's menu of every clean guest: its default entry is the kernel that runs.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

mod common;

use common::fixture::{Fixture, distros};
use guestprep::guest::{Guest, Loader, Mode};
use guestprep::model::Policy;
use guestprep::parse::kernel_arguments::KernelArguments;

fn without_image(arguments: &KernelArguments) -> Vec<String> {
    let shown = arguments.arguments().iter().map(|a| {
        let key = String::from_utf8_lossy(&a.key).into_owned();
        match &a.value {
            Some(value) => format!("{key}={}", String::from_utf8_lossy(value)),
            None => key,
        }
    });
    shown.filter(|a| !a.starts_with("BOOT_IMAGE=")).collect()
}

fn guest(fixture: &Fixture, mode: Mode) -> Guest {
    fixture.guest(mode, Policy::default())
}

#[test]
fn the_default_entry_of_a_clean_guest_is_what_runs() {
    for name in distros() {
        let fixture = Fixture::distro_in_memory(&name);
        let live = guest(&fixture, Mode::Live);
        let menu = live.boot_entries().unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(menu.doubts, Vec::<String>::new(), "{name}");
        let entry = menu.default_entry().unwrap_or_else(|| panic!("{name} has no default"));
        assert_eq!(entry.version(), live.kernel_release(), "{name}");
        let kernel = entry.kernel.as_ref().expect("a kernel");
        assert!(kernel.exists, "{name}: {kernel:?}");
        assert!(!entry.initrds.is_empty() && entry.initrds.iter().all(|i| i.exists), "{name}");
        let lines = live.command_lines().unwrap();
        let running = lines.running.as_ref().expect("a running kernel");
        assert_eq!(without_image(&entry.arguments), without_image(running), "{name}");

        let offline = guest(&fixture, Mode::Tree);
        let same = offline.boot_entries().unwrap();
        assert_eq!((&same.entries, same.default), (&menu.entries, menu.default), "{name}");
    }
}

#[test]
fn the_next_kernel_of_a_clean_guest_gets_what_the_default_entry_has() {
    for name in distros() {
        let fixture = Fixture::distro_in_memory(&name);
        let live = guest(&fixture, Mode::Live);
        let lines = live.command_lines().unwrap();
        let next = lines.next_boot.as_ref().map(without_image).expect("a default entry");
        let Some(update) = lines.next_kernel.as_ref().map(without_image) else {
            assert_eq!(live.boot_entries().unwrap().loader, Loader::GrubLegacy, "{name}");
            continue;
        };
        let missing: Vec<_> = update.iter().filter(|a| !next.contains(a)).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

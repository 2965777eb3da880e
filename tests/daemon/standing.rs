//! What was judged again is what an audit of everything says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use guestprep::catalog::{CHECKS, Config, Language, profile};
use guestprep::daemon::Looking;
use guestprep::engine::{self, Selection, Settings, Standing};
use guestprep::guest::Guest;
use guestprep::model::{CheckId, Policy, Severity};
use guestprep::sys::Space;
use guestprep::sys::trace::Question;
use guestprep::sys::watch::{Changes, Waker};
use proptest::prelude::*;

use crate::common::fixture::{Fixture, fixtures};

fn settings<'a>(config: &'a Config, only: Option<&str>) -> Settings<'a> {
    Settings {
        profile: profile("clone").expect("the profile clone"),
        config,
        language: Language::En,
        fail_on: Severity::Blocker,
        selection: Selection {
            only: only.map(CheckId::from).into_iter().collect(),
            ..Selection::default()
        },
    }
}

fn tree(root: &Path) -> guestprep::sys::Result<Guest> {
    Guest::tree(root, Policy::default())
}

/// One edit of a guest's tree, of a kind that some editor, package manager or person makes.
fn edit(path: &Path, how: u8) {
    let other = path.with_extension("other");
    if let Some(parent) = path.parent() {
        // Where a file stands in a directory's place there is nothing to edit.
        let _ = fs::create_dir_all(parent);
    }
    let text = fs::read(path).unwrap_or_default();
    let remove = || drop(fs::remove_file(path).or_else(|_| fs::remove_dir_all(path)));
    // Which of these fail depends on what stands there; all that counts is what is there after.
    match how {
        0 => drop(fs::write(path, [&text[..], b"\n/dev/vdz9 /new ext4 defaults 0 2\n"].concat())),
        1 => remove(),
        2 => {
            drop(fs::write(&other, &text[..text.len() / 2]).and_then(|()| fs::rename(&other, path)))
        }
        3 => drop(fs::rename(path, &other)),
        4 => drop(fs::rename(&other, path)),
        5 => {
            remove();
            let _ = symlink("/etc/hostname", path);
        }
        6 => {
            remove();
            let _ = fs::create_dir(path);
        }
        7 => {
            let _ = fs::rename(path, &other);
            let _ = symlink(other.file_name().unwrap_or_default(), path);
        }
        8 => drop(fs::write(path.join("new.conf"), b"[Unit]\n")),
        _ => drop(fs::write(path, b"")),
    }
}

/// What the checks ask of the tree, as paths of this machine.
fn asked(root: &Path, standing: &Standing) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = standing
        .inputs()
        .flat_map(|inputs| inputs.iter())
        .filter_map(|question| match &**question {
            Question::File(Space::Root, path) | Question::Names(Space::Root, path) => {
                Some(root.join(String::from_utf8_lossy(&path.as_bytes()[1..]).as_ref()))
            }
            _ => None,
        })
        .filter(|path| path != root)
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn judging_again_gives_what_judging_everything_gives(
        distro in prop::sample::select(vec!["debian-12", "rocky-9", "centos-6"]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..10), 1..12),
    ) {
        let fixture = Fixture::distro(distro);
        let root = fixture.root.as_path();
        let (config, open) = (Config::default(), || tree(root));
        let settings = settings(&config, None);
        let mut all = Standing::default();
        all.judge(&open().unwrap(), &settings, |_| false);
        let paths = asked(root, &all);
        let mut looking = Looking::new(open().unwrap().root(), Waker::new().unwrap()).unwrap();
        looking.look(&open, &settings, &Changes::default()).unwrap();
        for (at, how) in edits {
            let path = at.get(&paths);
            edit(path, how);
            let mut changes = Changes::default();
            loop {
                let more = looking.wait(Some(Duration::ZERO)).unwrap();
                if more.is_empty() {
                    break;
                }
                changes.extend(more);
            }
            let again = looking.look(&open, &settings, &changes).unwrap().report;
            let whole = engine::audit(&open().unwrap(), &settings).report;
            prop_assert_eq!(&again.checks, &whole.checks, "{} {}", path.display(), how);
            prop_assert_eq!(again.digest, whole.digest);
        }
    }
}

#[test]
fn what_a_check_rests_on_is_known_whoever_asked_first() {
    let config = Config::default();
    for distro in ["debian-12", "rocky-9", "centos-6", "sles-15", "ubuntu-18.04"] {
        let root = fixtures().join("distros").join(distro).join("root");
        let mut together = Standing::default();
        together.judge(&tree(&root).unwrap(), &settings(&config, None), |_| false);
        let profile = settings(&config, None).profile;
        for spec in CHECKS.iter().filter(|spec| profile.severity_of(spec).is_some()) {
            let mut alone = Standing::default();
            alone.judge(&tree(&root).unwrap(), &settings(&config, Some(spec.id)), |_| false);
            let (alone, together) = (alone.inputs_of(spec.id), together.inputs_of(spec.id));
            assert_eq!(together, alone, "{distro}: {}", spec.id);
            assert!(
                alone.is_some_and(|inputs| inputs.iter().next().is_some()) || !spec.offline,
                "{}",
                spec.id
            );
        }
    }
}

#[test]
fn what_is_edited_concerns_those_who_asked_and_nobody_else() {
    let fixture = Fixture::distro("debian-12");
    let root = fixture.root.as_path();
    let (config, open) = (Config::default(), || tree(root));
    let settings = settings(&config, None);
    let mut looking = Looking::new(open().unwrap().root(), Waker::new().unwrap()).unwrap();
    looking.look(&open, &settings, &Changes::default()).unwrap();
    let fstab = Question::File(Space::Root, "/etc/fstab".into());
    let hosts = Question::File(Space::Root, "/etc/hosts".into());
    edit(&root.join("etc/fstab"), 2);
    let changes = looking.wait(Some(Duration::from_secs(5))).unwrap();
    assert!(changes.concern(&fstab) && !changes.concern(&hosts), "{changes:?}");
    // What nobody asked for concerns nobody.
    fs::write(root.join("etc/unheard-of"), "x").unwrap();
    assert!(looking.wait(Some(Duration::ZERO)).unwrap().is_empty());
}

//! A record that somebody else wrote: a tree brings its own, and who looks at it finishes what it
//! says was cut short.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::fixture::Fixture;
use crate::tree::may_be_tried;

/// A tree whose one run was cut short in its one step; beside the tree lies a file of the machine.
struct Planted {
    fixture: Fixture,
    run: PathBuf,
    victim: PathBuf,
}

impl Planted {
    fn new() -> Option<Self> {
        if !may_be_tried() {
            return None;
        }
        let fixture = Fixture::distro("debian-12");
        let fstab = fixture.root.join("etc/fstab");
        let text = fs::read_to_string(&fstab).expect("an fstab");
        fs::write(&fstab, text + "/dev/vdz1 /data ext4 defaults 0 2\n").expect("an fstab");
        let planted =
            Self { run: PathBuf::new(), victim: fixture.root.with_file_name("victim"), fixture };
        planted.command("prepare", &["--yes", "--check", "fstab-data-disk"]);
        let runs = planted.fixture.root.join("var/lib/guestprep/runs");
        let mut names = fs::read_dir(runs).expect("the runs");
        let run = names.next().expect("a run").expect("a run").path();
        let planted = Self { run, ..planted };
        planted.rewrite("journal", |text| {
            text.lines().filter(|line| line.contains("intent")).collect()
        });
        fs::write(&planted.victim, "of the machine\n").expect("a file");
        Some(planted)
    }

    fn rewrite(&self, name: &str, change: impl Fn(&str) -> String) {
        let path = self.run.join(name);
        let text = fs::read_to_string(&path).expect("a record");
        let changed = change(&text);
        assert_ne!(text, changed, "{name} was to be changed");
        fs::write(path, changed).expect("a record");
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_guestprep"));
        command.arg(name).arg("--root").arg(&self.fixture.root).args(arguments);
        command.output().expect("guestprep runs")
    }

    /// Look at the tree and roll it back, and see that nothing beside it has changed. Gives what
    /// both said, and how the second ended.
    fn see_nothing_outside(&self) -> (String, i32) {
        let beside = |root: &Path| -> Vec<PathBuf> {
            let parent = root.parent().expect("a directory");
            let names = fs::read_dir(parent).expect("a directory");
            let mut names: Vec<PathBuf> = names.map(|name| name.expect("a name").path()).collect();
            names.sort();
            names
        };
        let before = beside(&self.fixture.root);
        let look = self.command("audit", &["--check", "fstab-malformed"]);
        let back = self.command("rollback", &["--yes"]);
        assert_eq!(fs::read_to_string(&self.victim).expect("a file"), "of the machine\n");
        assert_eq!(beside(&self.fixture.root), before);
        let said = [look.stderr, back.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), back.status.code().expect("a code"))
    }
}

#[test]
fn names_in_it_lead_nowhere() {
    let Some(planted) = Planted::new() else { return };
    // What earlier versions wrote into the record and read out of it.
    planted.rewrite("journal", |text| {
        let names = r#""how":{"temporary":"../../victim","saved":"../../../../../../victim","#;
        text.replacen(r#""how":{"#, names, 1)
    });
    planted.see_nothing_outside();
    let fstab = fs::read_to_string(planted.fixture.root.join("etc/fstab")).expect("an fstab");
    assert!(fstab.contains("\n/dev/vdz1 /data"), "it is rolled back by its own names: {fstab}");
}

#[test]
fn a_step_of_a_name_that_leads_elsewhere_is_not_undone() {
    let Some(planted) = Planted::new() else { return };
    let elsewhere = |text: &str| text.replace(r#""s1""#, r#""/../../victim""#);
    planted.rewrite("journal", elsewhere);
    let (said, code) = planted.see_nothing_outside();
    assert!(said.contains("it is no name in this directory"), "{said}");
    assert_eq!(code, 5, "{said}");
}

#[test]
fn a_path_is_taken_within_the_tree() {
    let Some(planted) = Planted::new() else { return };
    planted.rewrite("journal", |text| text.replace("\"/etc/fstab\"", "\"../../../victim\""));
    let (said, _) = planted.see_nothing_outside();
    assert!(said.contains("victim"), "{said}");
}

#[test]
fn a_record_of_another_run_is_refused() {
    let Some(planted) = Planted::new() else { return };
    planted.rewrite("run.json", |text| {
        text.replacen(r#""id": ""#, r#""id": "../../../../victim/"#, 1)
    });
    let (said, code) = planted.see_nothing_outside();
    assert!(said.contains("it is the record of run"), "{said}");
    assert_ne!(code, 0, "{said}");
}

/// What a later version wrote, or a disk has damaged, is not taken for nothing.
#[test]
fn what_is_not_understood_is_not_called_undone() {
    let Some(planted) = Planted::new() else { return };
    let parked = fs::read_to_string(planted.fixture.root.join("etc/fstab")).expect("an fstab");
    let whole = fs::read_to_string(planted.run.join("journal")).expect("a journal");
    let done = r#"{"record":"done","step":"s1","after":{}}"#;
    for (journal, cause) in [
        (whole.replace(r#""undo":"file""#, r#""undo":"reflink""#), "reflink"),
        (whole.replace(r#""record":"intent""#, r#""record":"wish""#), "wish"),
        (format!("{done}\n"), "how step s1 is undone is lost"),
        (format!("{}\n{done}\n", &whole[..whole.len() / 2]), "how step s1 is undone is lost"),
    ] {
        fs::write(planted.run.join("journal"), &journal).expect("a journal");
        let (said, code) = planted.see_nothing_outside();
        assert!(said.contains(cause) && said.contains("journal: line "), "{journal}: {said}");
        assert_ne!(code, 0, "{journal}: {said}");
        let now = fs::read_to_string(planted.fixture.root.join("etc/fstab")).expect("an fstab");
        assert_eq!(now, parked, "{journal}");
        assert_eq!(fs::read_to_string(planted.run.join("journal")).expect("a journal"), journal);
    }
    fs::write(planted.run.join("journal"), &whole).expect("a journal");
    planted.rewrite("run.json", |text| text.replace("guestprep.run/1", "guestprep.run/2"));
    let (said, code) = planted.see_nothing_outside();
    assert!(said.contains("use the version that made it"), "{said}");
    assert_ne!(code, 0, "{said}");
}

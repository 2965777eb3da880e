//! Trees that are made to hurt: bombs, holes, circles, depth, files that change.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::time::Instant;

use guestprep::secrets::{Limits, Options};

use super::command::{left_out, run};
use super::{guestprep, places, scan_tree, scan_with, token};

/// Peak memory of a command in KiB, and whether GNU time is here to say it.
fn peak(arguments: &[&str]) -> Option<u64> {
    let output = std::process::Command::new("/usr/bin/time")
        .args(["-f", "%M", env!("CARGO_BIN_EXE_guestprep")])
        .args(arguments)
        .output()
        .ok()?;
    String::from_utf8_lossy(&output.stderr).lines().last()?.trim().parse().ok()
}

fn gzip_bomb(gigabytes: usize) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let zeros = vec![0; 1 << 20];
    for _ in 0..gigabytes << 10 {
        packer.write_all(&zeros).unwrap();
    }
    packer.finish().unwrap()
}

#[test]
fn a_bomb_is_named_as_unread() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let bomb = gzip_bomb(2);
    fs::write(root.join("bomb.gz"), &bomb).unwrap();
    // A bomb of bombs: each within the limit, all of them beyond.
    let small = gzip_bomb(1);
    for number in 0..20 {
        fs::write(root.join(format!("small-{number}.gz")), &small).unwrap();
    }
    run(&[
        "sh",
        "-euc",
        &format!("cd {} && tar -cf many.tar small-*.gz && rm small-*.gz", root.display()),
    ]);
    fs::write(root.join("after.txt"), token(1)).unwrap();
    let shown = root.to_str().unwrap();
    let done =
        guestprep(&["scan", "--root", shown, "--max-file-size", "256MiB", "--format", "json"]);
    let report = done.exits(1).json();
    let unread: Vec<&str> = report["unread"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    assert_eq!(unread, ["/bomb.gz", "/many.tar"]);
    assert_eq!(report["found"][0]["path"], "/after.txt");
    // Without anything found it is the exit code that says so.
    fs::remove_file(root.join("after.txt")).unwrap();
    guestprep(&["scan", "--root", shown, "--max-file-size", "64MiB"])
        .exits(3)
        .says("unpacks to more");
    match peak(&["scan", "--root", shown, "--max-file-size", "256MiB"]) {
        Some(kilobytes) => assert!(kilobytes < 64 << 10, "it took {kilobytes} KiB"),
        None => left_out("the memory of a bomb: there is no /usr/bin/time"),
    }
}

/// What has to be kept to unpack more is what a file asks for: of all threads together no more than one
/// large piece, and none beyond a limit.
#[test]
fn large_dictionaries_wait_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let script = format!(
        "cd {} && (echo {} && head -c 120000000 /dev/zero) >text && xz -9 -k text && zstd -q -k --ultra -20 text &&
         for n in 1 2 3 4 5; do cp text.xz $n.xz; cp text.zst $n.zst; done &&
         zstd -q --ultra -22 --long=27 text -o far.zst && xz -c --lzma2=dict=512MiB text >far.xz && rm text",
        root.display(),
        token(1)
    );
    run(&["sh", "-euc", &script]);
    let shown = root.to_str().unwrap();
    let arguments = ["scan", "--root", shown, "--threads", "8", "--format", "json"];
    let report = guestprep(&arguments).exits(1).json();
    let unread = report["unread"].as_array().unwrap();
    let paths: Vec<&str> = unread.iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/far.xz", "/far.zst"], "{unread:?}");
    assert_eq!(report["found"].as_array().unwrap().len(), 12);
    match peak(&arguments) {
        // One of 64 MiB; eight of them would be 512.
        Some(kilobytes) => assert!(kilobytes < 128 << 10, "it took {kilobytes} KiB"),
        None => left_out("the memory of dictionaries: there is no /usr/bin/time"),
    }
}

#[test]
fn a_bomb_in_a_bomb_in_a_bomb_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = token(1).into_bytes();
    for _ in 0..12 {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&packed).unwrap();
        packed = packer.finish().unwrap();
    }
    fs::write(folder.path().join("deep.gz"), packed).unwrap();
    let scanned = scan_tree(folder.path());
    assert_eq!(scanned.found, []);
    assert!(scanned.unread[0].1.contains("too deep"), "{:?}", scanned.unread);
}

#[test]
fn holes_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("sparse")).unwrap();
    file.set_len(10 << 30).unwrap();
    let after = 7_u64 << 30;
    file.write_all_at(format!("\n{}\n", token(1)).as_bytes(), after).unwrap();
    file.write_all_at(token(2).as_bytes(), (10 << 30) - 40).unwrap();
    drop(file);
    let begun = Instant::now();
    let scanned = scan_tree(folder.path());
    // 10 GiB at the speed of memory would take longer, and of a debug build much longer.
    assert!(begun.elapsed().as_secs() < 5, "it took {:?}", begun.elapsed());
    assert_eq!(scanned.unread, []);
    assert_eq!(places(&scanned).len(), 2);
    assert_eq!(places(&scanned)[0], "/sparse:2:1");
}

#[test]
fn circles_links_and_special_files_lead_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), token(9)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    symlink("..", root.join("a/b/up")).unwrap();
    symlink(outside.path(), root.join("out")).unwrap();
    symlink(outside.path().join("secret"), root.join("a/out")).unwrap();
    run(&["mkfifo", root.join("fifo").to_str().unwrap()]);
    fs::write(root.join("a/one"), token(1)).unwrap();
    fs::hard_link(root.join("a/one"), root.join("a/another")).unwrap();
    fs::hard_link(root.join("a/one"), root.join("z")).unwrap();
    let scanned = scan_tree(root);
    // Of several names the first by order, whichever thread came first.
    assert_eq!(places(&scanned), ["/a/another:1:1"]);
    assert_eq!((scanned.files, scanned.unread), (1, vec![]));
}

#[test]
fn a_tree_may_be_deep_and_its_names_long() {
    let folder = tempfile::tempdir().unwrap();
    let name = "n".repeat(255);
    // 300 names of 255 bytes: a path of 75 KiB, which no call takes whole.
    let script = format!(
        "import os, sys\nos.chdir(sys.argv[1])\nfor _ in range(300):\n    os.mkdir('{name}')\n    os.chdir('{name}')\n\
         open('deep', 'w').write(sys.argv[2])\n"
    );
    run(&["python3", "-c", &script, folder.path().to_str().unwrap(), &token(1)]);
    let scanned = scan_tree(folder.path());
    assert_eq!(scanned.unread, []);
    assert_eq!(scanned.found[0].at.path.as_bytes().len(), 300 * 256 + 5);
    run(&["rm", "-rf", folder.path().to_str().unwrap()]);
}

#[test]
fn a_directory_that_may_not_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("closed")).unwrap();
    fs::write(root.join("secret"), "nothing").unwrap();
    run(&["chmod", "0755", root.to_str().unwrap()]);
    run(&[
        "chmod",
        "0000",
        root.join("closed").to_str().unwrap(),
        root.join("secret").to_str().unwrap(),
    ]);
    let shown = root.to_str().unwrap();
    let program = env!("CARGO_BIN_EXE_guestprep");
    // Root may read everything; nobody may not.
    let mut command = if run(&["id", "-u"]) == "0" {
        let copy = root.join("guestprep");
        fs::copy(program, &copy).unwrap();
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
        command
    } else {
        std::process::Command::new(program)
    };
    let output = command.args(["scan", "--root", shown, "--format", "json"]).output().unwrap();
    let done = super::command::Done::of(output).exits(3);
    let unread = done.json()["unread"].as_array().unwrap().clone();
    let paths: Vec<&str> = unread.iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["/closed", "/secret"], "{unread:?}");
}

#[test]
fn what_changes_while_it_is_read_is_said_or_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, vec![b'a'; 64 << 20]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(order) {
                let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.write_all_at(b"b", 1).unwrap();
                let other = folder.path().join("comes-and-goes");
                fs::write(&other, "x").unwrap();
                fs::remove_file(&other).unwrap();
            }
        });
        let scanned = scan_tree(folder.path());
        stop.store(true, order);
        assert_eq!(scanned.unread.len(), 1, "{:?}", scanned.unread);
        assert!(scanned.unread[0].1.contains("/log: it changes while it is read"));
    });
}

#[test]
fn a_list_of_secrets_does_not_fill_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let list: String = (0..3000).map(|number| format!("{}\n", token(number))).collect();
    fs::write(folder.path().join("list"), list).unwrap();
    let scanned = scan_tree(folder.path());
    assert!(scanned.found.len() >= 1000 && scanned.found.len() <= 3000);
    assert!(scanned.unread.is_empty() || scanned.unread[0].1.contains("more than"));
}

#[test]
fn limits_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), vec![b'x'; 3 << 20]).unwrap();
    let limits = Limits { max_file_size: 1 << 20, unpacks: true };
    let options = Options { limits, threads: Some(7), ..Options::default() };
    let scanned = scan_with(folder.path(), &options);
    assert!(scanned.unread[0].1.contains("/large: it has more than 1048576 bytes"));
}

//! What is found inside compressed files and archives, made by the tools that people make them with.

use std::fs;
use std::path::Path;

use super::command::run;
use super::{places, scan_tree, token};

fn shell(folder: &Path, script: &str) {
    let script = format!("cd '{}' && {script}", folder.display());
    run(&["sh", "-euc", &script]);
}

#[test]
fn a_secret_is_found_however_it_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("plain.txt"), format!("first\n  {}\n", token(1))).unwrap();
    // Enough before it that every format has more than one block.
    let long = "nothing to see here, move along\n".repeat(40_000);
    fs::write(root.join("long.txt"), format!("{long}x {}\n", token(2))).unwrap();
    shell(
        root,
        "for f in plain.txt long.txt; do gzip -k $f; bzip2 -k $f; xz -k $f; zstd -q $f; done
         tar --format=gnu -cf gnu.tar plain.txt long.txt; tar --format=pax -czf pax.tgz plain.txt
         tar -cJf nested.tar.xz gnu.tar; cat plain.txt.gz plain.txt.gz >two.gz
         python3 -c 'import zipfile
with zipfile.ZipFile(\"some.zip\", \"w\", zipfile.ZIP_DEFLATED) as z: z.write(\"plain.txt\"); z.write(\"gnu.tar\")
with zipfile.ZipFile(\"stored.zip\", \"w\") as z: z.write(\"plain.txt\")'
         mv gnu.tar named-otherwise",
    );
    let scanned = scan_tree(root);
    assert_eq!(scanned.unread, []);
    let mut wanted = vec![
        "/named-otherwise!plain.txt:2:3".to_owned(),
        "/named-otherwise!long.txt:40001:3".to_owned(),
        "/nested.tar.xz!gnu.tar!plain.txt:2:3".to_owned(),
        "/nested.tar.xz!gnu.tar!long.txt:40001:3".to_owned(),
        "/pax.tgz!plain.txt:2:3".to_owned(),
        "/some.zip!plain.txt:2:3".to_owned(),
        "/some.zip!gnu.tar!plain.txt:2:3".to_owned(),
        "/some.zip!gnu.tar!long.txt:40001:3".to_owned(),
        "/stored.zip!plain.txt:2:3".to_owned(),
        "/two.gz:2:3".to_owned(),
        "/two.gz:4:3".to_owned(),
    ];
    for suffix in ["", ".gz", ".bz2", ".xz", ".zst"] {
        wanted.push(format!("/plain.txt{suffix}:2:3"));
        wanted.push(format!("/long.txt{suffix}:40001:3"));
    }
    wanted.sort();
    let mut got = places(&scanned);
    got.sort();
    assert_eq!(got, wanted);
}

/// What is encrypted cannot be looked into, and no reading of its bytes stands for that.
#[test]
fn an_encrypted_zip_is_named_as_unread() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("plain.txt"), format!("{}\n", token(1))).unwrap();
    // The flag of encryption (APPNOTE.TXT 4.4.4, bit 0) in the local header and in the directory's.
    shell(
        root,
        "python3 -c 'import zipfile
with zipfile.ZipFile(\"sealed.zip\", \"w\", zipfile.ZIP_DEFLATED) as z: z.write(\"plain.txt\")
b = bytearray(open(\"sealed.zip\", \"rb\").read())
b[6] |= 1
b[b.index(b\"PK\\x01\\x02\") + 8] |= 1
open(\"sealed.zip\", \"wb\").write(b)'
         rm plain.txt",
    );
    let scanned = scan_tree(root);
    assert_eq!(places(&scanned), [""; 0]);
    let [(path, why)] = scanned.unread.as_slice() else { panic!("{:?}", scanned.unread) };
    assert_eq!(path.to_string(), "/sealed.zip");
    assert!(why.contains("the zip is encrypted"), "{why}");
}

/// A rule that is for configuration goes by the name that a text has inside.
#[test]
fn a_member_is_known_by_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("app")).unwrap();
    fs::write(root.join("app/.env"), "DB_PASSWORD=r4bbit-Hole7\n").unwrap();
    fs::write(root.join("notes"), "DB_PASSWORD=r4bbit-Hole7\n").unwrap();
    shell(
        root,
        "tar -czf app.tar.gz app notes; gzip -k app/.env; xz -k notes; rm -r notes; mv app/.env.gz .env.gz",
    );
    let mut got = places(&scan_tree(root));
    got.sort();
    assert_eq!(got, ["/.env.gz:1:13", "/app.tar.gz!app/.env:1:13", "/app/.env:1:13"]);
}

/// A secret at every offset about the end of a window is found once.
#[test]
fn a_window_has_no_seam() {
    let folder = tempfile::tempdir().unwrap();
    let window = 256 * 1024;
    let reach = 16 * 1024;
    for (number, near) in [window, window - reach, 2 * window - 2 * reach].into_iter().enumerate() {
        for offset in 0..90 {
            let mut text = vec![b'.'; near - 45 + offset];
            text.push(b' ');
            text.extend(token(offset).bytes());
            text.push(b' ');
            text.resize(3 * window, b'-');
            fs::write(folder.path().join(format!("{number}-{offset}")), text).unwrap();
        }
    }
    let scanned = scan_tree(folder.path());
    assert_eq!(scanned.found.len(), 3 * 90);
    let at =
        |name: &str| places(&scanned).into_iter().find(|place| place.starts_with(name)).unwrap();
    assert_eq!(at("/0-44:"), format!("/0-44:1:{}", window + 1));
}

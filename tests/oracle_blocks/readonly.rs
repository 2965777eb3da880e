//! ISO 9660 and SquashFS against genisoimage, mksquashfs and blkid.

use crate::tools::{Image, agree, have, run};
use guestprep::parse::superblock::Kind;

#[test]
fn iso9660() {
    if !have(&["genisoimage", "blkid"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("user-data"), "#cloud-config\n").unwrap();
    let from = tree.path().to_str().unwrap();
    for (label, joliet) in [
        ("cidata", true),
        ("CIDATA", false),
        ("longer than sixteen letters", true),
        ("config-2", true),
    ] {
        let image = Image::new(0);
        let path = image.arg();
        let options = ["-J", "-quiet", "-o", &path, "-V", label, "-r", from];
        run("genisoimage", &options[usize::from(!joliet)..]);
        assert_eq!(agree(&image).label.as_deref(), Some(label.as_bytes()));
        // Other labels in both descriptors, the second being the Joliet one.
        let names = [
            ("OTHER", "othxr"),
            ("OTH_R", "othxr"),
            ("oTHer AND MORE", "Oth_r"),
            ("oTHer AND MORE THAN", "Oth_r aNd more t"),
            ("OTHER", ""),
        ];
        for (primary, wide) in names.into_iter().filter(|_| joliet) {
            image.write(32 * 1024 + 40, format!("{primary:32}").as_bytes());
            let wide: Vec<_> =
                format!("{wide:16}").encode_utf16().flat_map(u16::to_be_bytes).collect();
            image.write(34 * 1024 + 40, &wide);
            agree(&image);
        }
    }
}

#[test]
fn squashfs() {
    if !have(&["mksquashfs", "blkid"]) {
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    let image = Image::new(0);
    run(
        "mksquashfs",
        &[tree.path().to_str().unwrap(), &image.arg(), "-noappend", "-quiet", "-no-progress"],
    );
    assert_eq!(agree(&image).kind, Kind::Squashfs);
}

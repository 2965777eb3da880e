//! LUKS against cryptsetup and blkid.

use crate::tools::{Image, agree, have, run, run_with};
use guestprep::parse::superblock::{Checksum, Detail};

#[test]
fn luks() {
    if !have(&["cryptsetup", "blkid"]) {
        return;
    }
    let fast =
        ["luksFormat", "--batch-mode", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
    for args in
        [&["--type", "luks1"][..], &["--type", "luks2", "--label", "data", "--subsystem", "of us"]]
    {
        let image = Image::new(32);
        run_with("cryptsetup", &[&fast, args, &[&image.arg(), "-"]].concat(), "secret");
        let found = agree(&image);
        let Detail::Luks(luks) = &found.detail else { panic!("{found:?}") };
        let uuid = run("cryptsetup", &["luksUUID", &image.arg()]);
        assert_eq!(found.uuid.as_deref(), Some(uuid.trim()));
        let dump = run("cryptsetup", &["luksDump", &image.arg()]);
        if luks.version == 1 {
            let offset =
                dump.lines().find_map(|line| line.strip_prefix("Payload offset:")).unwrap();
            let sectors: u64 = offset.trim().parse().unwrap();
            assert_eq!(luks.payload_offset, Some(sectors * 512));
            assert_eq!(luks.cipher, Some(("aes".to_owned(), "xts-plain64".to_owned())));
            assert_eq!(found.checksum, Checksum::Absent);
            continue;
        }
        assert_eq!(luks.subsystem.as_deref(), Some(&b"of us"[..]));
        assert_eq!(found.checksum, Checksum::Good);
        // The JSON is within the checksum.
        image.write(0x3000, b"x");
        assert_eq!(agree(&image).checksum, Checksum::Bad);
        // Without the first header, the second.
        image.write(0, &[0; 4096]);
        let found = agree(&image);
        assert!(matches!(&found.detail, Detail::Luks(luks) if luks.secondary));
        assert_eq!((found.uuid.as_deref(), found.checksum), (Some(uuid.trim()), Checksum::Good));
    }
}

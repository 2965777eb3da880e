//! Swap against mkswap and blkid.

use crate::tools::{Image, agree, blkid, have, identify};
use guestprep::parse::superblock::{Detail, Kind};

#[test]
fn swap() {
    if !have(&["mkswap", "blkid"]) {
        return;
    }
    for page in [4096u32, 8192, 16384, 32768, 65536] {
        let image = Image::new(4);
        let uuid = "0a1b2c3d-0000-4000-8000-000000000001";
        image.make("mkswap", &["-p", &page.to_string(), "-L", "sixteen bytes xx", "-U", uuid]);
        let found = agree(&image);
        assert_eq!(found.kind, Kind::Swap);
        assert_eq!(found.uuid.as_deref(), Some(uuid));
        let Detail::Swap(swap) = &found.detail else { panic!("{found:?}") };
        assert_eq!(swap.page_size, page);
        assert_eq!(swap.pages, Some((4 << 20) / u64::from(page)));
        assert!(!swap.big_endian);
        for magic in [&b"S1SUSPEND\0"[..], b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001"] {
            image.write(u64::from(page) - 10, magic);
            let found = agree(&image);
            assert_eq!(found.kind, Kind::Swsuspend);
            assert_eq!(found.uuid.as_deref(), Some(uuid));
        }
        image.write(u64::from(page) - 10, b"SWAP-SPACE");
        assert_eq!(agree(&image).uuid, None);
        image.write(u64::from(page) - 10, b"SWAPSPACE2");
        image.write(0, &[0xed, 0xc3, 0x02, 0xe9, 0x98, 0x56, 0xe5, 0x0c]);
        assert_eq!(agree(&image).kind, Kind::Swsuspend);
    }
}

#[test]
fn swap_of_the_other_byte_order() {
    if !have(&["mkswap", "blkid"]) {
        return;
    }
    let image = Image::new(4);
    image.make("mkswap", &[]);
    // mkswap makes that from util-linux 2.39 on.
    let mut header = image.read(1024, 12);
    header.chunks_mut(4).for_each(<[u8]>::reverse);
    image.write(1024, &header);
    assert!(
        matches!(agree(&image).detail, Detail::Swap(swap) if swap.big_endian && swap.pages == Some(1024))
    );
    // Another version, no pages, neither: nothing.
    for header in [[2, 0, 0, 0, 9, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0], [0; 8]] {
        image.write(1024, &header);
        assert_eq!(identify(&image.path()), Ok(None));
        assert_eq!(blkid(&image.path()).get("TYPE"), None);
    }
}

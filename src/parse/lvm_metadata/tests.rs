//! What the text means, and that no text is too much. The real texts are in tests/oracle_blocks.rs.

use super::*;
use proptest::prelude::*;

const GROUP: &str = r#"
vg { # comment
    id = "i-d" seqno = 3 extent_size = 8192
    status = ["RESIZEABLE", "READ",]
    physical_volumes {
        pv0 { id = "a" device = "/dev/\"x\"" pe_start = 2048 pe_count = 7 flags = [] }
        pv1 { id = "b" pe_start = 2048 pe_count = 7 flags = ["MISSING"] }
    }
    logical_volumes {
        root { id = "r" status = ["READ", "VISIBLE"] segment_count = 1
            segment1 { start_extent = 0 extent_count = 5 type = "striped" stripes = [ "pv0", 2 ] } }
        thin { id = "t" status = ["VISIBLE"]
            segment1 { start_extent = 0 extent_count = 1 type = "thin" thin_pool = "pool" } }
        pool { id = "p" status = []
            segment1 { start_extent = 0 extent_count = 1 type = "thin-pool" metadata = "meta" pool = "data" } }
        data { id = "d" status = []
            segment1 { start_extent = 0 extent_count = 1 type = "striped" stripe_size = 128 stripes = ["pv1", 0, "pv0", 1] } }
        meta { id = "m" status = []
            segment1 { start_extent = 0 extent_count = 1 type = "thin" thin_pool = "pool" } }
    }
}
version = 1
"#;

#[test]
fn a_group() {
    let group = parse(GROUP.as_bytes()).unwrap();
    assert_eq!((group.name.as_str(), group.id.as_str(), group.sequence), ("vg", "i-d", 3));
    assert_eq!(group.extent_size, 4 << 20);
    assert_eq!(group.physical_volumes[0].device.as_deref(), Some("/dev/\"x\""));
    assert_eq!(group.physical_volumes[0].data_offset, 1 << 20);
    assert_eq!(
        group.physical_volumes.iter().map(|volume| volume.missing).collect::<Vec<_>>(),
        [false, true]
    );
    let root = &group.logical_volumes[0];
    assert!(root.visible);
    assert_eq!(root.segments[0].stripes, [("pv0".to_owned(), 2)]);
    let names =
        |volume| group.needs(volume).iter().map(|volume| volume.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names("root"), ["pv0"]);
    assert_eq!(names("thin"), ["pv0", "pv1"]);
    assert_eq!(names("none"), [""; 0]);
}

#[test]
fn what_is_missing_is_said() {
    let text = GROUP.replace("pe_start = 2048", "pe_start = \"\"");
    assert_eq!(
        parse(text.as_bytes()),
        Err(MetadataError::Key { section: "pv0".into(), key: "pe_start" })
    );
    assert!(matches!(parse(b"vg { id = \"x"), Err(MetadataError::Syntax { at: 12, .. })));
    assert!(matches!(parse(b"version = 1"), Err(MetadataError::Key { .. })));
    assert!(matches!(parse(b"vg { } }"), Err(MetadataError::Syntax { at: 7, .. })));
}

#[test]
fn nesting_is_bounded() {
    for open in ["a{", "a=[[[[[[[[[["] {
        let text = open.repeat(100_000);
        assert!(matches!(parse(text.as_bytes()), Err(MetadataError::Syntax { .. })));
    }
}

proptest! {
    #[test]
    fn any_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&text);
    }

    #[test]
    fn a_group_with_a_byte_changed(at in 0..GROUP.len(), byte: u8) {
        let mut text = GROUP.as_bytes().to_vec();
        text[at] = byte;
        let _ = parse(&text);
    }
}

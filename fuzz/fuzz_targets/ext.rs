//! ext2, ext3 and ext4, read as an audit of an image reads them; `tests/ext_hostile.rs` goes deeper.
#![no_main]

use guestprep::parse::ext::Ext;

libfuzzer_sys::fuzz_target!(|image: &[u8]| {
    let Ok(ext) = Ext::open(image.to_vec(), image.len() as u64) else { return };
    let mut numbers = vec![Ext::<Vec<u8>>::ROOT];
    let mut seen = 0;
    while let Some(number) = numbers.pop() {
        seen += 1;
        if seen > 64 {
            return;
        }
        let Ok(inode) = ext.inode(number) else { continue };
        let _ = ext.xattrs(&inode);
        let _ = ext.link(&inode);
        let mut buffer = [0; 512];
        for offset in [0, inode.size / 2, u64::MAX] {
            let _ = ext.read(&inode, offset, &mut buffer);
        }
        if let Ok(entries) = ext.entries(&inode, 64) {
            numbers.extend(entries.into_iter().map(|(_, number)| number));
        }
    }
});

//! Who else writes to an image.

use std::path::Path;

use super::DiskImage;

impl DiskImage {
    /// The loop devices of this machine through which its file may be written to: what is read of
    /// it meanwhile may be half written, and what is written meanwhile may be lost.
    ///
    /// A loop device tells its file by name (`loop/backing_file` of sysfs), so that one that was
    /// set up in another mount namespace may go unseen.
    pub fn writers(&self) -> Vec<String> {
        let Ok(own) = self.path().canonicalize() else { return Vec::new() };
        let Ok(devices) = std::fs::read_dir("/sys/block") else { return Vec::new() };
        let names = devices.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut found: Vec<String> = names
            .filter(|name| name.starts_with("loop"))
            .filter(|name| {
                let text = |file: &str| std::fs::read(format!("/sys/block/{name}/{file}")).ok();
                let file = text("loop/backing_file").unwrap_or_default();
                let is_own = Path::new(String::from_utf8_lossy(&file).trim_end()) == own;
                is_own && text("ro").as_deref() != Some(b"1\n")
            })
            .map(|name| format!("/dev/{name}"))
            .collect();
        found.sort_unstable();
        found
    }
}

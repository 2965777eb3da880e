//! Which instance this is: its name, and what tells it from a clone.

use super::Guest;

impl Guest {
    /// The hostname: the kernel's on a live guest, else /etc/hostname's.
    pub fn hostname(&self) -> Option<String> {
        let running =
            self.kernel.as_ref().and_then(|k| k.proc("/sys/kernel/hostname").ok().flatten());
        let bytes = match running {
            Some(bytes) => bytes,
            None => self.file("/etc/hostname").ok().flatten()?.to_vec(),
        };
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// What tells this instance from a clone of it: cloud-init's instance id, or the DMI product
    /// UUID. None when the guest does not run, or when neither may be read.
    pub fn instance_id(&self) -> Option<String> {
        self.cloud_id().or_else(|| self.dmi_uuid())
    }

    /// The DMI product UUID of a running guest, which the hypervisor gives each instance.
    pub fn dmi_uuid(&self) -> Option<String> {
        let bytes = self.kernel.as_ref()?.sys("/class/dmi/id/product_uuid").ok().flatten()?;
        line_of(&bytes)
    }

    /// The instance id that cloud-init found at the last boot of a running guest.
    pub fn cloud_id(&self) -> Option<String> {
        self.kernel.as_ref()?;
        line_of(&self.file("/var/lib/cloud/data/instance-id").ok().flatten()?)
    }
}

fn line_of(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes).trim().to_lowercase();
    (!text.is_empty()).then_some(text)
}

//! What the cloud's metadata service says of the instance.
//!
//! Asked of a guest that runs here, on ECS, at most once, and only when a probe needs it. A
//! recorded guest has its answers in the record.

use super::{Fact, Guest, keep};
use crate::model::MetadataPolicy;
use crate::sys::{self, Metadata};

/// What the firmware of an instance calls the machine (cloud-init, DataSourceAliYun).
const PRODUCT: &[u8] = b"Alibaba Cloud ECS";

impl Guest {
    /// Whether the guest runs on ECS, by its DMI product name; `None` when it does not run. A
    /// bare-metal instance may have another name.
    ///
    /// # Errors
    /// When the name cannot be read.
    pub fn is_on_ecs(&self) -> Fact<Option<bool>> {
        let Some(kernel) = self.kernel() else { return Ok(None) };
        let name = kernel.sys("/class/dmi/id/product_name")?;
        Ok(Some(name.is_some_and(|name| name.trim_ascii() == PRODUCT)))
    }

    /// What the metadata service says; `None` where it is not to be asked: of a tree, off ECS, by
    /// policy.
    ///
    /// # Errors
    /// When it does not answer within a second.
    pub fn metadata(&self) -> Fact<Option<&Metadata>> {
        keep(&self.facts.metadata, || {
            if self.is_on_ecs()? != Some(true) {
                return Ok(None);
            }
            let Some(kernel) = self.kernel() else { return Ok(None) };
            let address = match &self.policy.metadata {
                // A recorded guest has its answers in the record, and nothing is asked.
                _ if !kernel.is_live() => sys::METADATA_ADDRESS,
                MetadataPolicy::Never => return Ok(None),
                MetadataPolicy::Ask => sys::METADATA_ADDRESS,
                MetadataPolicy::At(address) => address,
            };
            Ok(kernel.metadata(address)?)
        })
        .map(Option::as_ref)
    }
}

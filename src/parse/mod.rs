//! Bytes in, values out.

mod crc;
mod field;
pub mod lvm_metadata;
pub mod partition_table;
pub mod superblock;
pub mod window;

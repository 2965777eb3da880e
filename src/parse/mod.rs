//! Bytes in, values out.
//!
//! Every module here is pure: it does no I/O, imports nothing else of this crate and never panics, whatever the bytes.
//! A guest's text is bytes, not UTF-8. A module that reads an editable file is lossless: `print(parse(x)) == x` for
//! every byte string, so that an edit of one line changes that line and nothing else.

pub mod account_files;
pub mod apt_sources;
pub mod archive;
pub mod base64;
pub mod bls;
pub mod cloud_config;
pub mod cloud_swap;
pub mod cpio;
pub mod crashkernel;
pub mod crc;
pub mod crypttab;
pub mod ext;
mod field;
pub mod fields;
pub mod fstab;
pub mod grub_defaults;
pub mod grub_env;
pub mod grub_legacy;
pub mod grub_script;
pub mod hosts;
pub mod ini;
pub mod init_script;
pub mod initramfs;
pub mod kdump_conf;
pub mod kernel_arguments;
pub mod kernel_modules;
pub mod key_value;
pub mod lines;
pub mod luks_arguments;
pub mod lvm_metadata;
pub mod marker;
pub mod mountinfo;
pub mod neighbours;
pub mod net;
pub mod octal;
pub mod options;
pub mod os_release;
pub mod partition_table;
pub mod passwd;
pub mod reduce;
pub mod release_file;
pub mod resolv_conf;
pub mod rpm_verify;
pub mod selinux_config;
pub mod shell;
pub mod size;
pub mod source;
pub mod sshd_config;
pub mod sshd_program;
pub mod sudoers;
pub mod superblock;
pub mod swaps;
pub mod sysctl;
pub mod time_sources;
pub mod timespan;
pub mod unit;
pub mod unit_name;
pub mod upstart_job;
pub mod utmp;
pub mod version;
pub mod window;
pub mod yaml;
pub mod yaml_values;

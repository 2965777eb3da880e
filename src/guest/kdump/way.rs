//! What each distribution calls the parts of kdump, and how much memory it reserves by default.

use super::shell_file;
use crate::guest::{Fact, Family, Guest};

/// Debian's and Ubuntu's configuration (kdump-tools(5)).
pub const DEBIAN_CONFIG: &str = "/etc/default/kdump-tools";
/// SUSE's (kdump(5)).
pub const SUSE_CONFIG: &str = "/etc/sysconfig/kdump";
/// Red Hat's and its kin's (kdump.conf(5)).
pub const EL_CONFIG: &str = "/etc/kdump.conf";

/// The ways of one release of one distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KdumpWay {
    /// The package to install.
    pub package: &'static str,
    /// The command that installs it.
    pub install: &'static str,
    /// The service that loads the crash kernel, without a suffix.
    pub service: &'static str,
    /// The file that says where dumps go.
    pub config: &'static str,
    /// The value of `crashkernel=` to ask for.
    pub reservation: &'static str,
    /// Whether the kernel knows `crashkernel=auto`, which upstream kernels never did.
    pub takes_auto: bool,
    /// The packages with the debugging information of a kernel, `{}` for its release
    /// and `{arch}` for its architecture.
    pub debuginfo: &'static [&'static str],
}

impl KdumpWay {
    /// The way of a guest.
    pub(super) fn of(guest: &Guest) -> Fact<Self> {
        let os = guest.os()?;
        let id = os.id.as_deref().unwrap_or_default();
        let major = os.major().unwrap_or(0);
        Ok(match os.family {
            Family::Deb => Self {
                package: "kdump-tools",
                install: "apt-get install kdump-tools",
                service: "kdump-tools",
                config: DEBIAN_CONFIG,
                reservation: match (id, major) {
                    // DISTRO(ubuntu 24.04): Ubuntu Server documentation, "Kernel crash dump".
                    ("ubuntu", 24..) => {
                        "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M"
                    }
                    // As much as the range of RHEL 9, whose kernels are of the same time.
                    ("ubuntu", _) => "1G-4G:192M,4G-64G:256M,64G-:512M",
                    // kdump-tools 1.8.1, /etc/default/grub.d/kdump-tools.cfg.
                    _ => "384M-:128M",
                },
                takes_auto: false,
                debuginfo: match id {
                    "ubuntu" => &["linux-image-{}-dbgsym"],
                    _ => &["linux-image-{}-dbg"],
                },
            },
            Family::Suse => Self {
                package: "kdump",
                install: "zypper install kdump",
                service: if major == 11 { "boot.kdump" } else { "kdump" },
                config: SUSE_CONFIG,
                reservation: "1G-4G:192M,4G-64G:256M,64G-:512M",
                takes_auto: false,
                debuginfo: &["kernel-default-debuginfo", "kernel-default-debugsource"],
            },
            family => el(family, id, major),
        })
    }

    /// `USE_KDUMP`: without it, and with 0, kdump-config loads nothing (check_kdump_support() of
    /// /usr/sbin/kdump-config).
    pub(super) fn switch(&self, guest: &Guest, doubts: &mut Vec<String>) -> Fact<Option<bool>> {
        if self.config != DEBIAN_CONFIG {
            return Ok(None);
        }
        let Some(file) = shell_file(guest, DEBIAN_CONFIG)? else { return Ok(None) };
        let Some(set) = file.last("USE_KDUMP") else { return Ok(Some(false)) };
        if set.expands {
            doubts.push(format!("{DEBIAN_CONFIG}:{}: USE_KDUMP is in a variable", set.line));
            return Ok(None);
        }
        Ok(Some(!set.value.is_empty() && set.value != b"0"))
    }
}

/// Red Hat and its kin. Red Hat's table of minimum reservations for RHEL 8 and 9 on x86_64 is the
/// value of RHEL 9's kdumpctl; RHEL 10's is its own.
fn el(family: Family, id: &str, major: u32) -> KdumpWay {
    let is_alinux = matches!(id, "alinux" | "aliyun");
    let is_new = family == Family::Fedora && major >= 40 || !is_alinux && (10..20).contains(&major);
    let reservation = match (id, major) {
        // Alibaba Cloud Linux 2 ships this.
        ("alinux" | "aliyun", 2) => "0M-2G:0M,2G-8G:192M,8G-:256M",
        ("alinux" | "aliyun", _) => "0M-2G:0M,2G-8G:192M,8G-128G:256M,128G-376G:384M,376G-:448M",
        (_, 5 | 6) => "128M",
        _ if is_new => "2G-64G:256M,64G-:512M",
        _ => "1G-4G:192M,4G-64G:256M,64G-:512M",
    };
    let has_dnf = family == Family::Fedora || major >= 8 || is_alinux && major >= 3;
    let package = if is_new { "kdump-utils" } else { "kexec-tools" };
    KdumpWay {
        package,
        install: match (has_dnf, is_new) {
            (true, true) => "dnf install kdump-utils",
            (true, false) => "dnf install kexec-tools",
            (false, _) => "yum install kexec-tools",
        },
        service: "kdump",
        config: EL_CONFIG,
        reservation,
        takes_auto: family == Family::El && !is_new && (major < 9 || !is_rhel_like(id)),
        debuginfo: &["kernel-debuginfo-{}", "kernel-debuginfo-common-{arch}-{}"],
    }
}

/// Those whose version numbers are RHEL's.
fn is_rhel_like(id: &str) -> bool {
    matches!(id, "rhel" | "centos" | "rocky" | "almalinux" | "ol" | "eurolinux" | "scientific")
}

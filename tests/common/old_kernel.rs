//! A test program run once more on a kernel of 2013: strace refuses what Linux 3.10 does not have.

use std::process::Command;

/// Set in the program that runs on the old kernel.
const MARK: &str = "GUESTPREP_OLD_KERNEL";

/// Run the tests of this program that a filter names, with every system call of x86_64 that is
/// newer than Linux 3.10 (the kernel of EL 7; its last is 313) refused. Calls of 2020 and later
/// than faccessat2 are not tried: strace of Debian 11 does not know them.
pub fn the_same_on_an_old_kernel(filters: &[&str]) {
    if std::env::var_os(MARK).is_some() {
        return;
    }
    // 335 to 423 are no calls of this architecture.
    let newer: Vec<String> = (314..=334).chain(424..=439).map(|n: u32| n.to_string()).collect();
    let newer = newer.join(",");
    let status = Command::new("strace")
        .args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={newer}"), "-e", &format!("inject={newer}:error=ENOSYS")])
        .arg(std::env::current_exe().expect("this program"))
        .args(filters)
        .env(MARK, "1")
        .status();
    match status {
        Ok(status) => assert!(status.success(), "it is not the same"),
        Err(_) => println!("left out: the same tests on an old kernel: strace is not installed"),
    }
}

//! kdump.conf, and what a crash kernel is given on the kernel's command line.
#![no_main]

use guestprep::parse::crashkernel;
use guestprep::parse::kdump_conf::KdumpConf;

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let conf = KdumpConf::parse(text);
    assert_eq!(conf.print(), text);
    conf.target();
    crashkernel::parse(text);
    let values = crashkernel::arguments(text);
    for memory in [0, 1 << 30, u64::MAX] {
        let _ = crashkernel::requested(&values, memory);
    }
});

//! YAML as cloud-init and netplan read it.
#![no_main]

use guestprep::parse::yaml_values::Value;
use guestprep::parse::{cloud_config, cloud_swap, yaml};

libfuzzer_sys::fuzz_target!(|text: &[u8]| {
    let _ = yaml::parse(text);
    let _ = Value::parse(text);
    if let Ok(value) = cloud_config::read(text) {
        cloud_config::merge([value.clone(), value]);
    }
    cloud_config::last_run(text);
    cloud_config::version(text);
    cloud_swap::find(text);
});

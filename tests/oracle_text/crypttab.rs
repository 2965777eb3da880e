//! crypttab against systemd-cryptsetup-generator(8).

use super::{check, run};
use guestprep::parse::crypttab::Crypttab;
use guestprep::parse::fields::Field;
use guestprep::parse::unit::UnitFile;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

#[test]
fn crypttab_entries_are_those_of_its_generator() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("crypttab"), dir.path().join("out"));
    let device = "UUID=[a-f0-9]{1,4}|UUID=\"a\"|LABEL=[a-z]{1,3}|/dev/[a-z]{1,4}|PARTUUID=1-01";
    let key = prop::sample::select(vec!["none", "-", "/etc/key", "/etc/k\\040"]);
    let options = prop::sample::select(vec!["luks", "luks,discard", "swap,nofail", "a\\,b", "#x"]);
    let blank = prop::sample::select(vec![" ", "\t", "\x0b ", "\r"]);
    let line = (
        (prop::sample::select(vec!["", "", "", " ", "#", "\t#"]), "[a-z]{1,3}"),
        prop::option::weighted(0.95, device),
        prop::option::weighted(0.8, key),
        prop::option::weighted(0.8, options),
        blank,
        prop::sample::select(vec!["\n", "\r\n", " \n", " more fields\n", "\n\n"]),
    )
        .prop_map(|((start, name), device, key, options, blank, end)| {
            let mut line = format!("{start}{name}");
            let fields = [device, key.map(str::to_owned), options.map(str::to_owned)];
            for field in fields.into_iter().map_while(|field| field) {
                line = line + blank + &field;
            }
            line + end
        });
    check(prop::collection::vec(line, 1..4), |lines| {
        let text = lines.concat();
        // systemd ends a line at a carriage return, too.
        let text = text.replace("\r", " ").replace(" \n", "\r\n");
        fs::write(&path, &text).unwrap();
        let _ = fs::remove_dir_all(&out);
        fs::create_dir(&out).unwrap();
        run(Command::new("/usr/lib/systemd/system-generators/systemd-cryptsetup-generator")
            .env("SYSTEMD_CRYPTTAB", &path)
            .env("SYSTEMD_LOG_TARGET", "null")
            .args([&out, &out, &out]));
        let mut theirs: Vec<String> = Vec::new();
        for entry in fs::read_dir(&out).unwrap() {
            let file = entry.unwrap().path();
            if file.extension() == Some(OsStr::new("service")) {
                let unit = UnitFile::parse(&fs::read(&file).unwrap());
                let command = unit.get_last("Service", "ExecStart").unwrap();
                theirs.push(String::from_utf8(command.to_vec()).unwrap());
            }
        }
        theirs.sort();
        let tab = Crypttab::parse(text.as_bytes());
        let mut ours = BTreeMap::new();
        for entry in tab.entries() {
            let string = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
            let optional = |field: &Option<Field>| {
                field.as_ref().map_or(String::new(), |field| string(&field.value))
            };
            let device = entry.source().device_path().unwrap_or_else(|| entry.device.value.clone());
            // At a name that it has seen the generator gives up the rest of the file.
            prop_assume!(!ours.contains_key(&string(&entry.name.value)));
            let fields = (string(&device), optional(&entry.key_file), optional(&entry.options));
            ours.insert(string(&entry.name.value), fields);
        }
        let mut ours: Vec<String> = ours
            .into_iter()
            .map(|(name, (device, key, options))| {
                format!(
                    "/lib/systemd/systemd-cryptsetup attach '{name}' '{device}' '{key}' '{options}'"
                )
            })
            .collect();
        ours.sort();
        // The generator passes on the words that stand for no key file.
        for command in &mut theirs {
            *command = command.replace("' 'none' '", "' '' '").replace("' '-' '", "' '' '");
            let at = command.find("/lib/systemd/").unwrap();
            command.drain(..at);
        }
        prop_assert_eq!(ours, theirs, "{:?}", text);
        Ok(())
    });
}

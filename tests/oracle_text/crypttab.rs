//! crypttab against systemd-cryptsetup-generator(8).

use super::{check, run};
use guestprep::parse::crypttab::Crypttab;
use guestprep::parse::fields::Field;
use guestprep::parse::kernel_arguments::KernelArguments;
use guestprep::parse::luks_arguments::{LuksArguments, Reader};
use guestprep::parse::unit::UnitFile;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
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
        let mut theirs = commands_of_generator(&path, &out, "");
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
        }
        prop_assert_eq!(ours, theirs, "{:?}", text);
        Ok(())
    });
}

/// The commands that the generator makes of a crypttab and the kernel's arguments, sorted.
fn commands_of_generator(crypttab: &Path, out: &Path, arguments: &str) -> Vec<String> {
    let _ = fs::remove_dir_all(out);
    fs::create_dir(out).unwrap();
    run(Command::new("/usr/lib/systemd/system-generators/systemd-cryptsetup-generator")
        .env("SYSTEMD_CRYPTTAB", crypttab)
        .env("SYSTEMD_PROC_CMDLINE", arguments)
        .env("SYSTEMD_LOG_TARGET", "null")
        .args([out, out, out]));
    let mut commands: Vec<String> = Vec::new();
    for entry in fs::read_dir(out).unwrap() {
        let file = entry.unwrap().path();
        if file.extension() == Some(OsStr::new("service")) {
            let unit = UnitFile::parse(&fs::read(&file).unwrap());
            let command = unit.get_last("Service", "ExecStart").unwrap();
            let command = String::from_utf8(command.to_vec()).unwrap();
            commands.push(command[command.find("/lib/systemd/").unwrap()..].to_owned());
        }
    }
    commands.sort();
    commands
}

#[test]
fn the_volumes_of_the_kernels_arguments_are_those_of_the_generator() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("crypttab"), dir.path().join("out"));
    let line = "(a|b|luks-[ab]) (UUID=|/dev/disk/by-uuid/|PARTUUID=)[abc] none";
    let volume = "(rd\\.)?luks\\.(uuid=(luks-)?[abcg]?|name=([abcg]-?=[xy]?)?)";
    let switch = "(rd\\.)?luks(\\.crypttab)?(=(0|no|OFF|f|1|yes|On|true|maybe))?";
    let argument = prop_oneof![3 => volume, 1 => switch, 1 => "quiet|--|luks_uuid=a"];
    let given = (prop::collection::vec(line, 0..3), prop::collection::vec(argument, 0..4));
    check(given, |(lines, arguments)| {
        let (text, arguments) = (lines.join("\n") + "\n", arguments.join(" "));
        fs::write(&path, &text).unwrap();
        let name_and_device = |command: &String| {
            let mut words = command.split('\'').map(str::to_owned).skip(1).step_by(2);
            (words.next().unwrap(), words.next().unwrap())
        };
        let mut theirs: Vec<(String, String)> =
            commands_of_generator(&path, &out, &arguments).iter().map(name_and_device).collect();
        let tab = Crypttab::parse(text.as_bytes());
        let entries: Vec<_> = tab.entries().collect();
        let string = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let luks = LuksArguments::of(&KernelArguments::parse(arguments.as_bytes()), Reader::System);
        let by_crypttab = entries.iter().filter(|entry| luks.takes(entry)).map(|entry| {
            (string(&entry.name.value), string(&entry.source().device_path().unwrap()))
        });
        let beside = luks.beside(&entries).map(|volume| {
            (string(&volume.name()), format!("/dev/disk/by-uuid/{}", string(&volume.uuid)))
        });
        let mut ours: Vec<(String, String)> = by_crypttab.chain(beside).collect();
        ours.sort();
        theirs.sort();
        // At a name that it has seen the generator gives up the rest.
        prop_assume!(ours.windows(2).all(|pair| pair[0].0 != pair[1].0));
        prop_assert_eq!(ours, theirs, "{:?} {:?}", text, arguments);
        Ok(())
    });
}

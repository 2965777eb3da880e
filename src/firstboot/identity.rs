//! What a clone must have of its own, and nobody else makes: a machine id, and host keys where sshd
//! runs. systemd, cloud-init and the units of most distributions make them; this is for where they
//! do not.

use super::report::{Made, Report};
use super::{Clone, Trouble};
use crate::guest::{Fact, Guest, MachineId, Unknown};
use crate::model::{Edit, GuestPath};

const MACHINE_ID: &str = "/etc/machine-id";

/// Make what is missing.
pub fn make(clone: &Clone, report: &mut Report) -> Result<(), Trouble> {
    type Wish = fn(&Guest) -> Fact<Option<Edit>>;
    let wishes: [(&str, Wish); 2] = [("machine-id", machine_id), ("ssh-host-keys", host_keys)];
    for (what, wish) in wishes {
        let guest = (clone.open)()?;
        let trouble = match wish(&guest) {
            Ok(None) => continue,
            Ok(Some(_)) if !clone.may_go_on() => Some("there was no time left for it".to_owned()),
            Ok(Some(edit)) => clone.carry_out(&guest, "firstboot", vec![edit])?.err(),
            Err(Unknown(why)) => {
                report.untold.push(format!("{what}: {why}"));
                continue;
            }
        };
        report.identity.push(Made { what, trouble });
    }
    Ok(())
}

/// machine-id(5): 32 digits. systemd makes a missing one at boot, before anything else; without
/// systemd it is D-Bus's, or nobody's.
fn machine_id(guest: &Guest) -> Fact<Option<Edit>> {
    if guest.machine_id(&GuestPath::from(MACHINE_ID))? == MachineId::Set {
        return Ok(None);
    }
    let dbus = format!("--ensure={MACHINE_ID}");
    for argv in [vec!["systemd-machine-id-setup"], vec!["dbus-uuidgen", dbus.as_str()]] {
        if guest.has_program(argv[0])? {
            return Ok(Some(run(&argv, vec![GuestPath::from(MACHINE_ID)])));
        }
    }
    Ok(None)
}

/// Host keys, where sshd would start without one. cloud-init makes new ones for every instance,
/// and many units of sshd make missing ones.
fn host_keys(guest: &Guest) -> Fact<Option<Edit>> {
    let Some(sshd) = guest.sshd()? else { return Ok(None) };
    let mut starts = false;
    for name in ["ssh", "sshd", "ssh.socket", "sshd.socket"] {
        starts |= guest.service(name)?.is_some_and(|service| service.starts.is_enabled());
    }
    for key in sshd.host_keys() {
        if guest.stat(&key)?.is_some() {
            return Ok(None);
        }
    }
    if !starts || !guest.host_key_makers()?.is_empty() {
        return Ok(None);
    }
    if !guest.has_program("ssh-keygen")? {
        return Err(Unknown("there is no ssh-keygen".to_owned()));
    }
    // What `ssh-keygen -A` makes, of every release since 5.9 (ssh-keygen.c, do_gen_all_hostkeys).
    let keys = ["rsa", "dsa", "ecdsa", "ed25519", "rsa1"];
    let files = keys.iter().flat_map(|kind| {
        let private = match *kind {
            "rsa1" => "/etc/ssh/ssh_host_key".to_owned(),
            kind => format!("/etc/ssh/ssh_host_{kind}_key"),
        };
        [GuestPath::from(format!("{private}.pub").as_str()), GuestPath::from(private.as_str())]
    });
    Ok(Some(run(&["ssh-keygen", "-A"], files.collect())))
}

fn run(argv: &[&str], writes: Vec<GuestPath>) -> Edit {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Edit::Run { argv, writes, undo: Vec::new() }
}

//! LVM2 against lvm2's own reports and blkid.
//!
//! It takes loop devices, and with `activation=0` no device mapper.

use crate::tools::{Image, agree, attempt, drive, have, identify, run};
use guestprep::parse::lvm_metadata::{self, MetadataError, VolumeGroup};
use guestprep::parse::superblock::{Checksum, Detail, Kind, lvm};
use std::path::Path;

/// A file as a block device.
struct Loop(String);

impl Loop {
    fn new(image: &Image) -> Option<Self> {
        let (ok, stdout, stderr) = attempt("losetup", &["--find", "--show", &image.arg()], "");
        if !ok {
            eprintln!("left out: no loop device: {}", stderr.trim());
        }
        ok.then(|| Self(stdout.trim().to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        attempt("losetup", &["--detach", &self.0], "");
    }
}

/// Settings that keep LVM from the machine's own devices, from udev and from the device mapper, which a container lacks.
fn lvm_config(devices: &[Loop]) -> String {
    let accept: Vec<_> = devices.iter().map(|device| format!("\"a|^{}$|\"", device.0)).collect();
    format!(
        "devices {{ filter=[{},\"r|.*|\"] use_devicesfile=0 dir=\"/dev\" scan=[\"/dev\"] obtain_device_list_from_udev=0 }} \
         activation {{ udev_sync=0 udev_rules=0 monitoring=0 }} backup {{ backup=0 archive=0 }} global {{ activation=0 use_lvmpolld=0 }}",
        accept.join(",")
    )
}

fn volume_group(path: &Path) -> Result<Option<VolumeGroup>, MetadataError> {
    let Some(found) = identify(path).unwrap() else { panic!("no physical volume") };
    let Detail::Lvm(volume) = found.detail else { panic!("{found:?}") };
    let wanted: fn(u64) -> _ = |_| Vec::new();
    drive(
        path,
        wanted,
        |window| lvm_metadata::read(window, &volume),
        |error| match error {
            MetadataError::Unread(unread) => Some(unread),
            _ => None,
        },
    )
}

#[test]
fn volume_groups() {
    if !have(&["pvcreate", "vgcreate", "lvcreate", "losetup", "blkid"]) {
        return;
    }
    let images = [Image::new(64), Image::new(64), Image::new(64)];
    let Some(devices) = images.iter().map(Loop::new).collect::<Option<Vec<_>>>() else {
        return;
    };
    let config = lvm_config(&devices);
    let lvm = |args: &[&str]| run(args[0], &[&["--config", &config], &args[1..]].concat());
    let names: Vec<_> = devices.iter().map(|device| device.0.as_str()).collect();

    lvm(&["pvcreate", "-q", names[0]]);
    lvm(&["pvcreate", "-q", "--labelsector", "3", names[1]]);
    lvm(&["pvcreate", "-q", "--metadatacopies", "2", "--dataalignment", "2m", names[2]]);
    for image in &images {
        let found = agree(image);
        assert_eq!((found.kind, found.checksum), (Kind::Lvm2, Checksum::Good));
        let Detail::Lvm(volume) = found.detail else { unreachable!() };
        assert_eq!(volume.device_size, 64 << 20);
        assert_eq!(volume_group(&image.path()), Ok(None));
    }
    let Detail::Lvm(lvm::PhysicalVolume { data_areas, metadata_areas, .. }) =
        agree(&images[2]).detail
    else {
        panic!()
    };
    assert_eq!(metadata_areas.len(), 2);
    assert_eq!(data_areas[0].start, 2 << 20);

    lvm(&[
        "vgcreate",
        "-q",
        "--physicalextentsize",
        "1m",
        "system.vg-0",
        names[0],
        names[1],
        names[2],
    ]);
    // Without a device mapper nothing can be activated, nor wiped.
    let create = ["lvcreate", "-q", "-an", "-Zn", "-Wn"];
    lvm(&[&create[..], &["-n", "root", "-l", "10", "--addtag", "a.tag", "system.vg-0", names[1]]]
        .concat());
    lvm(&[
        &create[..],
        &["-n", "wide", "-i", "2", "-I", "64k", "-l", "4", "system.vg-0", names[0], names[2]],
    ]
    .concat());
    let (mirrored, _, reason) = attempt(
        "lvcreate",
        &[
            &["--config", &config],
            &create[1..],
            &["--type", "raid1", "--nosync", "-m", "1", "-n", "safe", "-l", "2", "system.vg-0"],
        ]
        .concat(),
        "",
    );
    if !mirrored {
        eprintln!("left out: lvcreate makes no raid1 here: {reason}");
    }
    lvm(&[&create[..], &["-n", "long", "-l", "160", "system.vg-0"]].concat());
    // Each change appends a text to the ring that is the metadata area. Some text must go round its end.
    let tags: Vec<_> = (0..90).map(|number| format!("{number}_{}", "x".repeat(900))).collect();
    let wraps = || {
        let field = |at: u64| u64::from_le_bytes(images[0].read(4096 + at, 8).try_into().unwrap());
        let (size, offset, length) = (field(32), field(40), field(48));
        offset + length > size
    };
    let mut change = "--addtag";
    for round in 0.. {
        assert!(round < 100, "the ring has no end");
        let tags = tags.iter().flat_map(|tag| [change, tag.as_str()]);
        let args: Vec<_> = ["lvchange", "-q", "system.vg-0/root"].into_iter().chain(tags).collect();
        lvm(&args);
        if wraps() {
            break;
        }
        change = if change == "--addtag" { "--deltag" } else { "--addtag" };
    }
    let groups: Vec<_> =
        images.iter().map(|image| volume_group(&image.path()).unwrap().unwrap()).collect();
    assert!(groups.iter().all(|group| *group == groups[0]));
    let group = &groups[0];

    let report = |program: &str, columns: &str| -> Vec<Vec<String>> {
        let options =
            ["--noheadings", "--units", "b", "--nosuffix", "--separator", "|", "-a", "-o", columns];
        let options = if program == "vgs" {
            [&options[..6], &options[7..]].concat()
        } else {
            options.to_vec()
        };
        let text = lvm(&[&[program], &options[..]].concat());
        let mut rows: Vec<Vec<_>> =
            text.lines().map(|line| line.trim().split('|').map(str::to_owned).collect()).collect();
        rows.sort();
        rows
    };
    let ours = |rows: &mut Vec<Vec<String>>| -> Vec<Vec<String>> {
        rows.sort();
        rows.clone()
    };
    let row =
        |values: &[&dyn ToString]| values.iter().map(|value| value.to_string()).collect::<Vec<_>>();
    assert_eq!(
        report("vgs", "vg_name,vg_uuid,vg_seqno,vg_extent_size"),
        [row(&[&group.name, &group.id, &group.sequence, &group.extent_size])]
    );
    let mut volumes: Vec<_> = group
        .physical_volumes
        .iter()
        .map(|volume| {
            row(&[
                &volume.id,
                &volume.data_offset,
                &volume.extents,
                &volume.device.clone().unwrap(),
            ])
        })
        .collect();
    assert_eq!(report("pvs", "pv_uuid,pe_start,pv_pe_count,pv_name"), ours(&mut volumes));
    let bracketed = |name: &str, visible: bool| {
        if visible { name.to_owned() } else { format!("[{name}]") }
    };
    let mut volumes: Vec<_> = group
        .logical_volumes
        .iter()
        .map(|volume| row(&[&bracketed(&volume.name, volume.visible), &volume.id]))
        .collect();
    assert_eq!(report("lvs", "lv_name,lv_uuid"), ours(&mut volumes));

    let needed = |name: &str| -> Vec<String> {
        ours(
            &mut group
                .needs(name)
                .iter()
                .map(|volume| vec![volume.device.clone().unwrap()])
                .collect(),
        )
        .concat()
    };
    assert_eq!(needed("root"), [names[1]]);
    assert_eq!(needed("long"), names);
    assert_eq!(needed("wide").len(), 2);
    let wide = group.logical_volumes.iter().find(|volume| volume.name == "wide").unwrap();
    assert_eq!(wide.segments[0].stripe_size, Some(64 << 10));
    if mirrored {
        assert_eq!(needed("safe").len(), 2);
    }

    // The first area of the last volume is lost: its second has the same.
    images[2].write(4096, &[0; 512]);
    assert_eq!(volume_group(&images[2].path()).unwrap().as_ref(), Some(group));
    images[0].write(4096 + 100, &[1]);
    assert!(matches!(volume_group(&images[0].path()), Err(MetadataError::Area(_))));
}

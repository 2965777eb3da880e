//! In which order mounts can be taken down: what stands on a mount before it, and a bind mount
//! before the mount that it shows a part of, so that putting them back, in reverse, finds the
//! original there.

use crate::model::MountRecord;

/// The mounts, ordered so that each can be unmounted when its turn comes.
pub fn order(mut left: Vec<MountRecord>) -> Vec<MountRecord> {
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        // Later mounts first where the choice is free: the kernel lists in order of mounting.
        let free = (0..left.len())
            .rev()
            .find(|at| !left.iter().any(|other| stands_on(other, &left[*at])))
            .or_else(|| {
                let child = |at: &usize| left.iter().any(|other| other.parent == left[*at].id);
                (0..left.len()).rev().find(|at| !child(at))
            })
            .unwrap_or(left.len() - 1);
        ordered.push(left.remove(free));
    }
    ordered
}

/// Whether `upper` must go before `lower`.
fn stands_on(upper: &MountRecord, lower: &MountRecord) -> bool {
    if upper.id == lower.id {
        return false;
    }
    upper.parent == lower.id || is_part_of(upper, lower)
}

/// Whether one mount shows a directory of what another shows: a bind mount and its original.
pub fn is_part_of(part: &MountRecord, whole: &MountRecord) -> bool {
    part.device == whole.device
        && part.root != whole.root
        && within(part.root.as_bytes(), whole.root.as_bytes())
}

/// Whether a path is below another.
pub fn within(path: &[u8], above: &[u8]) -> bool {
    above == b"/" || path.strip_prefix(above).is_some_and(|rest| rest.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GuestPath;

    fn mount(id: u32, parent: u32, target: &str, root: &str, device: &str) -> MountRecord {
        MountRecord {
            target: GuestPath::from(target),
            source: "/dev/vdb1".into(),
            root: root.into(),
            fstype: "ext4".to_owned(),
            options: "rw".to_owned(),
            super_options: "rw".to_owned(),
            loop_file: None,
            device: device.to_owned(),
            id,
            parent,
        }
    }

    #[test]
    fn children_and_bind_mounts_go_first() {
        let mounts = vec![
            mount(10, 1, "/data", "/", "8:1"),
            mount(11, 10, "/data/sub", "/", "8:2"),
            mount(12, 1, "/srv", "/www", "8:1"),
            mount(13, 12, "/srv/x", "/", "8:3"),
        ];
        let order: Vec<u32> = order(mounts).iter().map(|m| m.id).collect();
        let place = |id| order.iter().position(|o| *o == id).unwrap();
        assert!(place(11) < place(10));
        assert!(place(12) < place(10));
        assert!(place(13) < place(12));
    }
}

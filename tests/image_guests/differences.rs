//! In what an image may be judged otherwise than the tree that it was made of, and why.

use guestprep::model::{CheckResult, VerdictName};

/// A kind of difference that is as it should be.
struct Allowed {
    /// The check; `*` for any.
    check: &'static str,
    /// The verdicts on the tree and on the image.
    verdicts: (&'static str, &'static str),
    /// The message keys of findings that only the tree has; `*` for any.
    only_tree: &'static [&'static str],
    /// The message keys of findings that only the image has; `*` for any.
    only_image: &'static [&'static str],
}

/// Each row with its reason.
const ALLOWED: &[Allowed] = &[
    // What a tree leaves open, the disk may tell.
    Allowed { check: "*", verdicts: ("unknown", "*"), only_tree: &["*"], only_image: &["*"] },
    // What a tree has not at all: its disk, its superblocks, its free space.
    Allowed { check: "*", verdicts: ("unseen", "*"), only_tree: &[], only_image: &["*"] },
    // A filesystem of its own that cannot be mounted may hold what the tree has not.
    Allowed { check: "*", verdicts: ("pass", "not mounted"), only_tree: &[], only_image: &[] },
    // The size of the disk is one fact more.
    Allowed {
        check: "image-facts",
        verdicts: ("pass", "pass"),
        only_tree: &[],
        only_image: &["disk-size"],
    },
    // The disk tells the UUID that a line for the root can be written with.
    Allowed {
        check: "root-read-only",
        verdicts: ("fail", "fail"),
        only_tree: &["no-entry"],
        only_image: &["no-entry"],
    },
    // A tree may have any partition of the disk that its root lies on, and leaves open whether there
    // is a UUID or a name of /dev/mapper; the disk has it or not. What is not there and does not
    // stop boot is no doubt of a tree, but it is a finding of an image.
    Allowed {
        check: "fstab-missing-device",
        verdicts: ("pass", "fail"),
        only_tree: &[],
        only_image: &["stops-boot", "delays-boot", "harmless", "depends-harmless"],
    },
    Allowed {
        check: "crypttab-data-disk",
        verdicts: ("pass", "fail"),
        only_tree: &[],
        only_image: &["missing-harmless"],
    },
    Allowed {
        check: "mount-unit-data-disk",
        verdicts: ("*", "fail"),
        only_tree: &[],
        only_image: &["missing-harmless"],
    },
    Allowed {
        check: "swap-enabled",
        verdicts: ("*", "fail"),
        only_tree: &["fstab"],
        only_image: &["delays-boot", "harmless", "initramfs-resume"],
    },
    // What resume= names is no swap of the disk; `static-kernel-arguments` says so.
    Allowed {
        check: "swap-enabled",
        verdicts: ("fail", "pass"),
        only_tree: &["resume"],
        only_image: &[],
    },
    // The disk tells the UUID of the filesystem, which a tree that names it otherwise does not.
    Allowed {
        check: "boot-device-name",
        verdicts: ("fail", "fail"),
        only_tree: &["kernel-name-unknown"],
        only_image: &["kernel-name"],
    },
    Allowed {
        check: "fstab-unstable-name",
        verdicts: ("fail", "*"),
        only_tree: &["kernel-name-unknown"],
        only_image: &["kernel-name"],
    },
    // The menu names another root than the disk has, in a case that is about something else and
    // whose disk is made of its fstab alone.
    Allowed {
        check: "boot-entry-broken",
        verdicts: ("*", "fail"),
        only_tree: &[],
        only_image: &["root-differs"],
    },
    // A tree without fstab does not tell which tool its filesystem grows with.
    Allowed {
        check: "root-not-growable",
        verdicts: ("*", "fail"),
        only_tree: &[],
        only_image: &["tool-missing"],
    },
    // Of the root's filesystem fstab says reiserfs, and the disk has ext4.
    Allowed {
        check: "fstab-malformed",
        verdicts: ("*", "fail"),
        only_tree: &[],
        only_image: &["type-differs"],
    },
    Allowed {
        check: "root-not-growable",
        verdicts: ("fail", "pass"),
        only_tree: &["type-unsupported"],
        only_image: &[],
    },
    // mke2fs copies times in whole seconds, and the fixture's files are made within one.
    Allowed {
        check: "initramfs-stale-systemd",
        verdicts: ("pass", "unknown"),
        only_tree: &[],
        only_image: &[],
    },
];

/// Whether a check may say this of a tree, and that of its image.
pub fn is_allowed(tree: &CheckResult, image: &CheckResult) -> bool {
    let only = |of: &CheckResult, other: &CheckResult| -> Vec<String> {
        let others = &other.findings;
        let own = of.findings.iter().filter(|finding| !others.contains(finding));
        own.map(|finding| finding.key.clone()).collect()
    };
    let (only_tree, only_image) = (only(tree, image), only(image, tree));
    ALLOWED.iter().any(|allowed| {
        (allowed.check == "*" || allowed.check == tree.id.as_str())
            && says(tree, allowed.verdicts.0)
            && says(image, allowed.verdicts.1)
            && are_among(&only_tree, allowed.only_tree)
            && are_among(&only_image, allowed.only_image)
    })
}

fn are_among(keys: &[String], allowed: &[&str]) -> bool {
    allowed == ["*"] || keys.iter().all(|key| allowed.contains(&key.as_str()))
}

fn says(result: &CheckResult, wanted: &str) -> bool {
    match result.verdict {
        _ if wanted == "*" => true,
        VerdictName::Pass => wanted == "pass",
        VerdictName::Fail => wanted == "fail",
        VerdictName::Unknown => {
            let reason = result.reason.as_deref().unwrap_or_default();
            wanted == "unknown" || wanted == "not mounted" && reason.contains(" is not mounted: ")
        }
        VerdictName::NotApplicable => {
            let is_unseen =
                result.reason.as_deref() == Some("The disks of this tree cannot be seen.");
            wanted == "na" || wanted == "unseen" && is_unseen
        }
    }
}

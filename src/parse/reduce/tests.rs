use super::*;
use crate::parse::passwd::{Kind, Table};
use crate::parse::superblock;
use crate::parse::window::Window;
use proptest::prelude::*;

fn left(path: &str, text: &str) -> String {
    String::from_utf8(reduce(path.as_bytes(), text.as_bytes()).content).unwrap()
}

#[test]
fn a_password_field_says_as_much_as_before() {
    let hash = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3x4Y5z6a7b8c9d0e1f2g3h4i5j6k7l8m9n0o1";
    for (field, kept) in [
        ("", ""),
        ("x", "x"),
        ("*", "*"),
        ("!", "!"),
        ("!!", "!!"),
        ("!*", "!*"),
        ("*LK*", "*reduced"),
        (&format!("$6$Salt1234${hash}"), "$6$reduced"),
        (&format!("!$6$rounds=5000$Salt1234${hash}"), "!$6$reduced"),
        (&format!("!!$y$j9T$Salt1234${hash}"), "!!$y$reduced"),
        ("$1$Salt1234$0123456789abcdefghijkl", "$1$reduced"),
        ("abJnggxhB/yWI", "reducedreduce"),
        ("plain text", "reduced"),
        ("$", "reduced"),
        ("$$$", "reduced"),
    ] {
        let line = format!("root:{field}:19000:0:99999:7:::\n");
        assert_eq!(left("/etc/shadow", &line), format!("root:{kept}:19000:0:99999:7:::\n"));
        let state = |text: &str| {
            Table::parse(Kind::Shadow, text.as_bytes()).entries().next().map(|entry| entry.password)
        };
        if !field.contains("LK") && kept != "reduced" {
            assert_eq!(state(&line), state(&left("/etc/shadow", &line)), "{field}");
        }
    }
    for name in ["shadow-", "gshadow", "gshadow-", "passwd-", "group", "shadow.rpmsave"] {
        assert_eq!(left(&format!("/etc/{name}"), "a:secretsecret\n"), "a:reduced\n", "{name}");
    }
    assert_eq!(left("/etc/passwdqc.conf", "a:b\n"), "a:b\n");
}

/// What a secret stands in, as `{}`, and in which file.
const PLACES: &[(&str, &str)] = &[
    ("/etc/NetworkManager/system-connections/a", "[wifi-security]\nkey-mgmt=wpa-psk\npsk={}\n"),
    ("/etc/NetworkManager/system-connections/a", "[802-1x]\npassword={} and {}, {}\n"),
    ("/etc/NetworkManager/system-connections/a", "[wifi-security]\nwep-key0={}\nwep-key-type=1\n"),
    ("/etc/NetworkManager/system-connections/a", "[vpn-secrets]\nIPSec secret={}\n"),
    ("/etc/NetworkManager/system-connections/a", "[wireguard]\nprivate-key={}\n"),
    ("/etc/NetworkManager/system-connections/a", "[802-1x]\nprivate-key-password={}\n"),
    ("/etc/systemd/network/wg.netdev", "[WireGuard]\nPrivateKey={}\nPresharedKey = {}\n"),
    ("/etc/sysconfig/network-scripts/keys-eth0", "KEY1={}\nKEY=s:{}\nKEY_PASSPHRASE1='{} {}'\n"),
    ("/etc/sysconfig/network-scripts/ifcfg-w", "WPA_PSK=\"{} x\"\nexport MY_SECRET={}\n"),
    ("/etc/sysconfig/network/ifcfg-w", "WIRELESS_WPA_PSK='{}'\nWIRELESS_KEY_0='{}'\n"),
    ("/etc/wpa_supplicant.conf", "network={\n\tpsk=\"{}\"\n\tpassword=\"{}\"\n\twep_key0={}\n}\n"),
    (
        "/etc/netplan/50.yaml",
        "wifis:\n  w:\n    access-points:\n      \"a\":\n        password: \"{}\"\n",
    ),
    ("/etc/netplan/50.yaml", "wifis: {w: {access-points: {a: {password: \"{}\", mode: x}}}}\n"),
    ("/etc/netplan/50.yaml", "auth:\n  password: {} {}\n  key:\n    {}\n"),
    ("/etc/cloud/cloud.cfg", "password: {}\nchpasswd: { expire: False }\nssh_pwauth: True\n"),
    ("/etc/cloud/cloud.cfg", "users:\n  - name: a\n    passwd: {}\n    hashed_passwd: {}\n"),
    ("/etc/cloud/cloud.cfg", "users:\n  - plain_text_passwd: '{}'\n    lock_passwd: false\n"),
    ("/etc/cloud/cloud.cfg", "chpasswd:\n  list: |\n    root:{}\n    b:{}:x\n  expire: false\n"),
    ("/etc/cloud/cloud.cfg", "chpasswd:\n  list:\n  - root:{}\n  - \"b:{}\"\n"),
    ("/etc/cloud/cloud.cfg", "chpasswd:\n  users:\n  - {name: a, password: {}, type: text}\n"),
    ("/etc/cloud/cloud.cfg", "ssh_keys:\n  rsa_private: |\n    {}\n    {}\n  other: {}\nnext: 1\n"),
    ("/etc/cloud/cloud.cfg", "rsa_private: |\n\n  {}\n\n  {}\nnext: 1\n"),
    (
        "/etc/cloud/cloud.cfg",
        "write_files:\n- path: /a\n  content: |\n    {}\n    b: {}\n  owner: r\n",
    ),
    ("/etc/cloud/cloud.cfg", "runcmd:\n - echo root:{} | chpasswd\n - [useradd, --password, {}]\n"),
    ("/var/lib/cloud/instance/user-data.txt", "#cloud-config\npassword:\n  {}\n"),
    (
        "/run/cloud-init/instance-data.json",
        "{\n \"password\": \"{}\",\n \"a\": {\"token\":\"{}\"}\n}\n",
    ),
    ("/boot/grub2/user.cfg", "GRUB2_PASSWORD=grub.pbkdf2.sha512.10000.{}.{}\n"),
    (
        "/boot/grub/grub.cfg",
        "set superusers=\"a\"\npassword_pbkdf2 a grub.pbkdf2.sha512.10000.{}\n",
    ),
    ("/boot/grub/grub.cfg", "password a {}\n"),
    ("/boot/grub/menu.lst", "default 0\npassword --md5 {}\ntitle a\n"),
    ("/boot/grub/menu.lst", "password --encrypted {}\npassword {} /boot/other.lst\n"),
    ("/etc/fstab", "//s/x /mnt cifs username=a,password={},uid=0,nofail 0 0\n"),
    ("/etc/fstab", "//s/x /mnt cifs pass={},,{},nofail 0 0\n"),
    ("/proc/cmdline", "root=/dev/vda1 rd.luks.key={} systemd.set_credential=a:{} quiet\n"),
    ("/proc/cmdline", "rd.iscsi.password={} netroot=iscsi:a:{}@10.0.0.1::3260::iqn quiet\n"),
    ("/proc/7/cmdline", "tool\0--password={}\0--token\0x\0-v\0"),
    ("/etc/rc.local", "PASSWORD={} mount -o password='{} {}' //s/x /mnt\n"),
    (
        "/etc/rc.local",
        "mysqldump --password {} a | curl -H 'Authorization: Bearer {}' https://u:{}@h/\n",
    ),
    ("/etc/rc.local", "sshpass -p {} ssh host\n"),
    ("/etc/systemd/system/a.service", "[Service]\nEnvironment=\"DB_PASSWORD={} {}\" A=b\n"),
    (
        "/etc/systemd/system/a.service",
        "[Service]\nEnvironment=DB_PASSWORD={} A=b\nSetCredential=a:{}\n",
    ),
    ("/etc/yum.repos.d/a.repo", "[a]\nbaseurl=https://user:{}@host/path\npassword = {}\n"),
    ("/etc/apt/sources.list", "deb https://user:{}@host/debian stable main\n"),
    ("/etc/dhcp/dhclient.conf", "key a {\n  algorithm hmac-md5;\n  secret {};\n}\n"),
    (
        "/etc/anything",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
    ),
    (
        "/etc/anything",
        "a: |\n  -----BEGIN RSA PRIVATE KEY-----\n  {}\n  -----END RSA PRIVATE KEY-----\n",
    ),
    ("/etc/anything", "-----BEGIN PRIVATE KEY-----\n{}\n"),
    (
        "/etc/anything",
        "{\"k\":\"-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n\"}\n",
    ),
    ("/root/.ssh/authorized_keys", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}{}{} a@b\n"),
    ("/etc/anything", "$6$salt1234${}{}{}\n"),
    ("/etc/anything", "a $y$j9T$abcdefgh${}{}{} b\n"),
    ("/etc/anything", "AccessKeyId: LTAI5t{} \naccessKeySecret=\"{}\"\n"),
    ("/etc/iscsi/iscsid.conf", "node.session.auth.password = {}\n"),
];

proptest! {
    #[test]
    fn no_secret_is_left(secret in "[A-Za-z0-9]{16}", at in 0..PLACES.len()) {
        let (path, text) = PLACES[at];
        let seeded = text.replace("{}", &secret);
        let reduced = reduce(path.as_bytes(), seeded.as_bytes());
        let shown = String::from_utf8_lossy(&reduced.content).into_owned();
        prop_assert!(!shown.contains(&secret), "{path}: {shown}");
        prop_assert!(reduced.count > 0, "{path}: {text}");
        // What was reduced once has nothing left to take out.
        let again = reduce(path.as_bytes(), &reduced.content);
        prop_assert_eq!(String::from_utf8_lossy(&again.content), shown);
    }

    #[test]
    fn no_bytes_are_a_panic(path in "/(etc|dev|boot)/(shadow|a\\.yaml|grub\\.cfg|vda|a)", text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = reduce(path.as_bytes(), &text);
    }

    #[test]
    fn no_text_is_a_panic(text in "([a-z]{0,3}(password|psk|passwd|chpasswd|key1|content|-----BEGIN PRIVATE KEY-----|-----END |AAAA|\\$6\\$)?[ =:\"'\\\\{},\n-]{0,3}){0,12}") {
        for path in ["/etc/a.yaml", "/etc/a", "/etc/shadow"] {
            let _ = reduce(path.as_bytes(), text.as_bytes());
        }
    }
}

/// The value of an option goes with its colons, and what is behind them becomes the password field.
#[test]
fn what_becomes_a_secret_is_taken_out_too() {
    assert_eq!(left("/etc/gshadow", "a--pass 1:2:3]b:c\n"), "a--pass reduced]b:reduced\n");
}

#[test]
fn every_place_loses_its_secret() {
    for (path, text) in PLACES {
        let seeded = text.replace("{}", "CanaryCanary4242");
        let shown = left(path, &seeded);
        assert!(!shown.contains("Canary"), "{path}: {seeded} became {shown}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for (path, text) in [
        (
            "/etc/ssh/sshd_config",
            "PasswordAuthentication no\nPasswordAuthentication=no\nHostKey /a\n",
        ),
        ("/etc/nsswitch.conf", "passwd: files systemd\ngroup:          files\nshadow: files\n"),
        ("/etc/pam.d/common-password", "password [success=1 default=ignore] pam_unix.so obscure\n"),
        ("/etc/cloud/cloud.cfg", "lock_passwd: True\nssh_pwauth: 0\nchpasswd: { expire: False }\n"),
        ("/etc/crypttab", "a UUID=1 /etc/key luks,try-empty-password=yes,token-timeout=30\n"),
        ("/etc/fstab", "//s/x /mnt cifs credentials=/root/.cred,nofail 0 0\n"),
        ("/etc/rc.local", "f() { mount $1$2 /mnt; }\nmount \"$1\" /data\n"),
        ("/etc/default/kdump-tools", "#FTP_PASSWORD=\"\"\nA_TOKEN=''\n"),
        ("/lib/systemd/system/a.service", "[Service]\nLoadCredential=sysctl.extra\n"),
        ("/etc/sudoers", "a ALL=(ALL) NOPASSWD: ALL\n"),
        ("/etc/apt/sources.list", "deb https://mirror.example.com/debian stable main\n"),
        ("/etc/a", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
    ] {
        assert_eq!(left(path, text), text, "{path}");
    }
}

#[test]
fn only_the_secret_goes() {
    for (path, text, kept) in [
        (
            "/etc/fstab",
            "//s/x /mnt cifs username=a,password=pw,nofail 0 0\n",
            "//s/x /mnt cifs username=a,password=reduced,nofail 0 0\n",
        ),
        (
            "/etc/rc.local",
            "PASSWORD=pw mount /dev/vdb /data\n",
            "PASSWORD=reduced mount /dev/vdb /data\n",
        ),
        (
            "/root/.ssh/authorized_keys",
            "from=\"a\" ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC1234567890abcdef me@host\n",
            "from=\"a\" ssh-rsa reduced me@host\n",
        ),
        (
            "/etc/a.service",
            "[Service]\nEnvironment=\"A_TOKEN=x y\" B=c\nExecStart=/bin/mount /dev/vdb /d\n",
            "[Service]\nEnvironment=\"A_TOKEN=reduced\" B=c\nExecStart=/bin/mount /dev/vdb /d\n",
        ),
        (
            "/proc/cmdline",
            "root=/dev/vda1 rd.luks.key=/a ro\n",
            "root=/dev/vda1 rd.luks.key=reduced ro\n",
        ),
        (
            "/etc/cloud/cloud.cfg",
            "chpasswd:\n  list: |\n    root:pw\n  expire: false\nmounts:\n - [vdb, /d]\n",
            "chpasswd:\n  list: |\n    root:reduced\n  expire: false\nmounts:\n - [vdb, /d]\n",
        ),
        (
            "/k",
            "  -----BEGIN EC PRIVATE KEY-----\n  a\n  b\n  -----END EC PRIVATE KEY-----\nc\n",
            "  -----BEGIN EC PRIVATE KEY-----\n  reduced\n  -----END EC PRIVATE KEY-----\nc\n",
        ),
    ] {
        assert_eq!(left(path, text), kept, "{path}");
    }
}

#[test]
fn a_volume_is_known_without_its_salts() {
    let mut header = vec![0u8; 8192];
    header[..8].copy_from_slice(b"LUKS\xba\xbe\x00\x01");
    header[8..11].copy_from_slice(b"aes");
    header[104..108].copy_from_slice(&4096u32.to_be_bytes());
    header[112..592].fill(0xA7);
    header[168..208].fill(0);
    header[168..204].copy_from_slice(b"11111111-2222-4333-8444-555555555555");
    let reduced = reduce(b"/dev/vdb1", &header);
    assert!(!reduced.content.contains(&0xA7));
    assert_eq!(reduced.count, 2);
    let identify = |bytes: Vec<u8>| superblock::identify(&Window::of(bytes)).unwrap();
    assert_eq!(identify(reduced.content), identify(header));
}

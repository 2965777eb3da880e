//! Where a time daemon takes the time from: chrony.conf(5), ntp.conf(5), OpenNTPD's ntpd.conf(5).
//!
//! Read, never written. Only the directives that name a source or another file are known.

/// A directive that names a source of time, or a file that may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// A server, pool or peer, by name or address.
    Server(String),
    /// A clock of the machine itself: a reference clock, a sensor.
    Clock,
    /// Another file; with wildcards in its last part.
    Include(String),
    /// A directory of files `*.conf` to be read as this one (chrony).
    ConfigDirectory(String),
    /// A directory of files `*.sources` that hold servers (chrony).
    SourceDirectory(String),
}

/// The directives of a file with their lines, from 1.
pub fn directives(text: &[u8]) -> Vec<(usize, Directive)> {
    let mut found = Vec::new();
    for (index, line) in String::from_utf8_lossy(text).lines().enumerate() {
        // chrony takes a line that begins with any of these for a comment.
        if line.trim_start().starts_with(['#', '!', ';', '%']) {
            continue;
        }
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        // `-4` and `-6` may stand before a server of ntpd.
        let Some(value) = words.find(|word| !word.starts_with('-')) else { continue };
        let directive = match name.to_ascii_lowercase().as_str() {
            // ntpd has drivers of local clocks behind 127.127.x.y; type 1 is the machine's own
            // clock, which is no source.
            "server" | "peer" if value.starts_with("127.127.1.") => continue,
            "server" | "peer" if value.starts_with("127.127.") => Directive::Clock,
            "server" | "servers" | "pool" | "peer" => Directive::Server(value.to_owned()),
            "refclock" | "sensor" => Directive::Clock,
            "include" | "includefile" => Directive::Include(value.to_owned()),
            "confdir" => Directive::ConfigDirectory(value.to_owned()),
            "sourcedir" => Directive::SourceDirectory(value.to_owned()),
            _ => continue,
        };
        found.push((index + 1, directive));
    }
    found
}

/// Who runs a server, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Alibaba Cloud, which has servers that every instance reaches.
    Cloud,
    /// A project or company that serves the internet: not reached without a public address.
    Public,
    /// Somebody else, or the operator of the guest.
    Own,
}

/// The names, with all below them, that distributions and vendors have their servers under.
const PUBLIC: [&str; 12] = [
    "pool.ntp.org",
    "ntp.org",
    "ntp.ubuntu.com",
    "time.google.com",
    "time1.google.com",
    "time.cloudflare.com",
    "time.apple.com",
    "time.windows.com",
    "time.nist.gov",
    "time.facebook.com",
    "ntp.ntsc.ac.cn",
    "cn.ntp.org.cn",
];

/// Who runs a server of this name.
pub fn operator(server: &str) -> Operator {
    let name = server.trim_end_matches('.').to_ascii_lowercase();
    let is_below = |domain: &str| {
        name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if is_below("aliyun.com") || is_below("aliyuncs.com") || name.starts_with("100.100.") {
        Operator::Cloud
    } else if PUBLIC.iter().any(|domain| is_below(domain)) {
        Operator::Public
    } else {
        Operator::Own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sources_of_each_daemon() {
        let text = b"# server a\n! server b\npool 2.debian.pool.ntp.org iburst\n\
            Server ntp.cloud.aliyuncs.com minpoll 4 # near\nserver -4 10.0.0.1\nrefclock PHC /dev/ptp0 poll 3\n\
            confdir /etc/chrony/conf.d\nsourcedir /run/chrony-dhcp\ninclude /etc/chrony.d/*.conf\n\
            server 127.127.1.0\nserver 127.127.28.0\nservers pool.ntp.org\nsensor *\nserver\nmakestep 1 3\n";
        let server = |name: &str| Directive::Server(name.to_owned());
        let found: Vec<_> = directives(text);
        let want = [
            (3, server("2.debian.pool.ntp.org")),
            (4, server("ntp.cloud.aliyuncs.com")),
            (5, server("10.0.0.1")),
            (6, Directive::Clock),
            (7, Directive::ConfigDirectory("/etc/chrony/conf.d".to_owned())),
            (8, Directive::SourceDirectory("/run/chrony-dhcp".to_owned())),
            (9, Directive::Include("/etc/chrony.d/*.conf".to_owned())),
            (11, Directive::Clock),
            (12, server("pool.ntp.org")),
            (13, Directive::Clock),
        ];
        assert_eq!(found, want);
    }

    #[test]
    fn operators() {
        for (name, want) in [
            ("ntp7.cloud.aliyuncs.com", Operator::Cloud),
            ("ntp.aliyun.com.", Operator::Cloud),
            ("0.CentOS.pool.ntp.org", Operator::Public),
            ("ntp.ubuntu.com", Operator::Public),
            ("notaliyun.com", Operator::Own),
            ("10.1.2.3", Operator::Own),
            ("time.corp.example", Operator::Own),
        ] {
            assert_eq!(operator(name), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(text in any::<Vec<u8>>(), name in ".{0,20}") {
            directives(&text);
            operator(&name);
        }
    }
}

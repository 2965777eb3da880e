//! A slow or hostile client costs nobody else anything.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::client::{Daemon, exchange};
use crate::common::command::until;
use crate::common::live;

#[test]
fn others_are_answered_whatever_one_does() {
    live::alone(&[], |live| {
        let daemon = Daemon::start(live, "");
        // As many as there are places say nothing, and as many again a part of something.
        let mut silent: Vec<_> = (0..128).map(|_| daemon.connect().unwrap()).collect();
        for stream in &mut silent[64..] {
            let _ = stream.write_all(b"GET /v1/readiness HTTP/1.1\r\nx: ");
        }
        let begun = Instant::now();
        assert_eq!(daemon.get("/v1/readiness").status, 200);
        // Each batch of silent ones is cut off after two seconds.
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
        drop(silent);

        // Followers that never read, more than there may be.
        let mut followers: Vec<_> = (0..40).map(|_| daemon.connect().unwrap()).collect();
        for stream in &mut followers {
            let _ = stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n");
        }
        assert_eq!(daemon.get("/v1/readiness").status, 200);
        drop(followers);

        // What is too large is refused; what is no HTTP too.
        let long = format!("/{}", "x".repeat(100_000));
        assert!(refuses(&daemon, |stream| exchange(stream, "GET", &long, "").map(|a| a.status)));
        let body = "x".repeat(100_000);
        assert!(refuses(&daemon, |stream| exchange(stream, "POST", "/v1/prepare", &body)
            .map(|a| a.status)));
        let mut stream = daemon.connect().unwrap();
        let _ = stream.write_all(&[0xff; 20_000]);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
        assert_eq!(daemon.get("/healthz").status, 200);
    });
}

/// The end of a connection is not seen behind what was not read; a follower that is gone gives its place back all the same.
#[test]
fn a_follower_that_is_gone_keeps_no_place() {
    live::alone(&[], |live| {
        let daemon = Daemon::start(live, "");
        let follow = || {
            let mut stream = daemon.connect().unwrap();
            stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\nand more").unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            (stream, status.ends_with(b"200"))
        };
        let followers: Vec<_> = (0..16).map(|_| follow()).collect();
        assert!(followers.iter().all(|(_, follows)| *follows));
        assert!(!follow().1);
        drop(followers);
        until("there is a place again", || follow().1);
    });
}

/// Whether a request is refused, by an answer or by being cut off.
fn refuses(
    daemon: &Daemon,
    ask: impl FnOnce(&mut std::os::unix::net::UnixStream) -> std::io::Result<u16>,
) -> bool {
    let mut stream = daemon.connect().unwrap();
    ask(&mut stream).map_or(true, |status| (400..500).contains(&status))
}

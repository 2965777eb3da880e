//! A connection to the daemon, byte for byte: it answers in HTTP or not at all, and changes nothing for whom it may not.
#![no_main]

use guestprep::daemon::surface::Surface;

thread_local!(static SURFACE: Surface = Surface::default());

/// What may be asked; everything else is refused.
const PATHS: [&[u8]; 6] =
    [b"/v1/readiness", b"/v1/report", b"/v1/events", b"/metrics", b"/healthz", b"/openapi.json"];

// The input is who connects, how many bytes come at a time (0: all), and the bytes.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [who, piece, sent @ ..] = input else { return };
    let uid = if who % 2 == 0 { 0 } else { 1000 };
    let piece = if *piece == 0 { usize::MAX } else { usize::from(*piece) };
    let exchange = SURFACE.with(|surface| surface.converse(uid, sent, piece));
    assert!(uid == 0 || !exchange.asked_to_change, "a user may have the guest changed");
    let mut answer = exchange.answer.as_slice();
    // What a client is told that waits to be told so before it sends a body.
    if let Some(rest) = answer.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
        answer = rest;
    }
    if answer.is_empty() {
        assert!(!exchange.asked_to_change, "a change was asked for and not answered");
        return;
    }
    let (status, length, body) = head(answer);
    assert!((200..300).contains(&status) || (400..500).contains(&status), "{status}");
    let request: Vec<&[u8]> = sent.trim_ascii_start().splitn(3, |byte| *byte == b' ').collect();
    if let Some(length) = length {
        // One request is one answer, whatever is behind it; that to HEAD ends where the body would begin.
        let is_head = request.first() == Some(&&b"HEAD"[..]);
        assert!(body.len() == length || is_head && body.is_empty(), "{length}: {body:?}");
    }
    if status < 300 {
        assert!(!exchange.asked_to_change, "a change was made");
        let [method, target, ..] = request[..] else { panic!("nothing was asked") };
        assert!([&b"GET"[..], b"HEAD"].contains(&method), "{method:?}");
        assert!(PATHS.iter().any(|path| target.windows(path.len()).any(|part| part == *path)));
    }
});

/// The status, the length that is promised, and what is behind the head.
fn head(answer: &[u8]) -> (u16, Option<usize>, &[u8]) {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n").expect("a head that ends");
    let text = std::str::from_utf8(&answer[..end]).expect("a head is text");
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
    let status = first.expect("a status line").split(' ').next().unwrap_or_default();
    let mut length = None;
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{line}");
        if name == "content-length" {
            assert!(length.is_none(), "{text}");
            length = Some(value.parse().expect("a number"));
        }
    }
    (status.parse().expect("a status"), length, &answer[end + 4..])
}

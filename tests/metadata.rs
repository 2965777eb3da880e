//! The metadata service as a guest on ECS meets it: a small server of our own stands in for it.

#![allow(clippy::disallowed_methods)] // A test is not the product: it may look at the host.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use guestprep::sys::{ErrorKind, Metadata, ask_metadata};

/// How the server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// With and without a token.
    Optional,
    /// With a token alone.
    Required,
    /// Before there were tokens.
    Older,
    /// It takes the connection and says nothing.
    Silent,
    /// It says one byte after another, and never comes to an end.
    Slow,
    /// What it says is not HTTP.
    Garbage,
    /// It sends whoever asks elsewhere.
    Redirect,
    /// Values that no metadata has.
    Strange,
}

struct Server {
    address: String,
    /// Every request's first line and headers.
    requests: Arc<Mutex<Vec<Vec<String>>>>,
}

fn serve(mode: Mode) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || answer(stream, mode, &seen));
        }
    });
    Server { address, requests }
}

fn answer(mut stream: TcpStream, mode: Mode, seen: &Mutex<Vec<Vec<String>>>) {
    let reader = BufReader::new(stream.try_clone().expect("a stream"));
    let lines: Vec<String> =
        reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    seen.lock().expect("the list").push(lines.clone());
    let first = lines.first().cloned().unwrap_or_default();
    let has = |name: &str| lines.iter().any(|line| line.to_ascii_lowercase().starts_with(name));
    let is_put = first.starts_with("PUT /latest/api/token ");
    let (status, body) = match mode {
        Mode::Silent => {
            std::thread::sleep(Duration::from_secs(5));
            return;
        }
        Mode::Slow => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
            return;
        }
        Mode::Garbage => {
            let _ = stream.write_all(b"\x00\xff\xff not http\n\n");
            return;
        }
        Mode::Redirect => {
            let _ = stream.write_all(
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            );
            return;
        }
        Mode::Older if is_put => ("405 Method Not Allowed", String::new()),
        _ if is_put && has("x-aliyun-ecs-metadata-token-ttl-seconds: ") => {
            ("200 OK", "TOKEN==".to_owned())
        }
        Mode::Required if !has("x-aliyun-ecs-metadata-token: token==") => {
            ("403 Forbidden", "<html>no</html>".to_owned())
        }
        Mode::Strange => ("200 OK", "two words\n".repeat(1000)),
        _ => match first.split(' ').nth(1) {
            Some("/latest/meta-data/region-id") => ("200 OK", "cn-hangzhou".to_owned()),
            Some("/latest/meta-data/instance/instance-type") => {
                ("200 OK", "ecs.g6.large".to_owned())
            }
            Some("/latest/meta-data/image-id") => ("404 Not Found", "gone".to_owned()),
            _ => ("500 Internal Server Error", String::new()),
        },
    };
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
}

fn expected(token_only: bool) -> Metadata {
    Metadata {
        token_only,
        instance_type: Some("ecs.g6.large".to_owned()),
        region: Some("cn-hangzhou".to_owned()),
        image: None,
    }
}

#[test]
fn it_is_asked_with_a_token_where_there_is_one() {
    for (mode, token_only) in
        [(Mode::Optional, false), (Mode::Required, true), (Mode::Older, false)]
    {
        let server = serve(mode);
        assert_eq!(ask_metadata(&server.address).expect("an answer"), expected(token_only));
        let requests = server.requests.lock().expect("the list");
        assert!(requests[0][0].starts_with("PUT /latest/api/token "), "{requests:?}");
        let with_token = requests.iter().filter(|lines| {
            lines.iter().any(|line| line.to_ascii_lowercase().contains("metadata-token: "))
        });
        assert_eq!(with_token.count(), if mode == Mode::Older { 0 } else { 3 }, "{requests:?}");
        for lines in requests.iter() {
            assert!(!lines[0].contains("/ram/"), "credentials are never asked for: {lines:?}");
            // A token is refused to whoever comes through a proxy.
            let is_forwarded = |line: &String| line.to_ascii_lowercase().starts_with("x-forwarded");
            assert!(!lines.iter().any(is_forwarded), "{lines:?}");
        }
    }
}

#[test]
fn it_has_a_second_whatever_it_does() {
    for mode in [Mode::Silent, Mode::Slow] {
        let server = serve(mode);
        let start = Instant::now();
        assert!(ask_metadata(&server.address).is_err());
        let took = start.elapsed();
        assert!(took < Duration::from_millis(2500), "it took {took:?}");
    }
}

#[test]
fn what_is_no_answer_is_an_error() {
    for mode in [Mode::Garbage, Mode::Redirect, Mode::Strange] {
        let server = serve(mode);
        assert!(ask_metadata(&server.address).is_err());
    }
    // Nothing listens here: the port was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let error = ask_metadata(&format!("http://{free}")).expect_err("nobody is there");
    assert_ne!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(ask_metadata("no address").is_err());
}

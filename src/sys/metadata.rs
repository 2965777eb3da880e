//! The cloud's metadata service, which tells an instance about itself.
//!
//! Asked once, for the few keys named here and never for credentials, without a proxy. A token is
//! asked for first, which works whether or not the service insists on one.

use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Error, ErrorKind, Result};

/// Where Alibaba Cloud ECS has it, from within a VPC.
pub const ADDRESS: &str = "http://100.100.100.200";

/// How long all of it may take. An instance has its answers within some milliseconds.
pub const LIMIT: Duration = Duration::from_secs(1);

/// How long the token is good for, in seconds.
const TOKEN_TTL: &str = "60";

/// No value that is asked for is longer.
const MAX_VALUE: u64 = 1024;

/// What the service said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Whether it refuses whoever has no token.
    pub token_only: bool,
    /// `ecs.g6.large`.
    pub instance_type: Option<String>,
    /// `cn-hangzhou`.
    pub region: Option<String>,
    /// The image that the instance was made from.
    pub image: Option<String>,
}

/// Ask the service at an address (`http://HOST[:PORT]`).
///
/// # Errors
/// When it does not answer within [`LIMIT`], or answers no question with success.
pub fn ask(address: &str) -> Result<Metadata> {
    let (send, receive) = mpsc::channel();
    let service = address.trim_end_matches('/').to_owned();
    // The client's own limit is for each request; this one is for all of them. A thread that comes
    // too late ends by itself.
    std::thread::spawn(move || send.send(talk(&service)));
    match receive.recv_timeout(LIMIT) {
        Ok(answer) => answer,
        Err(_) => {
            let cause = format!("it did not answer within {} s", LIMIT.as_secs());
            Err(Error::new("ask", address, ErrorKind::Timeout, cause))
        }
    }
}

fn talk(service: &str) -> Result<Metadata> {
    let url = |path: &str| format!("{service}/latest/{path}");
    let token = send(
        minreq::put(url("api/token"))
            .with_header("X-aliyun-ecs-metadata-token-ttl-seconds", TOKEN_TTL),
        service,
    )?;
    let token = (token.0 == 200).then_some(token.1).flatten();
    let get = |path: &str, token: Option<&String>| {
        let request = minreq::get(url(path));
        let request = match token {
            Some(token) => request.with_header("X-aliyun-ecs-metadata-token", token),
            None => request,
        };
        send(request, service)
    };
    let value = |path: &str| -> Result<Option<String>> {
        let (status, text) = get(path, token.as_ref())?;
        Ok((status == 200).then_some(text).flatten())
    };
    let found = Metadata {
        instance_type: value("meta-data/instance/instance-type")?,
        region: value("meta-data/region-id")?,
        image: value("meta-data/image-id")?,
        token_only: token.is_some() && matches!(get("meta-data/region-id", None)?.0, 401 | 403),
    };
    if found.region.is_none() && found.instance_type.is_none() {
        let cause = "it has no answer to what an ECS instance may ask";
        return Err(Error::new("ask", service, ErrorKind::Other, cause));
    }
    Ok(found)
}

/// The status and, where it is one word of plain text, the body.
fn send(request: minreq::Request, service: &str) -> Result<(u16, Option<String>)> {
    let fail = |cause: String| Error::new("ask", service, ErrorKind::Other, cause);
    let request = request.with_timeout(LIMIT.as_secs()).with_follow_redirects(false);
    let response = request.send_lazy().map_err(|error| fail(error.to_string()))?;
    let status = response.status_code;
    let mut body = Vec::new();
    response.take(MAX_VALUE).read_to_end(&mut body).map_err(|error| fail(error.to_string()))?;
    let text = body.trim_ascii();
    let is_word = !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
    Ok((status, is_word.then(|| String::from_utf8_lossy(text).into_owned())))
}

//! As much of HTTP/1.1 as a load client needs: requests made beforehand, answers of bounded length.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

/// Longest head of an answer, bytes.
const MAX_HEAD: usize = 8 * 1024;
/// Longest body of an answer, bytes.
const MAX_BODY: usize = 8 * 1024 * 1024;

/// A request as it goes over the wire.
#[must_use]
pub(super) fn request(method: &str, path: &str, body: Option<&str>) -> Bytes {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n");
    if let Some(body) = body {
        text += "Content-Type: application/vnd.schemaregistry.v1+json\r\n";
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    text.into()
}

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// HTTP status.
    pub(super) status: u16,
    /// Bytes of the head, the blank line included.
    pub(super) length: usize,
    /// Bytes of the body.
    pub(super) body: usize,
}

impl Head {
    /// The head at the front of what was read; none yet if it is not all there.
    ///
    /// # Errors
    /// A head or body over the bounds, no HTTP/1.1, or a body without its length.
    pub(super) fn parse(read: &[u8]) -> Result<Option<Self>> {
        let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
            ensure!(
                read.len() <= MAX_HEAD,
                "a head of more than {MAX_HEAD} bytes"
            );
            return Ok(None);
        };
        ensure!(end <= MAX_HEAD, "a head of more than {MAX_HEAD} bytes");
        let head = read.get(..end).unwrap_or_default();
        let head = std::str::from_utf8(head).context("a head that is not text")?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 "))
            .and_then(|line| line.get(..3))
            .context("no HTTP/1.1 status line")?
            .parse()?;
        for line in lines {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                let body = value.trim().parse()?;
                ensure!(body <= MAX_BODY, "a body of {body} bytes");
                return Ok(Some(Self {
                    status,
                    length: end + 4,
                    body,
                }));
            }
        }
        bail!("an answer without Content-Length: {head}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nDate: x\r\n\r\n{\"id\":1}";
        for cut in 0..text.len() - 8 {
            assert_eq!(Head::parse(&text[..cut]).expect("no error"), None);
        }
        let head = Head {
            status: 200,
            length: text.len() - 8,
            body: 8,
        };
        assert_eq!(Head::parse(text).expect("parses"), Some(head));
    }

    #[test]
    fn what_is_not_bounded_is_refused() {
        for bad in [
            "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        ] {
            assert!(Head::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Head::parse(&[b'a'; MAX_HEAD + 1]).is_err());
    }

    #[test]
    fn requests_tell_their_length() {
        let request = request("POST", "/x", Some("{}"));
        let text = std::str::from_utf8(&request).expect("text");
        assert!(text.starts_with("POST /x HTTP/1.1\r\n") && text.ends_with("\r\n\r\n{}"));
        assert!(text.contains("Content-Length: 2\r\n"), "{text}");
    }
}

//! HTTP/1.1 with bodies by length or in chunks, one request at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{First, Side};

pub(super) fn first(bytes: &[u8], side: Side, head: &AtomicBool) -> First {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|error| format!("an HTTP head: {error}"))?;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let mut words = line.split(' ');
    let (one, two) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let name = match side {
        Side::Client => format!("{one} {}", last_part(two)),
        Side::Server if one.starts_with("HTTP/1") => two.to_owned(),
        Side::Server => return Err(format!("no HTTP answer: {line}")),
    };
    let length = match side {
        Side::Server if head.load(Ordering::SeqCst) || bodiless(two) => Some(end + 4),
        _ => body(bytes, end + 4, lines)?,
    };
    if side == Side::Client && length.is_some() {
        head.store(one == "HEAD", Ordering::SeqCst);
    }
    Ok(length.map(|length| (length, name)))
}

fn last_part(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

fn bodiless(status: &str) -> bool {
    status == "204" || status == "304" || status.starts_with('1')
}

/// Where the body ends.
fn body<'a>(
    bytes: &[u8],
    start: usize,
    headers: impl Iterator<Item = &'a str>,
) -> Result<Option<usize>, String> {
    for (name, value) in headers.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            let length: usize = value.parse().map_err(|_| format!("content-length {value}"))?;
            return Ok((bytes.len() >= start + length).then_some(start + length));
        }
        if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            return chunks(bytes, start);
        }
    }
    Ok(Some(start))
}

fn chunks(bytes: &[u8], mut at: usize) -> Result<Option<usize>, String> {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&rest[..line]);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| format!("a chunk of {size:?} bytes"))?;
        at += line + 2 + size + 2;
        if size == 0 {
            return Ok((bytes.len() >= at).then_some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Frames, Protocol, Side, tests::assert_frames};

    #[test]
    fn requests_with_and_without_a_body() {
        let stream = b"GET /a/_mget?x=/y HTTP/1.1\r\nHost: a\r\n\r\nPOST /i/_bulk HTTP/1.1\r\ncontent-LENGTH: 6\r\n\r\n\r\n\r\nabHEAD / HTTP/1.1\r\n\r\n";
        assert_frames(
            Protocol::Http,
            Side::Client,
            stream,
            &["GET _mget", "POST _bulk", "HEAD "],
        );
    }

    #[test]
    fn answers_by_length_in_chunks_and_without_a_body() {
        let stream = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 503 no\r\nTransfer-Encoding: chunked\r\n\r\na;x=1\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\nHTTP/1.1 204 none\r\n\r\n";
        assert_frames(Protocol::Http, Side::Server, stream, &["200", "503", "204"]);
    }

    #[test]
    fn the_answer_to_head_has_a_length_and_no_body() {
        let (mut client, mut server) = Frames::of_connection(Protocol::Http);
        client.feed(b"HEAD /x HTTP/1.1\r\n\r\n").unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n";
        assert_eq!(server.feed(answer).unwrap()[0].bytes, answer);
        client.feed(b"GET /x HTTP/1.1\r\n\r\n").unwrap();
        assert!(server.feed(answer).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let (_, mut server) = Frames::of_connection(Protocol::Http);
        assert!(server.feed(b"SSH-2.0\r\n\r\n").is_err());
    }
}

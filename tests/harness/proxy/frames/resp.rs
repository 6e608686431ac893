//! RESP 2 and 3: a letter, a line, and what the line announces.

use super::{First, Side};

pub(super) fn first(bytes: &[u8], side: Side) -> First {
    let Some(length) = value(bytes)? else {
        return Ok(None);
    };
    let name = match side {
        Side::Client => command(&bytes[..length]),
        Side::Server => "answer".to_owned(),
    };
    Ok(Some((length, name)))
}

/// The length of the value that the bytes begin with.
fn value(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(line) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return Ok(None);
    };
    let (kind, text) = (bytes[0], String::from_utf8_lossy(&bytes[1..line]));
    let count = || {
        text.parse::<i64>()
            .map_err(|_| format!("a count that is none: {text:?}"))
    };
    let after = line + 2;
    match kind {
        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Ok(Some(after)),
        b'$' | b'=' | b'!' => match usize::try_from(count()?) {
            // Null has no bytes.
            Err(_) => Ok(Some(after)),
            Ok(length) => Ok((bytes.len() >= after + length + 2).then_some(after + length + 2)),
        },
        b'*' | b'~' | b'>' => values(bytes, after, count()?),
        b'%' => values(bytes, after, count()? * 2),
        other => Err(format!("RESP has no {:?}", char::from(other))),
    }
}

fn values(bytes: &[u8], mut at: usize, count: i64) -> Result<Option<usize>, String> {
    for _ in 0..count {
        if at >= bytes.len() {
            return Ok(None);
        }
        match value(&bytes[at..])? {
            Some(length) => at += length,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// The first word of an array of texts.
fn command(bytes: &[u8]) -> String {
    let mut lines = bytes.split(|byte| *byte == b'\n').skip(2);
    let word = String::from_utf8_lossy(lines.next().unwrap_or_default());
    word.trim_end().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::super::{Frames, Protocol, Side, tests::assert_frames};

    #[test]
    fn commands_have_their_names() {
        let stream = b"*1\r\n$4\r\nPING\r\n*3\r\n$5\r\nfcall\r\n$4\r\na\r\nb\r\n$0\r\n\r\n";
        assert_frames(Protocol::Resp, Side::Client, stream, &["PING", "FCALL"]);
    }

    #[test]
    fn answers_of_every_kind() {
        let stream = b"+OK\r\n-ERR no\r\n:12\r\n$-1\r\n*-1\r\n*2\r\n*1\r\n:1\r\n$2\r\nab\r\n%1\r\n+a\r\n_\r\n#t\r\n,1.5\r\n>1\r\n+x\r\n=5\r\ntxt:a\r\n";
        assert_frames(Protocol::Resp, Side::Server, stream, &["answer"; 11]);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let (_, mut server) = Frames::of_connection(Protocol::Resp);
        assert!(server.feed(b"HTTP/1.1\r\n").is_err());
    }
}

//! Streams of bytes cut into the frames of their protocol, each with a name that rules can speak of.

pub(super) mod amqp;
mod http;
mod postgres;
mod resp;

use std::sync::{Arc, atomic::AtomicBool};

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AMQP 0-9-1: `basic.publish`, `content header`, `content body`, `heartbeat`.
    Amqp,
    /// RESP 2 and 3: a command's name (`FCALL`), and answers as `answer`.
    Resp,
    /// PostgreSQL 3: `startup`, `Q COMMIT`, `P SELECT`, `C UPDATE`; messages without words by their letter alone.
    Postgres,
    /// HTTP/1.1: method and last part of the path (`POST _bulk`), and answers by their status (`200`).
    Http,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One frame, as it stood in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Length and name of the first frame; none while it is not complete.
///
/// # Errors
/// Of the parser: bytes that are no frame of the protocol.
type First = Result<Option<(usize, String)>, String>;

/// One direction of a connection.
#[derive(Debug)]
pub struct Frames {
    protocol: Protocol,
    side: Side,
    /// Whether the first frame was seen: it looks otherwise in AMQP and PostgreSQL.
    begun: bool,
    /// Shared by both directions of HTTP: whether the last request was HEAD, whose answer has no body.
    head: Arc<AtomicBool>,
    buffer: Vec<u8>,
}

impl Frames {
    /// Both directions of a new connection: the client's, the server's.
    #[must_use]
    pub fn of_connection(protocol: Protocol) -> (Self, Self) {
        let head = Arc::new(AtomicBool::new(false));
        let of = |side| Self {
            protocol,
            side,
            begun: false,
            head: Arc::clone(&head),
            buffer: Vec::new(),
        };
        (of(Side::Client), of(Side::Server))
    }

    /// Takes what came, and gives the frames that are complete now. The rest waits.
    ///
    /// # Errors
    /// Bytes that are no frame of the protocol.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, String> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut at = 0;
        while at < self.buffer.len() {
            let rest = &self.buffer[at..];
            let first = match self.protocol {
                Protocol::Amqp => amqp::first(rest, self.begun, self.side),
                Protocol::Resp => resp::first(rest, self.side),
                Protocol::Postgres => postgres::first(rest, self.begun, self.side),
                Protocol::Http => http::first(rest, self.side, &self.head),
            };
            let Some((length, name)) = first? else { break };
            // After an SSLRequest the client starts once more.
            self.begun = name != "ssl request" && name != "ssl answer";
            frames.push(Frame {
                name,
                bytes: self.buffer[at..at + length].to_vec(),
            });
            at += length;
        }
        self.buffer.drain(..at);
        Ok(frames)
    }
}

/// A number of four bytes, the highest first; none where they are not there yet.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?;
    let number = u32::from_be_bytes(four.try_into().ok()?);
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::{Frame, Frames, Protocol, Side};

    /// The same frames come out wherever the stream is cut, and their bytes are the stream.
    pub(super) fn assert_frames(protocol: Protocol, side: Side, stream: &[u8], names: &[&str]) {
        for cut in 0..=stream.len() {
            let frames = fed(protocol, side, &[&stream[..cut], &stream[cut..]]);
            check(&frames, stream, names, &format!("cut at {cut}"));
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        check(&fed(protocol, side, &single), stream, names, "byte by byte");
    }

    fn fed(protocol: Protocol, side: Side, parts: &[&[u8]]) -> Vec<Frame> {
        let (client, server) = Frames::of_connection(protocol);
        let mut frames = if side == Side::Client { client } else { server };
        let fed = parts.iter().map(|part| frames.feed(part).unwrap());
        fed.flatten().collect()
    }

    fn check(frames: &[Frame], stream: &[u8], names: &[&str], how: &str) {
        let found: Vec<&str> = frames.iter().map(|frame| frame.name.as_str()).collect();
        assert_eq!(found, names, "{how}");
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes.clone()).collect();
        assert_eq!(bytes, stream, "{how}");
    }
}

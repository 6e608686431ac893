//! AMQP 0-9-1: the client's eight bytes, then frames of type, channel, length, payload and 0xCE.

use super::{First, Side, number};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const END: u8 = 0xCE;
/// Type, channel and length.
const PREFIX: usize = 7;

pub(super) fn first(bytes: &[u8], begun: bool, side: Side) -> First {
    if !begun && side == Side::Client {
        return Ok((bytes.len() >= 8).then(|| (8, "protocol header".to_owned())));
    }
    let Some(length) = number(bytes, 3) else {
        return Ok(None);
    };
    let end = PREFIX + length;
    match bytes.get(end) {
        None => Ok(None),
        Some(&END) => Ok(Some((end + 1, name(bytes)))),
        Some(other) => Err(format!("an AMQP frame that ends with {other:#x}")),
    }
}

fn name(frame: &[u8]) -> String {
    let two = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    match frame[0] {
        METHOD if frame.len() >= PREFIX + 5 => method(two(PREFIX), two(PREFIX + 2)),
        HEADER => "content header".to_owned(),
        BODY => "content body".to_owned(),
        HEARTBEAT => "heartbeat".to_owned(),
        other => format!("type {other}"),
    }
}

fn method(class: u16, method: u16) -> String {
    let name = match (class, method) {
        (10, 10) => "connection.start",
        (10, 11) => "connection.start-ok",
        (10, 30) => "connection.tune",
        (10, 31) => "connection.tune-ok",
        (10, 40) => "connection.open",
        (10, 41) => "connection.open-ok",
        (10, 50) => "connection.close",
        (10, 60) => "connection.blocked",
        (10, 61) => "connection.unblocked",
        (20, 10) => "channel.open",
        (20, 11) => "channel.open-ok",
        (20, 40) => "channel.close",
        (50, 10) => "queue.declare",
        (50, 11) => "queue.declare-ok",
        (60, 10) => "basic.qos",
        (60, 11) => "basic.qos-ok",
        (60, 20) => "basic.consume",
        (60, 21) => "basic.consume-ok",
        (60, 30) => "basic.cancel",
        (60, 31) => "basic.cancel-ok",
        (60, 40) => "basic.publish",
        (60, 50) => "basic.return",
        (60, 60) => "basic.deliver",
        (60, 80) => "basic.ack",
        (60, 90) => "basic.reject",
        (60, 120) => "basic.nack",
        (85, 10) => "confirm.select",
        (85, 11) => "confirm.select-ok",
        _ => return format!("method {class}.{method}"),
    };
    name.to_owned()
}

/// A frame of the server for the whole connection.
fn of_connection(method: u16, arguments: &[u8]) -> Vec<u8> {
    let mut frame = vec![METHOD, 0, 0];
    let length = u32::try_from(4 + arguments.len()).expect("a short frame");
    frame.extend(length.to_be_bytes());
    frame.extend(10_u16.to_be_bytes());
    frame.extend(method.to_be_bytes());
    frame.extend(arguments);
    frame.push(END);
    frame
}

/// `connection.blocked`, with its reason.
pub(in crate::proxy) fn blocked(reason: &str) -> Vec<u8> {
    let length = u8::try_from(reason.len()).expect("a short string");
    of_connection(60, &[&[length], reason.as_bytes()].concat())
}

/// `connection.unblocked`.
pub(in crate::proxy) fn unblocked() -> Vec<u8> {
    of_connection(61, &[])
}

#[cfg(test)]
mod tests {
    use super::super::{Frames, Protocol, Side, tests::assert_frames};

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend(payload);
        frame.push(0xCE);
        frame
    }

    #[test]
    fn a_publish_and_what_goes_before() {
        let stream = [
            b"AMQP\0\0\x09\x01".to_vec(),
            frame(1, &[0, 60, 0, 40, 0, 0]),
            frame(2, &[0, 60, 0, 0]),
            // The mark of the end stands in the payload too.
            frame(3, &[0xCE, 0xCE]),
            frame(8, &[]),
        ];
        let names = [
            "protocol header",
            "basic.publish",
            "content header",
            "content body",
            "heartbeat",
        ];
        assert_frames(Protocol::Amqp, Side::Client, &stream.concat(), &names);
    }

    #[test]
    fn a_confirm() {
        let stream = frame(1, &[0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_frames(Protocol::Amqp, Side::Server, &stream, &["basic.ack"]);
    }

    #[test]
    fn an_alarm_and_its_end() {
        let stream = [super::blocked("low on memory"), super::unblocked()].concat();
        let names = ["connection.blocked", "connection.unblocked"];
        assert_frames(Protocol::Amqp, Side::Server, &stream, &names);
        assert!(stream.windows(14).any(|bytes| bytes == b"\x0dlow on memory"));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let (_, mut server) = Frames::of_connection(Protocol::Amqp);
        assert!(server.feed(&[1, 0, 0, 0, 0, 0, 0, 0xCD]).is_err());
    }
}

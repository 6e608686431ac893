//! What rules do, seen from both ends of a connection.

use std::{
    io::{Error, ErrorKind},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

use super::{At, Mode, Protocol, Proxy, Rule, Side, Then};

const REQUEST: &[u8] = b"POST /i/_bulk HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const WHILE: Duration = Duration::from_millis(300);

/// A server that answers each whole request, and tells how many bytes of each connection it got by its end.
struct Served {
    proxy: Proxy,
    got: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Served {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(Protocol::Http, &listener.local_addr().unwrap().to_string()).await;
        let (sender, got) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone()));
            }
        });
        Self { proxy, got }
    }

    async fn ask(&self) -> Result<Vec<u8>, Error> {
        let mut stream = TcpStream::connect(self.proxy.address()).await?;
        stream.write_all(REQUEST).await?;
        let mut answer = vec![0; 1000];
        let read = stream.read(&mut answer).await?;
        answer.truncate(read);
        Ok(answer)
    }
}

async fn serve(mut stream: TcpStream, got: mpsc::UnboundedSender<Vec<u8>>) {
    let (mut all, mut chunk) = (Vec::new(), vec![0; 1000]);
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        all.extend_from_slice(&chunk[..read]);
        if all.ends_with(REQUEST) && stream.write_all(ANSWER).await.is_err() {
            break;
        }
    }
    let _ = got.send(all);
}

fn bulk(at: At, then: Then) -> Rule {
    Rule::new(Side::Client, "POST _bulk", at, then)
}

#[tokio::test]
async fn without_a_rule_everything_passes() {
    let mut served = Served::start().await;
    let armed = served
        .proxy
        .arm(Rule::new(Side::Client, "GET", At::Before, Then::Reset), 1);
    assert_eq!(served.ask().await.unwrap(), ANSWER);
    assert_eq!(served.got.recv().await.unwrap(), REQUEST);
    assert_eq!((armed.count(), served.proxy.errors().len()), (0, 0));
}

#[tokio::test]
async fn a_connection_is_reset_or_finished_where_the_rule_says() {
    let mut served = Served::start().await;
    for (at, passed) in [
        (At::Before, 0),
        (At::Half, REQUEST.len() / 2),
        (At::After, REQUEST.len()),
    ] {
        let mut armed = served.proxy.arm(bulk(at, Then::Reset), 1);
        let error = served.ask().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{at:?}");
        armed.fired().await;
        // A reset may overtake what was written just before it.
        assert!(served.got.recv().await.unwrap().len() <= passed, "{at:?}");

        let armed = served.proxy.arm(bulk(at, Then::Finish), 1);
        assert_eq!(served.ask().await.unwrap(), b"", "{at:?}");
        assert_eq!(served.got.recv().await.unwrap().len(), passed, "{at:?}");
        assert_eq!(armed.count(), 1);
    }
    // Each held once.
    assert_eq!(served.ask().await.unwrap(), ANSWER);
}

#[tokio::test]
async fn an_answer_is_lost_after_the_request_was_served() {
    let mut served = Served::start().await;
    let armed = served.proxy.arm(bulk(At::Answer, Then::Reset), 1);
    assert_eq!(served.ask().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(served.got.recv().await.unwrap(), REQUEST);
    assert_eq!(armed.count(), 1);
}

#[tokio::test]
async fn a_status_stands_in_for_an_answer() {
    let mut served = Served::start().await;
    for (at, passed) in [(At::Before, 0), (At::Answer, REQUEST.len())] {
        let _armed = served.proxy.arm(bulk(at, Then::Status(429)), 1);
        let answer = served.ask().await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 429 "), "{at:?}");
        assert_eq!(served.got.recv().await.unwrap().len(), passed, "{at:?}");
    }
}

#[tokio::test]
async fn holes_and_delays_take_their_time() {
    let mut served = Served::start().await;
    let begun = Instant::now();
    let armed = served.proxy.arm(bulk(At::Before, Then::Delay(WHILE)), 1);
    assert_eq!(served.ask().await.unwrap(), ANSWER);
    assert!(begun.elapsed() >= WHILE && armed.count() == 1);
    assert_eq!(served.got.recv().await.unwrap(), REQUEST);

    let begun = Instant::now();
    let _armed = served.proxy.arm(bulk(At::After, Then::Hole(WHILE)), 1);
    assert_eq!(served.ask().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(begun.elapsed() >= WHILE);
    assert_eq!(served.got.recv().await.unwrap(), REQUEST);
}

#[tokio::test]
async fn modes_hold_for_all_connections() {
    let served = Served::start().await;
    served.proxy.set(Mode::Refuse);
    assert!(served.ask().await.map_or(true, |answer| answer.is_empty()));
    served.proxy.set(Mode::Hole);
    let asked = tokio::time::timeout(WHILE, served.ask()).await;
    assert!(asked.is_err(), "nothing moves");
    served.proxy.set(Mode::Pass);
    assert_eq!(served.ask().await.unwrap(), ANSWER);
}

#[tokio::test]
async fn a_rule_holds_until_it_is_dropped() {
    let served = Served::start().await;
    let armed = served.proxy.arm(bulk(At::Before, Then::Status(503)), 100);
    served.ask().await.unwrap();
    served.ask().await.unwrap();
    assert_eq!(armed.count(), 2);
    drop(armed);
    assert_eq!(served.ask().await.unwrap(), ANSWER);
}

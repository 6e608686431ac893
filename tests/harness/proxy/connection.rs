//! One client and its server: frames go through, and rules say what happens to them.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::{net::TcpStream, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    Mode, Shared,
    answer::{self, Refusal},
    frames::{Frame, Frames, Side, amqp},
    rules::{At, Rule, Then},
};
use crate::eventually::pause;

const CHUNK: usize = 64 * 1024;

struct Connection {
    shared: Arc<Shared>,
    client: TcpStream,
    server: TcpStream,
    /// What happens at the next frame of this side.
    answer: Mutex<Option<(Side, Awaited)>>,
    /// Nothing moves.
    still: watch::Sender<bool>,
    /// Both directions end.
    end: CancellationToken,
    /// Who writes to the client: the server's frames, and what is made up here.
    to_client: tokio::sync::Mutex<()>,
}

/// What happens at an answer.
enum Awaited {
    Rule(Rule),
    /// Items that the server never saw are refused in it.
    Refusal(Refusal),
}

/// Passes frames on until either side or a rule ends the connection.
pub(super) async fn run(shared: Arc<Shared>, client: TcpStream, server: TcpStream) {
    for stream in [&client, &server] {
        // Small frames shall not wait for each other; where it cannot be set, they do.
        let _ = stream.set_nodelay(true);
    }
    let (from_client, from_server) = Frames::of_connection(shared.protocol);
    let connection = Connection {
        shared,
        client,
        server,
        answer: Mutex::default(),
        still: watch::Sender::new(false),
        end: CancellationToken::new(),
        to_client: tokio::sync::Mutex::default(),
    };
    tokio::join!(
        connection.direction(Side::Client, from_client),
        connection.direction(Side::Server, from_server),
    );
}

impl Connection {
    fn stream(&self, side: Side) -> &TcpStream {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    async fn direction(&self, side: Side, frames: Frames) {
        tokio::select! {
            () = self.end.cancelled() => {}
            // Whatever ended it, the peers learn of it by the end of their connections.
            _ = self.pump(side, frames) => self.end.cancel(),
        }
    }

    async fn pump(&self, side: Side, mut frames: Frames) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = read(self.stream(side), &mut chunk).await?;
            if read == 0 {
                return Ok(());
            }
            let complete = match frames.feed(&chunk[..read]) {
                Ok(complete) => complete,
                Err(error) => {
                    self.shared.errors().push(format!("{side:?}: {error}"));
                    return Ok(());
                }
            };
            for frame in complete {
                self.pass(side, &frame).await?;
            }
        }
    }

    async fn pass(&self, side: Side, frame: &Frame) -> io::Result<()> {
        let mut mode = self.shared.mode.subscribe();
        // Their senders stand as long as this connection does.
        let _ = mode.wait_for(|mode| *mode != Mode::Hole).await;
        if *mode.borrow() == Mode::Refuse {
            self.reset();
            return std::future::pending().await;
        }
        if *mode.borrow() == Mode::Alarm && frame.name == "basic.publish" {
            self.tell(&amqp::blocked("low on memory")).await?;
            let _ = mode.wait_for(|mode| *mode != Mode::Alarm).await;
            self.tell(&amqp::unblocked()).await?;
        }
        let _ = self.still.subscribe().wait_for(|still| !still).await;
        match self.taken_answer(side) {
            Some(Awaited::Rule(rule)) => return self.happen(rule, side, &frame.bytes).await,
            Some(Awaited::Refusal(refusal)) => return self.merged(&refusal, &frame.bytes).await,
            None => {}
        }
        let Some(rule) = self.shared.rules.take(side, frame) else {
            return self.write(side, &frame.bytes).await;
        };
        let passes = match rule.at {
            At::Before => 0,
            At::Half => frame.bytes.len() / 2,
            At::After => frame.bytes.len(),
            At::Answer => {
                *self.lock_answer() = Some((side.other(), Awaited::Rule(rule)));
                return self.write(side, &frame.bytes).await;
            }
        };
        let (now, rest) = frame.bytes.split_at(passes);
        self.write(side, now).await?;
        self.happen(rule, side, rest).await
    }

    fn lock_answer(&self) -> std::sync::MutexGuard<'_, Option<(Side, Awaited)>> {
        self.answer.lock().expect("no holder of it panics")
    }

    fn taken_answer(&self, side: Side) -> Option<Awaited> {
        let mut answer = self.lock_answer();
        answer
            .take_if(|(expected, _)| *expected == side)
            .map(|(_, awaited)| awaited)
    }

    /// The server gets the items that hold none of the words; the client is told of all.
    async fn refuse(&self, request: &[u8], words: &str) -> io::Result<()> {
        let (refusal, rest) = Refusal::of(request, words);
        let Some(rest) = rest else {
            return write(&self.client, refusal.answer().as_bytes()).await;
        };
        *self.lock_answer() = Some((Side::Server, Awaited::Refusal(refusal)));
        write(&self.server, &rest).await
    }

    async fn merged(&self, refusal: &Refusal, answer: &[u8]) -> io::Result<()> {
        match refusal.merged(answer) {
            Ok(merged) => write(&self.client, merged.as_bytes()).await,
            Err(error) => {
                self.shared.errors().push(error);
                write(&self.client, answer).await
            }
        }
    }

    /// `rest` has not passed.
    async fn happen(&self, rule: Rule, side: Side, rest: &[u8]) -> io::Result<()> {
        match rule.then {
            Then::Reset => self.reset(),
            Then::Finish => self.end.cancel(),
            Then::Hole(length) => {
                self.still.send_replace(true);
                pause(length).await;
                self.reset();
            }
            Then::Delay(length) => {
                self.still.send_replace(true);
                pause(length).await;
                self.still.send_replace(false);
                return self.write(side, rest).await;
            }
            Then::Status(status) => return write(&self.client, answer::status(status).as_bytes()).await,
            Then::RefuseItems => return self.refuse(rest, rule.holds).await,
        }
        // Nothing passes between the end and its notice.
        std::future::pending().await
    }

    fn reset(&self) {
        for stream in [&self.client, &self.server] {
            // A peer that is gone needs no reset.
            let _ = stream.set_zero_linger();
        }
        self.end.cancel();
    }

    /// To the client, between the server's frames.
    async fn tell(&self, frame: &[u8]) -> io::Result<()> {
        let _alone = self.to_client.lock().await;
        write(&self.client, frame).await
    }

    /// To the other side.
    async fn write(&self, from: Side, bytes: &[u8]) -> io::Result<()> {
        let _alone = match from {
            Side::Client => None,
            Side::Server => Some(self.to_client.lock().await),
        };
        write(self.stream(from.other()), bytes).await
    }
}

async fn read(stream: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(into) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => return done,
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            done => bytes = &bytes[done?..],
        }
    }
    Ok(())
}

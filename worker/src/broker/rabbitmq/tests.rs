//! What only RabbitMQ does: logins, lost connections, wiped virtual hosts, policies, dead letters.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::broker::Settlement;
use crate::broker::contract::{declare, fill, message, run, service, unique, until_depth};

fn url() -> String {
    service("PUBSYNC_TEST_RABBITMQ")
}

/// The same login at another place.
fn url_at(place: &str) -> String {
    let (login, _) = url()
        .rsplit_once('@')
        .map(|(login, place)| (login.to_owned(), place.to_owned()))
        .unwrap();
    format!("{login}@{place}")
}

async fn on(url: &str, test: impl AsyncFnOnce(&dyn Broker, &str)) {
    let dead = unique("dead");
    let [broker, cleaner] = [(); 2].map(|()| RabbitMq::new(url, &dead).unwrap());
    run(&broker, &cleaner, &dead, test).await;
}

fn impatient() -> Patience {
    let short = Duration::from_millis(500);
    Patience {
        connect: short,
        command: short,
        confirms: short,
    }
}

#[tokio::test]
async fn a_wrong_password_says_so_and_stays_out_of_the_error() {
    let url = url().replacen(":pubsync@", ":wrong-secret@", 1);
    let error = RabbitMq::new(&url, "dead").unwrap().ping().await.unwrap_err();
    let BrokerError::Configuration { address, reason } = &error else {
        panic!("{error:?}")
    };
    assert!(reason.contains("wrong user name or password"), "{error}");
    assert_eq!(address, &url.replacen(":wrong-secret", "", 1));
    assert!(!error.to_string().contains("wrong-secret"), "{error}");
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let broker = RabbitMq::new(&format!("amqp://ann:secret@127.0.0.1:{port}/x"), "dead").unwrap();
    let error = broker.send(&[message(1, "any", "a")]).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains(&format!("amqp://ann@127.0.0.1:{port}/x")),
        "{error}"
    );
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn an_absent_virtual_host_is_a_configuration_error() {
    let place = url()
        .rsplit_once('@')
        .unwrap()
        .1
        .replacen("%2f", "no-such-shop", 1);
    let error = RabbitMq::new(&url_at(&place), "dead")
        .unwrap()
        .ping()
        .await
        .unwrap_err();
    assert!(matches!(error, BrokerError::Configuration { .. }), "{error:?}");
    assert!(error.to_string().contains("no-such-shop"), "{error}");
}

/// Also with many callers: they share the attempts, and none waits for the attempts of all others.
#[tokio::test]
async fn a_server_that_says_nothing_is_unreachable_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("amqp://ann:secret@{}/x", listener.local_addr().unwrap());
    let broker = RabbitMq::with_patience(&silent, "dead", impatient()).unwrap();
    let pings = futures::future::join_all((0..20).map(|_| broker.ping()));
    let outcomes = tokio::time::timeout(Duration::from_secs(5), pings)
        .await
        .expect("one attempt after the other");
    for outcome in outcomes {
        assert!(
            matches!(outcome, Err(BrokerError::Unreachable { .. })),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_a_configuration_error() {
    on(&url(), async |broker, queue| {
        declare(broker, queue).await;
        let other = RabbitMq::new(&url(), &unique("other")).unwrap();
        let errors = [
            other.declare(&[queue.to_owned()]).await,
            other.subscribe(queue, 1).await.map(drop),
        ];
        other.delete(std::slice::from_ref(&other.dead)).await.unwrap();
        other.close().await;
        for error in errors.map(Result::unwrap_err) {
            assert!(matches!(error, BrokerError::Configuration { .. }), "{error:?}");
            assert!(error.to_string().contains(queue), "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_wiped_virtual_host_is_filled_again() {
    let vhost = unique("vhost");
    make_vhost(&vhost).await;
    let place = url().rsplit_once('@').unwrap().1.replacen("%2f", &vhost, 1);
    on(&url_at(&place), async |broker, queue| {
        fill(broker, queue, &["old"]).await;
        let mut subscription = broker.subscribe(queue, 1).await.unwrap();
        drop(subscription.next().await.unwrap());

        api("DELETE", &format!("/api/vhosts/{vhost}"), "").await;
        let error = loop {
            if let Err(error) = subscription.next().await.map(drop) {
                break error;
            }
        };
        assert!(matches!(error, BrokerError::Unreachable { .. }), "{error:?}");

        make_vhost(&vhost).await;
        // The publishing connection may not have noticed yet.
        while broker.declare(&[queue.to_owned()]).await.is_err() {
            tokio::task::yield_now().await;
        }
        fill(broker, queue, &["new"]).await;
        let delivery = broker.subscribe(queue, 1).await.unwrap().next().await.unwrap();
        assert_eq!(delivery.body, b"new");
    })
    .await;
    api("DELETE", &format!("/api/vhosts/{vhost}"), "").await;
}

/// What this broker has declared is no news of what others have deleted, until a message comes back.
#[tokio::test]
async fn a_queue_that_another_deleted_is_declared_again() {
    on(&url(), async |broker, queue| {
        fill(broker, queue, &["old"]).await;
        let other = RabbitMq::new(&url(), "dead").unwrap();
        other.delete(&[queue.to_owned()]).await.unwrap();
        other.close().await;
        let outcomes = broker.send(&[message(1, queue, "lost")]).await.unwrap();
        assert_eq!(outcomes, [SendOutcome::Returned]);
        fill(broker, queue, &["new"]).await;
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_refuses() {
    on(&url(), async |broker, queue| {
        declare(broker, queue).await;
        let policy = format!("/api/policies/%2f/{queue}");
        let pattern = queue.replace('.', "\\\\.");
        let limit = r#""definition":{"max-length":1,"overflow":"reject-publish"},"apply-to":"queues""#;
        api("PUT", &policy, &format!(r#"{{"pattern":"^{pattern}$",{limit}}}"#)).await;
        let batch: Vec<_> = (0..50).map(|id| message(id, queue, "x")).collect();
        let outcomes = loop {
            // The policy takes effect a little later, the bound a message later.
            let outcomes = broker.send(&batch).await.unwrap();
            if !outcomes.contains(&SendOutcome::Confirmed) {
                break outcomes;
            }
        };
        api("DELETE", &policy, "").await;
        assert_eq!(outcomes, vec![SendOutcome::Refused; 50]);
    })
    .await;
}

/// The real limit of the broker (128 MiB in 3.x, 16 MiB in 4.x) is below ours: its neighbours arrive all the same, and the
/// next one is known to be too large before it is sent.
#[tokio::test]
async fn what_is_too_large_for_the_broker_is_found_and_its_limit_learnt() {
    const OVER: usize = (128 << 20) + 1;
    let patience = Patience {
        confirms: Duration::from_secs(300),
        ..Patience::default()
    };
    let (dead, queue) = (unique("dead"), unique("queue"));
    let broker = RabbitMq::with_patience(&url(), &dead, patience)
        .unwrap()
        .with_max_body(usize::MAX);
    declare(&broker, &queue).await;
    let large = Outgoing {
        body: vec![b'x'; OVER],
        ..message(2, &queue, "")
    };
    let batch = [message(1, &queue, "a"), large, message(3, &queue, "b")];
    let outcomes = broker.send(&batch).await.unwrap();
    let expected = [
        SendOutcome::Confirmed,
        SendOutcome::TooLarge,
        SendOutcome::Confirmed,
    ];
    let (limit, again) = (broker.max_body(), broker.send(&batch[1..2]).await.unwrap());
    broker.delete(&[queue, dead]).await.unwrap();
    broker.close().await;
    assert_eq!(outcomes, expected);
    assert!(
        [16 << 20, 128 << 20].contains(&limit),
        "{limit} as the broker says it"
    );
    assert_eq!(again, [SendOutcome::TooLarge]);
}

#[tokio::test]
async fn a_message_that_always_comes_back_ends_as_a_dead_letter() {
    let dead = unique("dead");
    let [broker, cleaner] = [(); 2].map(|()| RabbitMq::new(&url(), &dead).unwrap());
    run(&broker, &cleaner, &dead, async |broker, queue| {
        fill(broker, queue, &["poison"]).await;
        let mut subscription = broker.subscribe(queue, 1).await.unwrap();
        let mut deliveries = 0;
        let dead_letter = async {
            loop {
                subscription.next().await.unwrap().settle(Settlement::Requeue);
                deliveries += 1;
            }
        };
        tokio::select! {
            () = until_depth(broker, &dead, 1, 0) => {}
            () = dead_letter => {}
        }
        assert_eq!(deliveries, 51);
        let letter = broker.subscribe(&dead, 1).await.unwrap().next().await.unwrap();
        assert_eq!(letter.body, b"poison");
    })
    .await;
}

#[tokio::test]
async fn without_confirms_the_outcome_is_unknown_and_the_channel_is_thrown_away() {
    let proxy = Proxy::start().await;
    let dead = unique("dead");
    let patience = Patience {
        confirms: Duration::from_secs(3),
        ..Patience::default()
    };
    let broker = RabbitMq::with_patience(&url_at(&proxy.place), &dead, patience).unwrap();
    let cleaner = RabbitMq::new(&url(), &dead).unwrap();
    run(&broker, &cleaner, &dead, async |_, queue| {
        fill(&broker, queue, &["before"]).await;
        assert_eq!(broker.publisher.pooled(), 1);
        proxy.stall(true);
        let outcomes = broker
            .send(&[message(1, queue, "during"), message(2, "absent", "")])
            .await
            .unwrap();
        assert_eq!(outcomes, vec![SendOutcome::Unknown; 2]);
        assert_eq!(broker.publisher.pooled(), 0);
        proxy.stall(false);

        let outcomes = broker.send(&[message(2, queue, "after")]).await.unwrap();
        assert_eq!(
            outcomes,
            [SendOutcome::Confirmed],
            "a return of the batch before meets this one"
        );
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_stops_waiting_leaves_no_channel_behind() {
    let proxy = Proxy::start().await;
    let dead = unique("dead");
    let broker = RabbitMq::new(&url_at(&proxy.place), &dead).unwrap();
    let cleaner = RabbitMq::new(&url(), &dead).unwrap();
    run(&broker, &cleaner, &dead, async |_, queue| {
        fill(&broker, queue, &["before"]).await;
        proxy.stall(true);
        let batch = [message(1, queue, "during")];
        let sending = broker.send(&batch);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), sending)
                .await
                .is_err()
        );
        assert_eq!(broker.publisher.pooled(), 0);
        proxy.stall(false);
        fill(&broker, queue, &["after"]).await;
    })
    .await;
}

/// Forwards to the test RabbitMQ; a stalled one holds back what the server says.
struct Proxy {
    place: String,
    stalled: Arc<(AtomicBool, tokio::sync::Notify)>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (server, vhost) = url()
            .rsplit_once('@')
            .unwrap()
            .1
            .split_once('/')
            .map(owned)
            .unwrap();
        let place = format!("{}/{vhost}", listener.local_addr().unwrap());
        let stalled = Arc::<(AtomicBool, tokio::sync::Notify)>::default();
        let gate = stalled.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(
                    client,
                    TcpStream::connect(server.clone()).await.unwrap(),
                    gate.clone(),
                ));
            }
        });
        Self { place, stalled }
    }

    fn stall(&self, stalled: bool) {
        self.stalled.0.store(stalled, Ordering::SeqCst);
        self.stalled.1.notify_waiters();
    }
}

async fn forward(client: TcpStream, server: TcpStream, gate: Arc<(AtomicBool, tokio::sync::Notify)>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        loop {
            let changed = gate.1.notified();
            if !gate.0.load(Ordering::SeqCst) {
                break;
            }
            changed.await;
        }
        if to_client.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

fn owned((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

async fn make_vhost(vhost: &str) {
    api("PUT", &format!("/api/vhosts/{vhost}"), "").await;
    let all = r#"{"configure":".*","write":".*","read":".*"}"#;
    api("PUT", &format!("/api/permissions/{vhost}/pubsync"), all).await;
}

/// One call of the management API, over plain HTTP.
async fn api(method: &str, path: &str, body: &str) {
    let url = service("PUBSYNC_TEST_RABBITMQ_API");
    let (login, host) = url
        .strip_prefix("http://")
        .and_then(|url| url.split_once('@'))
        .unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let (login, length) = (base64(login.as_bytes()), body.len());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {login}\r\n");
    let rest =
        format!("Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(format!("{head}{rest}{body}").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..4 {
            text.push(if i <= chunk.len() {
                DIGITS[bits >> (18 - 6 * i) & 63].into()
            } else {
                '='
            });
        }
    }
    text
}

//! The table of states, and tasks that wait for their turn.

use super::*;

const POLICY: Policy = Policy::TARGET;
const SECOND: Duration = Duration::from_secs(1);

fn failed() -> Report {
    Report::Failed {
        why: "down".to_owned(),
        after: None,
    }
}

fn refused() -> Report {
    Report::Refused {
        why: "NOAUTH".to_owned(),
    }
}

/// A circuit to which all of this was reported at one moment.
fn after(now: Instant, reports: &[(Report, usize)]) -> (Circuit, Change) {
    let mut circuit = Circuit::new(POLICY);
    let mut change = Change::Nothing;
    for (report, times) in reports {
        for _ in 0..*times {
            change = circuit.report(now, false, report, 7);
        }
    }
    (circuit, change)
}

#[test]
fn it_opens_at_half_of_the_last_twenty() {
    let now = Instant::now();
    for (reports, opened) in [
        (vec![(Report::Answered, 20), (failed(), 9)], false),
        (vec![(Report::Answered, 20), (failed(), 10)], true),
        (
            vec![
                (Report::Answered, 500),
                (failed(), 9),
                (Report::Answered, 500),
                (failed(), 9),
            ],
            false,
        ),
        (vec![(Report::Answered, 3), (failed(), 2)], false),
        (vec![(Report::Answered, 3), (failed(), 3)], true),
        // Where nothing else was asked, one is half.
        (vec![(failed(), 1)], true),
        // What another request would get too.
        (vec![(Report::Answered, 20), (refused(), 1)], true),
    ] {
        let (circuit, change) = after(now, &reports);
        assert_eq!(
            (!circuit.is_closed(), change == Change::Opened),
            (opened, opened),
            "{reports:?}"
        );
    }
}

#[test]
fn what_is_long_ago_says_nothing() {
    let now = Instant::now();
    let (mut circuit, _) = after(now, &[(Report::Answered, 20)]);
    assert_eq!(
        circuit.report(now + 11 * SECOND, false, &failed(), 7),
        Change::Opened
    );
    let (mut circuit, _) = after(now, &[(Report::Answered, 20)]);
    assert_eq!(
        circuit.report(now + 9 * SECOND, false, &failed(), 7),
        Change::Nothing
    );
}

/// What was answered may be forgotten before what failed. An answer is no reason to open all the same.
#[test]
fn an_answer_opens_nothing() {
    let now = Instant::now();
    let (mut circuit, _) = after(now, &[(Report::Answered, 20)]);
    let later = now + POLICY.span;
    assert_eq!(circuit.report(later, false, &failed(), 7), Change::Nothing);
    let answered = circuit.report(later + SECOND, false, &Report::Answered, 7);
    assert_eq!((answered, circuit.is_closed()), (Change::Nothing, true));
}

#[test]
fn one_request_probes_and_its_answer_decides() {
    let now = Instant::now();
    let (mut circuit, _) = after(now, &[(failed(), 1)]);
    let Answer::Wait(Some(delay)) = circuit.ask(now) else {
        panic!("{circuit:?}")
    };
    assert!(SECOND / 2 <= delay && delay <= SECOND, "{delay:?}");
    let at = now + delay;
    assert_eq!(circuit.ask(at), Answer::Probe);
    assert_eq!(circuit.ask(at), Answer::Wait(None), "a second one");
    // Late news of those that were under way when it opened.
    assert_eq!(circuit.report(at, false, &Report::Answered, 7), Change::Nothing);
    assert_eq!(circuit.report(at, false, &refused(), 7), Change::Nothing);
    assert_eq!(circuit.ask(at), Answer::Wait(None));

    assert_eq!(circuit.report(at, true, &failed(), 7), Change::StaysOpen);
    let Answer::Wait(Some(next)) = circuit.ask(at) else {
        panic!("{circuit:?}")
    };
    assert!(SECOND <= next && next <= 2 * SECOND, "{next:?}");
    assert_eq!(circuit.ask(at + next), Answer::Probe);
    assert_eq!(
        circuit.report(at + next, true, &Report::Answered, 7),
        Change::Closed
    );
    assert_eq!(circuit.ask(at + next), Answer::Go);
    // It begins anew, with a short wait.
    assert_eq!(circuit.report(at + next, false, &failed(), 7), Change::Opened);
    let Answer::Wait(Some(delay)) = circuit.ask(at + next) else {
        panic!("{circuit:?}")
    };
    assert!(delay <= SECOND, "{delay:?}");
}

#[test]
fn probes_are_never_far_apart_and_not_earlier_than_asked_for() {
    let mut now = Instant::now();
    let (mut circuit, _) = after(now, &[(failed(), 1)]);
    for _ in 0..50 {
        let Answer::Wait(Some(delay)) = circuit.ask(now) else {
            panic!("{circuit:?}")
        };
        assert!(delay <= 5 * SECOND, "{delay:?}");
        now += delay;
        assert_eq!(circuit.ask(now), Answer::Probe);
        circuit.report(now, true, &failed(), 7);
    }
    let busy = Report::Failed {
        why: "429".to_owned(),
        after: Some(9 * SECOND),
    };
    let (mut circuit, _) = after(now, &[(busy, 1)]);
    assert_eq!(circuit.ask(now), Answer::Wait(Some(9 * SECOND)));
}

#[test]
fn a_probe_that_is_abandoned_leaves_its_place() {
    let now = Instant::now();
    let (mut circuit, _) = after(now, &[(refused(), 1)]);
    assert_eq!(circuit.ask(now + SECOND), Answer::Probe);
    circuit.abandon(now + SECOND);
    assert_eq!(circuit.ask(now + SECOND), Answer::Probe);
    circuit.report(now + SECOND, true, &Report::Answered, 7);
    circuit.abandon(now + SECOND);
    assert!(circuit.is_closed(), "nothing was under way");
}

#[tokio::test]
async fn those_who_wait_are_let_through_one_by_one_in_order() {
    let moment = Duration::from_millis(2);
    let breaker = Arc::new(Breaker::new(Policy {
        probes: Backoff {
            first: moment,
            cap: moment,
        },
        ..POLICY
    }));
    assert_eq!(breaker.turn().await.report(refused()), Change::Opened);
    assert_eq!(breaker.trouble().as_deref(), Some("NOAUTH"));
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiting: Vec<_> = (0..4)
        .map(|number| {
            let (breaker, order) = (breaker.clone(), order.clone());
            async move {
                let turn = breaker.turn().await;
                order.lock().unwrap().push((number, turn.probes()));
                match number {
                    // The first is refused, the second gives up, the third is answered.
                    0 => drop(turn.report(failed())),
                    1 => drop(turn),
                    _ => drop(turn.report(Report::Answered)),
                }
            }
        })
        .collect();
    futures::future::join_all(waiting).await;
    let expected = [(0, true), (1, true), (2, true), (3, false)];
    assert_eq!(*order.lock().unwrap(), expected);
    assert_eq!(breaker.trouble(), None);
}

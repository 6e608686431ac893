//! What the processes say of themselves. A killed one takes its last seconds with it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use reqwest::Client;

use crate::pace;

const PERIOD: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);

type Counters = BTreeMap<String, f64>;

/// Where a process serves, and what it said last.
#[derive(Debug, Default)]
struct Pod {
    address: String,
    counters: Counters,
    /// What it had said when it began anew.
    before: Counters,
}

impl Pod {
    fn note(&mut self, counters: Counters) {
        let fell = |(name, last): (&String, &f64)| {
            name.contains("_total") && counters.get(name).is_none_or(|now| now < last)
        };
        if self.counters.iter().any(fell) {
            for (name, last) in std::mem::take(&mut self.counters) {
                *self.before.entry(name).or_default() += last;
            }
        }
        self.counters = counters;
    }
}

/// By the number of a process.
type Pods = BTreeMap<u32, Pod>;

/// The last counters of each process.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Pods>);

impl Metrics {
    /// Another process serves its metrics at this address.
    pub fn watch(&self, pod: u32, address: String) {
        let new = Pod {
            address,
            ..Pod::default()
        };
        self.lock().insert(pod, new);
    }

    fn lock(&self) -> MutexGuard<'_, Pods> {
        self.0.lock().expect("no holder of it panics")
    }

    /// Asks all processes, until cancelled. The dead do not answer.
    pub async fn collect(self: Arc<Self>) {
        let client = Client::builder()
            .timeout(ANSWER)
            .no_proxy()
            .build()
            .expect("a client");
        loop {
            let pods: Vec<(u32, String)> = self
                .lock()
                .iter()
                .map(|(number, pod)| (*number, pod.address.clone()))
                .collect();
            let ask = pods.into_iter().map(|(number, address)| {
                let request = client.get(format!("http://{address}/metrics"));
                async move { Some((number, request.send().await.ok()?.text().await.ok()?)) }
            });
            for (number, text) in futures::future::join_all(ask).await.into_iter().flatten() {
                if let Some(pod) = self.lock().get_mut(&number) {
                    pod.note(read(&text));
                }
            }
            pace::pause(PERIOD).await;
        }
    }

    /// The sum over all processes of the counters with this name and these labels.
    pub fn sum(&self, name: &str, labels: &[&str]) -> u64 {
        let pods = self.lock();
        let lines = pods
            .values()
            .flat_map(|pod| pod.counters.iter().chain(&pod.before));
        let ours = lines.filter(|(line, _)| {
            line.split('{').next() == Some(name) && labels.iter().all(|label| line.contains(label))
        });
        ours.map(|(_, value)| *value).sum::<f64>() as u64
    }
}

fn read(text: &str) -> Counters {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        })
        .collect()
}

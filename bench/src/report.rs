//! What was measured, for people and for programs.

use std::time::Duration;

use serde::Serialize;

use crate::cpu::Used;

/// A physical limit.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub per_second: f64,
    pub seconds: f64,
    pub how: String,
}

impl Figure {
    pub fn new(name: &'static str, documents: usize, seconds: f64, how: &str) -> Self {
        Self {
            name,
            per_second: documents as f64 / seconds,
            seconds,
            how: how.to_owned(),
        }
    }

    fn micros(&self) -> f64 {
        1e6 / self.per_second
    }
}

/// A part of the street, under load.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    pub name: &'static str,
    pub documents: u32,
    pub per_second: f64,
    pub seconds: f64,
    /// Of the application's statement, before its COMMIT.
    pub statement: Option<f64>,
    pub cpu: Used,
    /// Names of the limits that bound it.
    pub limits: &'static [&'static str],
}

impl Phase {
    pub fn new(
        name: &'static str,
        documents: u32,
        took: Duration,
        cpu: Used,
        limits: &'static [&'static str],
    ) -> Self {
        let seconds = took.as_secs_f64();
        Self {
            name,
            documents,
            per_second: f64::from(documents) / seconds,
            seconds,
            statement: None,
            cpu,
            limits,
        }
    }

    pub fn best(known: Option<Self>, new: Self) -> Option<Self> {
        Some(known.filter(|known| known.seconds <= new.seconds).unwrap_or(new))
    }
}

/// From commit to target, in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Delays {
    pub name: &'static str,
    pub changes: usize,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Delays {
    pub fn new(name: &'static str, mut delays: Vec<f64>) -> Self {
        delays.sort_by(f64::total_cmp);
        let rank = |share: f64| {
            let at = (delays.len() as f64 * share).ceil() as usize;
            delays.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        };
        Self {
            name,
            changes: delays.len(),
            p50: rank(0.5),
            p99: rank(0.99),
            max: rank(1.0),
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub products: u32,
    /// Bytes of a body on average.
    pub body: f64,
    pub cores: usize,
    pub phases: Vec<Phase>,
    pub delays: Vec<Delays>,
    pub limits: Vec<Figure>,
    pub headlines: Vec<Headline>,
}

/// A phase against its limits.
#[derive(Debug, Clone, Serialize)]
pub struct Headline {
    pub phase: &'static str,
    pub slowest_limit: &'static str,
    /// Of the slowest limit.
    pub ratio: f64,
    /// Of all limits done one after the other: where one machine does everything, this is what can be had.
    pub ratio_of_all: f64,
}

impl Report {
    pub fn new(
        products: u32,
        body: f64,
        phases: Vec<Phase>,
        delays: Vec<Delays>,
        limits: Vec<Figure>,
    ) -> Self {
        let headlines = phases
            .iter()
            .filter_map(|phase| headline(phase, &limits))
            .collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            products,
            body,
            cores,
            phases,
            delays,
            limits,
            headlines,
        }
    }

    pub fn text(&self) -> String {
        let head = format!(
            "{} products, one document of {:.0} bytes each, {} cores shared by everything\n",
            self.products, self.body, self.cores
        );
        [head, self.street(), self.alone(), self.time(), self.ratios()].join("\n")
    }

    fn street(&self) -> String {
        let mut out = format!("{:<34}{:>10}{:>10}\n", "the street", "docs/s", "seconds");
        for phase in &self.phases {
            out += &format!(
                "{:<34}{:>10.0}{:>10.2}",
                phase.name, phase.per_second, phase.seconds
            );
            if let Some(seconds) = phase.statement {
                out += &format!("   the statement before it took {seconds:.2} s");
            }
            out.push('\n');
        }
        let (a, b, c) = ("p50 ms", "p99 ms", "max ms");
        out += &format!(
            "\n{:<34}{a:>10}{b:>10}{c:>10}\n",
            "from commit to Redis, idle street"
        );
        for delays in &self.delays {
            let Delays { p50, p99, max, .. } = delays;
            let name = format!("{} ({})", delays.name, delays.changes);
            out += &format!("{name:<34}{p50:>10.1}{p99:>10.1}{max:>10.1}\n");
        }
        out
    }

    fn alone(&self) -> String {
        let mut out = format!("{:<34}{:>10}{:>10}\n", "limits, each alone", "docs/s", "µs a doc");
        for limit in &self.limits {
            let (name, per_second, micros) = (limit.name, limit.per_second, limit.micros());
            out += &format!("{name:<34}{per_second:>10.0}{micros:>10.1}   {}\n", limit.how);
        }
        out
    }

    /// Where the time of the phases went: wall against limits, and processors.
    fn time(&self) -> String {
        let mut out = "where the time goes, µs a document\n".to_owned();
        for phase in &self.phases {
            let each = |seconds: f64| 1e6 * seconds / f64::from(phase.documents);
            let limits: f64 = bounds(phase, &self.limits).map(Figure::micros).sum();
            let parts = phase
                .cpu
                .by
                .iter()
                .map(|(role, seconds)| format!("{role} {:.0}", each(*seconds)));
            let own: f64 = phase.cpu.by.values().sum();
            out += &format!(
                "{:<34}wall {:.0}, its limits together {limits:.0}; CPU: {}, others {:.0}\n",
                phase.name,
                each(phase.seconds),
                parts.collect::<Vec<_>>().join(", "),
                each((phase.cpu.machine - own).max(0.0)),
            );
        }
        out
    }

    fn ratios(&self) -> String {
        let mut out = String::new();
        for Headline {
            phase,
            slowest_limit,
            ratio,
            ratio_of_all,
        } in &self.headlines
        {
            out += &format!(
                "{phase}: {ratio:.2} of its slowest limit ({slowest_limit}), {ratio_of_all:.2} of its limits one after the other\n"
            );
        }
        out
    }
}

fn bounds<'a>(phase: &'a Phase, limits: &'a [Figure]) -> impl Iterator<Item = &'a Figure> {
    limits.iter().filter(|limit| phase.limits.contains(&limit.name))
}

fn headline(phase: &Phase, limits: &[Figure]) -> Option<Headline> {
    let slowest = bounds(phase, limits).min_by(|a, b| a.per_second.total_cmp(&b.per_second))?;
    let together: f64 = bounds(phase, limits).map(Figure::micros).sum();
    Some(Headline {
        phase: phase.name,
        slowest_limit: slowest.name,
        ratio: phase.per_second / slowest.per_second,
        ratio_of_all: phase.per_second * together / 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let delays = Delays::new("x", (1..=200).rev().map(f64::from).collect());
        assert_eq!((delays.p50, delays.p99, delays.max), (100.0, 198.0, 200.0));
    }

    #[test]
    fn a_phase_is_held_against_its_own_limits() {
        let phase = Phase::new("p", 1_000, Duration::from_secs(1), Used::default(), &["a", "b"]);
        let limit = |name, rate: f64| Figure::new(name, 1_000, 1_000.0 / rate, "");
        let limits = [limit("a", 4_000.0), limit("b", 2_000.0), limit("c", 10.0)];
        let headline = headline(&phase, &limits).unwrap();
        assert_eq!(headline.slowest_limit, "b");
        assert!((headline.ratio - 0.5).abs() < 1e-9);
        assert!((headline.ratio_of_all - 0.75).abs() < 1e-9);
    }
}

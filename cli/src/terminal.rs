//! What people see: progress on stderr (a line that moves on a terminal, plain lines elsewhere), data on stdout.

use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines come at most so often.
const LINES_EVERY: Duration = Duration::from_secs(2);

/// Progress of one long operation.
pub struct Progress {
    label: String,
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Mutex<Instant>,
}

impl Progress {
    #[must_use]
    pub fn new(label: &str) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let bar = terminal.then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{msg} {pos}/{len} ({per_sec}, {eta} left)") {
                bar.set_style(style);
            }
            bar.set_message(label.to_owned());
            bar
        });
        let now = Instant::now();
        Self {
            label: label.to_owned(),
            bar,
            started: now,
            last_line: Mutex::new(now),
        }
    }

    /// So many of so many are done; `total` 0 means that it is not known.
    pub fn set(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.max(done));
            bar.set_position(done);
            return;
        }
        let mut last = self
            .last_line
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= LINES_EVERY {
            *last = Instant::now();
            eprintln!("{}: {done}{}", self.label, self.rest(done, total));
        }
    }

    fn rest(&self, done: u64, total: u64) -> String {
        if total == 0 || done == 0 || done > total {
            return String::new();
        }
        let left = self
            .started
            .elapsed()
            .mul_f64((total - done) as f64 / done as f64);
        format!(" of {total}, about {} s left", left.as_secs())
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints a result: its JSON on one line, or the text.
pub fn print(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) {
    let out = if json {
        serde_json::to_string(value).unwrap_or_else(|e| format!("{{\"error\":{:?}}}", e.to_string()))
    } else {
        text()
    };
    if !out.is_empty() {
        println!("{out}");
    }
}

/// Microseconds as people read them.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

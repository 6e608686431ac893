//! What people see: progress on stderr (a line that moves on a terminal, plain lines elsewhere), data on stdout.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::fail::Fail;

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

/// Asks on the terminal.
///
/// # Errors
/// Where the answer cannot be read.
pub fn agree(question: &str) -> Result<bool, Fail> {
    eprint!("\n{question} [y/N] ");
    let unreadable = |e: std::io::Error| Fail::Usage(format!("the answer cannot be read: {e}"));
    std::io::stderr().flush().map_err(unreadable)?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(unreadable)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// A moment, microseconds since 1970, as `2026-03-01 12:30:05 UTC`.
#[must_use]
pub fn moment(micros: i64) -> String {
    let seconds = micros.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 1 March of the year 0, in eras of 400 years: leap days end years and eras.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        year + era * 400 + next,
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
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

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn moments_are_days_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_704_067_199, "2023-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(moment(seconds * 1_000_000), text);
        }
    }
}

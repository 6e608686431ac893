//! Logs on stderr, as text or as JSON lines.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// Quiet unless a filter names these targets. lapin logs a returned message with its payload as a warning, and
/// whatever ends a channel as an error, which its caller gets and reports as well; sea-orm and sqlx log every
/// statement.
const QUIET: &str =
    "info,lapin=error,lapin::channel=off,lapin::io_loop=off,sea_orm=warn,sqlx=warn,sea_orm_migration=warn";

/// Starts logging to stderr. `filter` has the form of `RUST_LOG`, as in `debug` or `info,pubsync_worker=trace`; an
/// empty one means `info`. A second call changes nothing and is no error.
pub fn init(json: bool, filter: &str) -> Result<(), ParseError> {
    let started = if json {
        json_lines(parse(filter)?, io::stderr).try_init()
    } else {
        text_lines(parse(filter)?, io::stderr).try_init()
    };
    // Embedded in another program, or in tests, somebody may have been first.
    drop(started);
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(format!("{QUIET},{filter}"))
}

fn json_lines<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

fn text_lines<W>(filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let colours = io::IsTerminal::is_terminal(&io::stderr());
    tracing_subscriber::fmt()
        .with_ansi(colours)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn logged(filter: &str, log: impl FnOnce()) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = text_lines(parse(filter).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        captured.text()
    }

    fn talk() {
        tracing::warn!(target: "lapin::returned_messages", "payload");
        tracing::info!(target: "sqlx::query", "statement");
        tracing::info!(target: "sea_orm::driver", "statement");
        tracing::debug!(target: "pubsync_worker", "detail");
        tracing::info!(target: "pubsync_worker", "news");
    }

    #[test]
    fn payloads_and_statements_stay_out_of_the_log() {
        for filter in ["", "info", "debug", "trace"] {
            let text = logged(filter, talk);
            assert!(text.contains("news"), "{filter}: {text}");
            assert!(
                !text.contains("payload") && !text.contains("statement"),
                "{filter}: {text}"
            );
        }
    }

    #[test]
    fn a_filter_is_obeyed() {
        assert!(!logged("", talk).contains("detail"));
        assert!(logged("pubsync_worker=debug", talk).contains("detail"));
        assert!(!logged("pubsync_worker=off", talk).contains("news"));
        assert!(logged("lapin=warn", talk).contains("payload"));
    }

    #[test]
    fn json_lines_carry_fields() {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = json_lines(parse("").unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || tracing::info!(document = "product", "built"));
        let text = captured.text();
        assert!(text.starts_with('{') && text.ends_with("}\n"), "{text}");
        assert!(text.contains(r#""document":"product""#), "{text}");
    }

    #[test]
    fn a_second_init_is_no_error_and_a_bad_filter_is_one() {
        init(false, "info").unwrap();
        init(true, "debug").unwrap();
        init(false, "pubsync=loud").unwrap_err();
    }
}

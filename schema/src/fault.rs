//! What an error of the database asks for.

use sea_orm::{DbErr, RuntimeErr};

/// One exhaustive sorting of database errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Deadlock, serialization, lock timeout, busy: the whole transaction again.
    Retry,
    /// Nobody answers, or the server is going away: wait for it.
    Down,
    /// A name or a right is missing: no item's fault, the document stands still.
    Definition,
    /// The data of some item.
    Item,
}

/// Sorts by SQLSTATE (PostgreSQL) or result code (SQLite).
#[must_use]
pub fn classify(error: &DbErr) -> Fault {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Fault::Down,
        DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) => {
            match e.as_database_error() {
                Some(database) => by_code(database.code().as_deref().unwrap_or_default(), database.message()),
                None => match &**e {
                    sea_orm::sqlx::Error::Io(_)
                    | sea_orm::sqlx::Error::Tls(_)
                    | sea_orm::sqlx::Error::Protocol(_)
                    | sea_orm::sqlx::Error::PoolTimedOut
                    | sea_orm::sqlx::Error::PoolClosed
                    | sea_orm::sqlx::Error::WorkerCrashed => Fault::Down,
                    _ => Fault::Item,
                },
            }
        }
        _ => Fault::Item,
    }
}

fn by_code(code: &str, message: &str) -> Fault {
    match code {
        // 0A000 is "cached plan must not change result type": a new attempt prepares anew.
        "40001" | "40P01" | "55P03" | "0A000" | "57014" => Fault::Retry,
        "42703" | "42P01" | "42501" | "3F000" | "42883" | "42704" | "42804" => Fault::Definition,
        // Class 57P: shutdown, starting up; 53: out of connections, memory, disk; 08: connection; 28: login.
        _ if code.starts_with("57P")
            || code.starts_with("53")
            || code.starts_with("08")
            || code.starts_with("28") =>
        {
            Fault::Down
        }
        // SQLITE_BUSY and SQLITE_LOCKED with their extended codes.
        "5" | "6" | "261" | "262" | "517" | "773" => Fault::Retry,
        "1" if message.contains("no such") => Fault::Definition,
        _ => Fault::Item,
    }
}

/// An error with everything that it came from, on one line. Sources that the error repeats in its own words are left out.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    without_server_line(&text).to_owned()
}

/// Without the line of PostgreSQL's own source code, which sqlx adds to what the server says: people take it for theirs.
fn without_server_line(text: &str) -> &str {
    match text.rsplit_once(" at line ") {
        Some((said, line))
            if text.contains("returned from database") && line.bytes().all(|b| b.is_ascii_digit()) =>
        {
            said
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::without_server_line;

    #[test]
    fn the_line_of_the_servers_source_is_left_out() {
        let said = "error returned from database: relation \"t\" does not exist";
        assert_eq!(without_server_line(&format!("{said} at line 1371")), said);
        assert_eq!(
            without_server_line("a.yaml: broken at line 5"),
            "a.yaml: broken at line 5"
        );
    }
}

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

/// SQLSTATEs have five characters; the result codes of SQLite, numbers, have fewer.
fn by_code(code: &str, message: &str) -> Fault {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => sqlite(number, message),
        _ => postgres(code),
    }
}

fn postgres(state: &str) -> Fault {
    match state {
        // "Cached plan must not change result type": a new attempt prepares anew.
        "0A000" => Fault::Retry,
        // Idle too long in a transaction, or too long as a whole.
        "25P03" | "25P04" => Fault::Retry,
        // A standby: whoever promotes it, or leads us elsewhere, ends that.
        "25006" => Fault::Down,
        // A pooler has given us another server's session.
        "26000" | "42P05" => Fault::Retry,
        // A constraint that was looked at only at the commit; the rest of the class are serialization and deadlocks.
        "40002" => Fault::Item,
        // In use, lock not available, an enum's value that is too young.
        "55006" | "55P03" | "55P04" => Fault::Retry,
        // A statement timeout, or somebody cancelled; the rest of the class are shutdowns.
        "57014" => Fault::Retry,
        // No connection to the server of a foreign table.
        "HV00N" => Fault::Down,
        _ => match state.get(..2).unwrap_or_default() {
            "40" => Fault::Retry,
            // Connection; login; no such database; out of connections, memory, disk; operator; system; its configuration.
            "08" | "28" | "3D" | "53" | "57" | "58" | "F0" => Fault::Down,
            // No such table, column, function, right; a type or a state of an object that does not fit.
            "42" | "3F" | "55" => Fault::Definition,
            _ => Fault::Item,
        },
    }
}

/// Extended codes hold the primary one in their low byte.
fn sqlite(code: u32, message: &str) -> Fault {
    match code & 0xff {
        // ABORT, BUSY, LOCKED, INTERRUPT, PROTOCOL, SCHEMA.
        4 | 5 | 6 | 9 | 15 | 17 => Fault::Retry,
        // NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, NOLFS, NOTADB.
        7 | 8 | 10 | 11 | 13 | 14 | 22 | 26 => Fault::Down,
        // ERROR with a name that is not there.
        1 if message.contains("no such") => Fault::Definition,
        // PERM, AUTH.
        3 | 23 => Fault::Definition,
        // INTERNAL, TOOBIG, CONSTRAINT, MISMATCH, RANGE and the rest.
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
    use super::{Fault, by_code, without_server_line};

    #[test]
    fn every_state_of_postgresql_asks_for_something() {
        for (fault, states) in [
            (
                Fault::Retry,
                "0A000 25P03 25P04 26000 42P05 40000 40001 40003 40P01 55006 55P03 55P04 57014",
            ),
            (
                Fault::Down,
                "08000 08001 08003 08004 08006 08P01 25006 28000 28P01 3D000 53000 53100 53200 53300 57000 57P01 57P02 57P03 57P04 \
                 58000 58030 F0000 HV00N",
            ),
            (
                Fault::Definition,
                "3F000 42501 42601 42703 42704 42804 42883 42P01 42P02 42P17 55000",
            ),
            (
                Fault::Item,
                "21000 22003 22012 22021 22P02 22P05 23502 23505 23514 25001 25P02 40002 44000 54000 54001 P0001 HV000 XX000 XX001",
            ),
        ] {
            for state in states.split_whitespace() {
                assert_eq!(by_code(state, ""), fault, "{state}");
            }
        }
        assert_eq!(by_code("", ""), Fault::Item);
        assert_eq!(by_code("ÄÖ", ""), Fault::Item);
    }

    #[test]
    fn every_code_of_sqlite_asks_for_something() {
        // Extended: ABORT_ROLLBACK, BUSY_RECOVERY, BUSY_SNAPSHOT, BUSY_TIMEOUT, LOCKED_SHAREDCACHE.
        for (fault, codes) in [
            (Fault::Retry, "4 516 5 261 517 773 6 262 9 15 17"),
            // Extended: READONLY_DIRECTORY, IOERR_READ, IOERR_FSYNC, CANTOPEN_ISDIR, CORRUPT_INDEX.
            (Fault::Down, "7 8 1544 10 266 1034 11 779 13 14 526 22 26"),
            (Fault::Definition, "3 23"),
            // Extended: CONSTRAINT_NOTNULL, CONSTRAINT_UNIQUE, CONSTRAINT_PRIMARYKEY.
            (Fault::Item, "1 2 12 16 18 19 1299 2067 1555 20 21 24 25"),
        ] {
            for code in codes.split_whitespace() {
                assert_eq!(by_code(code, ""), fault, "{code}");
            }
        }
        assert_eq!(by_code("1", "no such column: name"), Fault::Definition);
        assert_eq!(by_code("1", "malformed JSON"), Fault::Item);
    }

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

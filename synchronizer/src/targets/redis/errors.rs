//! What an error of Redis means: one exhaustive table.

use ::redis::{ErrorKind, RedisError};

/// Whom an error concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// This item will not succeed as it is; the class of its failure.
    Item(&'static str),
    /// The keys of this call only, and not for long: only a cluster says so.
    Retry,
    /// The target, until it comes back by itself.
    Down,
    /// The target, until a person helps.
    Refused,
    /// The connection leads to the wrong or to no server: a new one may do.
    Reconnect,
    /// The functions are gone: load them.
    Load,
    /// Not in the table: only the call that met it is to blame.
    Unknown,
}

pub fn verdict(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Io if error.is_timeout() => Verdict::Down,
        ErrorKind::Io => Verdict::Reconnect,
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => {
            Verdict::Refused
        }
        ErrorKind::ClusterConnectionNotFound | ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            Verdict::Down
        }
        ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel
        | ErrorKind::EmptySentinelList
        | ErrorKind::Client => Verdict::Down,
        ErrorKind::Server(_) | ErrorKind::Extension => by_code(
            error.code().unwrap_or_default(),
            error.detail().unwrap_or_default(),
        ),
        // The enum may grow with the crate.
        _ => Verdict::Unknown,
    }
}

/// The first word of an error that Redis sends, and the rest.
pub fn by_code(code: &str, detail: &str) -> Verdict {
    match code {
        "WRONGTYPE" => Verdict::Item("wrong_type"),
        // A slot that moves, or a cluster that is used as a single server.
        "TRYAGAIN" | "CROSSSLOT" | "MOVED" | "ASK" => Verdict::Retry,
        "LOADING" | "CLUSTERDOWN" | "MASTERDOWN" | "BUSY" | "UNKILLABLE" | "NOREPLICAS" => Verdict::Down,
        "OOM" | "NOAUTH" | "WRONGPASS" | "NOPERM" | "MISCONF" | "DENIED" => Verdict::Refused,
        // Often an old primary; where a new connection leads to a replica again, a person must help.
        "READONLY" => Verdict::Reconnect,
        "ERR" if detail.starts_with("Function not found") => Verdict::Load,
        "NOSCRIPT" => Verdict::Load,
        "ERR" if detail.starts_with("string exceeds maximum") => Verdict::Item("too_large"),
        "ERR" if detail.starts_with("unknown command") => Verdict::Refused,
        "ERR" if detail.starts_with("max number of clients") => Verdict::Down,
        _ => Verdict::Unknown,
    }
}

/// The error as Redis writes it: the code, then its words.
pub fn text(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_has_its_verdict() {
        for (line, verdict) in [
            ("WRONGTYPE Operation against a key", Verdict::Item("wrong_type")),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Verdict::Refused,
            ),
            (
                "READONLY You can't write against a read only replica.",
                Verdict::Reconnect,
            ),
            ("LOADING Redis is loading the dataset in memory", Verdict::Down),
            ("BUSY Redis is busy running a script", Verdict::Down),
            (
                "UNKILLABLE Sorry the script already executed write commands",
                Verdict::Down,
            ),
            ("CLUSTERDOWN The cluster is down", Verdict::Down),
            ("MASTERDOWN Link with MASTER is down", Verdict::Down),
            ("NOREPLICAS Not enough good replicas to write.", Verdict::Down),
            ("ERR max number of clients reached", Verdict::Down),
            ("MISCONF Errors writing to the AOF file", Verdict::Refused),
            ("NOAUTH Authentication required.", Verdict::Refused),
            ("WRONGPASS invalid username-password pair", Verdict::Refused),
            ("NOPERM this user has no permissions", Verdict::Refused),
            ("DENIED Redis is running in protected mode", Verdict::Refused),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Verdict::Retry,
            ),
            ("MOVED 3999 127.0.0.1:6381", Verdict::Retry),
            ("ASK 3999 127.0.0.1:6381", Verdict::Retry),
            (
                "CROSSSLOT Keys in request don't hash to the same slot",
                Verdict::Retry,
            ),
            ("ERR Function not found", Verdict::Load),
            ("NOSCRIPT No matching script. Please use EVAL.", Verdict::Load),
            (
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
                Verdict::Item("too_large"),
            ),
            (
                "ERR unknown command 'FCALL', with args beginning with:",
                Verdict::Refused,
            ),
            ("ERR something else", Verdict::Unknown),
        ] {
            let reply = ::redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            let error = reply.extract_error().unwrap_err();
            assert_eq!(super::verdict(&error), verdict, "{line}");
            assert_eq!(text(&error), line);
        }
    }

    #[test]
    fn a_closed_port_asks_for_a_new_connection_and_a_timeout_for_patience() {
        use std::io::{Error, ErrorKind};
        assert_eq!(
            verdict(&Error::from(ErrorKind::ConnectionRefused).into()),
            Verdict::Reconnect
        );
        assert_eq!(verdict(&Error::from(ErrorKind::TimedOut).into()), Verdict::Down);
    }
}

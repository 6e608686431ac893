//! What an error of AMQP asks for: one exhaustive table.

use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Again, on a new channel or connection: what it concerns may be gone by then.
    Again,
    /// Login, right, argument, limit: in vain until somebody changes something.
    Configuration,
    /// A message is larger than the broker takes; its neighbours died with its channel.
    TooLarge,
}

pub(super) fn verdict(error: &Error) -> Verdict {
    match error.kind() {
        ErrorKind::ProtocolError(error) => by_code(error),
        // The connection or channel has gone, or says what is none of AMQP.
        ErrorKind::IOError(_)
        | ErrorKind::MissingHeartbeatError
        | ErrorKind::InvalidChannel(_)
        | ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidConnectionState(_)
        | ErrorKind::ParsingError(_)
        | ErrorKind::SerialisationError(_)
        | ErrorKind::ChannelsLimitReached
        | ErrorKind::FutureCompleted
        | ErrorKind::RuntimeShutdownError(_) => Verdict::Again,
        ErrorKind::AuthProviderError(_)
        | ErrorKind::InvalidProtocolVersion(_)
        | ErrorKind::NoDefaultRuntime => Verdict::Configuration,
        // The enum may grow with the crate.
        _ => Verdict::Again,
    }
}

fn by_code(error: &AMQPError) -> Verdict {
    let text = error.get_message().as_str();
    match error.kind() {
        AMQPErrorKind::Soft(soft) => channel(soft, text),
        AMQPErrorKind::Hard(hard) => connection(hard, text),
    }
}

/// What closes a channel.
fn channel(error: &AMQPSoftError, text: &str) -> Verdict {
    match error {
        AMQPSoftError::CONTENTTOOLARGE => Verdict::TooLarge,
        AMQPSoftError::PRECONDITIONFAILED if text.contains("message size") => Verdict::TooLarge,
        // Not settled in time, or settled on a channel that is gone: the message is delivered again.
        AMQPSoftError::PRECONDITIONFAILED
            if text.contains("delivery acknowledgement") || text.contains("unknown delivery tag") =>
        {
            Verdict::Again
        }
        // The queue stands there with other arguments.
        AMQPSoftError::PRECONDITIONFAILED => Verdict::Configuration,
        AMQPSoftError::ACCESSREFUSED => Verdict::Configuration,
        // It is declared by the next attempt, or its node is down for a while.
        AMQPSoftError::NOTFOUND => Verdict::Again,
        // Held by another connection, which may leave.
        AMQPSoftError::RESOURCELOCKED => Verdict::Again,
        AMQPSoftError::NOROUTE | AMQPSoftError::NOCONSUMERS => Verdict::Again,
    }
}

/// What closes a connection.
fn connection(error: &AMQPHardError, text: &str) -> Verdict {
    match error {
        // A restart, or a person.
        AMQPHardError::CONNECTIONFORCED => Verdict::Again,
        // "connection limit is reached", for a node, a virtual host or a user: others may leave.
        AMQPHardError::NOTALLOWED if text.contains("limit") => Verdict::Again,
        AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH | AMQPHardError::NOTIMPLEMENTED => {
            Verdict::Configuration
        }
        AMQPHardError::RESOURCEERROR | AMQPHardError::INTERNALERROR => Verdict::Again,
        // The two of us do not agree on where the stream stands: a new one begins in step.
        AMQPHardError::FRAMEERROR
        | AMQPHardError::SYNTAXERROR
        | AMQPHardError::COMMANDINVALID
        | AMQPHardError::CHANNELERROR
        | AMQPHardError::UNEXPECTEDFRAME => Verdict::Again,
    }
}

/// The largest message in bytes, where the broker names it: "message size 134217729 is larger than configured max size
/// 134217728".
pub(super) fn limit(error: &Error) -> Option<usize> {
    let ErrorKind::ProtocolError(error) = error.kind() else {
        return None;
    };
    let (_, limit) = error.get_message().as_str().rsplit_once("max size ")?;
    let digits = limit.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u16, text: &str) -> Error {
        let kind = AMQPSoftError::from_id(code)
            .map(AMQPErrorKind::Soft)
            .or_else(|| AMQPHardError::from_id(code).map(AMQPErrorKind::Hard))
            .unwrap();
        ErrorKind::ProtocolError(AMQPError::new(kind, text.into())).into()
    }

    #[test]
    fn every_reply_code_asks_for_something() {
        use Verdict::{Again, Configuration, TooLarge};
        for (code, text, asks) in [
            (311, "CONTENT_TOO_LARGE", TooLarge),
            (312, "NO_ROUTE", Again),
            (313, "NO_CONSUMERS", Again),
            (
                403,
                "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
                Configuration,
            ),
            (
                403,
                "ACCESS_REFUSED - write access to exchange '' in vhost '/' refused",
                Configuration,
            ),
            (
                404,
                "NOT_FOUND - no queue 'sync.storage.brand' in vhost '/'",
                Again,
            ),
            (
                405,
                "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q'",
                Again,
            ),
            (
                406,
                "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q'",
                Configuration,
            ),
            (
                406,
                "PRECONDITION_FAILED - message size 9 is larger than configured max size 8",
                TooLarge,
            ),
            (
                406,
                "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms",
                Again,
            ),
            (406, "PRECONDITION_FAILED - unknown delivery tag 7", Again),
            (
                320,
                "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
                Again,
            ),
            (402, "INVALID_PATH", Configuration),
            (501, "FRAME_ERROR", Again),
            (502, "SYNTAX_ERROR", Again),
            (503, "COMMAND_INVALID", Again),
            (504, "CHANNEL_ERROR - expected 'channel.open'", Again),
            (505, "UNEXPECTED_FRAME", Again),
            (506, "RESOURCE_ERROR", Again),
            (530, "NOT_ALLOWED - vhost shop not found", Configuration),
            (
                530,
                "NOT_ALLOWED - access to vhost 'shop' refused for user 'pubsync': connection limit (1) is reached",
                Again,
            ),
            (540, "NOT_IMPLEMENTED", Configuration),
            (541, "INTERNAL_ERROR", Again),
        ] {
            assert_eq!(verdict(&said(code, text)), asks, "{code} {text}");
        }
    }

    #[test]
    fn what_is_lost_is_made_anew() {
        let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(verdict(&reset.into()), Verdict::Again);
        for kind in [ErrorKind::MissingHeartbeatError, ErrorKind::ChannelsLimitReached] {
            assert_eq!(verdict(&kind.into()), Verdict::Again);
        }
        let login = ErrorKind::AuthProviderError("no".to_owned());
        assert_eq!(verdict(&login.into()), Verdict::Configuration);
    }

    #[test]
    fn the_limit_is_read_where_it_is_named() {
        let text =
            "PRECONDITION_FAILED - message size 134217729 is larger than configured max size 134217728";
        assert_eq!(limit(&said(406, text)), Some(134_217_728));
        assert_eq!(
            limit(&said(406, "PRECONDITION_FAILED - message size 9 is too much")),
            None
        );
        assert_eq!(limit(&ErrorKind::FutureCompleted.into()), None);
    }
}

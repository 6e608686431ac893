//! Where the broker is, and the errors that name it. The password stays in here.

use std::fmt::Display;

use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Error, ErrorKind};

use super::super::BrokerError;
use super::errors::{self, Verdict};

const HEARTBEAT_SECONDS: u16 = 15;

pub(super) struct Endpoint {
    pub(super) uri: AMQPUri,
    /// The URI without password and options, for errors and logs.
    address: String,
}

impl Endpoint {
    /// Reads `amqp://user:password@host:port/vhost?heartbeat=15`. The error names no password.
    pub(super) fn parse(url: &str) -> Result<Self, BrokerError> {
        let mut uri: AMQPUri = url.parse().map_err(|_| BrokerError::Configuration {
            address: without_login(url),
            reason: "not a URL of the form amqp://user:password@host:port/vhost".to_owned(),
        })?;
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host;
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let address = address(&uri);
        Ok(Self { uri, address })
    }

    /// Something that may be gone on the next try.
    pub(super) fn unreachable(&self, reason: impl Display) -> BrokerError {
        BrokerError::Unreachable {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }

    /// Something that somebody has to change.
    pub(super) fn configuration(&self, reason: impl Display) -> BrokerError {
        BrokerError::Configuration {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }

    /// Sorts what lapin says when connecting, declaring or subscribing.
    pub(super) fn error(&self, error: &Error) -> BrokerError {
        let text = match error.kind() {
            ErrorKind::ProtocolError(cause) => cause.get_message().to_string(),
            _ => error.to_string(),
        };
        match errors::verdict(error) {
            Verdict::Configuration if text.contains("Login was refused") => {
                self.configuration(format!("wrong user name or password: {text}"))
            }
            Verdict::Configuration => self.configuration(text),
            Verdict::Again | Verdict::TooLarge => self.unreachable(text),
        }
    }
}

fn address(uri: &AMQPUri) -> String {
    let scheme = match uri.scheme {
        AMQPScheme::AMQP => "amqp",
        AMQPScheme::AMQPS => "amqps",
    };
    let host = match uri.authority.host.as_str() {
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let vhost = uri.vhost.replace('/', "%2f");
    format!(
        "{scheme}://{}@{host}:{}/{vhost}",
        uri.authority.userinfo.username, uri.authority.port
    )
}

/// What may be shown of a URL that does not parse: nothing up to the last `@`, where a password may be.
fn without_login(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_login, place)) => format!("…@{place}"),
        None => url.to_owned(),
    }
}

/// The URI parser of lapin takes `[::1]` for no host at all and falls back to `localhost`.
fn ipv6_host(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = authority.rsplit('@').next()?.strip_prefix('[')?;
    Some(host.split_once(']')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Endpoint {
        Endpoint::parse(url).unwrap()
    }

    #[test]
    fn an_address_has_no_password() {
        for (url, address) in [
            (
                "amqp://ann:secret@rabbit:5673/shop",
                "amqp://ann@rabbit:5673/shop",
            ),
            (
                "amqp://ann:secret@rabbit/%2f?heartbeat=3",
                "amqp://ann@rabbit:5672/%2f",
            ),
            (
                "amqp://ann:se%40cret@[::1]:5673/a%2fb",
                "amqp://ann@[::1]:5673/a%2fb",
            ),
            ("amqp://rabbit", "amqp://guest@rabbit:5672/%2f"),
        ] {
            assert_eq!(
                parsed(url).unreachable("x").to_string(),
                format!("broker {address}: x")
            );
        }
    }

    #[test]
    fn a_bad_url_is_a_configuration_error_without_its_password() {
        for url in [
            "ann:secret@rabbit:5672",
            "http://ann:secret@rabbit/",
            "amqp://ann:secret@rabbit:port/",
            "amqp://ann:sec@secret@rabbit:99999/",
            "amqp://ann:secret@rabbit/%2f?heartbeat=soon",
            "",
        ] {
            let Err(error) = Endpoint::parse(url) else {
                panic!("{url} was taken")
            };
            assert!(
                matches!(error, BrokerError::Configuration { .. }),
                "{url}: {error:?}"
            );
            assert!(!error.to_string().contains("sec"), "{url}: {error}");
            assert!(
                url.is_empty() || error.to_string().contains("rabbit"),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn heartbeats_come_every_15_seconds_unless_the_url_says_otherwise() {
        assert_eq!(parsed("amqp://rabbit").uri.query.heartbeat, Some(15));
        assert_eq!(
            parsed("amqp://rabbit/%2f?heartbeat=3").uri.query.heartbeat,
            Some(3)
        );
    }

    #[test]
    fn an_ipv6_host_is_not_localhost() {
        assert_eq!(
            parsed("amqp://ann:secret@[fe80::1]:5673/x").uri.authority.host,
            "fe80::1"
        );
    }
}

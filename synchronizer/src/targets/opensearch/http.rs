//! Requests to OpenSearch and what a whole reply means; single items of a bulk are judged in `bulk`.

use std::error::Error as _;
use std::time::Duration;

use ::opensearch::auth::Credentials;
use ::opensearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ::opensearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use ::opensearch::http::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio_util::bytes::Bytes;

use crate::target::TargetError;
use crate::targets::config::{Address, InvalidTarget};

/// For all requests but bulk.
pub const REQUEST: Duration = Duration::from_secs(10);
pub const BULK: Duration = Duration::from_secs(30);

/// Longest text of a reply that goes into an error.
const EXCERPT: usize = 500;

pub struct Http {
    transport: Transport,
    target: String,
    address: Address,
}

/// A reply that is the caller's to judge: neither login nor overload.
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

/// `error` in a reply; for some requests it is only a text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Problem {
    Cause(Cause),
    Text(String),
}

#[derive(Debug, Clone, Deserialize)]
pub struct Cause {
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub reason: Option<String>,
}

impl Http {
    pub fn new(target: &str, address: &Address) -> Result<Self, InvalidTarget> {
        let invalid =
            |why: &str| InvalidTarget::new(target, format!("the url {address} cannot be used: {why}"));
        let mut url = Url::parse(address.reveal()).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(invalid("it is no http url"));
        }
        let login = (!url.username().is_empty()).then(|| {
            (
                decoded(url.username()),
                decoded(url.password().unwrap_or_default()),
            )
        });
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let mut builder = TransportBuilder::new(SingleNodeConnectionPool::new(url))
            .timeout(REQUEST)
            .disable_proxy();
        if let Some((user, password)) = login {
            builder = builder.auth(Credentials::Basic(user, password));
        }
        let transport = builder.build().map_err(|error| invalid(&error.to_string()))?;
        Ok(Self {
            transport,
            target: target.to_owned(),
            address: address.clone(),
        })
    }

    /// Sends JSON, or nothing.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<Reply, TargetError> {
        let body = body.map(|json| Bytes::from(json.to_string()));
        self.send(method, path, "application/json", body, REQUEST).await
    }

    /// Sends lines of JSON.
    pub async fn lines(&self, path: &str, lines: Bytes) -> Result<Reply, TargetError> {
        self.send(Method::Post, path, "application/x-ndjson", Some(lines), BULK)
            .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        content: &'static str,
        body: Option<Bytes>,
        timeout: Duration,
    ) -> Result<Reply, TargetError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        let sent = self
            .transport
            .send(method, path, headers, None::<&()>, body, Some(timeout))
            .await;
        let response = sent.map_err(|error| self.down(innermost(&error)))?;
        let status = response.status_code().as_u16();
        let after = response.headers().get("retry-after").and_then(retry_after);
        let body = response
            .bytes()
            .await
            .map_err(|error| self.down(innermost(&error)))?;
        let reply = Reply { status, body };
        match status {
            401 | 403 => Err(self.refused(reply.reason())),
            429 | 503 => Err(TargetError::Busy {
                target: self.target.clone(),
                address: self.address.to_string(),
                reason: reply.reason(),
                after,
            }),
            500.. => Err(self.down(reply.reason())),
            _ => Ok(reply),
        }
    }

    pub fn parse<'a, T: Deserialize<'a>>(&self, reply: &'a Reply) -> Result<T, TargetError> {
        serde_json::from_slice(&reply.body).map_err(|error| self.unexpected(reply, &error.to_string()))
    }

    /// The parsed body of a 2xx; other replies are errors of the target.
    pub fn expect<T: DeserializeOwned>(&self, reply: &Reply) -> Result<T, TargetError> {
        if reply.is_success() {
            self.parse(reply)
        } else {
            Err(self.unexpected(reply, ""))
        }
    }

    fn unexpected(&self, reply: &Reply, why: &str) -> TargetError {
        self.down(format!("unexpected reply {why} {}", reply.reason()))
    }

    pub fn down(&self, reason: String) -> TargetError {
        TargetError::Down {
            target: self.target.clone(),
            address: self.address.to_string(),
            reason,
        }
    }

    pub fn refused(&self, reason: String) -> TargetError {
        TargetError::Refused {
            target: self.target.clone(),
            address: self.address.to_string(),
            reason,
        }
    }
}

impl Reply {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The type of the error, empty where there is none.
    pub fn kind(&self) -> String {
        match self.problem() {
            Some(Problem::Cause(cause)) => cause.kind,
            _ => String::new(),
        }
    }

    /// Status, type and reason for people.
    pub fn reason(&self) -> String {
        let text = match self.problem() {
            Some(Problem::Cause(cause)) => cause.text(),
            Some(Problem::Text(text)) => text,
            None => String::from_utf8_lossy(&self.body)
                .chars()
                .take(EXCERPT)
                .collect(),
        };
        format!("{} {text}", self.status)
    }

    fn problem(&self) -> Option<Problem> {
        #[derive(Deserialize)]
        struct Body {
            error: Problem,
        }
        serde_json::from_slice::<Body>(&self.body)
            .ok()
            .map(|body| body.error)
    }
}

impl Cause {
    pub fn text(&self) -> String {
        let reason: String = self
            .reason
            .as_deref()
            .unwrap_or_default()
            .chars()
            .take(EXCERPT)
            .collect();
        format!("{}: {reason}", self.kind)
    }
}

/// Seconds, as proxies and managed clusters write it; a date is not read.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Whether the login was right and only the right is missing.
pub fn is_forbidden(error: &TargetError) -> bool {
    matches!(error, TargetError::Refused { reason, .. } if reason.starts_with("403 "))
}

/// What really went wrong: the outer errors only say "error sending request", with the url.
fn innermost(error: &::opensearch::Error) -> String {
    if error.is_timeout() {
        return "timeout".to_owned();
    }
    let mut source = error.source();
    let mut text = None;
    while let Some(inner) = source {
        text = Some(inner.to_string());
        source = inner.source();
    }
    text.unwrap_or_else(|| "the request failed".to_owned())
}

/// Undoes the percent-encoding of a login in a url.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_decoded() {
        assert_eq!(decoded("a%40b%zz%"), "a@b%zz%");
        assert_eq!(decoded("plain"), "plain");
    }

    #[test]
    fn a_pause_is_read_in_seconds() {
        let after = |text: &'static str| retry_after(&HeaderValue::from_static(text));
        assert_eq!(after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    #[test]
    fn an_error_is_read_in_both_its_shapes() {
        let reply = |body: &'static str| Reply {
            status: 404,
            body: Bytes::from_static(body.as_bytes()),
        };
        assert_eq!(
            reply(r#"{"error":"alias [a] missing","status":404}"#).reason(),
            "404 alias [a] missing"
        );
        let cause = reply(r#"{"error":{"type":"x_exception","reason":"why","root_cause":[]},"status":404}"#);
        assert_eq!(
            (cause.kind().as_str(), cause.reason().as_str()),
            ("x_exception", "404 x_exception: why")
        );
        assert_eq!(reply("<html>").reason(), "404 <html>");
    }
}

//! HTTP with JSON bodies, as the management API of RabbitMQ and OpenSearch speak it.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, header::CONTENT_TYPE};

#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: Client,
    base: String,
}

impl Http {
    pub(crate) fn new(base: &str) -> Self {
        let client = Client::builder()
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()
            .expect("an HTTP client");
        Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Sends, and returns the body of a 2xx answer; `None` for 404.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Option<String> {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request
            .send()
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        let status = response.status();
        let text = response
            .text()
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error:?}"));
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        assert!(status.is_success(), "{method} {path} answered {status}: {text}");
        Some(text)
    }
}

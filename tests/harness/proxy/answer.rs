//! Answers that the proxy gives in the place of a service that speaks HTTP, as a whole or in part.

use serde_json::{Value, json};

/// With this status.
pub(super) fn status(status: u16) -> String {
    let body = format!("{{\"error\":{{\"type\":\"proxy\",\"reason\":\"injected\"}},\"status\":{status}}}");
    with_body(&format!("{status} injected"), &body)
}

/// What a `_bulk` is told of each of its items; `None`: what the server says of it.
#[derive(Debug)]
pub(super) struct Refusal(Vec<Option<Value>>);

impl Refusal {
    /// Too many requests for each item that holds the words; and the request without these, where anything is left.
    pub(super) fn of(request: &[u8], words: &str) -> (Self, Option<Vec<u8>>) {
        let request = String::from_utf8_lossy(request);
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((&request, ""));
        let (mut lines, mut rest, mut places) = (body.lines(), String::new(), Vec::new());
        while let Some(action) = lines.next() {
            let verb = ["index", "create", "update", "delete"]
                .into_iter()
                .find(|verb| action.starts_with(&format!("{{\"{verb}\"")));
            let Some(verb) = verb else { continue };
            let mut item = format!("{action}\n");
            if verb != "delete" {
                item.extend([lines.next().unwrap_or_default(), "\n"]);
            }
            let refused = item.contains(words);
            let reason = json!({ "type": "rejected_execution_exception", "reason": "injected" });
            places.push(refused.then(|| json!({ verb: { "status": 429, "error": reason } })));
            if !refused {
                rest.push_str(&item);
            }
        }
        // Its length is another one, and its answer must be readable here.
        let drops = |line: &str| {
            let line = line.to_ascii_lowercase();
            line.starts_with("content-length:") || line.starts_with("accept-encoding:")
        };
        let head: Vec<&str> = head.split("\r\n").filter(|line| !drops(line)).collect();
        let (head, length) = (head.join("\r\n"), rest.len());
        let left =
            (length > 0).then(|| format!("{head}\r\ncontent-length: {length}\r\n\r\n{rest}").into_bytes());
        (Self(places), left)
    }

    /// Where the server was not asked.
    pub(super) fn answer(&self) -> String {
        let items: Vec<&Value> = self.0.iter().flatten().collect();
        with_body("200 OK", &json!({ "errors": true, "items": items }).to_string())
    }

    /// The server's answer with the items that it never saw. Another one than 200 speaks of all of them.
    ///
    /// # Errors
    /// Where it is no answer to a `_bulk` of the items that were left.
    pub(super) fn merged(&self, answer: &[u8]) -> Result<String, String> {
        let text = String::from_utf8_lossy(answer);
        let strange = || {
            format!(
                "no answer to a _bulk: {}",
                text.chars().take(500).collect::<String>()
            )
        };
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(strange)?;
        if !head.starts_with("HTTP/1.1 200") {
            return Ok(text.into_owned());
        }
        let mut body: Value = serde_json::from_str(body).map_err(|_| strange())?;
        let mut done = body["items"].as_array().ok_or_else(strange)?.clone().into_iter();
        let items = self
            .0
            .iter()
            .map(|refused| refused.clone().or_else(|| done.next()));
        let items: Vec<Value> = items.collect::<Option<_>>().ok_or_else(strange)?;
        body["errors"] = json!(true);
        body["items"] = json!(items);
        Ok(with_body("200 OK", &body.to_string()))
    }
}

fn with_body(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::{Refusal, with_body};

    const REQUEST: &str = "POST /_bulk HTTP/1.1\r\nContent-Length: 9\r\na: b\r\nAccept-Encoding: gzip\r\n\r\n{\"index\":{\"_id\":\"a\"}}\n{\"delete\":\"a body\"}\n\
                           {\"delete\":{\"_id\":\"b\"}}\n{\"update\":{}}\n{\"doc\":{}}\n";

    fn items(answer: &str) -> Vec<serde_json::Value> {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())));
        let answer: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(answer["errors"], true);
        answer["items"].as_array().unwrap().clone()
    }

    fn verb(item: &serde_json::Value) -> &str {
        item.as_object().unwrap().keys().next().unwrap()
    }

    #[test]
    fn each_action_is_refused_by_its_name() {
        let (refusal, rest) = Refusal::of(REQUEST.as_bytes(), "");
        assert_eq!(rest, None);
        let items = items(&refusal.answer());
        assert_eq!(
            items.iter().map(verb).collect::<Vec<_>>(),
            ["index", "delete", "update"]
        );
        assert!(items.iter().all(|item| item[verb(item)]["status"] == 429));
    }

    #[test]
    fn others_are_done_and_all_are_told_in_their_order() {
        let (refusal, rest) = Refusal::of(REQUEST.as_bytes(), "\"b\"");
        let left = "{\"index\":{\"_id\":\"a\"}}\n{\"delete\":\"a body\"}\n{\"update\":{}}\n{\"doc\":{}}\n";
        let head = "POST /_bulk HTTP/1.1\r\na: b\r\ncontent-length:";
        let expected = format!("{head} {}\r\n\r\n{left}", left.len());
        assert_eq!(String::from_utf8(rest.unwrap()).unwrap(), expected);
        let done =
            r#"{"took":1,"errors":false,"items":[{"index":{"status":201}},{"update":{"status":200}}]}"#;
        let items = items(&refusal.merged(with_body("200 OK", done).as_bytes()).unwrap());
        let states: Vec<_> = items
            .iter()
            .map(|item| (verb(item), &item[verb(item)]["status"]))
            .collect();
        assert_eq!(
            format!("{states:?}"),
            r#"[("index", Number(201)), ("delete", Number(429)), ("update", Number(200))]"#
        );
    }

    #[test]
    fn what_is_no_answer_is_told() {
        let (refusal, _) = Refusal::of(REQUEST.as_bytes(), "\"b\"");
        assert!(
            refusal
                .merged(with_body("200 OK", r#"{"items":[]}"#).as_bytes())
                .is_err()
        );
        let unavailable = with_body("503 no", "{}");
        assert_eq!(refusal.merged(unavailable.as_bytes()).unwrap(), unavailable);
    }
}

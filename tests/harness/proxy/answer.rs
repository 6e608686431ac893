//! Answers that the proxy gives in the place of a service that speaks HTTP.

/// With this status.
pub(super) fn status(status: u16) -> String {
    let body = format!("{{\"error\":{{\"type\":\"proxy\",\"reason\":\"injected\"}},\"status\":{status}}}");
    with_body(&format!("{status} injected"), &body)
}

/// To a `_bulk`: 200, and 429 for each item of the request.
pub(super) fn refused_items(request: &[u8]) -> String {
    let request = String::from_utf8_lossy(request);
    let body = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let (mut lines, mut items) = (body.lines(), Vec::new());
    while let Some(action) = lines.next() {
        let verb = ["index", "create", "update", "delete"]
            .into_iter()
            .find(|verb| action.starts_with(&format!("{{\"{verb}\"")));
        let Some(verb) = verb else { continue };
        if verb != "delete" {
            lines.next();
        }
        items.push(format!(
            "{{\"{verb}\":{{\"status\":429,\"error\":{{\"type\":\"rejected_execution_exception\",\"reason\":\"injected\"}}}}}}"
        ));
    }
    with_body(
        "200 OK",
        &format!("{{\"errors\":true,\"items\":[{}]}}", items.join(",")),
    )
}

fn with_body(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::refused_items;

    #[test]
    fn each_action_is_refused_by_its_name() {
        let request = "POST /_bulk HTTP/1.1\r\n\r\n{\"index\":{\"_id\":\"a\"}}\n{\"delete\":\"a body\"}\n{\"delete\":{\"_id\":\"b\"}}\n\
                       {\"update\":{}}\n{\"doc\":{}}\n";
        let answer = refused_items(request.as_bytes());
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let items: serde_json::Value = serde_json::from_str(body).unwrap();
        let verbs: Vec<&str> = items["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item.as_object().unwrap().keys().next().unwrap().as_str())
            .collect();
        assert_eq!(verbs, ["index", "delete", "update"]);
        assert!(answer.contains(&format!("content-length: {}\r\n", body.len())));
    }
}

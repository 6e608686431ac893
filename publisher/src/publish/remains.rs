//! What stays of a document on its tombstone: `tombstone: [member]`.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::build::json::write_string;

/// These members of the body, as they stand there, as a JSON object; `None` where it has none of them.
pub fn of(body: &str, members: &[String]) -> Option<String> {
    let all: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(body).ok()?;
    let mut out = Vec::new();
    for member in members {
        let Some(value) = all.get(member.as_str()) else {
            continue;
        };
        out.push(if out.is_empty() { b'{' } else { b',' });
        write_string(&mut out, member);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    if out.is_empty() {
        return None;
    }
    out.push(b'}');
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn members_stay_as_they_stand() {
        let members = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let body = r#"{"id":1.50,"a\"b":{"x":[1, 2]},"text":"ä\n"}"#;
        assert_eq!(
            of(body, &members(&["text", "id", "gone", "a\"b"])).as_deref(),
            Some(r#"{"text":"ä\n","id":1.50,"a\"b":{"x":[1, 2]}}"#)
        );
        assert_eq!(of(body, &members(&["gone"])), None);
        assert_eq!(of("", &members(&["id"])), None);
    }
}

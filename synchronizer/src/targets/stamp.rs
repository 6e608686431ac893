//! The revision inside a stored document: `{"_revision":n,` before the first member of the body. Any client reads the
//! document plainly, and a guard finds the revision at a fixed place without reading the rest.

const OPEN: &str = "{\"_revision\":";

/// As many bytes of a stored document as always hold its revision: 13 before it, at most 16 digits (2^53) and the
/// character that ends it.
pub const HEAD: usize = 32;

/// Above this, numbers are no longer exact in JavaScript and in Redis' Lua.
pub const MAX_REVISION: i64 = (1 << 53) - 1;

/// Appends the body with its revision as the first member. False, and nothing appended, where the body is no object.
pub fn write(body: &str, revision: i64, into: &mut Vec<u8>) -> bool {
    let Some(members) = body.trim_start().strip_prefix('{') else {
        return false;
    };
    into.reserve(OPEN.len() + 17 + body.len());
    into.extend_from_slice(OPEN.as_bytes());
    into.extend_from_slice(revision.to_string().as_bytes());
    if !members.trim_start().starts_with('}') {
        into.push(b',');
    }
    into.extend_from_slice(members.as_bytes());
    true
}

/// The revision at the head of a stored document; `None` where it was not written by [`write()`].
pub fn revision(stored: &[u8]) -> Option<i64> {
    split(stored).map(|(revision, _)| revision)
}

/// The body as it was before [`write()`]; a document without a revision as it is.
pub fn strip(stored: &str) -> String {
    match split(stored.as_bytes()) {
        Some((_, at)) => {
            let members = &stored[at..];
            format!("{{{}", members.strip_prefix(',').unwrap_or(members))
        }
        None => stored.to_owned(),
    }
}

/// The revision and the place of the character after it. A number that is cut off has no such character.
fn split(stored: &[u8]) -> Option<(i64, usize)> {
    let rest = stored.strip_prefix(OPEN.as_bytes())?;
    let digits = rest.iter().position(|b| !b.is_ascii_digit())?;
    let revision = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    Some((revision, OPEN.len() + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(body: &str, revision: i64) -> String {
        let mut out = Vec::new();
        assert!(write(body, revision, &mut out), "{body}");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_revision_is_the_first_member() {
        assert_eq!(stamped(r#"{"a":1}"#, 7), r#"{"_revision":7,"a":1}"#);
        assert_eq!(stamped("{}", 7), r#"{"_revision":7}"#);
        serde_json::from_str::<serde_json::Value>(&stamped("{ }", 7)).unwrap();
        assert!(!write("[1]", 7, &mut Vec::new()));
        assert!(!write("", 7, &mut Vec::new()));
    }

    #[test]
    fn what_was_written_comes_back_to_the_byte() {
        for body in [
            r#"{"a":1}"#,
            "{}",
            "{ }",
            r#"{ "a": {"_revision": 3} }"#,
            r#"{"é":"𝄞"}"#,
        ] {
            let stored = stamped(body, MAX_REVISION);
            assert_eq!(strip(&stored), body);
            assert_eq!(
                revision(&stored.as_bytes()[..HEAD.min(stored.len())]),
                Some(MAX_REVISION)
            );
        }
        assert_eq!(strip("plain"), "plain");
    }

    #[test]
    fn a_foreign_or_damaged_head_has_no_revision() {
        for stored in [
            "",
            "{}",
            r#"{"a":1}"#,
            r#"{"_revision":"#,
            r#"{"_revision":12"#,
            r#"{"_revision":x,"#,
        ] {
            assert_eq!(revision(stored.as_bytes()), None, "{stored}");
        }
    }
}

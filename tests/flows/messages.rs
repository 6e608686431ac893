//! Every text that tells a user what is wrong is pinned by a test: what the source says in a message must stand, in this
//! order, in one text that a test expects. Who changes a message changes a test, and who adds one adds a test.
//!
//! In `publisher/src/language` every sentence is a message. Elsewhere it is what stands in an error: in `#[error(…)]`, in
//! `Err(…)` and its like ([`CALLS`]), in a variant of an error, or in a `let` of one of [`NAMES`].

use crate::tidy::{File, files};

/// Where messages for users come from.
const PLACES: [&str; 2] = ["publisher/src/", "cli/src/"];
const LANGUAGE: &str = "publisher/src/language/";
/// Says what constructs mean, and refuses none.
const DESCRIPTIONS: &str = "publisher/src/language/json_schema/";

/// What is called with an error or with its text, and the ways in which a command fails.
const CALLS: [&str; 15] = [
    "#[error",
    "Err",
    "ok_or",
    "ok_or_else",
    "map_err",
    "fail",
    "fail_with",
    "custom",
    "refused",
    "unreachable",
    "Differences",
    "Usage",
    "Configuration",
    "Unreachable",
    "Part",
];

/// What a text for an error is bound to.
const NAMES: [&str; 6] = ["message", "help", "hint", "problem", "reason", "why"];

/// Messages that no test brings about, and why.
const UNPINNED: [(&str, &str, &str); 10] = [
    (
        "publisher/src/language/yaml.rs",
        "the file ends too early",
        "the parser of YAML ends every stream that it begins",
    ),
    (
        "publisher/src/language/yaml.rs",
        "a value is expected here",
        "the parser of YAML gives an empty value where one is left out",
    ),
    (
        "publisher/src/capture/postgres/state.rs",
        "object id {oid:?} is no number",
        "PostgreSQL's object ids are numbers",
    ),
    (
        "publisher/src/registry.rs",
        "the definition is empty",
        "a file without a problem is a document",
    ),
    (
        "cli/src/terminal.rs",
        "the answer cannot be read: {e}",
        "a terminal that goes away while it is asked",
    ),
    (
        "cli/src/command/run.rs",
        "signals: {e}",
        "an operating system that gives no signals",
    ),
    (
        "cli/src/command/run.rs",
        "a worker panicked; the ledger has its work",
        "no worker panics that we know of",
    ),
    (
        "cli/src/command/run.rs",
        "{} cannot be started anew: {error}",
        "the program's own file is gone while it runs",
    ),
    (
        "cli/src/demo.rs",
        "{n} failures: `pubsync failures` says why",
        "the demo's own rows do not fail",
    ),
    (
        "cli/src/demo.rs",
        "the store differs from the shop",
        "the demo's own store does not differ",
    ),
];

/// A string literal of Rust.
#[derive(Debug, PartialEq, Eq)]
struct Literal {
    line: usize,
    text: String,
    of_error: bool,
}

/// What opens a bracket that is open, and where the statement began that it stands in.
struct Open {
    of_error: bool,
    statement: usize,
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
    statement: usize,
    open: Vec<Open>,
    found: Vec<Literal>,
}

fn literals(source: &str) -> Vec<Literal> {
    let mut reader = Reader {
        source,
        at: 0,
        statement: 0,
        open: Vec::new(),
        found: Vec::new(),
    };
    while reader.at < source.len() {
        reader.step();
    }
    reader.found
}

impl Reader<'_> {
    fn step(&mut self) {
        let rest = &self.source[self.at..];
        let first = rest.chars().next().unwrap_or_default();
        if rest.starts_with("//") {
            self.at += rest.find('\n').unwrap_or(rest.len());
        } else if let Some((text, length)) = literal(rest).filter(|_| !self.inside_a_word()) {
            self.found.push(Literal {
                line: self.source[..self.at].lines().count(),
                text,
                of_error: self.of_error(),
            });
            self.at += length;
        } else if first == '\'' {
            self.at += character(rest);
        } else {
            match first {
                '(' | '[' | '{' => self.opens(first),
                ')' | ']' | '}' => self.closes(first),
                ';' => self.statement = self.at + 1,
                _ => {}
            }
            self.at += first.len_utf8();
        }
    }

    /// An `r` or `b` that belongs to a word begins no literal.
    fn inside_a_word(&self) -> bool {
        let before = self.source[..self.at].chars().next_back();
        before.is_some_and(|c| c.is_alphanumeric() || c == '_') && !self.source[self.at..].starts_with('"')
    }

    fn opens(&mut self, bracket: char) {
        self.open.push(Open {
            of_error: bracket != '[' && is_of_error(&self.source[..self.at]),
            statement: self.statement,
        });
        if bracket == '{' {
            self.statement = self.at + 1;
        }
    }

    fn closes(&mut self, bracket: char) {
        if let Some(open) = self.open.pop() {
            self.statement = open.statement;
        }
        if bracket == '}' {
            self.statement = self.at + 1;
        }
    }

    fn of_error(&self) -> bool {
        let bound = |statement: usize| {
            let words = self.source[statement..self.at].trim_start();
            let name = words.strip_prefix("let ").unwrap_or_default();
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0);
            NAMES.contains(&&name[..end])
        };
        bound(self.statement)
            || self
                .open
                .iter()
                .any(|open| open.of_error || bound(open.statement))
    }
}

/// Whether what stands before a bracket makes an error: `Err`, `Fail::Usage`, `TargetError::Down`, `#[error`.
fn is_of_error(before: &str) -> bool {
    let before = before.trim_end();
    let of_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '#' | '[');
    let path = &before[before.trim_end_matches(of_path).len()..];
    let mut parts = path.rsplit("::");
    let called = CALLS.contains(&parts.next().unwrap_or_default());
    called || parts.any(|part| part.ends_with("Error") || part == "DbErr")
}

/// The text of a literal that stands here, and its length in the source.
fn literal(rest: &str) -> Option<(String, usize)> {
    let (raw, body) = match rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r') {
        Some(body) => (true, body),
        None => (false, rest.strip_prefix('b').unwrap_or(rest)),
    };
    let hashes = if raw {
        body.bytes().take_while(|b| *b == b'#').count()
    } else {
        0
    };
    let begin = rest.len() - body.len() + hashes + 1;
    if !body[hashes..].starts_with('"') {
        return None;
    }
    if raw {
        let end = format!("\"{}", "#".repeat(hashes));
        let length = rest[begin..].find(&end)?;
        return Some((rest[begin..begin + length].to_owned(), begin + length + end.len()));
    }
    unescaped(&rest[begin..]).map(|(text, length)| (text, begin + length))
}

/// Up to the closing quote; the length holds the quote.
fn unescaped(rest: &str) -> Option<(String, usize)> {
    let (mut text, mut at) = (String::new(), 0);
    loop {
        let c = rest[at..].chars().next()?;
        at += c.len_utf8();
        match c {
            '"' => return Some((text, at)),
            '\\' => at += escaped(&rest[at..], &mut text)?,
            c => text.push(c),
        }
    }
}

/// Adds what stands after a backslash; gives its length in the source.
fn escaped(rest: &str, text: &mut String) -> Option<usize> {
    let c = rest.chars().next()?;
    match c {
        'n' => text.push('\n'),
        't' => text.push('\t'),
        'u' => {
            let (code, _) = rest.strip_prefix("u{")?.split_once('}')?;
            text.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            return Some(code.len() + 3);
        }
        '\n' => return Some(rest.len() - rest.trim_start().len()),
        other => text.push(other),
    }
    Some(c.len_utf8())
}

/// The length of a character literal, or of the quote of a lifetime.
fn character(rest: &str) -> usize {
    let escaped = rest.starts_with("'\\");
    let inner = rest.char_indices().nth(if escaped { 3 } else { 2 });
    match inner {
        Some((at, '\'')) => at + 1,
        _ if escaped => rest[2..].find('\'').map_or(1, |at| at + 3),
        _ => 1,
    }
}

/// Words of a sentence, not a name or a sign.
fn is_sentence(text: &str) -> bool {
    let word = |word: &str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_lowercase());
    let words = text.split(|c: char| !c.is_alphanumeric());
    text.trim().contains(' ') && words.into_iter().any(word)
}

/// The parts of a text for `format!` between its placeholders.
fn fixed(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut chars) = (Vec::new(), String::new(), text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.next_if_eq(&c).is_some() => part.push(c),
            '{' => {
                chars.by_ref().find(|c| *c == '}');
                parts.push(std::mem::take(&mut part));
            }
            c => part.push(c),
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

fn holds(expected: &str, parts: &[String]) -> bool {
    let mut rest = expected;
    parts.iter().all(|part| match rest.split_once(part.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The code that runs, and the tests below it.
fn halves(file: &File) -> (&str, &str) {
    let is_test = ["tests/", "bench/"]
        .iter()
        .any(|folder| file.path.starts_with(folder))
        || file.path.contains("/tests/")
        || file.path.ends_with("/tests.rs");
    let begin = if is_test {
        Some(0)
    } else {
        file.text.find("\nmod tests {")
    };
    file.text.split_at(begin.unwrap_or(file.text.len()))
}

/// What tests expect, and may be written for `format!`.
fn expected(sources: &[File]) -> Vec<String> {
    let of_rust = sources
        .iter()
        .filter(|file| !file.path.ends_with("/messages.rs"))
        .flat_map(|file| literals(halves(file).1))
        .map(|literal| literal.text);
    let cases = files(".txt")
        .into_iter()
        .filter(|file| file.path.contains("/mistakes_of_"));
    let of_cases = cases.flat_map(|file| {
        let cases = file.text.split("### ").skip(1);
        let told = cases.filter_map(|case| Some(case.split_once("---\n")?.1.to_owned()));
        told.flat_map(|told| told.lines().map(ToOwned::to_owned).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    });
    let all = of_rust.chain(of_cases).filter(|text| text.contains(' '));
    all.flat_map(|text| [text.replace("{{", "{").replace("}}", "}"), text])
        .collect()
}

#[test]
fn every_message_is_pinned() {
    let sources = files(".rs");
    let expected = expected(&sources);
    let mut unneeded: Vec<_> = UNPINNED.map(|(path, text, _)| (path, text)).into();
    let (mut broken, mut seen) = (Vec::new(), 0);
    let of_product = |file: &&File| PLACES.iter().any(|place| file.path.starts_with(place));
    for file in sources
        .iter()
        .filter(of_product)
        .filter(|file| !file.path.starts_with(DESCRIPTIONS))
    {
        for Literal { line, text, of_error } in literals(halves(file).0) {
            if !(of_error || file.path.starts_with(LANGUAGE)) || !is_sentence(&text) {
                continue;
            }
            seen += 1;
            let parts = [fixed(&text), vec![text.clone()]];
            let pinned = |parts: &Vec<String>| expected.iter().any(|expected| holds(expected, parts));
            if parts.iter().any(pinned) {
                continue;
            }
            match unneeded
                .iter()
                .position(|exception| *exception == (&*file.path, &*text))
            {
                Some(exception) => drop(unneeded.remove(exception)),
                None => broken.push(format!("{}:{line}: {text:?}", file.path)),
            }
        }
    }
    broken.extend(
        unneeded
            .iter()
            .map(|exception| format!("no longer needed: {exception:?}")),
    );
    assert!(
        broken.is_empty(),
        "messages that no test expects:\n  {}",
        broken.join("\n  ")
    );
    assert!(seen > 300, "{seen} messages seen");
}

#[test]
fn the_check_itself_sees() {
    let source = r##"
        #[error("a b {0}")]
        fn f<'a>(x: &'a str) -> char { let message = match x { "c d" => format!("e \"f\" \
            g"), _ => r#"h "i" j"# }; info!("k l"); Err(Fail::Usage("m n".into())) } // "o p"
        fn g() { let text = "q r"; StoreError::Connect { why: "s\u{2026}t" }; ('"', '\'', "u v") }
    "##;
    let found = literals(source);
    let of = |of_error: bool| {
        let found = found.iter().filter(|literal| literal.of_error == of_error);
        found.map(|literal| literal.text.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        of(true),
        ["a b {0}", "c d", "e \"f\" g", "h \"i\" j", "m n", "s…t"]
    );
    assert_eq!(of(false), ["k l", "q r", "u v"]);
    assert_eq!(found[2].line, 3);
    assert_eq!(fixed("{{a}} {b:?} c{}"), ["{a} ", " c"]);
    assert!(holds("no table x; write y", &fixed("no table {}; write {}")));
    assert!(!holds("write y; no table x", &fixed("no table {}; write {}")));
    assert!(is_sentence("is {} x") && !is_sentence("product") && !is_sentence("A = ?"));
}

//! YAML text to a tree in which every node knows its place. The only file that knows the YAML crate: granit-parser,
//! the event parser under serde-saphyr, because serde loses places in exactly the shapes that a body has.
//!
//! YAML 1.2, one document, keys are text, no tags; aliases are copies, and bounded.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// A value with its place. A copy made by an alias keeps the place of the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub at: Span,
    pub value: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    /// Without quotes: may be null, a boolean or a number.
    pub plain: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// Of the key.
    pub at: Span,
    pub value: Node,
}

/// Why a text is no YAML that we take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub at: Span,
    pub message: String,
}

/// Nodes of a file with its aliases written out.
const MOST_NODES: usize = 50_000;
const DEEPEST: usize = 64;

/// The tree, and what is wrong with it. Without a tree the text is broken; with one, the faults are repeated keys.
pub fn parse(text: &str) -> (Option<Node>, Vec<Fault>) {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        last: Span { line: 1, column: 1 },
        anchors: HashMap::new(),
        nodes: 0,
        faults: Vec::new(),
    };
    match reader.document() {
        Ok(node) => (Some(node), reader.faults),
        Err(fault) => {
            reader.faults.push(fault);
            (None, reader.faults)
        }
    }
}

/// What a plain scalar means by itself, in the core schema of YAML 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Null,
    Boolean,
    Number,
    Text,
}

impl Scalar {
    pub fn meaning(&self) -> Plain {
        match self.text.as_str() {
            _ if !self.plain => Plain::Text,
            "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
            "true" | "false" => Plain::Boolean,
            text if is_number(text) => Plain::Number,
            _ => Plain::Text,
        }
    }
}

/// `[-+] digits [. digits] [e [-+] digits]`
fn is_number(text: &str) -> bool {
    let unsigned = |text: &str| text.strip_prefix(['-', '+']).unwrap_or(text).to_owned();
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mantissa = unsigned(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((&mantissa, "0"));
    digits(whole) && digits(fraction) && digits(&unsigned(exponent))
}

struct Reader<I> {
    events: I,
    /// Of the last event, for a text that ends too early.
    last: Span,
    /// Finished nodes by anchor, with how many nodes each has.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    faults: Vec<Fault>,
}

impl<'a, I: Iterator<Item = Result<(Event<'a>, granit_parser::Span), ScanError>>> Reader<I> {
    fn document(&mut self) -> Result<Node, Fault> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(..), _) => {}
                (Event::StreamEnd, at) => return Err(fault(at, "the file is empty")),
                (event, at) => {
                    let node = self.node(event, at, 0)?;
                    return self.end().map(|()| node);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(()),
                (Event::DocumentStart(..), at) => {
                    return Err(fault(at, "a file holds one document: a second starts here"));
                }
                _ => {}
            }
        }
    }

    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        loop {
            let Some(next) = self.events.next() else {
                return Err(fault(self.last, "the file ends too early"));
            };
            let (event, span) = next.map_err(|error| broken(&error))?;
            self.last = place(span.start);
            match event {
                // What is left out; the parser gives it the text of a null.
                Event::Scalar(_, ScalarStyle::Plain, anchor, tag) if span.is_empty() => {
                    return Ok((
                        Event::Scalar("".into(), ScalarStyle::Plain, anchor, tag),
                        self.last,
                    ));
                }
                event if is_structure(&event) => return Ok((event, self.last)),
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'a>, at: Span, depth: usize) -> Result<Node, Fault> {
        if depth > DEEPEST {
            return Err(fault(at, format!("nested deeper than {DEEPEST} levels")));
        }
        if event.tag().is_some() {
            return Err(fault(at, "tags (!) are not part of the language"));
        }
        let before = self.nodes;
        self.grow(1, at)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (
                Content::Scalar(Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                }),
                anchor,
            ),
            Event::SequenceStart(_, anchor, _) => (Content::List(self.list(depth)?), anchor),
            Event::MappingStart(_, anchor, _) => (Content::Map(self.map(depth)?), anchor),
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => return Err(fault(at, "a value is expected here")),
        };
        let node = Node { at, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let Content::Scalar(Scalar { text: key, .. }) = self.node(event, at, depth + 1)?.value else {
                return Err(fault(at, "a key must be text"));
            };
            let (event, value_at) = self.next()?;
            let mut value = self.node(event, value_at, depth + 1)?;
            // Nothing has no place of its own: it stands where its key stands.
            if value.value
                == Content::Scalar(Scalar {
                    text: String::new(),
                    plain: true,
                })
            {
                value.at = at;
            }
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => {
                    let message = format!(
                        "\"{key}\" stands here a second time; the first is in line {}",
                        first.at.line
                    );
                    self.faults.push(fault(at, message));
                }
                None => entries.push(Entry { key, at, value }),
            }
        }
    }

    fn alias(&mut self, anchor: usize, at: Span) -> Result<Node, Fault> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(fault(at, "an alias cannot stand inside of what it names"));
        };
        self.grow(size, at)?;
        Ok(node)
    }

    fn grow(&mut self, by: usize, at: Span) -> Result<(), Fault> {
        self.nodes += by;
        if self.nodes > MOST_NODES {
            return Err(fault(
                at,
                format!("the file has more than {MOST_NODES} values, aliases written out"),
            ));
        }
        Ok(())
    }
}

fn is_structure(event: &Event<'_>) -> bool {
    event.is_node()
        || matches!(
            event,
            Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(..)
                | Event::DocumentEnd
                | Event::SequenceEnd
                | Event::MappingEnd
        )
}

fn broken(error: &ScanError) -> Fault {
    fault(
        place(*error.marker()),
        format!("this is no YAML: {}", error.info()),
    )
}

fn fault(at: Span, message: impl Into<String>) -> Fault {
    Fault {
        at,
        message: message.into(),
    }
}

fn place(marker: granit_parser::Marker) -> Span {
    Span {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

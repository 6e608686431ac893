//! YAML as a tree of maps, lists and scalars; a scalar knows whether it stood in quotes.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    pub quoted: bool,
}

impl Scalar {
    pub fn is_null(&self) -> bool {
        !self.quoted && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// As a member of a body would be written: null, booleans and numbers stay bare.
    pub fn is_bare(&self) -> bool {
        let number = self
            .text
            .starts_with(|c: char| c == '-' || c == '+' || c.is_ascii_digit())
            && self.text.parse::<f64>().is_ok();
        !self.quoted && (self.is_null() || matches!(self.text.as_str(), "true" | "false") || number)
    }
}

impl Node {
    /// # Panics
    /// Where the text is no YAML.
    pub fn parse(text: &str) -> Self {
        let mut events = Parser::new_from_str(text)
            .map(|event| event.unwrap_or_else(|error| panic!("{error}\n{text}")).0)
            .filter(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(..)));
        let first = events.next().expect("a document");
        read(first, &mut events, &mut HashMap::new())
    }

    pub fn get(&self, key: &str) -> Option<&Self> {
        self.map()
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// # Panics
    /// Where it is none.
    pub fn map(&self) -> &[(String, Self)] {
        match self {
            Self::Map(entries) => entries,
            other => panic!("no map: {other:?}"),
        }
    }

    /// # Panics
    /// Where it is none.
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            other => panic!("no list: {other:?}"),
        }
    }

    /// # Panics
    /// Where it is no scalar.
    pub fn text(&self) -> &str {
        &self.scalar().text
    }

    /// # Panics
    /// Where it is none.
    pub fn scalar(&self) -> &Scalar {
        match self {
            Self::Scalar(scalar) => scalar,
            other => panic!("no scalar: {other:?}"),
        }
    }

    /// One text, or a list of texts.
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::List(items) => items.iter().map(|item| item.text().to_owned()).collect(),
            one => vec![one.text().to_owned()],
        }
    }

    pub fn is_true(&self) -> bool {
        self.text() == "true"
    }
}

fn read<'a>(
    event: Event<'a>,
    events: &mut impl Iterator<Item = Event<'a>>,
    anchors: &mut HashMap<usize, Node>,
) -> Node {
    let (node, anchor) = match event {
        Event::Scalar(text, style, anchor, _) => {
            let (text, quoted) = (text.into_owned(), style != ScalarStyle::Plain);
            (Node::Scalar(Scalar { text, quoted }), anchor)
        }
        Event::Alias(anchor) => return anchors[&anchor].clone(),
        Event::SequenceStart(_, anchor, _) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("the end of a list") {
                    Event::SequenceEnd => break,
                    event => items.push(read(event, events, anchors)),
                }
            }
            (Node::List(items), anchor)
        }
        Event::MappingStart(_, anchor, _) => {
            let mut entries = Vec::new();
            loop {
                match events.next().expect("the end of a map") {
                    Event::MappingEnd => break,
                    event => {
                        let key = read(event, events, anchors).text().to_owned();
                        let value = events.next().expect("a value");
                        entries.push((key, read(value, events, anchors)));
                    }
                }
            }
            (Node::Map(entries), anchor)
        }
        other => panic!("unexpected in YAML: {other:?}"),
    };
    if anchor > 0 {
        anchors.insert(anchor, node.clone());
    }
    node
}

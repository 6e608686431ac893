//! Several values as one: `many`, lists, `merge`.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::assemble::{Assembly, Fault, fits};
use super::json::write_string;
use super::load::Row;
use crate::document::SourceId;
use crate::plan::{Gathering, Slot, Template};

impl<'a> Assembly<'a> {
    pub(super) fn many(
        &mut self,
        source: SourceId,
        body: &'a Template,
        gather: &'a Gathering,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let rows = self.rows(source);
        match gather {
            Gathering::By(by) => self.keyed(source, &rows.iter().collect::<Vec<_>>(), by, body, out),
            Gathering::Array { flat, distinct } => {
                let mut array = Array::open(out, *distinct);
                for row in rows {
                    if !flat && !distinct {
                        self.row(source, row, body, array.entry())?;
                        continue;
                    }
                    let mut entry = Vec::new();
                    self.row(source, row, body, &mut entry)?;
                    if *flat {
                        array.append("flat", &entry)?;
                    } else {
                        array.add(&entry)?;
                    }
                }
                array.close();
                Ok(())
            }
        }
    }

    /// Nested objects: rows grouped by the first of `by`, each group by the rest, the last row of the last group
    /// written.
    fn keyed(
        &mut self,
        source: SourceId,
        rows: &[&'a Row],
        by: &'a [Slot],
        body: &'a Template,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some((slot, rest)) = by.split_first() else {
            return rows.last().map_or(Ok(()), |row| self.row(source, row, body, out));
        };
        let mut groups: Vec<(String, Vec<&'a Row>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for &row in rows
            .iter()
            .filter(|row| by.iter().all(|slot| row[slot.place].is_some()))
        {
            let Some(raw) = &row[slot.place] else { continue };
            let key = self.form(slot, raw)?.into_text().into_owned();
            let place = *places.entry(key).or_insert_with_key(|key| {
                groups.push((key.clone(), Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(row);
        }
        out.push(b'{');
        for (i, (key, group)) in groups.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_string(out, key);
            out.push(b':');
            self.keyed(source, group, rest, body, out)?;
        }
        out.push(b'}');
        Ok(())
    }

    /// `[a, b]`: what is not null.
    pub(super) fn list(&mut self, values: &'a [Template], out: &mut Vec<u8>) -> Result<(), Fault> {
        out.push(b'[');
        let start = out.len();
        for value in values {
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            let here = out.len();
            self.write(value, out)?;
            if &out[here..] == NULL {
                out.truncate(before);
            }
        }
        out.push(b']');
        Ok(())
    }

    /// Objects merged, arrays appended, nulls skipped; of nothing null.
    pub(super) fn merge(&mut self, values: &'a [Template], out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut operands = Vec::new();
        for value in values {
            let mut operand = Vec::new();
            self.write(value, &mut operand)?;
            let first = operand.iter().copied().find(|byte| !byte.is_ascii_whitespace());
            if operand.trim_ascii() != NULL {
                operands.push((first, operand));
            }
        }
        let is_all = |wanted: u8| operands.iter().all(|(first, _)| *first == Some(wanted));
        if operands.is_empty() {
            out.extend_from_slice(NULL);
            Ok(())
        } else if is_all(b'{') {
            merge_objects(operands.iter().map(|(_, operand)| operand.as_slice()), out)
        } else if is_all(b'[') {
            let mut array = Array::open(out, false);
            for (_, operand) in &operands {
                array.append("merge", operand)?;
            }
            array.close();
            Ok(())
        } else {
            let kinds: Vec<&str> = operands.iter().map(|(first, _)| noun(*first)).collect();
            let message = format!(
                "\"merge\" meets {}: it takes objects or arrays",
                kinds.join(" and ")
            );
            Err(("value", message))
        }
    }
}

const NULL: &[u8] = b"null";

/// A JSON array that is being written.
struct Array<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
    /// The entries so far, where each shall stand once. Equality is that of the JSON text.
    seen: Option<HashSet<Vec<u8>>>,
}

impl<'o> Array<'o> {
    fn open(out: &'o mut Vec<u8>, distinct: bool) -> Self {
        out.push(b'[');
        Self {
            out,
            empty: true,
            seen: distinct.then(HashSet::new),
        }
    }

    /// Where the next entry is to be written.
    fn entry(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out
    }

    fn add(&mut self, entry: &[u8]) -> Result<(), Fault> {
        if self.seen.as_mut().is_none_or(|seen| seen.insert(entry.to_vec())) {
            self.entry().extend_from_slice(entry);
        }
        fits(self.out)
    }

    /// Adds the entries of an array; nothing where it is null.
    fn append(&mut self, option: &str, array: &[u8]) -> Result<(), Fault> {
        let entries: Option<Vec<&RawValue>> = serde_json::from_slice(array).map_err(|_| {
            let first = array.iter().copied().find(|byte| !byte.is_ascii_whitespace());
            let message = format!("\"{option}\" joins arrays, and meets {}", noun(first));
            ("value", message)
        })?;
        entries
            .into_iter()
            .flatten()
            .try_for_each(|entry| self.add(entry.get().as_bytes()))
    }

    fn close(self) {
        self.out.push(b']');
    }
}

fn noun(first: Option<u8>) -> &'static str {
    match first {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        _ => "a single value",
    }
}

/// A later member takes the place of the first of its name.
fn merge_objects<'o>(objects: impl Iterator<Item = &'o [u8]>, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut members: Vec<(String, &RawValue)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for object in objects {
        let object: Members<'_> =
            serde_json::from_slice(object).map_err(|error| ("value", error.to_string()))?;
        for (name, value) in object.0 {
            match places.get(&name) {
                Some(place) => members[*place].1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
        }
    }
    out.push(b'{');
    for (i, (name, value)) in members.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    fits(out)
}

/// An object's members in their order, a name that stands twice included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

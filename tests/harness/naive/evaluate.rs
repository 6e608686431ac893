//! The documents of a declaration: every root, every combination of scope rows, its key and its body.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    data::{Data, Row, comparables},
    declaration::{Declaration, Scope},
    form::{Form, form, order},
    name::{Name, Piece},
    rows::Link,
    schema::{ColumnKind, Schema, Table},
    write::Out,
};

/// Evaluates declarations over the rows of one moment.
pub struct Naive<'a> {
    pub(super) schema: &'a Schema,
    pub(super) data: &'a Data,
    /// For `visible`: the database's time, as its text of a timestamp in UTC.
    pub(super) now: Option<String>,
}

/// What one root and one combination of scope rows gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The text of the root's id; of a composite one a JSON array of texts.
    pub root: String,
    pub kind: Kind,
    /// `None` where a value of the key is null or has no form.
    pub key: Option<String>,
    /// The exact JSON text, or why there is none.
    pub body: Result<String, String>,
    /// Whether the target's `only` lets it through.
    pub goes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Document,
    Alias,
}

/// A row that names reach, with the junctions that led to it and the row around it.
#[derive(Debug, Clone)]
pub(super) struct Frame<'a> {
    pub table: &'a Table,
    /// `None`: the missing row of an optional scope.
    pub row: Option<&'a Row>,
    pub vias: Vec<(&'a Table, &'a Row)>,
    pub parent: Option<Rc<Frame<'a>>>,
}

/// Everything that names reach where a value stands.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    pub root: Rc<Frame<'a>>,
    pub scopes: Rc<Vec<(String, Rc<Frame<'a>>)>>,
    pub here: Rc<Frame<'a>>,
}

/// A column's value.
#[derive(Debug, Clone)]
pub(super) struct Cell<'a> {
    pub kind: &'a ColumnKind,
    pub text: Option<&'a str>,
    pub table: &'a Table,
    pub column: usize,
}

impl<'a> Place<'a> {
    /// The same with another row here.
    pub fn at(&self, here: Rc<Frame<'a>>) -> Self {
        Self { here, ..self.clone() }
    }
}

impl<'a> Naive<'a> {
    #[must_use]
    pub fn new(schema: &'a Schema, data: &'a Data) -> Self {
        Self {
            schema,
            data,
            now: None,
        }
    }

    /// The moment at which `visible` is looked at.
    #[must_use]
    pub fn at(self, now: &str) -> Self {
        Self {
            now: Some(now.to_owned()),
            ..self
        }
    }

    /// All documents and aliases, in the order of the root's rows.
    #[must_use]
    pub fn documents(&self, declaration: &Declaration) -> Vec<Found> {
        let table = self.table(&declaration.root);
        let rows = self.data.rows(table).iter();
        rows.flat_map(|row| self.of_root(declaration, table, row))
            .collect()
    }

    /// Ids of all rows of the root's table, whatever `where` says.
    #[must_use]
    pub fn roots(&self, declaration: &Declaration) -> Vec<String> {
        let table = self.table(&declaration.root);
        let rows = self.data.rows(table).iter();
        rows.map(|row| self.root_id(declaration, table, row)).collect()
    }

    fn of_root(&self, declaration: &Declaration, table: &'a Table, row: &'a Row) -> Vec<Found> {
        let frame = Rc::new(Frame {
            table,
            row: Some(row),
            vias: Vec::new(),
            parent: None,
        });
        let place = Place {
            root: frame.clone(),
            scopes: Rc::default(),
            here: frame,
        };
        if !self.holds(&declaration.conditions, &place) || !self.is_visible(declaration, &place) {
            return Vec::new();
        }
        let root = self.root_id(declaration, table, row);
        let mut found = Vec::new();
        for place in self.combinations(place, &declaration.scopes) {
            self.of_combination(declaration, &root, &place, &mut found);
        }
        without_aliases_of_failed(one_for_each_key(found))
    }

    fn of_combination(
        &self,
        declaration: &Declaration,
        root: &str,
        place: &Place<'a>,
        found: &mut Vec<Found>,
    ) {
        let goes = self.goes(declaration, place);
        let one = |kind, key, body| Found {
            root: root.to_owned(),
            kind,
            key,
            body,
            goes,
        };
        let key = match self.key(&declaration.key, place) {
            Ok(Some(key)) => key,
            Ok(None) => return found.push(one(Kind::Document, None, Err("a null in the key".to_owned()))),
            Err(error) => return found.push(one(Kind::Document, None, Err(error))),
        };
        for template in &declaration.aliases {
            if let Ok(Some(alias)) = self.key(template, place) {
                found.push(one(Kind::Alias, Some(alias), Ok(alias_body(&key))));
            }
        }
        let body = self.object(&declaration.body, place).map(|body| body.to_text());
        found.push(one(Kind::Document, Some(key), body));
    }

    fn goes(&self, declaration: &Declaration, place: &Place<'a>) -> bool {
        declaration.only.iter().all(|(name, values)| {
            let text = self.form(&self.cell(name, place)).ok().flatten();
            text.is_some_and(|form| values.contains(&form.into_text()))
        })
    }

    /// Every combination of scope rows; a scope without rows gives none, an optional one a missing row.
    fn combinations(&self, place: Place<'a>, scopes: &[Scope]) -> Vec<Place<'a>> {
        let Some((scope, rest)) = scopes.split_first() else {
            return vec![place];
        };
        let mut rows = self.scope_rows(scope, &place);
        if rows.is_empty() && scope.optional {
            rows.push(Rc::new(Frame {
                table: self.from(&scope.rows.from),
                row: None,
                vias: Vec::new(),
                parent: None,
            }));
        }
        let bind = |row| {
            let mut place = place.clone();
            Rc::make_mut(&mut place.scopes).push((scope.name.clone(), row));
            self.combinations(place, rest)
        };
        rows.into_iter().flat_map(bind).collect()
    }

    /// A scope is a set of rows: a junction that leads to one twice makes one document.
    fn scope_rows(&self, scope: &Scope, place: &Place<'a>) -> Vec<Rc<Frame<'a>>> {
        let rows = match &scope.rows.link {
            Link::Match(_) => self.rows(&scope.rows, place),
            _ => self.scope_candidates(scope, place),
        };
        let mut distinct: Vec<Rc<Frame<'a>>> = Vec::new();
        for frame in rows {
            let same = |known: &Rc<Frame<'a>>| match (known.row, frame.row) {
                (Some(known), Some(row)) => std::ptr::eq(known, row),
                _ => false,
            };
            if !distinct.iter().any(same) {
                distinct.push(frame);
            }
        }
        distinct
    }

    fn is_visible(&self, declaration: &Declaration, place: &Place<'a>) -> bool {
        let boundary = |name: &Option<Name>| name.as_ref().map(|name| self.cell(name, place));
        let compared = |cell: &Cell<'a>| {
            let now = self.now.as_deref().expect("`visible` needs the time");
            order(&ColumnKind::Timestamp, cell.text, Some(now), false)
        };
        let begun = boundary(&declaration.visible.from)
            .filter(|cell| cell.text.is_some())
            .is_none_or(|cell| compared(&cell).is_le());
        let open = boundary(&declaration.visible.until)
            .filter(|cell| cell.text.is_some())
            .is_none_or(|cell| compared(&cell).is_gt());
        begun && open
    }

    fn root_id(&self, declaration: &Declaration, table: &Table, row: &Row) -> String {
        let id = match declaration.id.as_slice() {
            [] => table.key.clone(),
            names => names.iter().map(|name| table.place(name)).collect(),
        };
        let text = |&column: &usize| {
            let (kind, text) = (
                &table.columns[column].kind,
                row[column].as_deref().unwrap_or_default(),
            );
            match (kind, form(self.schema.engine, kind, text)) {
                (ColumnKind::Numeric(_), Some(Form::Bare(text))) => text,
                _ => text.to_owned(),
            }
        };
        let texts: Vec<String> = id.iter().map(text).collect();
        match texts.as_slice() {
            [one] => one.clone(),
            many => serde_json::to_string(many).expect("JSON of texts"),
        }
    }

    /// `None` where a value is null.
    fn key(&self, pieces: &[Piece], place: &Place<'a>) -> Result<Option<String>, String> {
        let mut key = String::new();
        for (i, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Literal(text) => key.push_str(text),
                Piece::Column(name) => {
                    let follows = match pieces.get(i + 1) {
                        Some(Piece::Literal(text)) => text.chars().next(),
                        _ => None,
                    };
                    match self.form(&self.cell(name, place))? {
                        Some(value) => encode(&value.into_text(), follows, &mut key),
                        None => return Ok(None),
                    }
                }
            }
        }
        Ok(Some(key))
    }

    /// `None` where it is null.
    pub(super) fn form(&self, cell: &Cell<'_>) -> Result<Option<Form>, String> {
        let Some(text) = cell.text else { return Ok(None) };
        form(self.schema.engine, cell.kind, text)
            .map(Some)
            .ok_or_else(|| {
                let column = &cell.table.columns[cell.column].name;
                format!(
                    "{}.{column} holds {text:?}, which has no JSON form",
                    cell.table.name
                )
            })
    }

    /// What a name reaches: `root.x`, a scope's `s.x`, `via.x`, `parent.x`, a column here, or one of a row that
    /// foreign keys name from there.
    pub(super) fn cell(&self, name: &Name, place: &Place<'a>) -> Cell<'a> {
        let (mut table, mut row, steps) = self.start(name, place);
        for step in steps {
            (table, row) = self.follow(table, row, step);
        }
        let column = table.place(name.column());
        Cell {
            kind: &table.columns[column].kind,
            text: row.and_then(|row| row[column].as_deref()),
            table,
            column,
        }
    }

    /// The row that a name starts from, and the steps that are left.
    fn start<'n>(&self, name: &'n Name, place: &Place<'a>) -> (&'a Table, Option<&'a Row>, &'n [String]) {
        let of = |frame: &Frame<'a>| (frame.table, frame.row);
        let path = name.path();
        let found = match path.first().map(String::as_str) {
            None => Some(of(&place.here)),
            Some("root") => Some(of(&place.root)),
            Some("parent") => Some(of(place.here.parent.as_ref().expect("an enclosing row"))),
            Some("via") => {
                let (table, row) = *place.here.vias.last().expect("a junction");
                Some((table, Some(row)))
            }
            Some(word) => {
                let scope = place.scopes.iter().find(|(name, _)| name == word);
                scope.map(|(_, frame)| of(frame))
            }
        };
        match found {
            Some((table, row)) => (table, row, path.get(1..).unwrap_or_default()),
            None => (place.here.table, place.here.row, path),
        }
    }

    /// The one row that a foreign key names: by the table's name, or by the foreign key's column.
    fn follow(&self, table: &'a Table, row: Option<&'a Row>, step: &str) -> (&'a Table, Option<&'a Row>) {
        let by_table: Vec<_> = table.foreign.iter().filter(|key| key.table == step).collect();
        let key = match by_table.as_slice() {
            [one] => one,
            _ => {
                let column = table.place(step);
                let mut keys = table.foreign.iter().filter(|key| key.columns == [column]);
                keys.next()
                    .unwrap_or_else(|| panic!("{step:?} leads nowhere from {}", table.name))
            }
        };
        let named = self.schema.table(&key.table);
        let found = row.and_then(|row| {
            let values = comparables(table, row, &key.columns);
            self.data.find(named, &key.references, &values).first().copied()
        });
        (named, found)
    }

    pub(super) fn table(&self, name: &Name) -> &'a Table {
        match name.0.as_slice() {
            [one] => self.schema.table(one),
            parts => self.schema.table(&parts.join(".")),
        }
    }
}

/// What an alias holds.
#[must_use]
pub fn alias_body(key: &str) -> String {
    Out::Object(vec![("key".to_owned(), Out::string(key))]).to_text()
}

/// A document that fails keeps the aliases that it had, and gives none.
fn without_aliases_of_failed(mut found: Vec<Found>) -> Vec<Found> {
    let failed: Vec<String> = found
        .iter()
        .filter(|found| found.body.is_err())
        .filter_map(|found| found.key.as_deref().map(alias_body))
        .collect();
    let stands = |body: &Result<String, String>| body.as_ref().is_ok_and(|body| !failed.contains(body));
    found.retain(|found| found.kind == Kind::Document || stands(&found.body));
    found
}

/// Several combinations of one root that give one key are one failure.
fn one_for_each_key(found: Vec<Found>) -> Vec<Found> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for document in found.iter().filter(|found| found.kind == Kind::Document) {
        if let Some(key) = &document.key {
            *counts.entry(key.clone()).or_default() += 1;
        }
    }
    let twice = |found: &Found| {
        let count = found.key.as_ref().and_then(|key| counts.get(key));
        found.kind == Kind::Document && count.is_some_and(|count| *count > 1)
    };
    let mut kept: Vec<Found> = Vec::new();
    for mut one in found {
        if twice(&one) {
            one.body = Err("several combinations of scope rows give this key".to_owned());
        }
        if !(twice(&one) && kept.contains(&one)) {
            kept.push(one);
        }
    }
    kept
}

/// Percent-encodes what would make two keys one.
fn encode(value: &str, follows: Option<char>, key: &mut String) {
    for c in value.chars() {
        let special = matches!(c, '%' | ':' | '{' | '}') || c.is_whitespace() || c.is_control();
        if special || Some(c) == follows {
            let bytes = c.to_string().into_bytes();
            key.extend(bytes.iter().map(|byte| format!("%{byte:02X}")));
        } else {
            key.push(c);
        }
    }
}

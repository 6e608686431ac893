//! Documents written by hand, as the checker of the language would make them.

use crate::catalogue::Catalogue;
use crate::document::{
    ColumnRef, Constant, Document, Filter, Gather, Join, KeySegment, Life, Operand, Order, Role, Source,
    SourceId, Test, Value,
};

pub(crate) struct Draft {
    catalogue: Catalogue,
    pub document: Document,
}

/// `(column, (source, column there))`: how rows meet.
type Meets<'a> = [(&'a str, (SourceId, &'a str))];

impl Draft {
    pub fn new(catalogue: Catalogue, root: &str) -> Self {
        let document = Document {
            name: "doc".to_owned(),
            sources: vec![],
            scopes: vec![],
            root_id: catalogue.tables[root].primary_key.clone(),
            key: vec![],
            aliases: vec![],
            filters: vec![],
            body: vec![],
            targets: None,
            sync: None,
            queue: None,
            inline_limit: None,
            life: Life::default(),
        };
        let mut draft = Self { catalogue, document };
        draft.add(root, Role::Root, &[]);
        let key = draft.document.root_id.clone();
        draft.document.key.push(KeySegment::Literal("doc".to_owned()));
        for column in key {
            draft.document.key.push(KeySegment::Literal(":".to_owned()));
            draft
                .document
                .key
                .push(KeySegment::Column(ColumnRef { source: 0, column }));
        }
        draft
    }

    fn add(&mut self, table: &str, role: Role, joins: &Meets<'_>) -> SourceId {
        let source = Source {
            table: self.catalogue.tables[table].clone(),
            query: None,
            role,
            joins: vec![],
            filters: vec![],
            order: vec![],
            limit: None,
            recursion: None,
        };
        self.document.sources.push(source);
        let id = self.document.sources.len() - 1;
        self.document.sources[id].joins = joins
            .iter()
            .map(|(column, to)| Join {
                column: self.at(id, column).column,
                to: Operand::Column(self.at(to.0, to.1)),
            })
            .collect();
        id
    }

    pub fn scope(&mut self, name: &str, table: &str, joins: &Meets<'_>) -> SourceId {
        let id = self.add(
            table,
            Role::Scope {
                name: name.to_owned(),
                optional: false,
                via: None,
            },
            joins,
        );
        self.document.scopes.push(id);
        self.key_of(id);
        id
    }

    /// `via`: the junction, how it meets earlier rows, how the scope meets it.
    pub fn scope_via(
        &mut self,
        name: &str,
        table: &str,
        via: (&str, &Meets<'_>),
        joins: &[(&str, &str)],
    ) -> SourceId {
        let parent = via.1[0].1.0;
        let junction = self.add(via.0, Role::Via { parent }, via.1);
        let joins: Vec<_> = joins
            .iter()
            .map(|(column, to)| (*column, (junction, *to)))
            .collect();
        let role = Role::Scope {
            name: name.to_owned(),
            optional: false,
            via: Some(junction),
        };
        let id = self.add(table, role, &joins);
        self.document.scopes.push(id);
        self.key_of(id);
        id
    }

    pub fn optional(&mut self, scope: SourceId) {
        if let Role::Scope { optional, .. } = &mut self.document.sources[scope].role {
            *optional = true;
        }
        self.document.key.truncate(self.document.key.len() - 2);
    }

    fn key_of(&mut self, scope: SourceId) {
        let column = self.document.sources[scope].table.primary_key[0];
        self.document.key.push(KeySegment::Literal(":".to_owned()));
        self.document.key.push(KeySegment::Column(ColumnRef {
            source: scope,
            column,
        }));
    }

    pub fn node(&mut self, parent: SourceId, table: &str, joins: &Meets<'_>) -> SourceId {
        self.add(table, Role::Node { parent, via: None }, joins)
    }

    pub fn node_via(&mut self, table: &str, via: (&str, &Meets<'_>), joins: &[(&str, &str)]) -> SourceId {
        let parent = via.1[0].1.0;
        let junction = self.add(via.0, Role::Via { parent }, via.1);
        let joins: Vec<_> = joins
            .iter()
            .map(|(column, to)| (*column, (junction, *to)))
            .collect();
        self.add(
            table,
            Role::Node {
                parent,
                via: Some(junction),
            },
            &joins,
        )
    }

    pub fn at(&self, source: SourceId, column: &str) -> ColumnRef {
        let table = &self.document.sources[source].table;
        let column = table
            .column(column)
            .unwrap_or_else(|| panic!("{}.{column}", table.name));
        ColumnRef { source, column }
    }

    pub fn value(&self, source: SourceId, column: &str) -> Value {
        Value::Column(self.at(source, column))
    }

    pub fn text(&self, source: SourceId, column: &str) -> Value {
        Value::Text(self.at(source, column))
    }

    pub fn many(&self, source: SourceId, column: &str) -> Value {
        many(source, self.value(source, column))
    }

    /// `order: [column, …]`, with a dash for descending.
    pub fn order(&mut self, source: SourceId, by: &[(SourceId, &str)]) {
        self.document.sources[source].order = by
            .iter()
            .map(|(of, column)| Order {
                column: self.at(*of, column.trim_start_matches('-')),
                descending: column.starts_with('-'),
            })
            .collect();
    }

    pub fn limit(&mut self, source: SourceId, limit: u64) {
        self.document.sources[source].limit = Some(limit);
    }

    pub fn filter(&mut self, source: SourceId, column: &str, test: Test) {
        let column = self.at(source, column);
        let filters = if source == 0 {
            &mut self.document.filters
        } else {
            &mut self.document.sources[source].filters
        };
        filters.push(Filter::Column { column, test });
    }

    pub fn join_constant(&mut self, source: SourceId, column: &str, constant: &str) {
        let column = self.at(source, column).column;
        let to = Operand::Constant(Constant(constant.to_owned()));
        self.document.sources[source].joins.push(Join { column, to });
    }

    pub fn body(mut self, members: Vec<(&str, Value)>) -> Document {
        if let Value::Object(members) = object(members) {
            self.document.body = members;
        }
        self.document
    }
}

pub(crate) fn object(members: Vec<(&str, Value)>) -> Value {
    Value::Object(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

pub(crate) fn one(source: SourceId, body: Value) -> Value {
    Value::One {
        source,
        body: Box::new(body),
    }
}

pub(crate) fn many(source: SourceId, body: Value) -> Value {
    Value::Many {
        source,
        body: Box::new(body),
        gather: Gather::Array {
            flat: false,
            distinct: false,
        },
    }
}

pub(crate) fn by(source: SourceId, by: Vec<ColumnRef>, body: Value) -> Value {
    Value::Many {
        source,
        body: Box::new(body),
        gather: Gather::By(by),
    }
}

pub(crate) fn equals(constant: &str) -> Test {
    Test::Equals(Operand::Constant(Constant(constant.to_owned())))
}

//! `{ sql: … }`: what its columns are. Whether the database understands the rest, only the database can say.

use crate::document::{Expression, Piece, Value};
use crate::language::expression;
use crate::language::syntax::At;

use super::document::Checker;
use super::names::Place;
use super::tables::is_sqlite;

impl Checker<'_, '_> {
    pub fn expression(&mut self, written: &At<expression::Expression>, place: Place) -> Option<Value> {
        let At { at, is } = written;
        if let Some(mark) = is.parameter.filter(|_| is_sqlite(&self.table(0))) {
            let message = format!("an expression holds no \"{mark}\": a parameter would be null");
            return self.report.fail(*at, "sql", message);
        }
        let place = Place {
            constants: false,
            ..place
        };
        let pieces: Vec<_> = is
            .pieces
            .iter()
            .map(|piece| match piece {
                expression::Piece::Text(text) => Some(Piece::Text(text.clone())),
                expression::Piece::Column(name) => self.resolve(name, *at, place).map(Piece::Column),
            })
            .collect();
        Some(Value::Sql(Expression {
            pieces: pieces.into_iter().collect::<Option<_>>()?,
            line: at.line,
            column: at.column,
        }))
    }
}

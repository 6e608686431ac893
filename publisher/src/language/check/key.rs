//! The templates of key and aliases: their columns, and whether every row that makes a document shows in them.

use crate::document::{KeySegment, Role};
use crate::language::problem::Report;
use crate::language::syntax::{At, Declaration};
use crate::language::template::Piece;

use super::document::Checker;
use super::names::Place;
use super::scopes::CheckedScope;

/// A key without any column holds none of the root either, whatever the tables are.
pub fn check_alone(declaration: &Declaration, report: &mut Report<'_>) {
    let keys = declaration.key.iter().map(|key| ("key", key));
    let aliases = declaration.aliases.iter().map(|alias| ("alias", alias));
    for (what, template) in keys.chain(aliases) {
        if !template.is.iter().any(|piece| matches!(piece, Piece::Column(_))) {
            without_root(what, template, report);
        }
    }
}

fn without_root(what: &str, template: &At<Vec<Piece>>, report: &mut Report<'_>) {
    let message = format!("the {what} holds no column of the root, so its documents would share one {what}");
    report.fail::<()>(template.at, "key_template", message);
}

impl Checker<'_, '_> {
    /// `what`: `key` or `alias`.
    pub fn template(
        &mut self,
        what: &str,
        key: &At<Vec<Piece>>,
        scopes: &[CheckedScope],
    ) -> Option<Vec<KeySegment>> {
        let segments: Vec<_> = key
            .is
            .iter()
            .map(|piece| self.segment(what, piece, key))
            .collect();
        let segments = segments.into_iter().collect::<Option<Vec<_>>>()?;
        let holds = |wanted| {
            segments
                .iter()
                .any(|segment| matches!(segment, KeySegment::Column(column) if column.source == wanted))
        };
        if !holds(0) {
            without_root(what, key, self.report);
        }
        for scope in scopes
            .iter()
            .filter(|scope| scope.several && !holds(scope.source))
        {
            let message = format!(
                "the {what} holds no column of the scope \"{}\", which can give several rows",
                scope.name
            );
            self.report.fail::<()>(key.at, "key_template", message);
        }
        Some(segments)
    }

    fn segment(&mut self, what: &str, piece: &Piece, key: &At<Vec<Piece>>) -> Option<KeySegment> {
        match piece {
            Piece::Literal(text) => Some(KeySegment::Literal(text.clone())),
            Piece::Column(name) => {
                let column = self.resolve(name, key.at, Place::KEY)?;
                if matches!(self.sources[column.source].role, Role::Lookup { .. }) {
                    let message = format!(
                        "\"{name}\" cannot stand here: the {what} takes columns of the root and of scopes, none through foreign keys"
                    );
                    let help =
                        "a scope makes the row one of the key's: each: { name: { table: … } }".to_owned();
                    return self.report.fail_with(key.at, "unknown_name", message, help);
                }
                Some(KeySegment::Column(column))
            }
        }
    }
}

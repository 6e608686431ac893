//! Targets: their names, and the columns by which documents are given to them. All of these stand in the key, so that
//! the key alone tells where a document belongs.

use std::collections::BTreeSet;

use pubsync_schema::shape::{Binding, KeyPart, Only, Template};

use crate::catalogue::{Column, ColumnKind};
use crate::document::{ColumnRef, KeySegment};
use crate::language::name::{Name, quoted_where_needed};
use crate::language::problem::Report;
use crate::language::suggest::did_you_mean;
use crate::language::syntax::{Allowed, At, TargetUse};
use crate::language::template::Piece;
use crate::language::yaml::Span;

use super::constant;
use super::document::Checker;
use super::names::Place;
use super::tables::is_sqlite;
use crate::language::qualified;

/// Notes targets that are not configured.
pub fn known(uses: &[TargetUse], configured: &[&str], report: &mut Report<'_>) {
    for At { at, is: name } in uses.iter().map(|used| &used.name) {
        if !configured.contains(&name.as_str()) {
            let help = did_you_mean(name, configured.iter().copied())
                .unwrap_or_else(|| format!("configured are: {}", configured.join(", ")));
            let message = format!("no target \"{name}\" is configured");
            report.fail_with::<()>(*at, "unknown_target", message, help);
        }
    }
}

impl Checker<'_, '_> {
    pub fn bindings(
        &mut self,
        uses: &[TargetUse],
        key: &[KeySegment],
        aliases: &[Vec<KeySegment>],
    ) -> Vec<(String, Binding)> {
        uses.iter()
            .map(|used| (used.name.is.clone(), self.binding(used, key, aliases)))
            .collect()
    }

    fn binding(&mut self, used: &TargetUse, key: &[KeySegment], aliases: &[Vec<KeySegment>]) -> Binding {
        let mut template = |template: &Option<At<Vec<Piece>>>, what| {
            let template = template.as_ref()?;
            let parts = template.is.iter().map(|piece| match piece {
                Piece::Literal(text) => Some(KeyPart::Literal(text.clone())),
                Piece::Column(name) => self
                    .in_key(name, template.at, what, key)
                    .map(|(name, _)| KeyPart::Value(name)),
            });
            Some(Template(parts.collect::<Option<_>>()?))
        };
        let index = template(&used.index, "an index");
        let routing = template(&used.routing, "\"routing\"");
        let mut only = Only::default();
        for allowed in &used.only {
            if let Some((column, values)) = self.allowed(allowed, key, aliases) {
                only.0.entry(column).or_default().extend(values);
            }
        }
        Binding {
            aliases: false,
            index,
            only,
            mapping: used.mapping.clone(),
            settings: used.settings.clone(),
            routing,
        }
    }

    fn allowed(
        &mut self,
        allowed: &Allowed,
        key: &[KeySegment],
        aliases: &[Vec<KeySegment>],
    ) -> Option<(String, BTreeSet<String>)> {
        let At { at, is: name } = &allowed.column;
        let (column, reference) = self.in_key(name, *at, "\"only\"", key)?;
        let holds = |alias: &&Vec<KeySegment>| columns(alias).any(|column| column == reference);
        if !aliases.iter().all(|alias| holds(&alias)) {
            let message = format!("\"{name}\" does not stand in every alias");
            let help =
                "a filter holds for aliases too, so it names columns of the key and of each alias".to_owned();
            return self.report.fail_with(*at, "not_in_key", message, help);
        }
        let table = self.table(reference.source);
        let catalogued = &table.columns[reference.column];
        let mut values = BTreeSet::new();
        for At { at, is } in &allowed.constants {
            match as_in_key(&is.text, catalogued, is_sqlite(&table)) {
                Ok(value) => drop(values.insert(value)),
                Err(message) => self.report.fail(*at, "constant", message)?,
            }
        }
        Some((column, values))
    }

    /// A column of the key, by the name under which its value is found in keys.
    fn in_key(
        &mut self,
        name: &Name,
        at: Span,
        what: &str,
        key: &[KeySegment],
    ) -> Option<(String, ColumnRef)> {
        let found = self.resolve(name, at, Place::KEY)?;
        let held: Vec<ColumnRef> = columns(key).collect();
        if held.contains(&found) {
            return Some((self.name_in_keys(found), found));
        }
        let names: Vec<_> = held.iter().map(|column| self.name_in_keys(*column)).collect();
        let message = format!("\"{name}\" does not stand in the key");
        let help = format!("{what} names columns of the key: {}", names.join(", "));
        self.report.fail_with(at, "not_in_key", message, help)
    }

    fn name_in_keys(&self, column: ColumnRef) -> String {
        qualified(&self.sources, column)
    }
}

/// The constant as the text that the column's values have in keys.
fn as_in_key(text: &str, column: &Column, sqlite: bool) -> Result<String, String> {
    let constant = constant::constant(text, column)?.0;
    match column.kind {
        // PostgreSQL gives them in lower case, SQLite as they were stored.
        ColumnKind::Uuid if !sqlite => Ok(constant.to_lowercase()),
        ColumnKind::Text | ColumnKind::Enum | ColumnKind::Uuid | ColumnKind::Boolean | ColumnKind::Date => {
            Ok(constant)
        }
        // `+7` and `007` are 7.
        ColumnKind::Integer => Ok(constant
            .parse::<i64>()
            .map_or(constant, |number| number.to_string())),
        _ => Err(format!(
            "\"{}\" is {}: \"only\" compares text, integers, booleans, enums, UUIDs and dates",
            quoted_where_needed(&column.name),
            constant::noun(column)
        )),
    }
}

fn columns(template: &[KeySegment]) -> impl Iterator<Item = ColumnRef> {
    template.iter().filter_map(|segment| match segment {
        KeySegment::Literal(_) => None,
        KeySegment::Column(column) => Some(*column),
    })
}

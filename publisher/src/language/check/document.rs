//! One declaration, from its root to its targets.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::document::{Document, Role, Source, SourceId};
use crate::language::problem::Report;
use crate::language::syntax::Declaration;

use super::collisions;
use super::life;
use super::names::Place;
use super::queries::Known;
use super::tables::Tables;
use super::targets;

/// What is known so far while a declaration is gone through.
pub struct Checker<'a, 'r> {
    pub tables: Tables<'a>,
    pub report: &'a mut Report<'r>,
    /// As in [`Document::sources`].
    pub sources: Vec<Source>,
    /// All that are declared, in their order.
    pub scopes: Vec<(String, ScopeState)>,
    pub queries: Vec<Known>,
    /// The member of the body that is looked at.
    pub member: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeState {
    /// Below the scope that is looked at.
    Later,
    Known(SourceId),
    /// Its table is not known; the problem is noted.
    Broken,
}

/// What a declaration says wrong whatever the tables are.
pub fn check_alone(declaration: &Declaration, configured: &[&str], report: &mut Report<'_>) {
    if let Some(uses) = &declaration.targets {
        targets::known(uses, configured, report);
    }
    collisions::within(declaration, report);
    life::members(declaration, report);
}

/// `None` where a problem keeps the document from being one; all problems go into the report.
pub fn check(
    declaration: &Declaration,
    tables: Tables<'_>,
    configured: &[&str],
    report: &mut Report<'_>,
) -> Option<Document> {
    check_alone(declaration, configured, report);
    let root = tables.table(declaration.root.as_ref()?, report)?;
    let scopes = declaration
        .scopes
        .iter()
        .map(|scope| (scope.name.is.clone(), ScopeState::Later))
        .collect();
    let mut checker = Checker {
        tables,
        report,
        sources: vec![source(root, Role::Root)],
        scopes,
        queries: Vec::new(),
        member: String::new(),
    };
    checker.queries(&declaration.queries);

    let root_id = checker.root_id(declaration);
    let scopes = checker.scopes(&declaration.scopes);
    let filters = checker.root_filters(&declaration.conditions);
    let key = declaration
        .key
        .as_ref()
        .and_then(|key| checker.template("key", key, &scopes));
    let aliases: Vec<_> = declaration
        .aliases
        .iter()
        .filter_map(|alias| checker.template("alias", alias, &scopes))
        .collect();
    let life = checker.life(declaration);
    let body = checker.members(&declaration.body, Place::TOP);
    let uses = match (&declaration.targets, &key) {
        (Some(uses), Some(key)) => Some(checker.bindings(uses, key, &aliases)),
        _ => None,
    };
    Some(Document {
        name: declaration.name.as_ref()?.is.clone(),
        sources: checker.sources,
        scopes: scopes.iter().map(|scope| scope.source).collect(),
        root_id: root_id?,
        key: key?,
        aliases,
        filters,
        body,
        targets: uses,
        sync: declaration.sync,
        queue: declaration.queue.clone(),
        inline_limit: declaration.inline_limit,
        life,
    })
}

pub fn source(table: Arc<Table>, role: Role) -> Source {
    Source {
        table,
        query: None,
        role,
        joins: Vec::new(),
        filters: Vec::new(),
        order: Vec::new(),
        limit: None,
        recursion: None,
    }
}

//! The root's identity: its primary key, or the unique index that `id` names.

use std::sync::Arc;

use crate::catalogue::Table;
use crate::language::name::{Name, quoted_where_needed};
use crate::language::syntax::{At, Declaration};

use super::document::Checker;

impl Checker<'_, '_> {
    /// Columns of the root, in the order of the key or of `id`.
    pub fn root_id(&mut self, declaration: &Declaration) -> Option<Vec<usize>> {
        let table = self.table(0);
        if let Some(id) = &declaration.id {
            return self.named_id(&table, id);
        }
        if !table.primary_key.is_empty() {
            return Some(table.primary_key.clone());
        }
        let message = format!("table \"{}\" has no primary key", self.tables.name_of(&table));
        let at = declaration.root.as_ref()?.at;
        self.report
            .fail_with(at, "root_identity", message, Self::identities(&table))
    }

    fn named_id(&mut self, table: &Arc<Table>, id: &At<Vec<At<Name>>>) -> Option<Vec<usize>> {
        let columns: Vec<_> = id
            .is
            .iter()
            .map(|name| Some(self.table_column(&name.is, name.at, 0, "\"id\"")?.column))
            .collect();
        let columns = columns.into_iter().collect::<Option<Vec<_>>>()?;
        if same_set(&columns, &table.primary_key) {
            return Some(columns);
        }
        let shown = written(table, &columns);
        if !table.unique.iter().any(|index| same_set(index, &columns)) {
            let message = format!(
                "no unique index of \"{}\" is over {shown}",
                self.tables.name_of(table)
            );
            return self
                .report
                .fail_with(id.at, "root_identity", message, Self::identities(table));
        }
        match columns.iter().find(|column| table.columns[**column].nullable) {
            Some(column) => {
                let name = &table.columns[*column].name;
                let message = format!("\"{name}\" may be null, so {shown} is no identity");
                let help = format!("make it NOT NULL, or {}", Self::identities(table));
                self.report.fail_with(id.at, "root_identity", message, help)
            }
            None => Some(columns),
        }
    }

    /// What `id` may name.
    fn identities(table: &Table) -> String {
        let never_null =
            |columns: &&Vec<usize>| columns.iter().all(|column| !table.columns[*column].nullable);
        let key = Some(&table.primary_key).filter(|key| !key.is_empty());
        let all: Vec<_> = key
            .into_iter()
            .chain(table.unique.iter().filter(never_null))
            .map(|columns| format!("id: {}", written(table, columns)))
            .collect();
        if all.is_empty() {
            return "give the table a primary key, or a unique index without nulls that \"id\" can name"
                .to_owned();
        }
        format!("name a unique index without nulls: {}", all.join(" or "))
    }
}

fn same_set(a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len()
        && a.iter().all(|column| b.contains(column))
        && b.iter().all(|column| a.contains(column))
}

/// `[ean, store_id]`
fn written(table: &Table, columns: &[usize]) -> String {
    let names: Vec<_> = columns
        .iter()
        .map(|column| quoted_where_needed(&table.columns[*column].name))
        .collect();
    format!("[{}]", names.join(", "))
}

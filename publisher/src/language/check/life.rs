//! When a document shows, and what stays of it.

use crate::catalogue::ColumnKind;
use crate::document::{ColumnRef, Life, Role, SourceId};
use crate::language::name::Name;
use crate::language::problem::Report;
use crate::language::suggest::did_you_mean;
use crate::language::syntax::{At, Declaration};

use super::document::Checker;
use super::names::Place;

/// Members that are named, against those that the body has.
pub fn members(declaration: &Declaration, report: &mut Report<'_>) {
    let names = || declaration.body.iter().map(|member| member.name.as_str());
    let life = &declaration.life;
    for (key, members) in [("unhashed", &life.unhashed), ("tombstone", &life.tombstone)] {
        for member in members.iter() {
            if !declaration.body.is_empty() && !names().any(|name| name == member.is) {
                let help = did_you_mean(&member.is, names())
                    .unwrap_or_else(|| format!("it has: {}", names().collect::<Vec<_>>().join(", ")));
                let message = format!(
                    "\"{key}\" names \"{}\", which is no member of the body",
                    member.is
                );
                report.fail_with::<()>(member.at, "unknown_member", message, help);
            }
        }
    }
    let hashed = |name: &str| !life.unhashed.iter().any(|member| member.is == name);
    if let (Some(first), false) = (life.unhashed.first(), names().any(hashed))
        && !declaration.body.is_empty()
    {
        let message = "\"unhashed\" names every member, so no document would ever change";
        report.fail::<()>(first.at, "unknown_member", message);
    }
}

impl Checker<'_, '_> {
    pub fn life(&mut self, declaration: &Declaration) -> Life {
        let life = &declaration.life;
        let texts = |members: &[At<String>]| members.iter().map(|member| member.is.clone()).collect();
        Life {
            from: life.from.as_ref().and_then(|column| self.moment(column)),
            until: life.until.as_ref().and_then(|column| self.moment(column)),
            unhashed: texts(&life.unhashed),
            tombstone: texts(&life.tombstone),
            keeps_absent: life.keeps_absent,
            manual: life.manual,
        }
    }

    /// A date or timestamp of the root's row, or of a row that it names.
    fn moment(&mut self, name: &At<Name>) -> Option<ColumnRef> {
        let column = self.resolve(&name.is, name.at, Place::KEY)?;
        if !self.is_of_root(column.source) {
            let message = format!(
                "\"{}\" cannot stand here: \"visible\" takes columns of the root, and through its foreign keys",
                name.is
            );
            return self.report.fail(name.at, "unknown_name", message);
        }
        let found = &self.sources[column.source].table.columns[column.column];
        match found.kind {
            ColumnKind::Date | ColumnKind::Timestamp | ColumnKind::TimestampTz => Some(column),
            _ => {
                let message = format!(
                    "\"{}\" is {}: \"visible\" takes a date or a timestamp",
                    name.is, found.sql_type
                );
                self.report.fail(name.at, "wrong_type", message)
            }
        }
    }

    fn is_of_root(&self, source: SourceId) -> bool {
        match self.sources[source].role {
            Role::Root => true,
            Role::Lookup { parent } => self.is_of_root(parent),
            _ => false,
        }
    }
}

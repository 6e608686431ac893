//! Documents built by hand, against SQLite and PostgreSQL.

mod aliases;
mod documents;
pub(crate) mod draft;
pub(crate) mod fixture;
mod measure;
mod nodes;
mod reverse;
mod scopes;
mod values;

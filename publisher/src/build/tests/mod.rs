//! Documents built by hand, against SQLite and PostgreSQL.

mod aggregates;
mod aliases;
mod conditions;
mod documents;
pub(crate) mod draft;
mod exists;
mod expressions;
pub(crate) mod fixture;
mod gather;
mod hops;
mod lookups;
mod measure;
mod nodes;
mod queries;
mod recursion;
mod recursion_reverse;
mod reverse;
mod scopes;
mod standing;
mod values;
mod walk;

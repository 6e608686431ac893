//! The interleavings that break a design like this one, each forced to happen: a test drives the parts of the product in
//! its own process, step by step, and stops one of them where another one must come in between.
//!
//! A [`scene::Scene`] is a shop with its street; [`stop`] holds what stops a step. Every test ends with the same look at
//! everything: outbox and ledger are empty, mirror and target hold what they must, nothing failed.
//!
//! To add one: name it by its rule (docs/convergence.md), say the interleaving above it, and break the rule's guard in the product once, to see
//! the test fail.

mod ahead;
mod aliases;
mod attempts;
mod definitions;
mod embedded;
mod failures;
mod filters;
mod grown;
mod handwritten;
mod keys;
mod ledger;
mod life;
mod lock_look_write;
mod lost_copies;
mod lost_indexes;
mod missed;
mod moving;
mod orphans;
pub mod process;
mod purged;
mod removal;
mod scene;
mod second_attempts;
mod stop;
mod two_definitions;
mod unannounced;
mod unreadable;
mod windows;

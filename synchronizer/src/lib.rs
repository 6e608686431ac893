//! Everything between mirror and target: the ledger sender and the sweeper, the synchronizer, direct sync, resync, and
//! the targets themselves.

pub mod apply;
pub mod clock;
mod cut;
pub mod definitions;
pub mod direct;
pub mod gate;
pub mod letters;
pub mod measure;
pub mod message;
pub mod moving;
mod parts;
pub mod purge;
pub mod quiet;
pub mod removing;
pub mod resync;
pub mod retry;
pub mod road;
pub mod sender;
pub mod settle;
pub mod status;
pub mod street;
pub mod sweeper;
pub mod synchronize;
pub mod target;
pub mod targets;
pub mod watch;

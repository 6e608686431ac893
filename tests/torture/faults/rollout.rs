//! What those who run the product do to it in the middle of everything: another definition, more and fewer processes, a
//! resync whose workers are replaced.

use super::Arena;
use crate::{
    fleet::{ROLES, Role},
    shop,
    violations::Broken,
};

/// Processes of a role beside those that always run.
const MORE: usize = 3;
/// Of `apply`: a table is locked, or somebody was quicker.
const BUSY: i32 = 5;

impl Arena<'_> {
    /// A changed definition is applied, then every process is replaced, one after the other.
    pub(super) async fn rolled_out(&mut self) {
        self.version = self.version.other();
        shop::declare(self.world, self.version);
        loop {
            let done = self.command(&["apply", "--yes"]).await;
            match done.code {
                0 => break,
                BUSY => {}
                code => {
                    let what = format!("apply exited {code}: {}", done.stderr);
                    return self.violations.add(Broken::Process, what);
                }
            }
        }
        for role in ROLES {
            for _ in 0..self.fleet.count(role) {
                self.fleet.replace_one(role).await;
            }
        }
    }

    /// From two to five to one to two.
    pub(super) async fn scaled(&mut self, role: Role) {
        let usual = self.fleet.count(role);
        self.fleet.scale(role, usual + MORE).await;
        self.a_while().await;
        self.fleet.scale(role, 1).await;
        self.a_while().await;
        self.fleet.scale(role, usual).await;
    }

    /// All is sent again, while those who send it are replaced.
    pub(super) async fn resync_interrupted(&mut self) -> bool {
        let done = self.command(&["resync", "--all"]).await;
        if done.code != 0 {
            let what = format!("resync exited {}: {}", done.code, done.stderr);
            self.violations.add(Broken::Process, what);
        }
        for role in ROLES {
            self.fleet.replace_one(role).await;
        }
        done.code == 0
    }
}

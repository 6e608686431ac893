//! When a target has lost what it held, its readers see old and missing documents until it is filled again: what they see
//! then is declared to count for nothing. Nothing else is forgiven, and nothing at all once the window is closed.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub const REDIS: &str = "Redis";
pub const OPENSEARCH: &str = "OpenSearch";

/// Shared by those who break and those who read.
#[derive(Debug, Clone, Default)]
pub struct Windows(Arc<[AtomicBool; 2]>);

/// A declared window, closed when it is dropped.
pub struct Window {
    windows: Windows,
    place: &'static str,
}

impl Windows {
    fn of(&self, place: &str) -> &AtomicBool {
        &self.0[usize::from(place == OPENSEARCH)]
    }

    pub fn is_open(&self, place: &str) -> bool {
        self.of(place).load(Ordering::SeqCst)
    }

    /// Before the loss.
    pub fn open(&self, place: &'static str) -> Window {
        self.of(place).store(true, Ordering::SeqCst);
        Window {
            windows: self.clone(),
            place,
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.windows.of(self.place).store(false, Ordering::SeqCst);
    }
}

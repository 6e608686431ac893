//! The command line as a library: a program of one's own that has all commands, and publishers written in Rust.

use std::process::ExitCode;

use pubsync_publisher::handwritten::{Declaration, Publishers};
use pubsync_publisher::publisher::Publisher;

use crate::command;

/// `App::new().publisher(declaration, publisher).run()`.
#[derive(Clone, Default)]
pub struct App {
    publishers: Publishers,
}

impl App {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a document that this publisher builds.
    #[must_use]
    pub fn publisher(mut self, declaration: Declaration, publisher: impl Publisher + 'static) -> Self {
        self.publishers.add(declaration, publisher);
        self
    }

    /// Takes away a document that an earlier program declared: the next `apply` removes it. Without this it stays, since
    /// another program may have it.
    #[must_use]
    pub fn without(mut self, document: &str) -> Self {
        self.publishers.leave_out(document);
        self
    }

    /// Parses the arguments of this process and runs the command.
    pub async fn run(self) -> ExitCode {
        command::main(&self.publishers).await
    }
}

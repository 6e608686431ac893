//! The binary. Everything is in the library.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    pubsync::App::new().run().await
}

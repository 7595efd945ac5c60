//! The service over real sockets, driven by raw frames.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's tools fails the test"
)]

mod admin;
mod backup;
mod client;
mod conversations;
mod files;
mod files_s3;
mod hooks;
mod http;
mod inspector;
mod messages;
mod observe;
#[path = "../hostile/program.rs"]
#[allow(dead_code, reason = "the hostile tests use the rest")]
mod program;
mod push;
mod readme;
mod records;
mod reload;
mod sessions;
mod tls;

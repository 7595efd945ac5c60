//! The service over real sockets, driven by raw frames.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's tools fails the test"
)]

mod client;
mod conversations;
mod messages;
mod sessions;

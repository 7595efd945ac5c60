//! Clients that break the rules, and a process that is killed: a client that behaves notices nothing.
//!
//! The service runs in this process (and for the kill as the real program); the clients are raw
//! sockets that send what no SDK would. A test binary of its own, because the floods would make
//! the machine busy for tests that wait for quiet.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's tools fails the test"
)]

mod crowd;
mod disk;
mod flood;
mod http;
mod keys;
mod kill;
mod memory;
mod operator;
mod program;
mod raw;
mod rules;
mod together;

use sampan_service::{RunningService, Service, ServiceOptions};

/// A service of its own for a test, on a free port, with its data in memory.
async fn start() -> RunningService {
    let app = "myApp:myKey:myMasterKey".parse().unwrap();
    Service::start(ServiceOptions::in_memory(app))
        .await
        .unwrap()
}

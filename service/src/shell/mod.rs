//! The shell around the core: sockets, threads, clocks.
//!
//! | file | what it does |
//! |---|---|
//! | `service.rs`, `options.rs`, `listening.rs` | starting and stopping; the options; the addresses and the tasks that serve them |
//! | `actor.rs` | the one loop around the core: drain, decide, commit, deliver |
//! | `turns.rs` | the next input of the core: each client in its turn, by counted cost |
//! | `socket.rs` | a task per connection |
//! | `http.rs`, `routers.rs`, `health.rs` | the endpoints that SDKs call, the routers, the health |
//! | `gate.rs` | the gate of each route: the right key, and the rate |
//! | `inspector.rs`, `feed.rs` | a page that shows the service at work, and the events on it |
//! | `files.rs`, `files/` | the routes of files: asking for an upload, uploading, reading |
//! | `s3.rs`, `s3/` | files in a storage that speaks S3 |
//! | `records.rs` | the routes by which an app's own servers read the stored data |
//! | `servers.rs` | the routes by which an app's own servers work with conversations and clients |
//! | `hooks.rs` | calling the functions of an app's own server |
//! | `push.rs`, `push/` | pushing to devices that sleep: by Apple, Google, the app's own server, or into the log |
//! | `outgoing.rs` | requests from the service to other servers |
//! | `listener.rs`, `stream.rs` | accepted sockets, encrypted or not, closed so that the other side reads the reason |
//! | `tls.rs` | the certificate, read anew when it changes |
//! | `proxy.rs` | the origin of a request behind a proxy |
//! | `fanout.rs` | the queues of connections, and the treatment of a full queue |
//! | `observer.rs` | the effects of each input: counted and logged |
//! | `metrics.rs` | the metrics, as Prometheus reads them |
//! | `operator.rs` | the address for the metrics |
//! | `addresses.rs` | the rate of each address |
//! | `control.rs` | a socket in the data folder for tools of the same machine |
//! | `report.rs` | reports of faults to the operator |
//! | `clock.rs` | the only reader of clocks, and the source of randomness |
//!
//! The actor has a thread of its own, because a commit waits for the disk; connections and requests
//! share the runtime. The actor never waits for a client.

mod accounts;
mod actor;
mod addresses;
mod asking;
mod clock;
#[cfg(unix)]
mod control;
mod fanout;
mod feed;
mod files;
mod gate;
mod health;
mod hooks;
mod http;
mod inspector;
mod listener;
mod listening;
mod metrics;
mod observer;
mod operator;
mod options;
mod outgoing;
mod proxy;
mod push;
mod records;
mod report;
mod routers;
mod s3;
mod servers;
mod service;
mod socket;
mod stream;
mod tls;
mod turns;

#[cfg(unix)]
pub use self::control::{BackupRequest, socket_in};
pub use self::options::{
    FilesChoice, InspectorOptions, ServiceError, ServiceOptions, StorageChoice,
};
pub use self::proxy::{Network, NotANetwork};
pub use self::s3::{S3Error, S3Options};
pub use self::service::RunningService;
pub(crate) use self::service::start;
pub use self::tls::{TlsError, TlsFiles};

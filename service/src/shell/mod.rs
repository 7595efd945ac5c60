//! The shell around the core: sockets, threads, clocks.
//!
//! | file | what it does |
//! |---|---|
//! | `service.rs`, `options.rs`, `listening.rs` | starting and stopping; the options; the addresses and the tasks that serve them |
//! | `actor.rs` | the one loop around the core: drain, decide, commit, deliver |
//! | `turns.rs` | whose input the core takes next: each client in its turn, by counted cost |
//! | `socket.rs` | a task per connection |
//! | `http.rs`, `routers.rs`, `health.rs` | the endpoints that SDKs call, routers, whether the service works |
//! | `gate.rs` | the gate of each route: who has shown what it has to, and who asks too often |
//! | `inspector.rs`, `feed.rs` | a page that shows the service at work, and what it tells of |
//! | `files.rs`, `files/` | the routes of files: asking for an upload, uploading, reading |
//! | `s3.rs`, `s3/` | files in a storage that speaks S3 |
//! | `records.rs` | the routes by which an app's own servers read what is kept |
//! | `servers.rs` | the routes by which an app's own servers work with conversations and clients |
//! | `hooks.rs` | calling the functions of an app's own server |
//! | `push.rs`, `push/` | pushing to devices that sleep: by Apple, Google, the app's own server, or into the log |
//! | `outgoing.rs` | requests that the service makes of others |
//! | `listener.rs`, `stream.rs` | accepted sockets, encrypted or not, closed so that the other side reads why |
//! | `tls.rs` | the certificate, read anew when it changes |
//! | `proxy.rs` | whom a request comes from, where a proxy stands in front |
//! | `fanout.rs` | the queues of connections, and what happens when one is full |
//! | `observer.rs` | what follows from each input: counted, and told the log |
//! | `metrics.rs` | the numbers, as Prometheus reads them |
//! | `operator.rs` | an address of its own for the numbers |
//! | `addresses.rs` | how often each address may ask for something |
//! | `control.rs` | a socket in the data folder for tools of the same machine |
//! | `report.rs` | telling the operator of faults |
//! | `clock.rs` | the only reader of clocks, and the source of randomness |
//!
//! The actor has a thread of its own, for a commit waits for the disk; connections and requests
//! share the runtime. Nothing the actor does waits for a client.

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

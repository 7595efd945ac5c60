//! Moves bytes and thinks nothing: the WebSocket and the HTTP requests.
//!
//! ```text
//!   runtime ── connect ──▶ Transport ──▶ Connection { outgoing, incoming }
//!                             │               ▲
//!                             │               └─ one task per socket pumps both ways
//!                             └── get ──▶ Response            (the router's look-up)
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `transport.rs` | the [`Transport`] trait, and the values that pass through it |
//! | `address.rs` | URLs, parsed once |
//! | `names.rs` | the addresses of a name, on threads of their own |
//! | `race.rs` | the addresses of a host, tried in turn |
//! | `stream.rs` | TCP and TLS, and the rule that clear text stays on this machine |
//! | `websocket.rs` | the handshake and the pump |
//! | `http.rs` | one GET, with a time-out and a limit on the body |
//! | `exchange.rs` | any HTTP request, its body and the answer's in pieces |
//! | `memory.rs` | a transport without sockets, for tests |
//!
//! Rules for the caller: a [`Connection`] lives as long as its `outgoing` half; dropping that says
//! goodbye (close code 1000) and ends the task. Both queues are bounded. A full `incoming` queue stops
//! reading from the socket until it has room; a full `outgoing` queue refuses the frame, and the
//! caller treats the connection as dead, since a peer that does not read is not there.
//!
//! When to connect, what a close code means and what a frame says is for the floors above.

mod address;
mod error;
mod exchange;
mod http;
mod memory;
mod names;
mod race;
mod stream;
mod transport;
mod websocket;

pub use address::check_server;
pub use error::NetError;
pub use memory::{MemoryPeer, MemoryTransport};
pub use stream::Tls;
pub use transport::{
    BODY_BYTES_MAX, Closed, Connection, FRAME_BYTES_MAX, Frame, HttpAnswer, HttpBody, HttpMethod,
    HttpRequest, INCOMING_FRAMES_MAX, Incoming, NetFuture, OUTGOING_FRAMES_MAX, Response,
    SocketTarget, Transport,
};
pub use websocket::SocketTransport;

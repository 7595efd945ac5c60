//! The network: the WebSocket and the HTTP requests. This floor moves bytes and decides nothing.
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
//! Rules for the caller: a [`Connection`] lives as long as its `outgoing` half. Dropping that half closes the
//! connection (close code 1000) and ends the task. Both queues are bounded. A full `incoming` queue stops
//! reading from the socket until it has room. A full `outgoing` queue refuses the frame, and the caller treats
//! the connection as dead, because its peer does not read.
//!
//! The floors above decide when to connect and what a close code or a frame means.

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

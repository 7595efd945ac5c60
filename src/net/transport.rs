//! [`Transport`]: opens connections and asks over HTTP; with the values that pass through it.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::NetError;
use crate::wire::{self, Direction, Encoding};

/// How many outgoing frames may wait. A catch-up acknowledges some hundred messages at once.
pub const OUTGOING_FRAMES_MAX: usize = 4096;

/// How many incoming frames may wait before the socket is no longer read.
pub const INCOMING_FRAMES_MAX: usize = 64;

/// The largest incoming frame in bytes: as much as the wire's reader would take, as text.
pub const FRAME_BYTES_MAX: usize = Direction::ToClient.message_bytes_max(Encoding::Text);

/// The largest HTTP body in bytes: the router's answer has some hundred.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Work of a transport: it belongs to whoever polls it and borrows nothing.
pub type NetFuture<T> = Pin<Box<dyn Future<Output = Result<T, NetError>> + Send>>;

/// What opens connections: the real one, or one in memory.
pub trait Transport: Send + Sync + 'static {
    /// Opens a WebSocket.
    fn connect(&self, target: Target) -> NetFuture<Connection>;

    /// Asks for `url` by HTTP. It follows no redirects; any status is an answer.
    fn get(&self, url: String, timeout: Duration) -> NetFuture<Response>;
}

/// Where to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The WebSocket's URL, with scheme.
    pub url: String,
    /// The one subprotocol that is proposed; a peer that does not echo it is not our service.
    pub subprotocol: String,
    /// How long name look-up, TCP, TLS and the handshake may take together.
    pub timeout: Duration,
}

/// An open connection: two bounded queues. Dropping `outgoing` closes it.
#[derive(Debug)]
pub struct Connection {
    /// Frames to the service.
    pub outgoing: mpsc::Sender<Frame>,
    /// Frames from the service, and at last how it ended.
    pub incoming: mpsc::Receiver<Incoming>,
    /// The subprotocol that the service echoed.
    pub subprotocol: String,
}

/// One WebSocket message. It may carry tokens and messages, so its debug form shows the length only.
pub type Frame = wire::Frame<'static>;

/// What comes out of a connection.
#[derive(Debug)]
pub enum Incoming {
    /// The service sent a frame.
    Frame(Frame),
    /// The connection is over; nothing follows.
    Closed(Closed),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The service closed it, with its code where it gave one (`docs/wire.md`).
    ByPeer {
        /// The close code.
        code: Option<u16>,
    },
    /// It broke.
    Broken(NetError),
}

/// An HTTP answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body, at most [`BODY_BYTES_MAX`] bytes.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

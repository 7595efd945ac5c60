//! [`Transport`]: opens connections and asks over HTTP; with the values that pass through it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::Bytes;
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

/// The work of a transport: it belongs to its poller and borrows nothing.
pub type NetFuture<T> = Pin<Box<dyn Future<Output = Result<T, NetError>> + Send>>;

/// An opener of connections: the real one, or one in memory.
pub trait Transport: Send + Sync + 'static {
    /// Opens a WebSocket.
    fn connect(&self, target: SocketTarget) -> NetFuture<Connection>;

    /// Asks for `url` by HTTP. It follows no redirects; any status is an answer.
    fn get(&self, url: String, timeout: Duration) -> NetFuture<Response>;

    /// Sends a request whose body, and whose answer's body, pass in pieces. The future is ready with the head
    /// of the answer; any status is an answer, and redirects are not followed. Dropping it cancels the request.
    /// It has no limit of time except for connecting.
    fn exchange(&self, request: HttpRequest) -> NetFuture<HttpAnswer> {
        drop(request);
        Box::pin(async {
            Err(NetError::Unreachable {
                reason: "this transport has no HTTP".to_owned(),
            })
        })
    }
}

/// The method of an HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    /// Fetch the resource.
    Get,
    /// Hand something to the resource.
    Post,
    /// Put the resource there.
    Put,
}

/// An HTTP request.
pub struct HttpRequest {
    /// The method.
    pub method: HttpMethod,
    /// The address of the resource.
    pub url: String,
    /// Headers beside those of the connection and the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: HttpBody,
    /// The time that connecting may take.
    pub connect_timeout: Duration,
}

/// A body of known length, in pieces. One that ends early breaks the connection.
pub struct HttpBody {
    /// The number of bytes to come.
    pub bytes: u64,
    /// The pieces.
    pub pieces: mpsc::Receiver<Bytes>,
}

impl HttpBody {
    /// A body in one piece.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let (sender, pieces) = mpsc::channel(1);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        // The queue has room for one piece.
        let _ = sender.try_send(bytes);
        Self {
            bytes: length,
            pieces,
        }
    }
}

/// The answer to an HTTP request.
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers that are text, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body's pieces; an error is the last. Dropping it gives the rest up.
    pub body: mpsc::Receiver<Result<Bytes, NetError>>,
}

impl HttpAnswer {
    /// The body, up to a limit; the rest is cut.
    ///
    /// # Errors
    ///
    /// Those of the connection.
    pub async fn text(&mut self, bytes_max: usize) -> Result<String, NetError> {
        let mut all = Vec::new();
        while all.len() < bytes_max
            && let Some(piece) = self.body.recv().await
        {
            all.extend_from_slice(&piece?);
        }
        all.truncate(bytes_max);
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
}

/// The target of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketTarget {
    /// The WebSocket's URL, with scheme.
    pub url: String,
    /// The one subprotocol that is proposed; a peer that does not echo it is not our service.
    pub subprotocol: String,
    /// The time that name look-up, TCP, TLS and the handshake may take together.
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

/// One WebSocket message. It may hold tokens and messages, so its debug form shows the length only.
pub type Frame = wire::Frame<'static>;

/// An event of a connection.
#[derive(Debug)]
pub enum Incoming {
    /// The service sent a frame.
    Frame(Frame),
    /// The connection is over; nothing follows.
    Closed(Closed),
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The service closed it, with its code where it gave one (`docs/wire.md`).
    ByPeer {
        /// The close code.
        code: Option<u16>,
    },
    /// The connection broke.
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

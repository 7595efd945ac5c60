//! A transport without sockets: a test plays the service.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{
    Connection, Frame, INCOMING_FRAMES_MAX, Incoming, NetError, NetFuture, OUTGOING_FRAMES_MAX,
    Response, SocketTarget, Transport,
};

/// How many connections may wait for the peer to accept them.
const BACKLOG_MAX: usize = 16;

/// Connects to the holder of the [`MemoryPeer`]; each connection opens at once.
#[derive(Clone, Debug)]
pub struct MemoryTransport {
    opened: mpsc::Sender<PeerConnection>,
    route: Arc<Mutex<Result<Response, NetError>>>,
}

/// The other end of a [`MemoryTransport`].
#[derive(Debug)]
pub struct MemoryPeer {
    opened: mpsc::Receiver<PeerConnection>,
    route: Arc<Mutex<Result<Response, NetError>>>,
}

/// One connection, seen by the peer.
#[derive(Debug)]
pub struct PeerConnection {
    /// The target that the engine asked for.
    pub target: SocketTarget,
    /// The frames that the engine sends; the channel ends when the engine closes the connection.
    pub from_engine: mpsc::Receiver<Frame>,
    /// The frames for the engine.
    pub to_engine: mpsc::Sender<Incoming>,
}

impl MemoryTransport {
    /// Makes a transport and the peer that it reaches.
    #[must_use]
    pub fn pair() -> (Self, MemoryPeer) {
        let (opened, accepted) = mpsc::channel(BACKLOG_MAX);
        let route = Arc::new(Mutex::new(Err(NetError::Unreachable {
            reason: "no route was set".to_owned(),
        })));
        let transport = Self {
            opened,
            route: Arc::clone(&route),
        };
        let peer = MemoryPeer {
            opened: accepted,
            route,
        };
        (transport, peer)
    }
}

impl MemoryPeer {
    /// Waits for the next connection; none when the transport is gone.
    pub async fn accept(&mut self) -> Option<PeerConnection> {
        self.opened.recv().await
    }

    /// Sets the answer to every HTTP request from now on.
    pub fn answer_requests_with(&self, answer: Result<Response, NetError>) {
        *self.route.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

impl Transport for MemoryTransport {
    fn connect(&self, target: SocketTarget) -> NetFuture<Connection> {
        let opened = self.opened.clone();
        Box::pin(async move {
            let (outgoing, from_engine) = mpsc::channel(OUTGOING_FRAMES_MAX);
            let (to_engine, incoming) = mpsc::channel(INCOMING_FRAMES_MAX);
            let subprotocol = target.subprotocol.clone();
            let peer = PeerConnection {
                target,
                from_engine,
                to_engine,
            };
            opened.send(peer).await.map_err(|_| NetError::Unreachable {
                reason: "nobody accepts connections".to_owned(),
            })?;
            Ok(Connection {
                outgoing,
                incoming,
                subprotocol,
            })
        })
    }

    fn get(&self, _url: String, _timeout: Duration) -> NetFuture<Response> {
        let answer = self
            .route
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Box::pin(async move { answer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_end_sends_the_other_receives_until_the_engine_closes() {
        let (transport, mut peer) = MemoryTransport::pair();
        let target = SocketTarget {
            url: "ws://memory/".to_owned(),
            subprotocol: "lc.protobuf2.3".to_owned(),
            timeout: Duration::from_secs(1),
        };
        let mut connection = transport.connect(target.clone()).await.unwrap();
        let mut seen = peer.accept().await.unwrap();
        assert_eq!(seen.target, target);
        connection.outgoing.send(Frame::binary(&[7])).await.unwrap();
        assert_eq!(seen.from_engine.recv().await, Some(Frame::binary(&[7])));
        let text = Incoming::Frame(Frame::text("hi"));
        seen.to_engine.send(text).await.unwrap();
        assert!(matches!(
            connection.incoming.recv().await,
            Some(Incoming::Frame(Frame::Text(_)))
        ));
        drop(connection);
        assert_eq!(seen.from_engine.recv().await, None);
    }
}

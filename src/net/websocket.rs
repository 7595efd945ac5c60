//! The real transport: WebSockets over TCP or TLS, and the task that pumps one.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, protocol::CloseFrame};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::address::Address;
use super::names::Names;
use super::stream::{Opener, Stream, Tls};
use super::{
    Closed, Connection, FRAME_BYTES_MAX, Frame, HttpAnswer, HttpRequest, INCOMING_FRAMES_MAX,
    Incoming, NetError, NetFuture, OUTGOING_FRAMES_MAX, Response, SocketTarget, Transport,
    exchange, http,
};
use crate::InsecureConnections;

/// Bytes read at once: frames of a chat are small, and a mobile app has little memory to spare.
const READ_BUFFER_BYTES: usize = 8 * 1024;

/// Bytes gathered before they are written to the socket without being asked to.
const WRITE_BUFFER_BYTES: usize = 8 * 1024;

/// The largest outgoing backlog inside the protocol layer: some frames of at most 5 KB each.
const WRITE_BACKLOG_BYTES: usize = 1024 * 1024;

/// How long the goodbye may take; the peer notices the end without it too.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<Stream>;

/// Opens real connections. Its futures must be polled on a tokio runtime.
#[derive(Clone, Debug)]
pub struct SocketTransport {
    opener: Opener,
}

impl SocketTransport {
    /// Makes a transport; it opens nothing yet.
    #[must_use]
    pub fn new(tls: Tls, insecure: InsecureConnections) -> Self {
        let names = Names::of_the_system();
        let opener = Opener {
            tls,
            insecure,
            names,
        };
        Self { opener }
    }

    async fn open(self, target: SocketTarget) -> Result<Connection, NetError> {
        let address = Address::websocket(&target.url)?;
        let request = request(&target)?;
        let stream = self.opener.open(&address, target.timeout).await?;
        let (socket, _) = client_async_with_config(request, stream, Some(config()))
            .await
            .map_err(handshake_failed)?;
        // The protocol layer refuses a handshake without the echo, and one with another.
        let subprotocol = target.subprotocol;
        let (outgoing, to_send) = mpsc::channel(OUTGOING_FRAMES_MAX);
        let (received, incoming) = mpsc::channel(INCOMING_FRAMES_MAX);
        tokio::spawn(pump(socket, to_send, received));
        Ok(Connection {
            outgoing,
            incoming,
            subprotocol,
        })
    }

    async fn ask(self, url: String, limit: Duration) -> Result<Response, NetError> {
        let address = Address::http(&url)?;
        let stream = self.opener.open(&address, limit).await?;
        http::get(stream, &address).await
    }
}

impl Transport for SocketTransport {
    fn connect(&self, target: SocketTarget) -> NetFuture<Connection> {
        let limit = target.timeout;
        let work = self.clone().open(target);
        Box::pin(async move { timeout(limit, work).await.map_err(|_| NetError::TimedOut)? })
    }

    fn get(&self, url: String, limit: Duration) -> NetFuture<Response> {
        let work = self.clone().ask(url, limit);
        Box::pin(async move { timeout(limit, work).await.map_err(|_| NetError::TimedOut)? })
    }

    fn exchange(&self, request: HttpRequest) -> NetFuture<HttpAnswer> {
        let opener = self.opener.clone();
        Box::pin(async move {
            let address = Address::http(&request.url)?;
            let limit = request.connect_timeout;
            let stream = timeout(limit, opener.open(&address, limit)).await;
            let stream = stream.map_err(|_| NetError::TimedOut)??;
            exchange::exchange(stream, &address, request).await
        })
    }
}

/// The handshake's request: exactly one subprotocol, and no extensions.
fn request(target: &SocketTarget) -> Result<Request, NetError> {
    let mut request = target
        .url
        .as_str()
        .into_client_request()
        .map_err(|_| NetError::Address {
            reason: "it makes no WebSocket request",
        })?;
    let subprotocol =
        HeaderValue::from_str(&target.subprotocol).map_err(|_| NetError::Address {
            reason: "the subprotocol is no header value",
        })?;
    request
        .headers_mut()
        .insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    Ok(request)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BACKLOG_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX))
}

/// Moves frames both ways until one side ends, and answers the reason.
///
/// The directions are polled side by side, so a peer that does not read cannot keep us from reading its frames.
async fn pump(socket: Socket, to_send: mpsc::Receiver<Frame>, received: mpsc::Sender<Incoming>) {
    let (sink, source) = socket.split();
    let closed = tokio::select! {
        closed = read(source, &received) => closed,
        closed = write(sink, to_send) => closed,
    };
    if let Some(closed) = closed {
        // If the receiver is gone, there is no one to tell.
        let _ = received.send(Incoming::Closed(closed)).await;
    }
}

/// Reads until the connection ends; nothing when the listener left.
async fn read(
    mut source: SplitStream<Socket>,
    received: &mpsc::Sender<Incoming>,
) -> Option<Closed> {
    loop {
        let frame = match source.next().await {
            Some(Ok(Message::Binary(bytes))) => Frame::Binary(Cow::Owned(bytes.into())),
            Some(Ok(Message::Text(text))) => Frame::Text(Cow::Owned(text.as_str().to_owned())),
            Some(Ok(Message::Close(frame))) => {
                return Some(Closed::ByPeer {
                    code: frame.map(|frame| frame.code.into()),
                });
            }
            // Pings are answered by the protocol layer.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Err(WsError::ConnectionClosed)) | None => {
                return Some(Closed::ByPeer { code: None });
            }
            Some(Err(error)) => return Some(Closed::Broken(broken(&error))),
        };
        if received.send(Incoming::Frame(frame)).await.is_err() {
            return None;
        }
    }
}

/// Writes the queued frames, as many as there are at once; closes the connection when the queue is dropped.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut to_send: mpsc::Receiver<Frame>,
) -> Option<Closed> {
    while let Some(frame) = to_send.recv().await {
        let mut next = Some(frame);
        while let Some(frame) = next {
            if let Err(error) = sink.feed(message(frame)).await {
                return Some(Closed::Broken(broken(&error)));
            }
            next = to_send.try_recv().ok();
        }
        if let Err(error) = sink.flush().await {
            return Some(Closed::Broken(broken(&error)));
        }
    }
    let goodbye = Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    }));
    // A goodbye that fails or takes too long is one the peer does not need.
    let _ = timeout(GOODBYE_TIMEOUT, sink.send(goodbye)).await;
    None
}

fn message(frame: Frame) -> Message {
    match frame {
        Frame::Binary(bytes) => Message::Binary(bytes.into_owned().into()),
        Frame::Text(text) => Message::Text(text.into_owned().into()),
    }
}

fn handshake_failed(error: WsError) -> NetError {
    match error {
        // The peer took the connection and closed it at once.
        WsError::Io(error) => NetError::Handshake {
            reason: error.to_string(),
        },
        // The status is enough: the body is a stranger's.
        WsError::Http(response) => NetError::Handshake {
            reason: format!("HTTP status {}", response.status().as_u16()),
        },
        other => NetError::Handshake {
            reason: other.to_string(),
        },
    }
}

fn broken(error: &WsError) -> NetError {
    match error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => NetError::TooLarge {
            limit: FRAME_BYTES_MAX,
        },
        other => NetError::Broken {
            reason: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{
        ErrorResponse, Request as Asked, Response as Answer,
    };

    use super::*;

    const SUBPROTOCOL: &str = "lc.protobuf2.3";
    const LONG: Duration = Duration::from_secs(20);

    fn transport() -> SocketTransport {
        SocketTransport::new(Tls::web().unwrap(), InsecureConnections::LoopbackOnly)
    }

    fn target(port: u16) -> SocketTarget {
        SocketTarget {
            url: format!("ws://127.0.0.1:{port}/"),
            subprotocol: SUBPROTOCOL.to_owned(),
            timeout: LONG,
        }
    }

    async fn listener() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// Accepts one connection, with what was proposed echoed or left out.
    async fn accept(
        listener: &TcpListener,
        echo: Option<&'static str>,
    ) -> WebSocketStream<TcpStream> {
        let (stream, _) = listener.accept().await.unwrap();
        #[expect(
            clippy::result_large_err,
            reason = "the callback's type is the library's"
        )]
        let reply = |asked: &Asked, mut answer: Answer| -> Result<Answer, ErrorResponse> {
            let proposed: Vec<_> = asked
                .headers()
                .get_all(header::SEC_WEBSOCKET_PROTOCOL)
                .iter()
                .collect();
            assert_eq!(proposed, [SUBPROTOCOL], "exactly one is proposed");
            if let Some(echo) = echo {
                let value = HeaderValue::from_static(echo);
                answer
                    .headers_mut()
                    .insert(header::SEC_WEBSOCKET_PROTOCOL, value);
            }
            Ok(answer)
        };
        accept_hdr_async(stream, reply).await.unwrap()
    }

    #[tokio::test]
    async fn frames_travel_both_ways_and_the_close_code_comes_up() {
        let (listener, port) = listener().await;
        let server = tokio::spawn(async move {
            let mut socket = accept(&listener, Some(SUBPROTOCOL)).await;
            let heard = socket.next().await.unwrap().unwrap();
            assert_eq!(heard, Message::Binary(vec![1, 2, 3].into()));
            socket.send(Message::Binary(vec![4].into())).await.unwrap();
            let goodbye = CloseFrame {
                code: CloseCode::from(4115),
                reason: "".into(),
            };
            socket.close(Some(goodbye)).await.unwrap();
            while socket.next().await.is_some() {}
        });
        let mut connection = transport().connect(target(port)).await.unwrap();
        connection
            .outgoing
            .send(Frame::Binary(vec![1, 2, 3].into()))
            .await
            .unwrap();
        let Some(Incoming::Frame(Frame::Binary(bytes))) = connection.incoming.recv().await else {
            panic!("a frame was expected");
        };
        assert_eq!(bytes.as_ref(), [4]);
        let Some(Incoming::Closed(closed)) = connection.incoming.recv().await else {
            panic!("the end was expected");
        };
        assert_eq!(closed, Closed::ByPeer { code: Some(4115) });
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_does_not_echo_the_subprotocol_is_not_our_service() {
        for echo in [None, Some("lc.protobuf2.1")] {
            let (listener, port) = listener().await;
            let server = tokio::spawn(async move { accept(&listener, echo).await });
            let error = transport().connect(target(port)).await.unwrap_err();
            assert!(matches!(error, NetError::Handshake { .. }), "{error:?}");
            server.abort();
        }
    }

    #[tokio::test]
    async fn dropping_the_outgoing_half_says_goodbye() {
        let (listener, port) = listener().await;
        let server = tokio::spawn(async move {
            let mut socket = accept(&listener, Some(SUBPROTOCOL)).await;
            socket.next().await.unwrap().unwrap()
        });
        let connection = transport().connect(target(port)).await.unwrap();
        drop(connection.outgoing);
        let Message::Close(Some(frame)) = server.await.unwrap() else {
            panic!("a goodbye was expected");
        };
        assert_eq!(frame.code, CloseCode::Normal);
    }

    #[tokio::test]
    async fn a_frame_above_the_limit_ends_the_connection_with_a_typed_error() {
        let (listener, port) = listener().await;
        let server = tokio::spawn(async move {
            let mut socket = accept(&listener, Some(SUBPROTOCOL)).await;
            let _ = socket
                .send(Message::Binary(vec![0; FRAME_BYTES_MAX + 1].into()))
                .await;
            while let Some(Ok(_)) = socket.next().await {}
        });
        let mut connection = transport().connect(target(port)).await.unwrap();
        let Some(Incoming::Closed(closed)) = connection.incoming.recv().await else {
            panic!("the end was expected");
        };
        assert_eq!(
            closed,
            Closed::Broken(NetError::TooLarge {
                limit: FRAME_BYTES_MAX
            })
        );
        server.abort();
    }

    #[tokio::test]
    async fn a_port_without_a_listener_is_unreachable_and_clear_text_does_not_leave_the_machine() {
        let (listener, port) = listener().await;
        drop(listener);
        let error = transport().connect(target(port)).await.unwrap_err();
        assert!(matches!(error, NetError::Unreachable { .. }), "{error:?}");
        let mut abroad = target(port);
        abroad.url = "ws://0.0.0.0/".to_owned();
        let error = transport().connect(abroad).await.unwrap_err();
        assert_eq!(error, NetError::Insecure);
    }

    /// A listener that swallows every connection: its queue is full, so the system does not answer.
    async fn swallower(ip: &str, port: u16) -> (TcpListener, Vec<TcpStream>) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket
            .bind(format!("{ip}:{port}").parse().unwrap())
            .unwrap();
        let listener = socket.listen(1).unwrap();
        let addr = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(addr)).await {
            queued.push(stream.unwrap());
        }
        (listener, queued)
    }

    #[tokio::test]
    async fn a_host_of_which_one_address_swallows_everything_is_reached_by_the_other() {
        let (listener, port) = listener().await;
        let _stuck = swallower("127.0.0.2", port).await;
        tokio::spawn(async move { accept(&listener, Some(SUBPROTOCOL)).await });
        let mut transport = transport();
        transport.opener.names = Names::by(|_| {
            Ok(vec![
                "127.0.0.2".parse().unwrap(),
                "127.0.0.1".parse().unwrap(),
            ])
        });
        let mut two = target(port);
        two.url = format!("ws://chat.example.org:{port}/");
        two.timeout = Duration::from_secs(10);
        assert!(transport.connect(two).await.is_ok());
    }

    #[tokio::test]
    async fn a_front_that_takes_connections_and_hangs_up_is_not_the_service() {
        let (listener, port) = listener().await;
        tokio::spawn(async move {
            loop {
                drop(listener.accept().await.unwrap());
            }
        });
        let error = transport().connect(target(port)).await.unwrap_err();
        assert!(matches!(error, NetError::Handshake { .. }), "{error:?}");
        let url = format!("http://127.0.0.1:{port}/v1/route");
        let error = transport().get(url, LONG).await.unwrap_err();
        assert!(matches!(error, NetError::Handshake { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_peer_that_never_answers_the_handshake_is_a_time_out() {
        let (_listener, port) = listener().await;
        let mut hasty = target(port);
        hasty.timeout = Duration::from_millis(50);
        let error = transport().connect(hasty).await.unwrap_err();
        assert_eq!(error, NetError::TimedOut);
    }

    async fn answer_once(listener: TcpListener, answer: Vec<u8>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        let length = stream.read(&mut asked).await.unwrap();
        assert!(asked[..length].starts_with(b"GET /v1/route?appId=a HTTP/1.1\r\n"));
        let _ = stream.write_all(&answer).await;
    }

    #[tokio::test]
    async fn a_get_brings_status_and_body_and_refuses_a_body_above_the_limit() {
        let (first, port) = listener().await;
        let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}".to_vec();
        tokio::spawn(answer_once(first, answer));
        let url = format!("http://127.0.0.1:{port}/v1/route?appId=a");
        let response = transport().get(url, LONG).await.unwrap();
        assert_eq!(
            (response.status, response.body.as_slice()),
            (404, &b"{}"[..])
        );

        let (second, port) = listener().await;
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n".to_vec();
        answer.resize(answer.len() + 100_000, b' ');
        tokio::spawn(answer_once(second, answer));
        let url = format!("http://127.0.0.1:{port}/v1/route?appId=a");
        let error = transport().get(url, LONG).await.unwrap_err();
        assert!(matches!(error, NetError::TooLarge { .. }), "{error:?}");
    }
}

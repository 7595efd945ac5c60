//! Accepted sockets: closed when nothing comes, in a way that lets the other side read the reason.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::stream::Stream;
use super::tls::Certificate;

/// How long a socket that is being closed is still read.
const LINGER: Duration = Duration::from_secs(2);

/// How many bytes are read from a socket that is being closed.
const LINGER_BYTES: usize = 32 * 1024 * 1024;

/// How long a request may take to come in, from its first byte, or from the socket's opening.
const REQUEST: Duration = Duration::from_secs(30);

/// How long a socket may stay silent between two requests.
const BETWEEN_REQUESTS: Duration = Duration::from_secs(60);

/// How long a WebSocket may stay silent. Longer than its own patience, which ends it with a reason.
const SILENCE: Duration = Duration::from_secs(600);

/// How long nothing may move on a socket over which a file goes.
const TRANSFER: Duration = Duration::from_secs(60);

/// The use of a socket, as its handler says.
#[derive(Clone, Debug, Default)]
pub(super) struct Mark(Arc<AtomicU8>);

/// Requests and small answers.
const REQUESTS: u8 = 0;
/// A file, in either direction.
const FILE: u8 = 1;
/// A WebSocket.
const WEBSOCKET: u8 = 2;

/// A socket over which a file goes for as long as this is there.
#[derive(Debug)]
pub(super) struct Transfer(Mark);

impl Drop for Transfer {
    fn drop(&mut self) {
        self.0.0.store(REQUESTS, Ordering::Relaxed);
    }
}

impl Mark {
    /// From now on the socket is a WebSocket, which has a patience of its own.
    pub(super) fn is_upgraded(&self) {
        self.0.store(WEBSOCKET, Ordering::Relaxed);
    }

    /// A file goes over the socket, which may take long while something moves.
    pub(super) fn transfers(&self) -> Transfer {
        self.0.store(FILE, Ordering::Relaxed);
        Transfer(self.clone())
    }
}

/// The facts about a socket beside the bytes that come on it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) mark: Mark,
    /// The address of the other end: a client, or a proxy in front of many.
    pub(super) address: IpAddr,
    /// True if the service itself encrypts.
    pub(super) encrypted: bool,
}

impl Connected<IncomingStream<'_, PatientListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, PatientListener>) -> Self {
        let socket = stream.io();
        Self {
            mark: socket.mark.clone(),
            address: stream.remote_addr().ip().to_canonical(),
            encrypted: socket.encrypted,
        }
    }
}

/// A listener whose sockets are closed with patience.
pub(super) struct PatientListener {
    listener: TcpListener,
    /// The certificate, where the service itself encrypts.
    certificate: Option<Certificate>,
}

impl PatientListener {
    pub(super) fn new(listener: TcpListener, certificate: Option<Certificate>) -> Self {
        Self {
            listener,
            certificate,
        }
    }
}

impl Listener for PatientListener {
    type Io = PatientSocket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        // Small commands must not wait for each other; a socket that refuses is slower, no more.
        let _ = stream.set_nodelay(true);
        // Keys are agreed on in the socket's own time, when it is read first.
        let stream = match &self.certificate {
            None => Stream::Plain(stream),
            Some(certificate) => Stream::Greets(Box::new(certificate.acceptor().accept(stream))),
        };
        (PatientSocket::new(stream), addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A socket that is not cut off while its client still writes.
///
/// A system that closes a socket with unread bytes resets the connection, and the client loses the last bytes
/// that were sent to it: the reason of the closing. So bytes that still come are read and thrown away for a
/// moment, after everything was written.
///
/// And a socket from which nothing comes is not kept for ever: half a request, or a connection
/// kept open for requests that never come, would hold it as long as its client likes.
pub(super) struct PatientSocket {
    stream: Option<Stream>,
    encrypted: bool,
    /// Fires at the earliest moment at which the socket may have been silent for too long.
    alarm: Pin<Box<Sleep>>,
    /// The time since which the socket waits for the thing in `waits_for`.
    since: Instant,
    waits_for: Waits,
    mark: Mark,
}

/// The next thing to come from a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// The rest of a request.
    Rest,
    /// Another request.
    Request,
}

impl PatientSocket {
    fn new(stream: Stream) -> Self {
        Self {
            encrypted: !matches!(stream, Stream::Plain(_)),
            stream: Some(stream),
            alarm: Box::pin(sleep(REQUEST)),
            since: Instant::now(),
            waits_for: Waits::Rest,
            mark: Mark::default(),
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut Stream>> {
        let closed = || io::Error::from(io::ErrorKind::NotConnected);
        self.stream.as_mut().map(Pin::new).ok_or_else(closed)
    }

    fn is_used_for(&self) -> u8 {
        self.mark.0.load(Ordering::Relaxed)
    }

    fn is_upgraded(&self) -> bool {
        self.is_used_for() == WEBSOCKET
    }

    /// Something moved: where a file goes over the socket, its time begins anew.
    fn moved(&mut self) {
        if self.is_used_for() == FILE {
            self.since = Instant::now();
        }
    }

    fn patience(&self) -> Duration {
        match self.waits_for {
            _ if self.is_upgraded() => SILENCE,
            _ if self.is_used_for() == FILE => TRANSFER,
            Waits::Rest => REQUEST,
            Waits::Request => BETWEEN_REQUESTS,
        }
    }

    /// Something came. A request that dribbles in has to come to its end all the same.
    fn heard(&mut self) {
        let begins = self.waits_for == Waits::Request;
        if begins || self.is_upgraded() {
            self.since = Instant::now();
            self.waits_for = Waits::Rest;
        }
        if begins && !self.is_upgraded() {
            self.alarm.as_mut().reset(self.since + REQUEST);
        }
    }

    /// Something is answered: the request before it was whole.
    fn answers(&mut self) {
        if self.waits_for == Waits::Rest && !self.is_upgraded() {
            self.since = Instant::now();
            self.waits_for = Waits::Request;
        }
    }

    /// Fails once nothing has come for too long. Between requests the alarm is set anew only when
    /// it fires, not at every read.
    fn check_silence(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let end = self.since + self.patience();
            if end <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.alarm.as_mut().reset(end);
        }
        Ok(())
    }
}

impl Drop for PatientSocket {
    fn drop(&mut self) {
        if let (Some(stream), Ok(runtime)) =
            (self.stream.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(linger(stream));
        }
    }
}

/// Ends the writing half, then reads until the client has ended too, or long enough.
async fn linger(mut stream: Stream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut sink = [0; 4096];
    let drained = async {
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut sink).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    // A client that still writes after this is cut off after all.
    let _ = timeout(LINGER, drained).await;
}

impl AsyncRead for PatientSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.stream()?.poll_read(context, buffer);
        if read.is_pending() {
            self.check_silence(context)?;
        } else if buffer.filled().len() > before {
            self.heard();
            self.moved();
        }
        read
    }
}

impl AsyncWrite for PatientSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answers();
        let written = self.stream()?.poll_write(context, bytes);
        if written.is_pending() {
            self.check_silence(context)?;
        } else {
            self.moved();
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::net::TcpStream;

    async fn pair() -> (TcpStream, PatientSocket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let accepted = Stream::Plain(accepted.unwrap().0);
        (client.unwrap(), PatientSocket::new(accepted))
    }

    async fn read(socket: &mut PatientSocket) -> io::Result<usize> {
        socket.read(&mut [0; 16]).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_request_that_dribbles_in_is_given_up_in_time() {
        let (mut client, mut socket) = pair().await;
        let start = Instant::now();
        client.write_all(b"GET / HT").await.unwrap();
        assert_eq!(read(&mut socket).await.unwrap(), 8);
        let error = read(&mut socket).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), REQUEST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_request_that_dribbles_in_is_given_up_in_time_too() {
        let (mut client, mut socket) = pair().await;
        socket.write_all(b"HTTP/1.1 200 OK").await.unwrap();
        client.write_all(b"G").await.unwrap();
        assert_eq!(read(&mut socket).await.unwrap(), 1);
        let start = Instant::now();
        let dribble = async {
            loop {
                sleep(Duration::from_secs(10)).await;
                if client.write_all(b"E").await.is_err() {
                    return;
                }
            }
        };
        let heard = async { while read(&mut socket).await.is_ok() {} };
        tokio::select! {
            () = dribble => {}
            () = heard => {}
        }
        assert!(start.elapsed() <= REQUEST + Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_websocket_may_be_silent_longer_and_again() {
        let (mut client, mut socket) = pair().await;
        let start = Instant::now();
        socket.write_all(b"HTTP/1.1 101").await.unwrap();
        socket.mark.is_upgraded();
        let spoke = async {
            sleep(SILENCE / 2).await;
            client.write_all(b"ping").await.unwrap();
        };
        let heard = async { read(&mut socket).await.unwrap() };
        assert_eq!(tokio::join!(spoke, heard).1, 4);
        read(&mut socket).await.unwrap_err();
        assert!(start.elapsed() >= SILENCE * 3 / 2, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_may_take_long_while_something_moves_and_no_longer() {
        let (mut client, mut socket) = pair().await;
        let start = Instant::now();
        let transfer = socket.mark.transfers();
        for _ in 0..4 {
            let spoke = async {
                sleep(TRANSFER * 3 / 4).await;
                client.write_all(b"some").await.unwrap();
            };
            let heard = async { read(&mut socket).await.unwrap() };
            assert_eq!(tokio::join!(spoke, heard).1, 4);
        }
        let last = start.elapsed();
        assert!(last >= TRANSFER * 3, "{last:?}");
        let error = read(&mut socket).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= last + TRANSFER);
        drop(transfer);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_a_file_is_given_up() {
        let (_client, mut socket) = pair().await;
        let start = Instant::now();
        let _transfer = socket.mark.transfers();
        let piece = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = socket.write_all(&piece).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= TRANSFER, "{:?}", start.elapsed());
    }
}

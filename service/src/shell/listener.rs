//! Accepted sockets: given up when nothing comes, closed in a way that lets the other side read why.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep, timeout};

/// How long, and how much, is read from a socket that is being closed.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 32 * 1024 * 1024;

/// How long a new socket may take to send its first request: nothing has been answered yet.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// How long a socket may stay silent after that. Longer than a WebSocket's own patience, which
/// ends it with a reason; this is for what holds a socket and speaks no WebSocket.
const SILENCE: Duration = Duration::from_secs(600);

/// A listener whose sockets are closed with patience.
pub(super) struct PatientListener(pub(super) TcpListener);

impl Listener for PatientListener {
    type Io = PatientSocket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, addr) = Listener::accept(&mut self.0).await;
        // Small commands must not wait for each other; a socket that refuses is slower, no more.
        let _ = stream.set_nodelay(true);
        (PatientSocket::new(stream), addr)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A socket that is not cut off while its client still writes.
///
/// A system that closes a socket with unread bytes resets the connection, and the client loses
/// what was sent to it last: the reason why it is closed. So what still comes is read and thrown
/// away for a moment, after everything was written.
///
/// And a socket from which nothing comes is not kept for ever: half a request, or a connection
/// kept open for requests that never come, would hold it as long as its client likes.
pub(super) struct PatientSocket {
    stream: Option<TcpStream>,
    /// Fires at the earliest moment at which the socket may have been silent for too long.
    alarm: Pin<Box<Sleep>>,
    heard_at: Instant,
    patience: Duration,
}

impl PatientSocket {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream: Some(stream),
            alarm: Box::pin(sleep(FIRST_REQUEST)),
            heard_at: Instant::now(),
            patience: FIRST_REQUEST,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let closed = || io::Error::from(io::ErrorKind::NotConnected);
        self.stream.as_mut().map(Pin::new).ok_or_else(closed)
    }

    /// Fails once nothing has come for too long. The alarm is set anew only when it fires, not at
    /// every read.
    fn check_silence(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.alarm.as_mut().poll(context).is_ready() {
            let end = self.heard_at + self.patience;
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
async fn linger(mut stream: TcpStream) {
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
    // Whoever still writes after this is cut off after all.
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
        } else if buffer.filled().len() > before && self.patience == SILENCE {
            // A first request that dribbles in has to come to its end all the same.
            self.heard_at = Instant::now();
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
        self.patience = SILENCE;
        self.stream()?.poll_write(context, bytes)
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

    async fn pair() -> (TcpStream, PatientSocket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), PatientSocket::new(accepted.unwrap().0))
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
        assert_eq!(start.elapsed().as_secs(), FIRST_REQUEST.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_was_answered_may_be_silent_longer_and_again() {
        let (mut client, mut socket) = pair().await;
        let start = Instant::now();
        socket.write_all(b"HTTP/1.1 101").await.unwrap();
        let spoke = async {
            sleep(SILENCE / 2).await;
            client.write_all(b"ping").await.unwrap();
        };
        let heard = async { read(&mut socket).await.unwrap() };
        assert_eq!(tokio::join!(spoke, heard).1, 4);
        read(&mut socket).await.unwrap_err();
        assert!(start.elapsed() >= SILENCE * 3 / 2, "{:?}", start.elapsed());
    }
}

//! An accepted socket, encrypted or not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

/// The two ends of a socket's bytes.
pub(super) enum Stream {
    /// Plain bytes: a proxy in front encrypts, or there is no encryption.
    Plain(TcpStream),
    /// The keys are being agreed on.
    Greets(Box<Accept<TcpStream>>),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Agrees on keys, where that is not done yet.
    fn poll_greeting(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Greets(greeting) = self {
            let stream = ready!(Pin::new(greeting.as_mut()).poll(context))?;
            *self = Self::Tls(Box::new(stream));
        }
        Poll::Ready(Ok(()))
    }
}

/// A greeting that is not over has been waited for before.
const GREETS: io::ErrorKind = io::ErrorKind::WouldBlock;

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_greeting(context))?;
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
            Self::Greets(_) => Poll::Ready(Err(GREETS.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_greeting(context))?;
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
            Self::Greets(_) => Poll::Ready(Err(GREETS.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_greeting(context))?;
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
            Self::Greets(_) => Poll::Ready(Err(GREETS.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
            // Nothing was said, so there is nothing to end.
            Self::Greets(_) => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

//! Any HTTP request on a connection of its own, its body and the answer's in pieces.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;

use super::address::Address;
use super::http::broken;
use super::stream::Stream;
use super::{HttpAnswer, HttpBody, HttpMethod, HttpRequest, NetError};

/// How many pieces of an answer may wait before the socket is no longer read.
const PIECES_MAX: usize = 4;

/// A request's body as hyper wants one.
struct Outgoing(HttpBody);

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.pieces.poll_recv(context);
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.bytes)
    }
}

/// Sends the request over `stream` and waits for the answer's head.
pub(super) async fn exchange(
    stream: Stream,
    address: &Address,
    request: HttpRequest,
) -> Result<HttpAnswer, NetError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut connection = Box::pin(connection.fuse());
    let request = hyper_request(address, request)?;
    let answer = {
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        // The connection makes progress only while it is polled.
        tokio::select! {
            answer = &mut answer => answer,
            // A host that refuses a long body answers and closes: the answer counts, not how the rest went.
            ended = &mut connection => match answer.await {
                Ok(answer) => Ok(answer),
                Err(error) => Err(ended.err().unwrap_or(error)),
            },
        }
    };
    let (head, body) = answer.map_err(broken)?.into_parts();
    let headers = head.headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    let headers: BTreeMap<_, _> = headers.collect();
    let (pieces, received) = mpsc::channel(PIECES_MAX);
    // The body comes while the connection is polled, and the received bytes outlast the connection.
    let driven = async {
        let _ = connection.await;
        futures_util::future::pending::<()>().await;
    };
    tokio::spawn(async move {
        tokio::select! {
            () = hand_over(body, &pieces) => {}
            () = driven => {}
            // The reader is gone, so the rest is not read.
            () = pieces.closed() => {}
        }
    });
    Ok(HttpAnswer {
        status: head.status.as_u16(),
        headers,
        body: received,
    })
}

fn hyper_request(address: &Address, request: HttpRequest) -> Result<Request<Outgoing>, NetError> {
    let method = match request.method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
    };
    let mut builder = Request::builder()
        .method(method)
        .uri(&address.path)
        .header(header::HOST, &address.authority)
        .header(header::CONNECTION, "close")
        .header(
            header::USER_AGENT,
            concat!("sampan/", env!("CARGO_PKG_VERSION")),
        );
    if request.method != HttpMethod::Get {
        builder = builder.header(header::CONTENT_LENGTH, request.body.bytes);
    }
    for (name, value) in request.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Outgoing(request.body))
        .map_err(|_| NetError::Address {
            reason: "it makes no HTTP request",
        })
}

/// Hands the answer's body over, piece by piece.
async fn hand_over(mut body: Incoming, pieces: &mpsc::Sender<Result<Bytes, NetError>>) {
    while let Some(frame) = body.frame().await {
        let piece = match frame.map(Frame::into_data) {
            Ok(Ok(piece)) => Ok(piece),
            // Trailers say nothing that we need.
            Ok(Err(_)) => continue,
            Err(error) => Err(broken(error)),
        };
        let is_last = piece.is_err();
        if pieces.send(piece).await.is_err() || is_last {
            return;
        }
    }
}

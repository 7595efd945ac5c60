//! One HTTP GET on a connection of its own, with a limit on the body.

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header;
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;

use super::address::Address;
use super::stream::Stream;
use super::{BODY_BYTES_MAX, NetError, Response};

/// Sends the request over `stream` and reads the answer.
pub(super) async fn get(stream: Stream, address: &Address) -> Result<Response, NetError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = Request::get(&address.path)
        .header(header::HOST, &address.authority)
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
        .header(
            header::USER_AGENT,
            concat!("sampan/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::<Bytes>::new())
        .map_err(|_| NetError::Address {
            reason: "it makes no HTTP request",
        })?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(body_failed)?;
        Ok(Response {
            status,
            body: body.to_bytes().into(),
        })
    };
    // The connection makes progress only while it is polled; the exchange ends first.
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => {
            ended.map_err(broken)?;
            exchange.await
        }
    }
}

/// Bytes that follow the connection and are no HTTP come from somebody else than the service.
pub(super) fn broken(error: hyper::Error) -> NetError {
    let reason = error.to_string();
    let is_reset = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|source| source.kind() == std::io::ErrorKind::ConnectionReset);
    if error.is_incomplete_message() || error.is_parse() || error.is_canceled() || is_reset {
        NetError::Handshake { reason }
    } else {
        NetError::Broken { reason }
    }
}

fn body_failed(error: Box<dyn std::error::Error + Send + Sync>) -> NetError {
    if error.is::<LengthLimitError>() {
        return NetError::TooLarge {
            limit: BODY_BYTES_MAX,
        };
    }
    NetError::Broken {
        reason: error.to_string(),
    }
}

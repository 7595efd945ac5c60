//! One request on a connection of its own, within its time.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::files::{ByteStream, StoreError};
use crate::shell::outgoing::{connect, tls, web_roots};

/// The time in which a request must be answered, its bytes included: a part of a file over a slow line.
const ANSWERED_IN: Duration = Duration::from_secs(60);

/// The time in which the next bytes of a file must come.
const NEXT_BYTES_IN: Duration = Duration::from_secs(30);

/// Bytes of an answer that is read whole: a page of a thousand names is far below.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The pauses before a request is made again that met trouble which passes: a busy storage says so now and then.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];

/// Characters of a refusal that the log shows.
const REASON_CHARS_MAX: usize = 200;

/// The storage's answer to a request that it did not carry out.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, reason } = self;
        write!(f, "the storage of files answered {status}: {reason}")
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// The refusal in an answer that was read already.
    pub(super) fn of(status: StatusCode, text: &str) -> StoreError {
        // The code is an element of the answer; a proxy in between may say something else.
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        let reason = code.map_or(text, |(code, _)| code);
        let reason = reason.chars().take(REASON_CHARS_MAX).collect();
        io::Error::other(Self { status, reason }).into()
    }
}

/// Makes requests.
pub(super) struct Caller {
    tls: TlsConnector,
}

/// An answer, whose body was not read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    response: Response<Incoming>,
}

impl Caller {
    pub(super) fn new() -> Self {
        Self {
            tls: tls(web_roots()),
        }
    }

    /// Makes a request that may be made twice, and makes it again after trouble that passes.
    pub(super) async fn call_again(
        &self,
        method: Method,
        url: &Url,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> Result<Answer, StoreError> {
        for pause in PAUSES {
            let tried = self.call(method.clone(), url, headers.clone(), body.clone());
            match tried.await {
                Ok(answer) if is_passing(answer.status) => {}
                Err(StoreError::Io(error)) if error.kind() != ErrorKind::TimedOut => {}
                answered => return answered,
            }
            sleep(pause).await;
        }
        self.call(method, url, headers, body).await
    }

    /// Makes a request once.
    pub(super) async fn call(
        &self,
        method: Method,
        url: &Url,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> Result<Answer, StoreError> {
        let uri: Uri = url.as_str().parse().map_err(io::Error::other)?;
        let request = request(method, &uri, headers, body)?;
        let exchange = async {
            let socket = connect(&self.tls, &uri).await.map_err(io::Error::other)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
                .await
                .map_err(io::Error::other)?;
            // It ends with the answer, or when nobody reads the answer any more.
            tokio::spawn(connection);
            let answer = sender.send_request(request).await;
            answer.map_err(io::Error::other)
        };
        let response = timeout(ANSWERED_IN, exchange).await;
        let response = response.map_err(|_| slow())??;
        Ok(Answer {
            status: response.status(),
            response,
        })
    }
}

fn request(
    method: Method,
    uri: &Uri,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
) -> io::Result<Request<Full<Bytes>>> {
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    let host = uri.authority().map_or("", |it| it.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close");
    for (name, value) in headers {
        let value = HeaderValue::try_from(value).map_err(io::Error::other)?;
        request = request.header(HeaderName::from_static(name), value);
    }
    request.body(Full::new(body)).map_err(io::Error::other)
}

/// True if a status is of a trouble that passes.
const fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502..=504)
}

fn slow() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the storage of files takes too long")
}

impl Answer {
    /// The length of the body, if it was told.
    pub(super) fn length(&self) -> Option<u64> {
        let length = self.response.headers().get(header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }

    /// The entity tag.
    pub(super) fn etag(&self) -> Option<String> {
        let etag = self.response.headers().get(header::ETAG)?;
        Some(etag.to_str().ok()?.to_owned())
    }

    /// The whole body.
    pub(super) async fn bytes(self) -> Result<Bytes, StoreError> {
        let body = Limited::new(self.response.into_body(), ANSWER_BYTES_MAX);
        let body = timeout(ANSWERED_IN, body.collect()).await;
        let body = body.map_err(|_| slow())?.map_err(io::Error::other)?;
        Ok(body.to_bytes())
    }

    /// The whole body as a text.
    pub(super) async fn text(self) -> Result<String, StoreError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The error that this answer is.
    pub(super) async fn refused(self) -> StoreError {
        let status = self.status;
        match self.text().await {
            Ok(text) => Refused::of(status, &text),
            Err(_) => Refused::of(status, "it said no more"),
        }
    }

    /// The body, as it comes. A body that ends too early, or that does not come, is an error.
    pub(super) fn stream(self) -> ByteStream {
        let next = async |mut body: Incoming| {
            loop {
                let frame = timeout(NEXT_BYTES_IN, body.frame()).await;
                let Some(frame) = frame.map_err(|_| slow())? else {
                    return Ok(None);
                };
                // Trailers are no bytes of the file.
                if let Ok(bytes) = frame.map_err(io::Error::other)?.into_data() {
                    return Ok(Some((bytes, body)));
                }
            }
        };
        stream::try_unfold(self.response.into_body(), next).boxed()
    }
}

//! Carrying the questions of the core to the functions of an app's own server, and the answers back.
//!
//! A function that is asked gets one request, and another one only where no connection stood, so that it
//! is never asked twice. What a function is told is told again, at most three times in all, until it
//! answers: it may be told twice, and knows messages by their ids.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use sampan::wire::signature::hmac_sha1_hex;
use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::actor::Letter;
use super::clock::Clock;
use super::feed::{Event, Feed};
use super::metrics::Metrics;
use super::report::report;
use crate::core::app::App;
use crate::core::{ConnectionId, HookAnswer, HookCall};

/// Calls that are under way at a time.
const CALLS_MAX: usize = 256;

/// How long a function that is told something may take.
const TOLD_TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses before a function is told again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The header that proves who calls: the time in milliseconds, and the HMAC-SHA1 of
/// `function:time:body` with the master key, in hexadecimal.
const SIGN: &str = "X-Sampan-Sign";

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("no connection: {0}")]
    Unreachable(std::io::Error),
    #[error("the connection broke: {0}")]
    Broken(hyper::Error),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error("its answer is too long or was cut off")]
    Cut,
    #[error("its answer is no JSON object")]
    Malformed,
    #[error("it took too long")]
    Slow,
    #[error("its URL cannot be used")]
    Url,
}

impl CallError {
    /// A word for each, as the numbers have it.
    const fn word(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Broken(_) | Self::Cut => "broken",
            Self::Status(_) => "refused",
            Self::Malformed => "malformed",
            Self::Slow => "slow",
            Self::Url => "no_url",
        }
    }
}

/// Calls hooks, each in a task of its own.
#[derive(Clone)]
pub(super) struct HookCaller {
    clock: Clock,
    /// The core may end while a call is under way.
    mailbox: mpsc::WeakSender<Letter>,
    calls: Arc<Semaphore>,
    tls: TlsConnector,
    metrics: Arc<Metrics>,
    /// Where the inspector listens, if there is one.
    feed: Option<Arc<Feed>>,
}

impl HookCaller {
    pub(super) fn new(
        clock: Clock,
        mailbox: mpsc::WeakSender<Letter>,
        (metrics, feed): (Arc<Metrics>, Option<Arc<Feed>>),
    ) -> Self {
        Self {
            clock,
            mailbox,
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            tls: TlsConnector::from(Arc::new(tls())),
            metrics,
            feed,
        }
    }

    /// Calls a hook of an app; where a connection waits, the core is told the answer.
    pub(super) fn call(&self, app: App, waits: Option<ConnectionId>, call: HookCall) {
        let caller = self.clone();
        tokio::spawn(async move {
            match waits {
                None => caller.tell(&app, &call).await,
                Some(connection) => {
                    let answer = caller.ask(&app, &call).await;
                    if let Some(mailbox) = caller.mailbox.upgrade() {
                        // A core that has ended has no connections that wait.
                        let _ = mailbox
                            .send(Letter::HookAnswer { connection, answer })
                            .await;
                    }
                }
            }
        });
    }

    async fn ask(&self, app: &App, call: &HookCall) -> HookAnswer {
        let asked = async {
            let _permit = self.calls.acquire().await;
            match self.post(app, call).await {
                Err(CallError::Unreachable(_)) => self.post(app, call).await,
                other => other,
            }
        };
        let answer = timeout(app.settings.hooks.timeout(), asked).await;
        let answer = answer.unwrap_or(Err(CallError::Slow));
        self.note(call, &answer);
        match answer {
            Ok(result) => Some(result),
            Err(error) => {
                failed(call, &error);
                None
            }
        }
    }

    async fn tell(&self, app: &App, call: &HookCall) {
        let Ok(_permit) = self.calls.try_acquire() else {
            let name = call.hook.as_str();
            report(format_args!(
                "hook {name} was not told: too many calls are under way"
            ));
            return;
        };
        let mut pauses = PAUSES.iter();
        loop {
            let told = timeout(TOLD_TIMEOUT, self.post(app, call)).await;
            let told = told.unwrap_or(Err(CallError::Slow));
            self.note(call, &told);
            let Err(error) = told else {
                return;
            };
            let is_refused = matches!(error, CallError::Status(400..=499) | CallError::Url);
            match pauses.next().filter(|_| !is_refused) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return failed(call, &error),
            }
        }
    }

    /// Counts a call, and tells the inspector.
    fn note(&self, call: &HookCall, answer: &Result<Map<String, Value>, CallError>) {
        let word = answer.as_ref().err().map_or("ok", CallError::word);
        let name = call.hook.as_str();
        self.metrics.hook_called(name, word);
        if let Some(feed) = &self.feed {
            feed.tell(Event {
                at: self.clock.now().wall.as_millis(),
                what: "hook",
                details: Some(format!("{name} of {}: {word}", call.app)),
                ..Event::default()
            });
        }
    }

    /// One request.
    async fn post(&self, app: &App, call: &HookCall) -> Result<Map<String, Value>, CallError> {
        let base = app.settings.hooks.url.as_deref().ok_or(CallError::Url)?;
        let name = call.hook.as_str();
        let uri: Uri = format!("{}/{name}", base.trim_end_matches('/'))
            .parse()
            .map_err(|_| CallError::Url)?;
        let body = call.parameters.to_string();
        let at = self.clock.now().wall.as_millis();
        let key = app.credentials.master_key.expose();
        let sign = hmac_sha1_hex(key, &format!("{name}:{at}:{body}"));
        let (host, authority) = (uri.host(), uri.authority());
        let (host, authority) = host.zip(authority).ok_or(CallError::Url)?;
        let path = uri.path_and_query().map_or("/", |it| it.as_str());
        let request = Request::post(path)
            .header(header::HOST, authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONNECTION, "close")
            .header("X-LC-Id", call.app.as_str())
            .header(SIGN, format!("{at},{sign}"))
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| CallError::Url)?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((bare, port)).await;
        let socket = socket.map_err(CallError::Unreachable)?;
        if !is_tls {
            return exchange(socket, request).await;
        }
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| CallError::Url)?;
        let socket = self.tls.connect(name, socket).await;
        exchange(socket.map_err(CallError::Unreachable)?, request).await
    }
}

fn failed(call: &HookCall, error: &CallError) {
    let (app, name) = (&call.app, call.hook.as_str());
    report(format_args!("hook {name} of app {app} failed: {error}"));
}

fn tls() -> ClientConfig {
    let roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions();
    // The provider speaks the default versions: it is the one they were made with.
    match builder {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        Err(_) => ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    }
}

/// Sends a request and reads the result: the object itself, or the one under `result` in it.
async fn exchange(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Map<String, Value>, CallError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
        .await
        .map_err(CallError::Broken)?;
    let exchange = async {
        let response = sender.send_request(request).await;
        let response = response.map_err(CallError::Broken)?;
        if !response.status().is_success() {
            return Err(CallError::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|_| CallError::Cut)?;
        result_of(&body.to_bytes())
    };
    tokio::pin!(exchange);
    // The connection makes progress only while it is polled; the exchange ends first.
    tokio::select! {
        answer = &mut exchange => answer,
        ended = connection => {
            ended.map_err(CallError::Broken)?;
            exchange.await
        }
    }
}

fn result_of(body: &[u8]) -> Result<Map<String, Value>, CallError> {
    let body = match body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(body).map_err(|_| CallError::Malformed)?,
    };
    match body {
        Value::Null => Ok(Map::new()),
        Value::Object(mut object) => match object.remove("result") {
            None => Ok(object),
            Some(Value::Object(result)) => Ok(result),
            // A function that has nothing to say.
            Some(_) => Ok(Map::new()),
        },
        _ => Err(CallError::Malformed),
    }
}

//! A service to ask: its address, the app and the master key. The key leaves this file in one
//! header only.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A master key, which is never shown and never written.
#[derive(Clone)]
pub struct MasterKey(String);

impl MasterKey {
    /// Takes a key; surrounding white space, as files end with, is no part of it.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let key = text.trim();
        let is_usable = !key.is_empty()
            && key
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b',');
        is_usable.then(|| Self(key.to_owned()))
    }

    /// A text without the key, should somebody have repeated it.
    #[must_use]
    pub fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "[the master key]")
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The address, the key and the limits of a service to ask.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The address: `https://HOST` or `https://HOST:PORT`.
    pub url: String,
    /// The app.
    pub app: String,
    /// Its master key.
    pub key: MasterKey,
    /// The longest time until the last byte of an answer.
    pub timeout: Duration,
    /// True if the key may travel to another machine without encryption.
    pub may_be_clear: bool,
}

/// A service to ask.
#[derive(Clone)]
pub struct Server {
    options: ServerOptions,
    base: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    headers: HeaderMap,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Server");
        let shown = shown.field("address", &self.base);
        shown
            .field("app", &self.options.app)
            .finish_non_exhaustive()
    }
}

/// The reason why no answer came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The address is none.
    #[error("{0:?} is no address of a service; it must look like https://HOST")]
    Address(String),
    /// The key would travel in clear text.
    #[error("{0:?} has no encryption; the master key is only sent without it to this machine")]
    Clear(String),
    /// The app id or the key cannot be put into a header.
    #[error("the app id has characters that no app id has")]
    AppId,
    /// No answer in time.
    #[error("no complete answer in {} seconds", .0.as_secs_f64())]
    Timeout(Duration),
    /// The answer is longer than anything that is asked for.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// The connection could not be made or broke.
    #[error("{0}")]
    Broken(String),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The service's clock, in milliseconds since 1970.
    pub date: Option<i64>,
    /// The time for which the service asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The address that a redirection names.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Server {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`HttpError::Address`], [`HttpError::Clear`] and [`HttpError::AppId`].
    pub fn new(options: ServerOptions) -> Result<Self, HttpError> {
        let base = options.url.trim_end_matches('/').to_owned();
        let bad = || HttpError::Address(base.clone());
        let uri: Uri = base.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?;
        let has_path = uri
            .path_and_query()
            .is_some_and(|path| path.as_str() != "/");
        match uri.scheme_str() {
            _ if has_path => return Err(bad()),
            Some("https") => {}
            Some("http") if options.may_be_clear || is_here(host) => {}
            Some("http") => return Err(HttpError::Clear(base)),
            _ => return Err(bad()),
        }
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        let mut headers = HeaderMap::new();
        let id = HeaderValue::from_str(&options.app).map_err(|_| HttpError::AppId)?;
        let key = HeaderValue::from_str(&format!("{},master", options.key.0));
        let mut key = key.map_err(|_| HttpError::AppId)?;
        key.set_sensitive(true);
        headers.insert("x-lc-id", id);
        headers.insert("x-lc-key", key);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            base,
            headers,
            options,
        })
    }

    /// The same service, asked with another patience.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// The app.
    #[must_use]
    pub fn app(&self) -> &str {
        &self.options.app
    }

    /// The address, without anything secret.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.base
    }

    /// The master key, to keep it out of output.
    #[must_use]
    pub fn key(&self) -> &MasterKey {
        &self.options.key
    }

    /// Asks for a path of the service, with the master key.
    ///
    /// # Errors
    ///
    /// [`HttpError`] when no complete answer of at most `limit` bytes comes.
    pub async fn ask(&self, target: &str, limit: usize) -> Result<Answer, HttpError> {
        self.get(&format!("{}{target}", self.base), &self.headers, limit)
            .await
    }

    /// Asks for any address, without the key: attachments lie elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Server::ask`].
    pub async fn fetch(&self, url: &str, limit: usize) -> Result<Answer, HttpError> {
        self.get(url, &HeaderMap::new(), limit).await
    }

    /// Sends JSON to a path of the service, with the master key.
    ///
    /// # Errors
    ///
    /// As [`Server::ask`].
    pub async fn send(
        &self,
        target: &str,
        body: String,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let url = format!("{}{target}", self.base);
        let request = Request::post(&url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        self.answered(&url, request, &self.headers, limit).await
    }

    async fn get(&self, url: &str, headers: &HeaderMap, limit: usize) -> Result<Answer, HttpError> {
        let request = Request::get(url).body(Full::default());
        self.answered(url, request, headers, limit).await
    }

    async fn answered(
        &self,
        url: &str,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
        headers: &HeaderMap,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let mut request = request.map_err(|_| HttpError::Address(url.to_owned()))?;
        let agent = concat!("sampan-migrate/", env!("CARGO_PKG_VERSION"));
        let own = request.headers_mut();
        own.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        own.extend(headers.clone());
        let answered =
            tokio::time::timeout(self.options.timeout, self.exchange(request, limit)).await;
        answered.map_err(|_| HttpError::Timeout(self.options.timeout))?
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| self.broken(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => HttpError::TooLarge(limit),
            false => self.broken(&*error),
        })?;
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        Ok(Answer {
            status: parts.status.as_u16(),
            date: text(header::DATE).and_then(millis),
            retry_after: text(header::RETRY_AFTER)
                .and_then(|it| it.parse().ok())
                .map(Duration::from_secs),
            location: text(header::LOCATION).map(str::to_owned),
            body: body.to_bytes(),
        })
    }

    /// An error with its causes, which say more than the error itself.
    fn broken(&self, error: &(dyn std::error::Error + 'static)) -> HttpError {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        HttpError::Broken(self.options.key.hidden_in(&text))
    }
}

fn millis(date: &str) -> Option<i64> {
    let time = httpdate::parse_http_date(date).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

fn is_here(host: &str) -> bool {
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str, may_be_clear: bool) -> Result<Server, HttpError> {
        Server::new(ServerOptions {
            url: url.to_owned(),
            app: "app".to_owned(),
            key: MasterKey::new(" hidden\n").unwrap(),
            timeout: Duration::from_secs(1),
            may_be_clear,
        })
    }

    #[test]
    fn the_key_goes_in_clear_text_to_this_machine_alone() {
        for here in [
            "http://127.0.0.1:8080",
            "http://localhost/",
            "http://[::1]:1",
            "https://a.example",
        ] {
            assert!(server(here, false).is_ok(), "{here}");
        }
        let there = "http://api.example.com";
        assert!(matches!(server(there, false), Err(HttpError::Clear(_))));
        assert!(server(there, true).is_ok());
        for bad in [
            "",
            "api.example.com",
            "ftp://a.example",
            "https://a.example/1.1",
        ] {
            assert!(
                matches!(server(bad, true), Err(HttpError::Address(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_key_is_never_shown() {
        let key = MasterKey::new("hidden").unwrap();
        assert!(!format!("{key:?}").contains("hidden"));
        assert!(!key.hidden_in("no hidden key").contains("hidden "));
        for bad in ["", " \n", "a,b", "a b", "ключ"] {
            assert!(MasterKey::new(bad).is_none(), "{bad:?}");
        }
    }
}

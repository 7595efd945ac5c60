//! A storage on loopback that speaks S3. It computes each signature anew, by the published rules.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, Uri};
use futures_util::stream;
use ring::hmac;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::timeout;

pub(super) const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The names of elements are of this place, and nobody asks there.
const NAMESPACE: &str = "s3.amazonaws.com/doc/2006-03-01/";

/// Names on a page of a list: few, so that there are more pages.
const PAGE: usize = 2;

const YOUNG: &str = "2999-01-01T00:00:00.000Z";
const OLD: &str = "2020-01-01T00:00:00.000Z";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Answers 503.
    Busy,
    /// Answers 503 once.
    BusyOnce,
    /// Ends the connection without an answer.
    Hangs,
    /// Ends bodies before their end.
    CutsBodies,
    /// Gives the whole object where a range is asked for.
    KnowsNoRanges,
    /// Does not heed `If-None-Match`.
    Overwrites,
    /// Answers the end of an upload in parts with 200, and takes it back in the body.
    TakesEndsBack,
    /// Keeps a record, and ends the connection without an answer.
    LosesAnswerOfRecord,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) objects: BTreeMap<String, (Bytes, &'static str)>,
    pub(super) uploads: BTreeMap<String, BTreeMap<u16, Bytes>>,
    pub(super) parts: usize,
    pub(super) trouble: Option<Trouble>,
    /// The names that were written under a condition.
    pub(super) claimed: Vec<String>,
    begun: usize,
    refused: Vec<String>,
}

impl Inner {
    /// Makes objects old.
    pub(super) fn age(&mut self, which: impl Fn(&str) -> bool) {
        let objects = self.objects.iter_mut();
        let objects = objects.filter(|(key, _)| which(key));
        objects.for_each(|(_, object)| object.1 = OLD);
    }
}

#[derive(Clone)]
pub(super) struct Double {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<Notify>,
    address: SocketAddr,
}

impl Double {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let double = Self {
            inner: Arc::default(),
            changed: Arc::default(),
            address: listener.local_addr().unwrap(),
        };
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        double
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Every request was signed as it must be.
    pub(super) fn is_content(&self) {
        assert_eq!(self.lock().refused, Vec::<String>::new());
    }

    pub(super) async fn no_upload_is_left(&self) {
        let gone = async {
            loop {
                let changed = self.changed.notified();
                if self.lock().uploads.is_empty() {
                    return;
                }
                changed.await;
            }
        };
        timeout(std::time::Duration::from_secs(20), gone)
            .await
            .unwrap();
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The parts of a query, as they were written.
fn query_of(uri: &Uri) -> Vec<(String, String)> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let pairs = pairs.filter(|it| !it.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The signature that a URL must have (AWS Signature Version 4 in the query, payload not signed).
fn signature(method: &str, host: &str, uri: &Uri, key: &str) -> String {
    let mut query = query_of(uri);
    query.retain(|(name, _)| name != "X-Amz-Signature");
    query.sort();
    let value = |wanted: &str| {
        let found = query.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let date = value("X-Amz-Date");
    let scope = value("X-Amz-Credential").replace("%2F", "/");
    let (_, scope) = scope.split_once('/').unwrap_or_default();
    let pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let canonical = format!(
        "{method}\n{}\n{}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
        uri.path(),
        pairs.join("&")
    );
    let digest = hex(&Sha256::digest(canonical));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{digest}");
    let first = mac(
        format!("AWS4{key}").as_bytes(),
        scope.split('/').next().unwrap_or_default(),
    );
    let key = scope
        .split('/')
        .skip(1)
        .fold(first, |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

fn plain(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(body.into())
        .unwrap()
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    plain(
        status,
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>"),
    )
}

/// A connection that ends: the body fails before its first byte has left.
fn hang_up() -> Response<Body> {
    let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("gone"))]);
    let response = Response::builder().header("content-length", "10");
    response.body(Body::from_stream(broken)).unwrap()
}

async fn answer(
    State(double): State<Double>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let host = headers.get("host").unwrap().to_str().unwrap();
    let query: HashMap<_, _> = query_of(&uri).into_iter().collect();
    let expected = signature(method.as_str(), host, &uri, KEY);
    let mut inner = double.lock();
    if query.get("X-Amz-Signature") != Some(&expected) {
        inner.refused.push(format!("{method} {uri}"));
        return refusal(403, "SignatureDoesNotMatch");
    }
    match inner.trouble {
        Some(Trouble::Busy) => return refusal(503, "SlowDown"),
        Some(Trouble::BusyOnce) => {
            inner.trouble = None;
            return refusal(503, "SlowDown");
        }
        Some(Trouble::Hangs) => return hang_up(),
        _ => {}
    }
    let path = uri
        .path()
        .strip_prefix("/pictures")
        .unwrap()
        .trim_start_matches('/');
    let changed = Arc::clone(&double.changed);
    let response = inner.serve(method.as_str(), path, &query, &headers, body);
    changed.notify_waiters();
    response
}

impl Inner {
    fn serve(
        &mut self,
        method: &str,
        key: &str,
        query: &HashMap<String, String>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response<Body> {
        let upload = query.get("uploadId");
        match (method, upload) {
            ("GET", _) if key.is_empty() => self.list(query),
            ("GET", _) => self.get(key, headers),
            ("HEAD", _) => plain(
                if self.objects.contains_key(key) {
                    200
                } else {
                    404
                },
                "",
            ),
            ("POST", None) => {
                self.begun += 1;
                let id = format!("u{}", self.begun);
                self.uploads.insert(id.clone(), BTreeMap::new());
                plain(
                    200,
                    in_s3(
                        "InitiateMultipartUploadResult",
                        &format!(
                            "<Bucket>pictures</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>"
                        ),
                    ),
                )
            }
            ("POST", Some(id)) => self.complete(key, id, &body),
            ("PUT", Some(id)) => {
                let number = query.get("partNumber").unwrap().parse().unwrap();
                self.parts += 1;
                self.uploads.get_mut(id).unwrap().insert(number, body);
                let response = Response::builder().header("etag", format!("\"{id}-{number}\""));
                response.body(Body::empty()).unwrap()
            }
            ("DELETE", Some(id)) => {
                self.uploads.remove(id);
                plain(204, "")
            }
            ("PUT", None) => self.put(key, headers, body),
            ("DELETE", None) => {
                self.objects.remove(key);
                plain(204, "")
            }
            _ => refusal(405, "MethodNotAllowed"),
        }
    }

    fn put(&mut self, key: &str, headers: &HeaderMap, body: Bytes) -> Response<Body> {
        let is_new = headers.contains_key("if-none-match");
        if is_new {
            self.claimed.push(key.to_owned());
        }
        let heeds = self.trouble != Some(Trouble::Overwrites);
        if is_new && heeds && self.objects.contains_key(key) {
            return refusal(412, "PreconditionFailed");
        }
        self.objects.insert(key.to_owned(), (body, YOUNG));
        match is_new && self.trouble == Some(Trouble::LosesAnswerOfRecord) {
            true => refusal(500, "InternalError"),
            false => plain(200, ""),
        }
    }

    fn complete(&mut self, key: &str, id: &str, body: &Bytes) -> Response<Body> {
        if self.trouble == Some(Trouble::TakesEndsBack) {
            return refusal(200, "InternalError");
        }
        let parts = self.uploads.remove(id).unwrap();
        let named = String::from_utf8(body.to_vec()).unwrap();
        let whole: Vec<u8> = parts
            .iter()
            .flat_map(|(number, bytes)| {
                assert!(named.contains(&format!("{id}-{number}")), "{named}");
                bytes.to_vec()
            })
            .collect();
        self.objects.insert(key.to_owned(), (whole.into(), YOUNG));
        plain(
            200,
            in_s3(
                "CompleteMultipartUploadResult",
                &format!(
                    "<Location>x</Location><Bucket>pictures</Bucket><Key>{key}</Key><ETag>\"e\"</ETag>"
                ),
            ),
        )
    }

    fn get(&self, key: &str, headers: &HeaderMap) -> Response<Body> {
        let Some((bytes, _)) = self.objects.get(key) else {
            return refusal(404, "NoSuchKey");
        };
        let range = headers.get("range").map(|it| it.to_str().unwrap());
        let range = range.and_then(|it| it.strip_prefix("bytes=")?.split_once('-'));
        let Some((from, to)) = range.filter(|_| self.trouble != Some(Trouble::KnowsNoRanges))
        else {
            return plain(200, bytes.clone());
        };
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        if from >= bytes.len() {
            return refusal(416, "InvalidRange");
        }
        let part = bytes.slice(from..bytes.len().min(to + 1));
        if self.trouble == Some(Trouble::CutsBodies) {
            let half = part.slice(..part.len() / 2);
            let pieces = [Ok(half), Err(std::io::Error::other("gone"))];
            let response = Response::builder().status(206);
            let response = response.header("content-length", part.len().to_string());
            return response
                .body(Body::from_stream(stream::iter(pieces)))
                .unwrap();
        }
        plain(206, part)
    }

    fn list(&self, query: &HashMap<String, String>) -> Response<Body> {
        let decoded = |name: &str| query.get(name).map(|it| it.replace("%2F", "/"));
        let prefix = decoded("prefix").unwrap_or_default();
        let from = decoded("continuation-token").unwrap_or_default();
        let found = self
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix) && **key >= from);
        let found: Vec<_> = found.take(PAGE + 1).collect();
        let contents: String = found
            .iter()
            .take(PAGE)
            .map(|(key, (bytes, modified))| {
                format!("<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>\"e\"</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>", bytes.len())
            })
            .collect();
        let next = found
            .get(PAGE)
            .map(|(key, _)| format!("<NextContinuationToken>{key}</NextContinuationToken>"));
        let more = next.is_some();
        let next = next.unwrap_or_default();
        let body = format!(
            "<Name>pictures</Name><Prefix>{prefix}</Prefix><MaxKeys>{PAGE}</MaxKeys><IsTruncated>{more}</IsTruncated>{contents}{next}"
        );
        plain(200, in_s3("ListBucketResult", &body))
    }
}

fn in_s3(element: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{element} xmlns=\"http://{NAMESPACE}\">{body}</{element}>"
    )
}

/// The example of Amazon's page about signatures in a query: the double does not go by the code that it checks.
#[test]
fn the_published_signature_comes_out() {
    let uri: Uri = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        .parse()
        .unwrap();
    assert_eq!(
        signature("GET", "examplebucket.s3.amazonaws.com", &uri, KEY),
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}

//! A file service on loopback, as the protocol's section on files describes it: tickets, uploads, confirmations,
//! downloads with ranges. It keeps files in memory and fails on demand.

#![expect(
    clippy::indexing_slicing,
    reason = "a request that is not as it should be fails the test there and then"
)]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The trouble that the next request to a path meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection breaks before the request is read whole.
    Breaks,
    /// The request is done, and the answer is lost.
    AnswerLost,
    /// The request is refused.
    Status(u16, &'static str),
    /// The answer's body breaks after so many bytes.
    BreaksAfter(usize),
    /// The same of an answer that does not say how long it is.
    BreaksUnsized(usize),
    /// Nothing is answered until the host is told to go on.
    Stalls,
    /// A range is answered with the bytes from this place on.
    FromElsewhere(usize),
    /// The file is at another address.
    MovedTo(String),
}

/// A stored file, from its ticket on.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostFile {
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) is_confirmed: bool,
}

#[derive(Debug, Default)]
pub(crate) struct HostState {
    /// By the tokens of their tickets: each ticket is for a file of its own.
    pub(crate) files: BTreeMap<String, HostFile>,
    /// By the beginning of a path.
    pub(crate) troubles: BTreeMap<&'static str, VecDeque<Trouble>>,
    /// The first lines of the requests, and the `Range` that each asked for.
    pub(crate) requests: Vec<(String, Option<String>)>,
    /// The installations that devices announced.
    pub(crate) installations: Vec<Value>,
    /// The bodies that were posted to `/push`.
    pub(crate) pushes: Vec<Value>,
    /// The storage's way of uploading.
    pub(crate) provider: Option<&'static str>,
    /// The versions of files that are named with them, by the tokens of their tickets.
    pub(crate) versions: BTreeMap<String, &'static str>,
}

/// The running host; it ends with this value.
pub(crate) struct FileHost {
    address: SocketAddr,
    state: Arc<Mutex<HostState>>,
    may_go_on: watch::Sender<bool>,
    asked: watch::Receiver<usize>,
    moved: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Drop for FileHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FileHost {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(HostState::default()));
        let (may_go_on, stalled) = watch::channel(false);
        let (count, asked) = watch::channel(0);
        let count = Arc::new(count);
        let (moves, moved) = watch::channel(0);
        let moves = Arc::new(moves);
        let (kept, base) = (Arc::clone(&state), format!("http://{address}"));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let exchange = Exchange {
                    state: Arc::clone(&kept),
                    base: base.clone(),
                    stalled: stalled.clone(),
                    count: Arc::clone(&count),
                    moves: Arc::clone(&moves),
                };
                tokio::spawn(exchange.serve(socket));
            }
        });
        Self {
            address,
            state,
            may_go_on,
            asked,
            moved,
            task,
        }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().unwrap()
    }

    /// Makes the next request to a path meet this trouble.
    pub(crate) fn fail(&self, path: &'static str, trouble: Trouble) {
        let mut state = self.state();
        state.troubles.entry(path).or_default().push_back(trouble);
    }

    /// Waits until so many requests came in all.
    pub(crate) async fn is_asked(&self, requests: usize) {
        let mut asked = self.asked.clone();
        asked.wait_for(|count| *count >= requests).await.unwrap();
    }

    /// Requests, pieces of bodies and answers so far.
    pub(crate) fn moves(&self) -> usize {
        *self.moved.borrow()
    }

    /// Waits until there were so many requests, pieces of bodies and answers in all.
    pub(crate) async fn has_moved(&self, moves: usize) {
        let mut moved = self.moved.clone();
        moved.wait_for(|count| *count >= moves).await.unwrap();
    }

    /// Waits until so many pushes came in all, and gives them.
    pub(crate) async fn pushed(&self, pushes: usize) -> Vec<Value> {
        let mut moved = self.moved.clone();
        let came = |_: &usize| self.state().pushes.len() >= pushes;
        moved.wait_for(came).await.unwrap();
        self.state().pushes.clone()
    }

    /// The files of which all bytes arrived, told to be there or not.
    pub(crate) fn arrived(&self) -> usize {
        let state = self.state();
        state.files.values().filter(|it| it.bytes.is_some()).count()
    }

    /// Lets stalled requests go on.
    pub(crate) fn go_on(&self) {
        self.may_go_on.send_replace(true);
    }

    /// Puts a file there without an upload; gives its URL.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) -> String {
        let file = HostFile {
            bytes: Some(bytes.to_vec()),
            ..HostFile::default()
        };
        self.state().files.insert(key.to_owned(), file);
        format!("{}/get/{key}", self.url())
    }

    /// The bytes of the files that are whole and confirmed.
    pub(crate) fn stored(&self) -> Vec<Vec<u8>> {
        let state = self.state();
        let files = state.files.values().filter(|file| file.is_confirmed);
        files.filter_map(|file| file.bytes.clone()).collect()
    }
}

struct Exchange {
    state: Arc<Mutex<HostState>>,
    base: String,
    stalled: watch::Receiver<bool>,
    count: Arc<watch::Sender<usize>>,
    moves: Arc<watch::Sender<usize>>,
}

/// A request as it came.
struct Asked {
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Exchange {
    async fn serve(mut self, mut socket: TcpStream) {
        let Some((line, headers, rest)) = head(&mut socket).await else {
            return;
        };
        self.moves.send_modify(|moves| *moves += 1);
        let trouble = self.note(&line, headers.get("range").cloned());
        if trouble == Some(Trouble::Breaks) {
            return;
        }
        if trouble == Some(Trouble::Stalls) && self.stalled.wait_for(|on| *on).await.is_err() {
            return;
        }
        let length = headers
            .get("content-length")
            .map_or(0, |it| it.parse().unwrap());
        let mut body = rest;
        while body.len() < length {
            let mut piece = vec![0; 64 * 1024];
            match socket.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(read) => body.extend_from_slice(&piece[..read]),
            }
            self.moves.send_modify(|moves| *moves += 1);
        }
        let asked = Asked {
            line,
            headers,
            body,
        };
        let (status, head, body) = match &trouble {
            Some(Trouble::Status(status, said)) => {
                (*status, String::new(), said.as_bytes().to_vec())
            }
            Some(Trouble::MovedTo(place)) => (302, format!("Location: {place}\r\n"), Vec::new()),
            Some(Trouble::FromElsewhere(from)) => {
                let mut elsewhere = asked;
                let range = format!("bytes={from}-");
                elsewhere.headers.insert("range".to_owned(), range);
                self.answer(&elsewhere)
            }
            _ => self.answer(&asked),
        };
        self.moves.send_modify(|moves| *moves += 1);
        if trouble == Some(Trouble::AnswerLost) {
            return;
        }
        let (length, chunk) = match trouble {
            Some(Trouble::BreaksUnsized(bytes)) => (
                "Transfer-Encoding: chunked".to_owned(),
                format!("{bytes:x}\r\n"),
            ),
            _ => (format!("Content-Length: {}", body.len()), String::new()),
        };
        let head =
            format!("HTTP/1.1 {status} X\r\n{length}\r\nConnection: close\r\n{head}\r\n{chunk}");
        let body = match trouble {
            Some(Trouble::BreaksAfter(bytes) | Trouble::BreaksUnsized(bytes)) => &body[..bytes],
            _ => &body[..],
        };
        // A client that left is not told.
        let _ = socket.write_all(head.as_bytes()).await;
        let _ = socket.write_all(body).await;
        let _ = socket.shutdown().await;
    }

    fn note(&self, line: &str, range: Option<String>) -> Option<Trouble> {
        let mut state = self.state.lock().unwrap();
        state.requests.push((line.to_owned(), range));
        self.count.send_replace(state.requests.len());
        let path = line.split(' ').nth(1).unwrap_or_default();
        let queue = state
            .troubles
            .iter_mut()
            .find(|(known, _)| path.starts_with(**known));
        queue.and_then(|(_, queue)| queue.pop_front())
    }

    /// Status, further headers and body of an answer.
    fn answer(&self, asked: &Asked) -> (u16, String, Vec<u8>) {
        let mut parts = asked.line.split(' ');
        let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
        let mut state = self.state.lock().unwrap();
        let json = |value: Value| (200, String::new(), value.to_string().into_bytes());
        if (method, path) == ("POST", "/1.1/fileTokens") {
            assert_eq!(asked.headers["x-lc-key"], "it-key");
            let said: Value = serde_json::from_slice(&asked.body).unwrap();
            let text = |key: &str| said[key].as_str().unwrap().to_owned();
            let key = text("key");
            let number = state.files.len();
            let token = format!("{number}-{key}");
            let file = state.files.entry(token.clone()).or_default();
            (file.name, file.mime) = (text("name"), text("mime_type"));
            let base = &self.base;
            return json(json!({
                "objectId": format!("{number:024x}"),
                "provider": state.provider.unwrap_or("s3"),
                "upload_url": format!("{base}/up/{token}"),
                "token": token,
                "key": key,
                "url": format!("{base}/get/{token}"),
            }));
        }
        if (method, path) == ("POST", "/1.1/fileCallback") {
            let said: Value = serde_json::from_slice(&asked.body).unwrap();
            let file = state
                .files
                .get_mut(said["token"].as_str().unwrap())
                .unwrap();
            assert!(file.bytes.is_some(), "confirmed before it is there");
            file.is_confirmed = said["result"].as_bool().unwrap();
            return json(json!({}));
        }
        if (method, path) == ("POST", "/1.1/installations") {
            state
                .installations
                .push(serde_json::from_slice(&asked.body).unwrap());
            return json(json!({"objectId": "1"}));
        }
        if (method, path) == ("POST", "/push") {
            let said = serde_json::from_slice(&asked.body).unwrap();
            state.pushes.push(said);
            return json(json!({}));
        }
        if let Some(key) = path.strip_prefix("/up/") {
            let bytes = match method {
                "PUT" => asked.body.clone(),
                _ => file_of_form(&asked.body),
            };
            let file = state.files.get_mut(key).unwrap();
            file.bytes = Some(bytes);
            return json(json!({}));
        }
        let file = path
            .strip_prefix("/get/")
            .and_then(|key| state.files.get(key));
        let Some(bytes) = file.and_then(|file| file.bytes.as_ref()) else {
            return (404, String::new(), Vec::new());
        };
        let (status, mut head, body) = part_of(bytes, asked.headers.get("range"));
        let version = path
            .strip_prefix("/get/")
            .and_then(|key| state.versions.get(key));
        if let Some(version) = version {
            head += &format!("ETag: \"{version}\"\r\n");
        }
        (status, head, body)
    }
}

/// A file, or the part of it that a `Range` header asks for.
fn part_of(bytes: &[u8], range: Option<&String>) -> (u16, String, Vec<u8>) {
    let from = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let length = bytes.len();
    match from {
        Some(from) if from < length => {
            let head = format!("Content-Range: bytes {from}-{}/{length}\r\n", length - 1);
            (206, head, bytes[from..].to_vec())
        }
        Some(_) => (
            416,
            format!("Content-Range: bytes */{length}\r\n"),
            Vec::new(),
        ),
        None => (200, String::new(), bytes.to_vec()),
    }
}

/// The last field of a form: the file.
fn file_of_form(body: &[u8]) -> Vec<u8> {
    let find = |part: &[u8], from: usize| {
        let found = body[from..].windows(part.len()).position(|it| it == part);
        from + found.unwrap()
    };
    let end_of_line = find(b"\r\n", 0);
    let boundary = body[..end_of_line].to_vec();
    let name = find(b"filename=", 0);
    let begin = find(b"\r\n\r\n", name) + 4;
    let end = find(&[b"\r\n", &boundary[..], b"--"].concat(), begin);
    body[begin..end].to_vec()
}

/// The first line and the headers of a request, and what came behind them.
async fn head(socket: &mut TcpStream) -> Option<(String, BTreeMap<String, String>, Vec<u8>)> {
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
            break end;
        }
        let mut piece = [0; 4096];
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => read.extend_from_slice(&piece[..length]),
        }
    };
    let text = String::from_utf8(read[..end].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Some((line, headers.collect(), read[end + 4..].to_vec()))
}

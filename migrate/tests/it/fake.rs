//! A strict double of the hosted interface: it refuses whatever the documents do not allow, pages
//! exactly as they say, and fails on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const APP: &str = "theApp";
pub(crate) const KEY: &str = "theMasterKeyThatNobodyMayRead";
/// The service's clock: it stands still unless a test moves it.
pub(crate) const NOW: i64 = 1_796_000_000_000;
pub(crate) const DAY: i64 = 86_400_000;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FakeRow {
    pub(crate) at: i64,
    pub(crate) id: String,
    pub(crate) conversation: String,
    pub(crate) from: String,
    pub(crate) data: String,
    /// For a message of a service conversation: to whom.
    pub(crate) subscriber: Option<String>,
    /// Fields in the place of those that rows have today.
    pub(crate) fields: Option<Value>,
}

/// The trouble of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Status(u16),
    /// Too many requests; the answer says for how many seconds nothing is to be asked.
    RetryAfter(u64),
    /// The body ends in the middle, and so does the connection.
    Truncated,
    /// The body is complete as HTTP, but cut off as JSON.
    CutJson,
    /// No answer.
    Silence,
    /// The connection is closed without an answer.
    Closed,
}

type Faults = Box<dyn FnMut(u64) -> Option<Fault> + Send>;

pub(crate) struct World {
    pub(crate) rows: Vec<FakeRow>,
    pub(crate) tables: BTreeMap<String, Vec<Value>>,
    pub(crate) files: BTreeMap<String, (u16, Vec<u8>)>,
    pub(crate) now: i64,
    /// Rows of a page at most, whatever is asked for.
    pub(crate) page_cap: usize,
    pub(crate) has_scan: bool,
    /// True if the history of the app leaves out chat rooms and service conversations.
    pub(crate) hides_kinds: bool,
    pub(crate) is_gone: bool,
    pub(crate) faults: Faults,
    /// After so many requests, 429 for such a time.
    pub(crate) limit: Option<(u32, Duration)>,
    pub(crate) targets: Vec<String>,
    pub(crate) refusals: u32,
    since_block: u32,
    blocked_until: Option<tokio::time::Instant>,
    served: u64,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) url: String,
    world: Arc<Mutex<World>>,
}

impl Fake {
    pub(crate) async fn start(rows: Vec<FakeRow>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = World {
            rows,
            tables: BTreeMap::new(),
            files: BTreeMap::new(),
            now: NOW,
            page_cap: 1000,
            has_scan: true,
            hides_kinds: false,
            is_gone: false,
            faults: Box::new(|_| None),
            limit: None,
            targets: Vec::new(),
            refusals: 0,
            since_block: 0,
            blocked_until: None,
            served: 0,
        };
        let fake = Self {
            url,
            world: Arc::new(Mutex::new(world)),
        };
        let server = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream));
            }
        });
        fake
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The number of requests of the history of the app that were answered well.
    pub(crate) fn requests(&self) -> usize {
        self.world().targets.len()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                    break at + 4;
                }
                let mut bytes = [0; 4096];
                match stream.read(&mut bytes).await {
                    Ok(count) if count > 0 => buffer.extend_from_slice(&bytes[..count]),
                    _ => return,
                }
            };
            let head: Vec<u8> = buffer.drain(..end).collect();
            let head = String::from_utf8(head).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |it| it.parse().unwrap());
            while buffer.len() < length {
                match stream.read_buf(&mut buffer).await {
                    Ok(count) if count > 0 => {}
                    _ => return,
                }
            }
            buffer.drain(..length);
            let (fault, status, body) = self.answer(&head);
            let date = httpdate::fmt_http_date(
                std::time::UNIX_EPOCH + Duration::from_millis(self.world().now.unsigned_abs()),
            );
            let wait = match fault {
                Some(Fault::RetryAfter(seconds)) => format!("retry-after: {seconds}\r\n"),
                _ => String::new(),
            };
            let mut text = format!(
                "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\ndate: {date}\r\n{wait}\r\n",
                body.len()
            )
            .into_bytes();
            text.extend_from_slice(&body);
            match fault {
                Some(Fault::Silence) => {
                    std::future::pending::<()>().await;
                }
                Some(Fault::Closed) => return,
                Some(Fault::Truncated) => {
                    let _ = stream
                        .write_all(&text[..text.len() - body.len().div_ceil(2)])
                        .await;
                    return;
                }
                _ => {
                    if stream.write_all(&text).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn answer(&self, head: &str) -> (Option<Fault>, u16, Vec<u8>) {
        let mut world = self.world();
        world.served += 1;
        let served = world.served;
        let fault = (world.faults)(served);
        let target = head.split(' ').nth(1).unwrap().to_owned();
        if let Some((200, bytes)) = world
            .files
            .get(&target)
            .cloned()
            .or_else(|| target.starts_with("/files/").then(|| (404, Vec::new())))
            .filter(|file| file.0 == 200)
        {
            assert!(!head.contains(KEY), "the key goes to the service alone");
            return (fault, 200, bytes);
        }
        if target.starts_with("/files/") {
            return (fault, 404, b"gone".to_vec());
        }
        if let Some(Fault::RetryAfter(_)) = fault {
            return (fault, 429, b"{}".to_vec());
        }
        if let Some(Fault::Status(status)) = fault {
            return (fault, status, b"<html>not well</html>".to_vec());
        }
        let (status, body) = match world.admit(head) {
            Some(refused) => refused,
            None => {
                // Newest first, as every answer has them.
                if !world
                    .rows
                    .is_sorted_by(|a, b| (a.at, &a.id) >= (b.at, &b.id))
                {
                    world.rows.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
                }
                world.route(&target)
            }
        };
        if status == 200 {
            world.targets.push(target);
        }
        let mut body = body.to_string().into_bytes();
        if fault == Some(Fault::CutJson) {
            body.truncate(body.len() / 2);
        }
        (fault, status, body)
    }
}

fn refused(status: u16, code: i64, error: &str) -> (u16, Value) {
    (status, json!({ "code": code, "error": error }))
}

/// A query as servers decode it: a plus is a space.
fn query(text: &str) -> Result<BTreeMap<String, String>, (u16, Value)> {
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced)
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let mut found = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| refused(400, 1, "malformed query"))?;
        if found.insert(decode(name), decode(value)).is_some() {
            return Err(refused(400, 1, "a parameter is given twice"));
        }
    }
    Ok(found)
}

impl World {
    /// Keys and the rate, before anything else.
    fn admit(&mut self, head: &str) -> Option<(u16, Value)> {
        let header = |name: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .unwrap_or_default()
        };
        if self.is_gone || header("x-lc-id") != APP {
            return Some(refused(404, 4100, "APP_NOT_AVAILABLE"));
        }
        if header("x-lc-key") != format!("{KEY},master") {
            return Some(refused(
                401,
                401,
                &format!("Unauthorized, not with {}", header("x-lc-key")),
            ));
        }
        let (most, block) = self.limit?;
        let now = tokio::time::Instant::now();
        if self.blocked_until.is_some_and(|until| now < until) {
            self.refusals += 1;
            return Some(refused(429, 429, "Too many requests."));
        }
        self.since_block += 1;
        if self.since_block > most {
            (self.blocked_until, self.since_block) = (Some(now + block), 0);
            self.refusals += 1;
            return Some(refused(429, 429, "Too many requests."));
        }
        None
    }

    fn route(&self, target: &str) -> (u16, Value) {
        let (path, text) = target.split_once('?').unwrap_or((target, ""));
        let query = match query(text) {
            Ok(query) => query,
            Err(refused) => return refused,
        };
        let parts: Vec<String> = path
            .split('/')
            .skip(1)
            .map(|part| {
                percent_encoding::percent_decode_str(part)
                    .decode_utf8()
                    .unwrap()
                    .into_owned()
            })
            .collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["1.2", "rtm", "messages"] => self.history(&query, |row| {
                !self.hides_kinds
                    || (row.subscriber.is_none() && !row.conversation.starts_with("room"))
            }),
            ["1.2", "rtm", "conversations" | "chatrooms", id, "messages"] => {
                if !self.rows.iter().any(|row| row.conversation == *id) {
                    return refused(404, 4401, "no such conversation");
                }
                self.history(&query, |row| row.conversation == *id)
            }
            [
                "1.2",
                "rtm",
                "service-conversations",
                id,
                "subscribers",
                client,
                "messages",
            ] => self.history(&query, |row| {
                row.conversation == *id && row.subscriber.as_deref() == Some(client)
            }),
            ["1.2", "rtm", "service-conversations", id, "subscribers"] => {
                self.subscribers(id, &query)
            }
            ["1.1", "scan", "classes", class] if self.has_scan => self.scan(class, &query),
            ["1.2", "rtm", "all-conversations"] => self.pages(&query),
            _ => refused(404, 1, "no such path"),
        }
    }

    fn history(
        &self,
        query: &BTreeMap<String, String>,
        wanted: impl Fn(&FakeRow) -> bool,
    ) -> (u16, Value) {
        match self.page(query, wanted) {
            Ok(rows) => (200, rows.into_iter().map(json_of).collect()),
            Err(refused) => refused,
        }
    }

    fn page(
        &self,
        query: &BTreeMap<String, String>,
        wanted: impl Fn(&FakeRow) -> bool,
    ) -> Result<Vec<&FakeRow>, (u16, Value)> {
        let known = [
            "limit",
            "timestamp",
            "msgid",
            "till_timestamp",
            "till_msgid",
        ];
        if query.keys().any(|name| !known.contains(&name.as_str())) {
            return Err(refused(400, 1, "unknown parameter"));
        }
        let number = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => text
                .parse::<i64>()
                .map(Some)
                .map_err(|_| refused(400, 1, "not a number")),
        };
        let limit = number("limit")?.unwrap_or(100);
        if !(1..=1000).contains(&limit) {
            return Err(refused(400, 1, "limit"));
        }
        let (start, till) = (number("timestamp")?, number("till_timestamp")?.unwrap_or(0));
        let start_id = query.get("msgid");
        if start_id.is_some() && start.is_none() || query.contains_key("till_msgid") {
            return Err(refused(400, 1, "an id needs its time"));
        }
        let start = start.unwrap_or(i64::MAX);
        if let Some(id) = start_id
            && !self
                .rows
                .iter()
                .any(|row| row.at == start && row.id == **id)
        {
            return Err(refused(400, 1, "msgid names no message of that time"));
        }
        let rows = self.rows.iter().filter(|row| wanted(row));
        let rows = rows.filter(|row| match start_id {
            Some(id) => (row.at, &row.id) < (start, id),
            None => row.at < start,
        });
        let limit = usize::try_from(limit).unwrap().min(self.page_cap);
        Ok(rows.filter(|row| row.at > till).take(limit).collect())
    }

    fn subscribers(&self, id: &str, query: &BTreeMap<String, String>) -> (u16, Value) {
        let mut clients: Vec<&String> = self
            .rows
            .iter()
            .filter(|row| row.conversation == id)
            .filter_map(|row| row.subscriber.as_ref())
            .collect();
        clients.sort();
        clients.dedup();
        let after = query.get("client_id");
        let rest = clients
            .into_iter()
            .filter(|client| after.is_none_or(|after| *client > after));
        (
            200,
            rest.take(2)
                .map(|client| json!({ "timestamp": 1, "subscriber": client, "conv_id": id }))
                .collect(),
        )
    }

    fn scan(&self, class: &str, query: &BTreeMap<String, String>) -> (u16, Value) {
        let Some(rows) = self.tables.get(class) else {
            return refused(404, 101, "no such class");
        };
        let from: usize = match query.get("cursor").map(|cursor| cursor.strip_prefix("c/+")) {
            None => 0,
            Some(Some(cursor)) => cursor.parse().unwrap(),
            Some(None) => return refused(400, 1, "unknown cursor"),
        };
        let page: Vec<&Value> = rows.iter().skip(from).take(3).collect();
        let mut body = json!({ "results": page });
        if from + 3 < rows.len() {
            body["cursor"] = json!(format!("c/+{}", from + 3));
        }
        (200, body)
    }

    fn pages(&self, query: &BTreeMap<String, String>) -> (u16, Value) {
        let skip: usize = query.get("skip").map_or(0, |it| it.parse().unwrap());
        let rows: Vec<&Value> = self.tables["_Conversation"]
            .iter()
            .skip(skip)
            .take(3)
            .collect();
        (200, json!({ "results": rows }))
    }
}

/// A row as the documents show it.
pub(crate) fn json_of(row: &FakeRow) -> Value {
    let mut found = json!({
        "timestamp": row.at, "conv-id": row.conversation, "data": row.data, "from": row.from,
        "msg-id": row.id, "is-conv": true, "is-room": false, "to": row.conversation, "bin": false,
        "from-ip": "203.0.113.7",
    });
    for (name, value) in row.fields.iter().filter_map(Value::as_object).flatten() {
        found[name] = value.clone();
    }
    found
}

/// A small generator: the same numbers for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A history of some days before [`NOW`], with crowded milliseconds and awkward ids.
pub(crate) fn history(seed: u64, count: usize, days: i64) -> Vec<FakeRow> {
    let mut dice = Dice(seed | 1);
    let mut rows = Vec::new();
    let mut at = NOW - days * DAY;
    for index in 0..count {
        if dice.below(3) > 0 {
            at +=
                i64::try_from(dice.below(2 * (days * DAY).unsigned_abs() / count as u64)).unwrap();
        }
        let at = at.min(NOW - 20_000);
        let mark = ["+", "_", "-", "/", "=", "%2B", " "][usize::try_from(dice.below(7)).unwrap()];
        rows.push(FakeRow {
            at,
            id: format!("{:04x}{mark}{index}", dice.below(65_536)),
            conversation: format!("conv{}", dice.below(9)),
            from: format!("client{}", dice.below(5)),
            data: json!({ "_lctype": -1, "_lctext": format!("é\n{index} \"from-ip\"") })
                .to_string(),
            subscriber: None,
            fields: None,
        });
    }
    rows
}

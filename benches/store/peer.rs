//! SQLite through rusqlite, as a chat app would use it well: WAL, a cache of 64 MiB, one transaction
//! a batch, prepared statements, messages in one table in the order of a timeline.
//!
//! It stores the same fields: a message as one MessagePack value under conversation, time and id; a
//! conversation's row, kept in memory and written once a batch; the counters. It does no more than
//! that: no checksums, no links between neighbours, no change feed.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, params};
use sampan::model::{Message, MessageContent};
use serde::{Deserialize, Serialize};

use crate::subject::{Class, PAGE, Setting, Subject};
use crate::support::Outcome;
use crate::support::show::Stopwatch;
use crate::workload::{Begun, Delivered};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS m (conv INTEGER, at INTEGER, id TEXT, v BLOB,
        PRIMARY KEY (conv, at, id)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS c (conv INTEGER PRIMARY KEY, activity INTEGER, v BLOB);
    CREATE INDEX IF NOT EXISTS list ON c (activity);
    CREATE TABLE IF NOT EXISTS ids (id TEXT PRIMARY KEY, conv INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS meta (k INTEGER PRIMARY KEY, seq INTEGER, unread INTEGER);
    INSERT OR IGNORE INTO meta VALUES (1, 0, 0);";

/// An open database.
pub(crate) struct Peer {
    db: Connection,
    /// The rows, by place.
    rows: Vec<Row>,
}

/// A message's value: the fields that Sampan stores.
#[derive(Serialize, Deserialize)]
struct Stored {
    sender: String,
    text: Option<String>,
    #[serde(with = "serde_bytes")]
    data: Option<Vec<u8>>,
    attributes: Option<String>,
    mention_all: bool,
    mentions: Vec<String>,
    state: u8,
    edited_at: Option<i64>,
    local_id: Option<String>,
    older: Option<u32>,
}

/// A conversation's value: the fields that Sampan stores.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    id: String,
    local_id: Option<String>,
    kind: u8,
    name: String,
    creator: Option<String>,
    members: Vec<String>,
    attributes: Option<String>,
    columns: Option<String>,
    unique: bool,
    muted: bool,
    created_at: Option<i64>,
    updated_at: Option<i64>,
    last_message_at: Option<i64>,
    unread: (u32, bool, bool),
    receipt: (Option<i64>, Option<i64>),
    read_until: Option<i64>,
    told: Option<(u32, bool, i64)>,
    /// The stretch of history that is held: from and to.
    history: Option<((i64, String), (i64, String))>,
    held: u32,
}

impl Peer {
    pub(crate) fn open(setting: &Setting) -> Outcome<Self> {
        std::fs::create_dir_all(&setting.folder)?;
        let db = Connection::open(setting.folder.join("db"))?;
        let synchronous = match setting.class {
            Class::Soon => "NORMAL",
            Class::Each => "FULL",
        };
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", synchronous)?;
        db.pragma_update(None, "cache_size", -65_536)?;
        db.execute_batch(SCHEMA)?;
        Ok(Self {
            db,
            rows: Vec::new(),
        })
    }
}

impl Stored {
    fn of(message: &Message) -> Self {
        let text = message.content.words().map(str::to_owned);
        let data = match &message.content {
            MessageContent::Binary { data } => Some(data.clone()),
            _ => None,
        };
        let mentions = message.mentions.clients.iter();
        Self {
            sender: message.sender.as_str().to_owned(),
            text,
            data,
            attributes: None,
            mention_all: message.mentions.all,
            mentions: mentions.map(|id| id.as_str().to_owned()).collect(),
            state: 1,
            edited_at: message.edited_at.map(|at| at.as_millis()),
            local_id: message.local_id.as_ref().map(|id| id.as_str().to_owned()),
            older: None,
        }
    }
}

impl Row {
    fn of(begun: &Begun) -> Self {
        let names = begun.members.iter().map(|id| id.as_str().to_owned());
        let members: Vec<_> = names.collect();
        Self {
            id: begun.id.as_str().to_owned(),
            local_id: None,
            kind: 0,
            name: begun.name.clone(),
            creator: members.first().cloned(),
            members,
            attributes: None,
            columns: None,
            unique: false,
            muted: false,
            created_at: None,
            updated_at: None,
            last_message_at: None,
            unread: (0, false, false),
            receipt: (None, None),
            read_until: None,
            told: None,
            history: None,
            held: 0,
        }
    }

    fn take(&mut self, at: (i64, String)) {
        self.held += 1;
        self.unread.0 += 1;
        self.last_message_at = self.last_message_at.max(Some(at.0));
        self.history = Some(match self.history.take() {
            None => (at.clone(), at),
            Some((from, to)) => (from.min(at.clone()), to.max(at)),
        });
    }
}

impl Subject for Peer {
    fn begin(&mut self, conversations: &[Begun]) -> Outcome<()> {
        let transaction = self.db.transaction()?;
        for (place, begun) in conversations.iter().enumerate() {
            let row = Row::of(begun);
            transaction
                .prepare_cached("INSERT INTO c VALUES (?, 0, ?)")?
                .execute(params![place, rmp_serde::to_vec(&row)?])?;
            transaction
                .prepare_cached("INSERT INTO ids VALUES (?, ?)")?
                .execute(params![row.id, place])?;
            self.rows.push(row);
        }
        Ok(transaction.commit()?)
    }

    fn ingest(&mut self, batch: &[Delivered]) -> Outcome<()> {
        let transaction = self.db.transaction()?;
        let mut touched = BTreeSet::new();
        for (place, message) in batch {
            let (at, id) = (message.sent_at.as_millis(), message.id.as_ref());
            let id = id.ok_or("a message without id")?.as_str();
            transaction
                .prepare_cached("INSERT OR REPLACE INTO m VALUES (?, ?, ?, ?)")?
                .execute(params![
                    place,
                    at,
                    id,
                    rmp_serde::to_vec(&Stored::of(message))?
                ])?;
            let row = self.rows.get_mut(*place).ok_or("no such conversation")?;
            row.take((at, id.to_owned()));
            touched.insert(*place);
        }
        for place in touched {
            let row = self.rows.get(place).ok_or("no such conversation")?;
            transaction
                .prepare_cached("UPDATE c SET activity = ?, v = ? WHERE conv = ?")?
                .execute(params![row.last_message_at, rmp_serde::to_vec(row)?, place])?;
        }
        transaction
            .prepare_cached("UPDATE meta SET seq = seq + 1, unread = unread + ? WHERE k = 1")?
            .execute([batch.len()])?;
        Ok(transaction.commit()?)
    }

    fn finish(&mut self) -> Outcome<()> {
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        Ok(self.db.query_row(checkpoint, [], |_| Ok(()))?)
    }

    /// Does the upkeep that SQLite's makers advise: statistics, and the log's end. The database has no pages to give
    /// back.
    fn rest(&mut self) -> Outcome<()> {
        self.db.execute_batch("PRAGMA optimize;")?;
        self.finish()
    }

    fn list(&mut self) -> Outcome<usize> {
        let mut listed = Vec::new();
        let mut query = self
            .db
            .prepare_cached("SELECT conv, v FROM c ORDER BY activity DESC LIMIT 20")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let value = row.get_ref(1)?.as_blob()?;
            let place: usize = row.get(0)?;
            listed.push((place, rmp_serde::from_slice::<Row>(value)?));
        }
        for (place, _) in &listed {
            page(&self.db, *place, None, 1)?;
        }
        let (first, _) = listed.first().ok_or("an empty list")?;
        Ok(*first)
    }

    fn newest(&mut self, place: usize) -> Outcome<usize> {
        Ok(page(&self.db, place, None, PAGE)?.len())
    }

    fn walk(&mut self, place: usize) -> Outcome<Vec<Duration>> {
        let mut times = Vec::new();
        let mut before: Option<(i64, String)> = None;
        loop {
            let began = Stopwatch::start();
            let found = page(&self.db, place, before.as_ref(), PAGE)?;
            times.push(began.elapsed());
            before = found.last().map(|(at, id, _)| (*at, id.clone()));
            if found.len() < PAGE {
                return Ok(times);
            }
        }
    }
}

/// Reads and decodes a page, newest first.
fn page(
    db: &Connection,
    place: usize,
    before: Option<&(i64, String)>,
    limit: usize,
) -> Outcome<Vec<(i64, String, Stored)>> {
    let (at, id) = match before {
        Some((at, id)) => (*at, id.as_str()),
        None => (i64::MAX, ""),
    };
    let mut query = db.prepare_cached(
        "SELECT at, id, v FROM m WHERE conv = ? AND (at, id) < (?, ?)
         ORDER BY at DESC, id DESC LIMIT ?",
    )?;
    let mut rows = query.query(params![place, at, id, limit])?;
    let mut found = Vec::with_capacity(limit);
    while let Some(row) = rows.next()? {
        let stored = rmp_serde::from_slice(row.get_ref(2)?.as_blob()?)?;
        found.push((row.get(0)?, row.get(1)?, stored));
    }
    Ok(found)
}

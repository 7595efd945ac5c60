//! The glance: facts about conversations for a notification extension that does not open the store.
//!
//! The engine writes one file beside the inbox and renames it into place, encrypted under the app's key where
//! the store has one. The extension records arrived pushes in a second file, which only grows: one record for
//! each push, written at once, so two simultaneous extensions lose nothing. Both files together give the
//! badge.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::model::{ClientId, ConversationId, Timestamp, Unread};
use crate::store::disk::{Disk, RealDisk};
use crate::store::error::StoreError;
use crate::store::extension_inbox::{Inbox, context};
use crate::store::format::cipher::HashKey;
use crate::store::format::frame;
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{decode, encode_compact, millis, time};
use crate::store::types::conversation::{UnreadTotal, UnreadTotals};

/// The file that the engine writes.
const GLANCE_FILE: &str = "glance";

/// The file in which pushes are noted.
const ARRIVED_FILE: &str = "arrived";

/// The key of the frame in the glance.
const KEY: &[u8] = b"glance";

/// The most conversations in a glance: the newest.
pub const GLANCE_ROWS_MAX: usize = 2000;

/// The most bytes of a name in a glance.
const NAME_BYTES: usize = 32;

/// The largest glance that is read.
const GLANCE_BYTES_MAX: u64 = 1024 * 1024;

/// The most pushes that are noted before the engine has written again.
const ARRIVED_MAX: usize = 2000;

/// The most bytes of noted pushes, those that were cut short among them.
const ARRIVED_BYTES_MAX: u64 = 128 * 1024;

/// A push as it is noted: hash of the conversation, hash of the message, time, checksum.
const RECORD: usize = 8 + 8 + 8 + 4;

/// A conversation as a notification shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct GlanceRow {
    /// Its id.
    pub conversation: ConversationId,
    /// Its name, cut after 32 bytes.
    pub name: Option<String>,
    /// The other member of a conversation of two.
    pub peer: Option<ClientId>,
    /// True if the client asked not to be notified about the conversation.
    pub muted: bool,
    /// The unread count of the conversation.
    pub unread: Unread,
    /// The time up to which the client read the conversation.
    pub read_until: Option<Timestamp>,
    /// The time of the newest message that the engine knew.
    pub newest: Option<Timestamp>,
}

/// Everything that an extension may know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GlanceBook {
    /// The time at which it was written, by the device's clock.
    pub as_of: Timestamp,
    /// The sums of unread counts.
    pub totals: UnreadTotals,
    /// The conversations, the newest first.
    pub rows: Vec<GlanceRow>,
}

/// A push that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// In which conversation.
    pub conversation: ConversationId,
    /// The id of the message in its conversation: the service's id, or its time.
    pub message: String,
    /// The time of the message, by the service's clock.
    pub sent_at: Timestamp,
}

/// Id, name, peer, flags, count, read until, newest.
type RowRecord = (
    String,
    Option<String>,
    Option<String>,
    u8,
    u32,
    Option<i64>,
    Option<i64>,
);

const MUTED: u8 = 1;
const AT_LEAST: u8 = 2;
const MENTIONED: u8 = 4;

#[derive(Serialize, Deserialize)]
struct BookRecord {
    owner: String,
    as_of_ms: i64,
    all: (u64, u32, u32, u32),
    unmuted: (u64, u32, u32, u32),
    rows: Vec<RowRecord>,
}

/// A noted push: the conversation's hash, the message's, the time.
type Noted = (u64, u64, i64);

impl Inbox {
    /// Writes the glance, whole, and forgets the pushes that it knows of.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it can't be written.
    pub fn write_glance(&self, book: &GlanceBook) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("writing the glance", &error);
        let record = BookRecord {
            owner: self.owner().as_str().to_owned(),
            as_of_ms: book.as_of.as_millis(),
            all: sum_record(book.totals.all),
            unmuted: sum_record(book.totals.unmuted),
            rows: book
                .rows
                .iter()
                .take(GLANCE_ROWS_MAX)
                .map(row_record)
                .collect(),
        };
        let cipher = self.cipher();
        let bytes = frame::build(KEY, &encode_compact(&record)?, 0, context(cipher.as_ref()))?;
        fs::create_dir_all(self.folder()).map_err(failed)?;
        let disk = RealDisk::new(self.folder());
        disk.replace(GLANCE_FILE, &bytes).map_err(failed)?;
        // A file of which nothing can be read goes as well.
        let is_there = self.arrived_bytes() > 0;
        if is_there && news(&self.rows_by_hash(book), &self.noted()).is_empty() {
            disk.remove(ARRIVED_FILE).map_err(failed)?;
        }
        Ok(())
    }

    /// The glance that the engine wrote last; none where there is none, or it can't be read with this key.
    #[must_use]
    pub fn read_glance(&self) -> Option<GlanceBook> {
        let path = self.folder().join(GLANCE_FILE);
        if fs::metadata(&path).ok()?.len() > GLANCE_BYTES_MAX {
            return None;
        }
        let bytes = fs::read(path).ok()?;
        let cipher = self.cipher();
        let opened = frame::open(KEY, &bytes, context(cipher.as_ref())).ok()?;
        let record = decode::<BookRecord>(&opened.payload).ok()?;
        if record.owner != self.owner().as_str() {
            return None;
        }
        Some(GlanceBook {
            as_of: Timestamp::from_millis(record.as_of_ms),
            totals: UnreadTotals {
                all: sum(record.all),
                unmuted: sum(record.unmuted),
                placed: 0,
            },
            rows: record.rows.into_iter().filter_map(row).collect(),
        })
    }

    /// Notes a push; the same one again is the same. Durable on return.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when it can't be written.
    pub fn note_arrival(&self, arrival: &Arrival) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("noting a push", &error);
        let secret = self.secret();
        let conversation = short_hash(arrival.conversation.as_str(), &secret);
        let message = format!("{}/{}", arrival.conversation.as_str(), arrival.message);
        let message = short_hash(&message, &secret);
        let noted = self.noted();
        let is_known = noted.iter().any(|(_, known, _)| *known == message);
        if is_known || noted.len() >= ARRIVED_MAX || self.arrived_bytes() >= ARRIVED_BYTES_MAX {
            return Ok(());
        }
        let mut record = Vec::with_capacity(RECORD);
        record.extend_from_slice(&conversation.to_be_bytes());
        record.extend_from_slice(&message.to_be_bytes());
        record.extend_from_slice(&arrival.sent_at.as_millis().to_be_bytes());
        record.extend_from_slice(&crc32fast::hash(&record).to_be_bytes());
        fs::create_dir_all(self.folder()).map_err(failed)?;
        let mut options = fs::OpenOptions::new();
        let path = self.folder().join(ARRIVED_FILE);
        let file = options.append(true).create(true).open(path);
        let mut file = file.map_err(failed)?;
        file.write_all(&record).map_err(failed)?;
        file.sync_data().map_err(failed)
    }

    /// The sums of unread counts, with the pushes of which the engine did not know when it wrote the glance.
    #[must_use]
    pub fn totals_with_arrivals(&self) -> UnreadTotals {
        let book = self.read_glance().unwrap_or_default();
        let mut totals = book.totals;
        let rows = self.rows_by_hash(&book);
        let mut begun = BTreeSet::new();
        for (conversation, _, _) in news(&rows, &self.noted()) {
            let row = rows.get(&conversation);
            let was_read = row.is_none_or(|row| row.unread.is_none());
            let begins = was_read && begun.insert(conversation);
            let is_muted = row.is_some_and(|row| row.muted);
            let sums = [
                Some(&mut totals.all),
                (!is_muted).then_some(&mut totals.unmuted),
            ];
            for sum in sums.into_iter().flatten() {
                sum.messages = sum.messages.saturating_add(1);
                sum.conversations = sum.conversations.saturating_add(u32::from(begins));
            }
        }
        totals
    }

    /// The conversations of a glance, by the hashes under which pushes are noted.
    fn rows_by_hash<'a>(&self, book: &'a GlanceBook) -> BTreeMap<u64, &'a GlanceRow> {
        let secret = self.secret();
        let hashed = |row: &'a GlanceRow| (short_hash(row.conversation.as_str(), &secret), row);
        book.rows.iter().map(hashed).collect()
    }

    /// The bytes of the noted pushes.
    fn arrived_bytes(&self) -> u64 {
        let path = self.folder().join(ARRIVED_FILE);
        fs::metadata(path).map_or(0, |found| found.len())
    }

    /// The pushes that were noted. A record that is not whole is none. One that was cut short moves those behind it, so
    /// the next whole one is looked for at each byte.
    fn noted(&self) -> Vec<Noted> {
        if self.arrived_bytes() > ARRIVED_BYTES_MAX {
            return Vec::new();
        }
        let path = self.folder().join(ARRIVED_FILE);
        let bytes = fs::read(path).unwrap_or_default();
        let mut rest = bytes.as_slice();
        let mut noted = Vec::new();
        while let Some(record) = rest.get(..RECORD) {
            let found = noted_record(record);
            let step = if found.is_some() { RECORD } else { 1 };
            noted.extend(found);
            rest = rest.get(step..).unwrap_or_default();
        }
        noted
    }

    fn secret(&self) -> HashKey {
        self.cipher()
            .map(|cipher| *cipher.hash_key())
            .unwrap_or_default()
    }
}

/// The noted pushes of which a glance knows nothing, each once.
fn news(rows: &BTreeMap<u64, &GlanceRow>, noted: &[Noted]) -> Vec<Noted> {
    let mut seen = BTreeSet::new();
    let news = noted.iter().filter(|(conversation, message, sent_at)| {
        let row = rows.get(conversation);
        let known_until = row.and_then(|row| row.newest.max(row.read_until));
        let is_known = known_until.is_some_and(|until| until.as_millis() >= *sent_at);
        !is_known && seen.insert(*message)
    });
    news.copied().collect()
}

fn noted_record(record: &[u8]) -> Option<Noted> {
    let (body, checksum) = record.split_at_checked(RECORD - 4)?;
    if crc32fast::hash(body).to_be_bytes() != checksum {
        return None;
    }
    let (conversation, rest) = body.split_first_chunk::<8>()?;
    let (message, rest) = rest.split_first_chunk::<8>()?;
    let sent_at = rest.first_chunk::<8>()?;
    Some((
        u64::from_be_bytes(*conversation),
        u64::from_be_bytes(*message),
        i64::from_be_bytes(*sent_at),
    ))
}

fn short_hash(text: &str, secret: &HashKey) -> u64 {
    let hash = key::hashed(Tag::Id, text, secret);
    let short = hash.get(1..).and_then(|hash| hash.first_chunk::<8>());
    short.map_or(0, |short| u64::from_be_bytes(*short))
}

const fn sum_record(sum: UnreadTotal) -> (u64, u32, u32, u32) {
    (
        sum.messages,
        sum.conversations,
        sum.mentioning,
        sum.at_least,
    )
}

const fn sum((messages, conversations, mentioning, at_least): (u64, u32, u32, u32)) -> UnreadTotal {
    UnreadTotal {
        messages,
        conversations,
        mentioning,
        at_least,
    }
}

fn row_record(row: &GlanceRow) -> RowRecord {
    let flag = |on: bool, flag: u8| if on { flag } else { 0 };
    let flags = flag(row.muted, MUTED)
        | flag(row.unread.at_least, AT_LEAST)
        | flag(row.unread.mentioned, MENTIONED);
    (
        row.conversation.as_str().to_owned(),
        row.name.as_deref().map(cut),
        row.peer.as_ref().map(|peer| peer.as_str().to_owned()),
        flags,
        row.unread.count,
        millis(row.read_until),
        millis(row.newest),
    )
}

/// One whose ids are none is left out.
fn row(record: RowRecord) -> Option<GlanceRow> {
    let (conversation, name, peer, flags, count, read_until, newest) = record;
    Some(GlanceRow {
        conversation: ConversationId::new(conversation).ok()?,
        name,
        peer: peer.and_then(|peer| ClientId::new(peer).ok()),
        muted: flags & MUTED != 0,
        unread: Unread {
            count,
            at_least: flags & AT_LEAST != 0,
            mentioned: flags & MENTIONED != 0,
        },
        read_until: time(read_until),
        newest: time(newest),
    })
}

/// A name of at most [`NAME_BYTES`] bytes.
fn cut(name: &str) -> String {
    let end = name.floor_char_boundary(NAME_BYTES);
    name.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::format::cipher::StoreKey;

    fn conversation(number: usize) -> ConversationId {
        ConversationId::new(format!("{number:024x}")).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn row_of(number: usize, muted: bool, unread: u32) -> GlanceRow {
        GlanceRow {
            conversation: conversation(number),
            name: Some("ñ".repeat(40)),
            peer: Some(ClientId::new("ben").unwrap()),
            muted,
            unread: Unread {
                count: unread,
                ..Unread::NONE
            },
            read_until: Some(at(900)),
            newest: Some(at(1000)),
        }
    }

    fn book(rows: Vec<GlanceRow>) -> GlanceBook {
        let unmuted = UnreadTotal {
            messages: 3,
            conversations: 1,
            ..UnreadTotal::default()
        };
        GlanceBook {
            as_of: at(5000),
            totals: UnreadTotals {
                all: unmuted,
                unmuted,
                placed: 0,
            },
            rows,
        }
    }

    fn arrival(number: usize, message: &str, millis: i64) -> Arrival {
        Arrival {
            conversation: conversation(number),
            message: message.to_owned(),
            sent_at: at(millis),
        }
    }

    #[test]
    fn a_push_counts_once_until_the_engine_knows_it_and_a_muted_one_never_unmuted() {
        let folder = tempfile::tempdir().unwrap();
        for key in [None, Some(StoreKey::new([3; 32]))] {
            let ann = ClientId::new("ann").unwrap();
            let inbox = Inbox::new(folder.path().join(format!("{}", key.is_some())), ann, key);
            assert_eq!(inbox.totals_with_arrivals(), UnreadTotals::default());
            inbox
                .write_glance(&book(vec![row_of(1, false, 3), row_of(2, true, 0)]))
                .unwrap();
            let badge = || {
                let totals = inbox.totals_with_arrivals();
                let sums = [totals.unmuted, totals.all];
                sums.map(|sum| (sum.messages, sum.conversations))
            };
            assert_eq!(badge(), [(3, 1), (3, 1)]);
            inbox.note_arrival(&arrival(1, "a", 1500)).unwrap();
            inbox.note_arrival(&arrival(1, "a", 1500)).unwrap();
            assert_eq!(badge(), [(4, 1), (4, 1)], "the same push is one");
            inbox.note_arrival(&arrival(2, "b", 1500)).unwrap();
            assert_eq!(badge(), [(4, 1), (5, 2)], "muted");
            inbox.note_arrival(&arrival(1, "old", 1000)).unwrap();
            assert_eq!(badge(), [(4, 1), (5, 2)], "the engine had that one");
            inbox.note_arrival(&arrival(7, "c", 10)).unwrap();
            assert_eq!(
                badge(),
                [(5, 2), (6, 3)],
                "of a conversation that nobody knows"
            );
            let mut rows = vec![row_of(1, false, 4), row_of(2, true, 1), row_of(7, false, 1)];
            rows.iter_mut().for_each(|row| row.newest = Some(at(2000)));
            inbox.write_glance(&book(rows)).unwrap();
            assert_eq!(badge(), [(3, 1), (3, 1)], "the engine knows them all");
            assert!(!inbox.folder().join(ARRIVED_FILE).exists());
        }
    }

    #[test]
    fn a_glance_comes_back_and_a_damaged_or_foreign_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let ann = ClientId::new("ann").unwrap();
        let key = StoreKey::new([3; 32]);
        let inbox = Inbox::new(folder.path(), ann.clone(), Some(key));
        let rows: Vec<_> = (0..2500)
            .map(|number| row_of(number, number % 2 == 0, 1))
            .collect();
        inbox.write_glance(&book(rows.clone())).unwrap();
        let path = folder.path().join(GLANCE_FILE);
        let bytes = fs::read(&path).unwrap();
        assert!(
            bytes.len() <= GLANCE_ROWS_MAX * 100,
            "{} bytes",
            bytes.len()
        );
        let read = inbox.read_glance().unwrap();
        assert_eq!(read.rows.len(), GLANCE_ROWS_MAX);
        let name = read.rows[0].name.clone().unwrap();
        assert_eq!(name.len(), NAME_BYTES);
        let expected = GlanceRow {
            name: Some(name),
            ..rows[0].clone()
        };
        assert_eq!(read.rows[0], expected);
        let other =
            |owner: &str, key| Inbox::new(folder.path(), ClientId::new(owner).unwrap(), key);
        assert_eq!(other("ann", None).read_glance(), None);
        assert_eq!(
            other("ben", Some(StoreKey::new([3; 32]))).read_glance(),
            None
        );
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(inbox.read_glance(), None, "{place}");
        }
    }

    #[test]
    fn a_record_that_was_cut_costs_nothing_but_itself() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path(), ClientId::new("ann").unwrap(), None);
        inbox.note_arrival(&arrival(1, "a", 10)).unwrap();
        let path = folder.path().join(ARRIVED_FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(&[7; RECORD]);
        fs::write(&path, bytes).unwrap();
        inbox.note_arrival(&arrival(1, "b", 11)).unwrap();
        assert_eq!(inbox.totals_with_arrivals().all.messages, 2);
    }

    #[test]
    fn a_push_that_was_noted_in_part_costs_nothing_but_itself() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path(), ClientId::new("ann").unwrap(), None);
        let path = folder.path().join(ARRIVED_FILE);
        inbox.note_arrival(&arrival(1, "a", 10)).unwrap();
        let whole = fs::read(&path).unwrap();
        for part in 1..RECORD {
            let cut = [&whole, &whole[..part]].concat();
            fs::write(&path, cut).unwrap();
            for _ in 0..2 {
                inbox.note_arrival(&arrival(1, "b", 11)).unwrap();
            }
            assert_eq!(inbox.totals_with_arrivals().all.messages, 2, "{part}");
            assert_eq!(fs::read(&path).unwrap().len(), 2 * RECORD + part);
        }
    }

    #[test]
    fn a_file_of_pushes_that_cannot_be_read_does_not_grow_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path(), ClientId::new("ann").unwrap(), None);
        let path = folder.path().join(ARRIVED_FILE);
        let length = usize::try_from(ARRIVED_BYTES_MAX).unwrap() + 1;
        fs::write(&path, vec![7; length]).unwrap();
        inbox.note_arrival(&arrival(1, "a", 10)).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), length);
        inbox.write_glance(&book(Vec::new())).unwrap();
        assert!(!path.exists());
    }
}

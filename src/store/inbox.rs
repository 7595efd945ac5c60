//! The inbox: what another process of the app leaves for the engine.
//!
//! A notification or share extension must not open the store: it has little memory, may be killed
//! at any moment, and a lock it held would have the app killed. It drops one file per intent into
//! a folder that both reach: written under another name, synced, then renamed, so a file of the
//! right name is whole. The engine imports what it finds and removes it after the commit; a file
//! that is found twice is known by its token.
//!
//! A file is one frame (`frame.rs`) under the key `intent`, encrypted under the app's key if the
//! app gives one. Its name is the time, 20 digits, then a hash of the token: names sort in the
//! order of dropping and reveal nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{ClientId, ConversationId, LocalId, OutboxEntryId, Timestamp};

use super::cipher::Cipher;
use super::disk::{Disk, RealDisk};
use super::frame::{self, Seal};
use super::key::{self, Tag};
use super::record::{decode, encode};
use super::record_entry::IntentRecord;
use super::{Intent, Overlay, StoreError, StoreKey};

/// What a whole file's name ends with.
const SUFFIX: &str = ".intent";

/// What a file that cannot be read is renamed to end with; it is not looked at again.
const DAMAGED: &str = ".damaged";

/// The most bytes that a file may have: a frame on the wire has at most 5 kB, attributes and push
/// payload beside it.
const FILE_MAX: u64 = 64 * 1024;

/// The key of the frame in each file.
const KEY: &[u8] = b"intent";

/// Work that another process leaves for the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// The client whose work it is.
    pub owner: ClientId,
    /// The conversation it belongs to, by either of its ids.
    pub conversation: ConversationId,
    /// Its idempotency token, made by whoever drops it; of a send, the message's local id too.
    pub token: LocalId,
    /// When it was dropped, by this device's clock.
    pub dropped_at: Timestamp,
    /// What it does.
    pub intent: Intent,
}

#[derive(Serialize, Deserialize)]
struct DroppedRecord {
    owner: String,
    conversation: String,
    token: String,
    dropped_at_ms: i64,
    intent: IntentRecord,
}

/// A folder for intents of other processes.
#[derive(Clone, Debug)]
pub struct Inbox {
    folder: PathBuf,
    key: Option<StoreKey>,
}

/// What lies in an inbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboxContent {
    /// The whole files, oldest first: their name and what they hold.
    pub dropped: Vec<(String, Dropped)>,
    /// How many files could not be read; they were set aside.
    pub damaged: u64,
}

impl Inbox {
    /// Uses a folder, made when the first intent is dropped. The key is the app's, the same in
    /// both processes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, key: Option<StoreKey>) -> Self {
        let folder = folder.into();
        Self { folder, key }
    }

    /// Leaves work for the engine; durable on return. Opens no store and holds no lock: this is
    /// what an extension calls.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`]; [`StoreError::Io`] when it cannot be written.
    pub fn drop_intent(&self, dropped: &Dropped) -> Result<(), StoreError> {
        let failed = |error: io::Error| StoreError::io("writing to the inbox", &error);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let record = DroppedRecord {
            owner: dropped.owner.as_str().to_owned(),
            conversation: dropped.conversation.as_str().to_owned(),
            token: dropped.token.as_str().to_owned(),
            dropped_at_ms: dropped.dropped_at.as_millis(),
            intent: IntentRecord::of(&dropped.intent),
        };
        let cipher = self.cipher();
        let seal = seal(cipher.as_ref());
        let bytes = frame::seal(KEY, &encode(&record)?, 0, seal)?;
        let limit = usize::try_from(FILE_MAX).unwrap_or(usize::MAX);
        if bytes.len() > limit {
            let actual = bytes.len();
            return Err(StoreError::TooLarge {
                kind: "intent",
                actual,
                limit,
            });
        }
        let disk = RealDisk::new(&self.folder);
        disk.replace(&name_of(dropped), &bytes).map_err(failed)
    }

    /// Reads what lies in the folder, oldest first, at most `limit` files. Files that cannot be
    /// read are set aside. No folder is an empty inbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the folder cannot be read.
    pub fn read(&self, limit: usize) -> Result<InboxContent, StoreError> {
        let disk = RealDisk::new(&self.folder);
        let names = match disk.list() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StoreError::io("reading the inbox", &error)),
        };
        let cipher = self.cipher();
        let mut content = InboxContent::default();
        for name in names
            .into_iter()
            .filter(|name| name.ends_with(SUFFIX))
            .take(limit)
        {
            match read_file(&self.folder.join(&name), cipher.as_ref()) {
                Some(dropped) => content.dropped.push((name, dropped)),
                None => {
                    content.damaged = content.damaged.saturating_add(1);
                    // Kept for whoever looks for it; where it can't be renamed it is met again.
                    let _ = disk.rename(&name, &format!("{name}{DAMAGED}"));
                }
            }
        }
        Ok(content)
    }

    /// Removes a file: its intent is committed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`]; the file is then imported again, and known by its token.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let disk = RealDisk::new(&self.folder);
        disk.remove(name)
            .map_err(|error| StoreError::io("clearing the inbox", &error))
    }

    fn cipher(&self) -> Option<Cipher> {
        self.key.as_ref().map(StoreKey::cipher)
    }
}

impl Overlay<'_> {
    /// Enqueues work that another process left. None when it was enqueued before: its token is in
    /// the outbox, or names a message already.
    ///
    /// # Errors
    ///
    /// Read errors.
    pub fn import(&mut self, dropped: &Dropped) -> Result<Option<OutboxEntryId>, StoreError> {
        let snapshot = self.snapshot();
        let waiting = snapshot
            .outbox()
            .iter()
            .any(|entry| entry.token == dropped.token);
        let known = waiting || snapshot.position_by_local_id(&dropped.token)?.is_some();
        drop(snapshot);
        if known {
            return Ok(None);
        }
        let number = self.conversation_or_unknown(&dropped.conversation)?;
        let (token, intent) = (dropped.token.clone(), dropped.intent.clone());
        self.enqueue(number, token, dropped.dropped_at, intent)
            .map(Some)
    }
}

/// The frames of an inbox belong to no store: an extension knows none.
fn seal(cipher: Option<&Cipher>) -> Seal<'_> {
    Seal { store: 0, cipher }
}

fn name_of(dropped: &Dropped) -> String {
    let millis = dropped.dropped_at.as_millis().max(0);
    let hash = key::hashed(
        Tag::Outbox,
        dropped.token.as_str(),
        &key::HashKey::default(),
    );
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{millis:020}-{hash}{SUFFIX}")
}

fn read_file(path: &Path, cipher: Option<&Cipher>) -> Option<Dropped> {
    if fs::metadata(path).ok()?.len() > FILE_MAX {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    let opened = frame::open(KEY, &bytes, seal(cipher)).ok()?;
    let record: DroppedRecord = decode(&opened.payload).ok()?;
    Some(Dropped {
        owner: ClientId::new(&record.owner).ok()?,
        conversation: ConversationId::new(&record.conversation).ok()?,
        token: LocalId::new(&record.token).ok()?,
        dropped_at: Timestamp::from_millis(record.dropped_at_ms),
        intent: record.intent.intent().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{Bench, at, client, conversation_id, local, send};

    fn dropped(n: i64) -> Dropped {
        Dropped {
            owner: client("me"),
            conversation: conversation_id("c"),
            token: local(&format!("x{n}")),
            dropped_at: at(n),
            intent: send(&format!("from outside {n}")),
        }
    }

    fn key(byte: u8) -> Option<StoreKey> {
        Some(StoreKey::new([byte; 32]))
    }

    #[test]
    fn what_was_dropped_is_read_back_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        for key in [None, key(1)] {
            let inbox = Inbox::new(folder.path().join(format!("{key:?}")), key);
            assert_eq!(inbox.read(10).unwrap(), InboxContent::default());
            inbox.drop_intent(&dropped(20)).unwrap();
            inbox.drop_intent(&dropped(3)).unwrap();
            let content = inbox.read(10).unwrap();
            let read: Vec<_> = content
                .dropped
                .into_iter()
                .map(|(_, dropped)| dropped)
                .collect();
            assert_eq!(read, [dropped(3), dropped(20)]);
        }
    }

    #[test]
    fn a_file_that_is_found_twice_is_enqueued_once_even_after_it_was_acknowledged() {
        let mut bench = Bench::new();
        let (first, _) = bench.commit(|o| o.import(&dropped(1)).unwrap());
        let (second, _) = bench.commit(|o| o.import(&dropped(1)).unwrap());
        assert!(first.is_some() && second.is_none());
        bench.commit(|o| {
            let number = o.snapshot().number(&conversation_id("c")).unwrap().unwrap();
            let sent = crate::store::tests::message("me", 9, "from outside 1");
            o.acknowledge(first.unwrap(), number, &sent).unwrap()
        });
        let (third, _) = bench.commit(|o| o.import(&dropped(1)).unwrap());
        assert_eq!(third, None);
    }

    #[test]
    fn a_damaged_file_and_one_under_another_key_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        Inbox::new(folder.path(), key(1))
            .drop_intent(&dropped(1))
            .unwrap();
        let inbox = Inbox::new(folder.path(), key(2));
        fs::write(folder.path().join("00000000000000000009-x.intent"), b"half").unwrap();
        fs::write(folder.path().join("unfinished.intent.new"), b"half").unwrap();
        assert_eq!(inbox.read(10).unwrap().damaged, 2);
        assert_eq!(inbox.read(10).unwrap(), InboxContent::default());
    }

    #[test]
    fn a_removed_file_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(folder.path(), None);
        inbox.drop_intent(&dropped(1)).unwrap();
        let name = inbox.read(10).unwrap().dropped.remove(0).0;
        inbox.remove(&name).unwrap();
        assert_eq!(inbox.read(10).unwrap(), InboxContent::default());
    }
}

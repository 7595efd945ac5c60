//! The inbox: the work that another process of the app leaves for the engine.
//!
//! A notification or share extension must not open the store: it has little memory, may be killed at any
//! moment, and the system kills an app whose extension holds a lock. The extension writes one file per intent
//! into a folder that both processes reach. The file is written under another name, synced, then renamed, so
//! a file of the right name is whole. The engine imports the files and removes them after the commit. A token
//! in the file identifies an intent that is imported twice.
//!
//! A file is one frame (`format/frame.rs`) under the key `intent`, encrypted under the app's key if the app
//! gives one. The name of a file is the time in 20 digits and a hash of the token. If the newest file already
//! has that time, the name has a later time. Names therefore sort in the order of writing and reveal nothing.
//!
//! Everything here is bounded: a file has at most 32 KiB, a folder at most 1000 waiting files, and the newest
//! hundred of the files that are set aside are kept. A file that a killed extension left half written was
//! never promised, and is removed after a day.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::model::{ClientId, ConversationId, LocalId, Timestamp};
use crate::store::disk::{Disk, RealDisk};
use crate::store::error::StoreError;
use crate::store::format::cipher::{Cipher, HashKey, StoreKey};
use crate::store::format::frame::{self, BadFrame, FrameContext};
use crate::store::format::key::{self, Tag};
use crate::store::format::messagepack::{decode, encode};
use crate::store::format::record_entry::IntentRecord;
use crate::store::read::snapshot::Snapshot;
use crate::store::types::entry::Intent;

/// The end of a whole file's name.
const SUFFIX: &str = ".intent";

/// The new end of the name of a file that cannot be read; such a file is not looked at again.
const DAMAGED: &str = ".damaged";

/// The most bytes that a file may have. A command on the wire has at most 5 kB; and what an inbox
/// takes must surely fit into a record of the store, or one file would block all behind it.
const FILE_MAX: u64 = 32 * 1024;

/// The most files that may wait in a folder: a day of an app that is never opened.
pub(crate) const WAITING_MAX: usize = 1000;

/// The most files that are kept of those that were set aside.
const DAMAGED_MAX: usize = 100;

/// The end of a file's name until the file is whole.
const UNFINISHED: &str = ".new";

/// The time for which an unfinished file may still be in progress, in milliseconds: a day, because clocks jump.
const UNFINISHED_FOR_MS: i64 = 24 * 60 * 60 * 1000;

/// The content of a file whose work is committed and that could not be removed.
const TAKEN: &[u8] = b"taken";

/// The key of the frame in each file.
const KEY: &[u8] = b"intent";

/// Work that another process leaves for the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropped {
    /// The conversation it belongs to, by either of its ids.
    pub conversation: ConversationId,
    /// The idempotency token, made by the extension; for a send, also the message's local id.
    pub token: LocalId,
    /// The time at which it was dropped, by this device's clock.
    pub dropped_at: Timestamp,
    /// The work.
    pub intent: Intent,
}

#[derive(Serialize, Deserialize)]
struct DroppedRecord<'a> {
    owner: String,
    conversation: String,
    token: String,
    dropped_at_ms: i64,
    intent: IntentRecord<'a>,
}

/// A folder with the work that other processes leave for one client.
#[derive(Clone, Debug)]
pub struct Inbox {
    folder: PathBuf,
    owner: ClientId,
    key: Option<StoreKey>,
}

/// The content of an inbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboxContent {
    /// The whole files, oldest first: their names and their contents.
    pub dropped: Vec<(String, Dropped)>,
    /// The number of files that could not be read; they were set aside.
    pub damaged: u64,
    /// The number of files that are whole and under another key than the inbox's; they stay where they are.
    pub locked: u64,
    /// True if there are more files than were asked for.
    pub more: bool,
}

/// The state of a file.
enum InboxFile {
    Whole(Box<Dropped>),
    Locked,
    Damaged,
    /// Its work was committed before.
    Taken,
    /// Somebody removed it meanwhile.
    Gone,
}

impl Inbox {
    /// Uses a folder, made when the first intent is dropped. The key is the app's, the same in
    /// both processes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, owner: ClientId, key: Option<StoreKey>) -> Self {
        let folder = folder.into();
        Self { folder, owner, key }
    }

    /// Takes another key from now on.
    pub fn change_key(&mut self, key: StoreKey) {
        self.key = Some(key);
    }

    /// Leaves work for the engine; durable on return. The call opens no store and holds no lock, so an
    /// extension may make it.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidArgument`] for an intent other than a send or a read mark;
    /// [`StoreError::TooLarge`]; [`StoreError::InboxFull`] when the engine has not imported for long;
    /// [`StoreError::Io`] when the file cannot be written.
    pub fn drop_intent(&self, dropped: &Dropped) -> Result<(), StoreError> {
        if !is_for_inboxes(&dropped.intent) {
            return Err(StoreError::InvalidArgument {
                reason: "intent: an inbox takes messages and read marks".to_owned(),
            });
        }
        let failed = |error: io::Error| StoreError::io("writing to the inbox", &error);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let disk = RealDisk::new(&self.folder);
        let names = disk.list().map_err(failed)?;
        let waiting: Vec<_> = names.iter().filter(|it| it.ends_with(SUFFIX)).collect();
        if waiting.len() >= WAITING_MAX {
            return Err(StoreError::InboxFull { max: WAITING_MAX });
        }
        let name = name_of(dropped, waiting.last().map(|newest| newest.as_str()));
        let record = DroppedRecord {
            owner: self.owner.as_str().to_owned(),
            conversation: dropped.conversation.as_str().to_owned(),
            token: dropped.token.as_str().to_owned(),
            dropped_at_ms: dropped.dropped_at.as_millis(),
            intent: IntentRecord::of(&dropped.intent),
        };
        let cipher = self.cipher();
        let context = context(cipher.as_ref());
        let bytes = frame::build(KEY, &encode(&record)?, 0, context)?;
        let limit = usize::try_from(FILE_MAX).unwrap_or(usize::MAX);
        if bytes.len() > limit {
            let actual = bytes.len();
            return Err(StoreError::TooLarge {
                kind: "intent",
                actual,
                limit,
            });
        }
        disk.replace(&name, &bytes).map_err(failed)
    }

    /// Reads the files in the folder, oldest first, at most `limit` files, without those named in `except`.
    /// Unreadable files are set aside. A missing folder is an empty inbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when the folder cannot be read.
    pub fn read(
        &self,
        limit: usize,
        except: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<InboxContent, StoreError> {
        let disk = RealDisk::new(&self.folder);
        let names = match disk.list() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(StoreError::io("reading the inbox", &error)),
        };
        self.tidy(&disk, &names, now);
        let cipher = self.cipher();
        let mut content = InboxContent::default();
        let whole = names.into_iter().filter(|name| name.ends_with(SUFFIX));
        for name in whole.filter(|name| !except.contains(name)) {
            if content.dropped.len() >= limit {
                content.more = true;
                break;
            }
            match self.read_file(&name, cipher.as_ref()) {
                InboxFile::Whole(dropped) => content.dropped.push((name, *dropped)),
                InboxFile::Locked => content.locked += 1,
                // A file that still can't be removed is met again, and is still taken.
                InboxFile::Taken => {
                    let _ = disk.remove(&name);
                }
                InboxFile::Gone => {}
                InboxFile::Damaged => {
                    content.damaged += 1;
                    // The damaged file is kept for inspection. If it cannot be renamed, the next read meets it
                    // again.
                    let _ = disk.rename(&name, &format!("{name}{DAMAGED}"));
                }
            }
        }
        Ok(content)
    }

    /// Removes old files of no use. After a failure the next call tries again.
    fn tidy(&self, disk: &RealDisk, names: &[String], now: Timestamp) {
        let damaged: Vec<_> = names.iter().filter(|it| it.ends_with(DAMAGED)).collect();
        let over = damaged.len().saturating_sub(DAMAGED_MAX);
        for name in damaged.into_iter().take(over) {
            let _ = disk.remove(name);
        }
        for name in names.iter().filter(|it| it.ends_with(UNFINISHED)) {
            let written = changed_at(&self.folder.join(name));
            let age = written.map(|at| now.as_millis().saturating_sub(at.as_millis()));
            if age.is_some_and(|age| age > UNFINISHED_FOR_MS) {
                let _ = disk.remove(name);
            }
        }
    }

    /// Removes a file whose intent is committed. A file that cannot be removed is marked as taken, because its
    /// token is forgotten once the app has discarded the resulting entry.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] when that fails too. The file is then imported again; the outbox or a message may
    /// still have its token and recognise it.
    pub fn remove(&self, name: &str) -> Result<(), StoreError> {
        let disk = RealDisk::new(&self.folder);
        let removed = disk
            .remove(name)
            .or_else(|error| self.mark(name).map_err(|_| error));
        removed.map_err(|error| StoreError::io("clearing the inbox", &error))
    }

    /// Marks a file as taken, which takes no change of the folder.
    fn mark(&self, name: &str) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .truncate(true)
            .open(self.folder.join(name))?;
        file.write_all(TAKEN)?;
        file.sync_all()
    }

    fn read_file(&self, name: &str, cipher: Option<&Cipher>) -> InboxFile {
        let bytes = match small_file(&self.folder.join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return InboxFile::Gone,
            Err(_) => return InboxFile::Damaged,
        };
        if bytes == TAKEN {
            return InboxFile::Taken;
        }
        let opened = match frame::open(KEY, &bytes, context(cipher)) {
            Ok(opened) => opened,
            Err(BadFrame::Locked) => return InboxFile::Locked,
            Err(BadFrame::Damaged | BadFrame::Foreign) => return InboxFile::Damaged,
        };
        let record = decode::<DroppedRecord>(&opened.payload).ok();
        // A file that somebody moved here from another client's folder is not this client's work.
        let own = record.filter(|record| record.owner == self.owner.as_str());
        match own.and_then(DroppedRecord::dropped) {
            Some(dropped) => InboxFile::Whole(Box::new(dropped)),
            None => InboxFile::Damaged,
        }
    }

    /// The client that the inbox belongs to.
    pub(in crate::store) const fn owner(&self) -> &ClientId {
        &self.owner
    }

    /// The folder of the inbox.
    pub(in crate::store) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(in crate::store) fn cipher(&self) -> Option<Cipher> {
        self.key.as_ref().map(StoreKey::cipher)
    }
}

impl Snapshot<'_> {
    /// True if work of that token was enqueued before: the token is in the outbox, or names a message
    /// already.
    ///
    /// # Errors
    ///
    /// Read errors.
    pub fn knows_token(&self, token: &LocalId) -> Result<bool, StoreError> {
        let waits = self.outbox().iter().any(|entry| entry.token == *token);
        Ok(waits || self.position_by_local_id(token)?.is_some())
    }
}

/// The frames of an inbox belong to no store: an extension knows none.
pub(in crate::store) fn context(cipher: Option<&Cipher>) -> FrameContext<'_> {
    FrameContext { store: 0, cipher }
}

/// A name after that of the newest file, for any clock: names give the order.
fn name_of(dropped: &Dropped, newest: Option<&str>) -> String {
    let newest = newest.and_then(|name| name.get(..20)?.parse::<i64>().ok());
    let after = newest.map_or(0, |millis| millis.saturating_add(1));
    let millis = dropped.dropped_at.as_millis().max(after);
    let hash = key::hashed(Tag::Outbox, dropped.token.as_str(), &HashKey::default());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{millis:020}-{hash}{SUFFIX}")
}

fn small_file(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > FILE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

impl DroppedRecord<'_> {
    fn dropped(self) -> Option<Dropped> {
        let intent = self.intent.intent().ok()?;
        Some(Dropped {
            conversation: ConversationId::new(&self.conversation).ok()?,
            token: LocalId::new(&self.token).ok()?,
            dropped_at: Timestamp::from_millis(self.dropped_at_ms),
            intent: Some(intent).filter(is_for_inboxes)?,
        })
    }
}

/// Conversations are made by the app itself.
const fn is_for_inboxes(intent: &Intent) -> bool {
    match intent {
        Intent::Send(_) | Intent::Read(_) => true,
        Intent::Create(_)
        | Intent::Patch(_)
        | Intent::Members(_)
        | Intent::Details(_)
        | Intent::Mute(_) => false,
    }
}

/// The time at which a file was written last.
fn changed_at(path: &Path) -> Option<Timestamp> {
    let changed = fs::metadata(path).ok()?.modified().ok()?;
    let since = changed.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(
        i64::try_from(since.as_millis()).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{Bench, at, client, conversation_id, local, send};
    use crate::store::types::entry::{CreateIntent, ReadIntent};

    fn dropped(n: i64) -> Dropped {
        Dropped {
            conversation: conversation_id("c"),
            token: local(&format!("x{n}")),
            dropped_at: at(n),
            intent: send(&format!("from outside {n}")),
        }
    }

    fn inbox(folder: &Path, key: Option<StoreKey>) -> Inbox {
        Inbox::new(folder, client("me"), key)
    }

    fn key(byte: u8) -> Option<StoreKey> {
        Some(StoreKey::new([byte; 32]))
    }

    fn read(inbox: &Inbox) -> InboxContent {
        inbox.read(10, &BTreeSet::new(), at(1000)).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        RealDisk::new(folder).list().unwrap()
    }

    #[test]
    fn what_was_dropped_is_read_back_in_that_order_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        for key in [None, key(1)] {
            let own = inbox(&folder.path().join(format!("{key:?}")), key);
            assert_eq!(read(&own), InboxContent::default());
            own.drop_intent(&dropped(20)).unwrap();
            own.drop_intent(&dropped(3)).unwrap();
            own.drop_intent(&dropped(4)).unwrap();
            let content = read(&own);
            let read: Vec<_> = content
                .dropped
                .into_iter()
                .map(|(_, dropped)| dropped)
                .collect();
            assert_eq!(read, [dropped(20), dropped(3), dropped(4)]);
        }
    }

    #[test]
    fn a_token_is_known_while_its_work_waits_and_after_it_was_acknowledged() {
        let mut bench = Bench::new();
        let number = bench.conversation("c");
        let Dropped { token, intent, .. } = dropped(1);
        assert!(!bench.store.snapshot().knows_token(&token).unwrap());
        let (entry, _) = bench.commit(|o| o.enqueue(number, token.clone(), at(1), intent).unwrap());
        assert!(bench.store.snapshot().knows_token(&token).unwrap());
        let sent = crate::store::tests::message("me", 9, "from outside 1");
        bench.commit(|o| o.acknowledge(entry, number, &sent).unwrap());
        assert!(bench.store.snapshot().knows_token(&token).unwrap());
    }

    #[test]
    fn a_file_whose_work_was_committed_and_that_could_not_be_removed_is_not_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let own = inbox(folder.path(), key(1));
        own.drop_intent(&dropped(1)).unwrap();
        own.mark(&names(folder.path())[0]).unwrap();
        assert_eq!(read(&own), InboxContent::default());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_one_under_another_key_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        inbox(folder.path(), key(1))
            .drop_intent(&dropped(1))
            .unwrap();
        let own = inbox(folder.path(), key(2));
        fs::write(folder.path().join("00000000000000000009-x.intent"), b"half").unwrap();
        let huge = vec![0; usize::try_from(FILE_MAX).unwrap() + 1];
        fs::write(folder.path().join("00000000000000000010-x.intent"), huge).unwrap();
        fs::write(folder.path().join("unfinished.intent.new"), b"half").unwrap();
        let content = read(&own);
        assert_eq!((content.damaged, content.locked), (2, 1));
        let content = read(&own);
        assert_eq!((content.damaged, content.locked), (0, 1));
        let content = read(&inbox(folder.path(), key(1)));
        assert_eq!(content.dropped[0].1, dropped(1));
        let content = read(&Inbox::new(folder.path(), client("other"), key(1)));
        assert_eq!(content.damaged, 1, "it is another client's");
    }

    #[test]
    fn any_flipped_byte_of_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let own = inbox(folder.path(), None);
        own.drop_intent(&dropped(1)).unwrap();
        let name = names(folder.path()).remove(0);
        let path = folder.path().join(&name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = !bytes[at];
            fs::write(&path, bytes).unwrap();
            let found = own.read_file(&name, None);
            assert!(matches!(found, InboxFile::Damaged), "byte {at}");
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(own.read_file(&name, None), InboxFile::Damaged));
        }
    }

    #[test]
    fn a_removed_file_is_not_read_again_and_neither_is_an_excepted_one() {
        let folder = tempfile::tempdir().unwrap();
        let own = inbox(folder.path(), None);
        own.drop_intent(&dropped(1)).unwrap();
        let name = read(&own).dropped.remove(0).0;
        let except = BTreeSet::from([name.clone()]);
        let content = own.read(10, &except, at(1)).unwrap();
        assert_eq!(content, InboxContent::default());
        own.remove(&name).unwrap();
        assert_eq!(read(&own), InboxContent::default());
    }

    #[test]
    fn an_inbox_takes_messages_and_read_marks_and_no_creations() {
        let folder = tempfile::tempdir().unwrap();
        let own = inbox(folder.path(), None);
        let intent = Intent::Read(ReadIntent {
            until: at(5),
            message: None,
        });
        let mark = Dropped {
            intent,
            ..dropped(1)
        };
        own.drop_intent(&mark).unwrap();
        assert_eq!(read(&own).dropped[0].1, mark);
        let intent = Intent::Create(CreateIntent {
            kind: crate::model::ConversationKind::Normal,
            name: None,
            members: Vec::new(),
            attributes: None,
            unique: false,
            lifetime_seconds: None,
        });
        let creation = Dropped {
            intent,
            ..dropped(2)
        };
        let refused = own.drop_intent(&creation).unwrap_err();
        assert!(matches!(refused, StoreError::InvalidArgument { .. }));
    }

    #[test]
    fn a_full_inbox_refuses_and_one_that_holds_more_than_was_asked_for_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let own = inbox(folder.path(), None);
        for n in 0..3 {
            own.drop_intent(&dropped(n)).unwrap();
        }
        let content = own.read(2, &BTreeSet::new(), at(9)).unwrap();
        assert!(content.more && content.dropped.len() == 2);
        for n in 3..i64::try_from(WAITING_MAX).unwrap() {
            fs::write(folder.path().join(name_of(&dropped(n), None)), b"").unwrap();
        }
        let refused = own.drop_intent(&dropped(5000)).unwrap_err();
        assert_eq!(refused, StoreError::InboxFull { max: WAITING_MAX });
    }

    #[test]
    fn what_was_set_aside_does_not_pile_up_and_what_was_left_half_written_goes() {
        let folder = tempfile::tempdir().unwrap();
        let own = inbox(folder.path(), None);
        for n in 0..DAMAGED_MAX + 5 {
            let name = format!("{n:020}-x{SUFFIX}{DAMAGED}");
            fs::write(folder.path().join(name), b"half").unwrap();
        }
        let half = folder.path().join(format!("x{SUFFIX}{UNFINISHED}"));
        fs::write(&half, b"half").unwrap();
        let written = changed_at(&half).unwrap();
        own.read(10, &BTreeSet::new(), written).unwrap();
        assert_eq!(names(folder.path()).len(), DAMAGED_MAX + 1);
        let later = Timestamp::from_millis(written.as_millis() + UNFINISHED_FOR_MS + 1);
        own.read(10, &BTreeSet::new(), later).unwrap();
        assert_eq!(names(folder.path()).len(), DAMAGED_MAX);
        assert!(names(folder.path())[0].starts_with("00000000000000000005"));
    }
}

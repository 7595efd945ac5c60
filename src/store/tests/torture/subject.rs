//! The stores that are spoilt, the promises of each, and the remains of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Dice;
use crate::model::{OutboxState, StoreHealth};
use crate::store::disk::RealDisk;
use crate::store::disk::identity::Identity;
use crate::store::error::StoreError;
use crate::store::format::cipher::StoreKey;
use crate::store::format::codec::Codec;
use crate::store::format::conversation_value::Parts;
use crate::store::format::key;
use crate::store::format::key::Tag;
use crate::store::format::pack::Pack;
use crate::store::journal::reader::JournalContent;
use crate::store::read::items::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::recovery::report::OpenReport;
use crate::store::recovery::scan::scan_folder;
use crate::store::tests::damage::copy;
use crate::store::tests::*;

const CONVERSATIONS: i64 = 4;

/// A store to spoil.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Closed as an app closes it.
    Closed,
    /// Closed, and encrypted.
    Encrypted,
    /// As a killed process leaves it: promises are in the journal alone.
    Killed,
    /// With messages so large that the database gives pages files of their own.
    Large,
}

pub(super) const KINDS: [Kind; 4] = [Kind::Closed, Kind::Encrypted, Kind::Killed, Kind::Large];

/// A store, an earlier state of it, and its promises.
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) now: tempfile::TempDir,
    pub(super) older: tempfile::TempDir,
    /// The entries that must be in the outbox.
    pub(super) unsettled: BTreeSet<u64>,
    /// Those of them that are in the tree's files too.
    in_tree: BTreeSet<u64>,
    /// The settled entries: they must not be in the outbox, unless as failed.
    pub(super) settled: BTreeSet<u64>,
    /// The settled entries that were not settled yet in the tree's files.
    settled_late: BTreeSet<u64>,
}

/// A message by its conversation and its number.
pub(super) type Name = (i64, i64);

/// The content that a store showed.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) report: OpenReport,
    pub(super) messages: BTreeSet<Name>,
    pub(super) unsent: BTreeSet<u64>,
    /// Those of them that are not failed.
    pub(super) waiting: BTreeSet<u64>,
    /// Why something could not be read.
    unread: Option<String>,
}

/// The whole records in the files of a folder.
#[derive(Default)]
pub(super) struct Raw {
    /// True if anything in the folder can be read at all.
    known: bool,
    pub(super) messages: BTreeSet<Name>,
    pub(super) entries: BTreeSet<u64>,
    /// The entries that a whole record of the journal settles.
    settled: BTreeSet<u64>,
}

impl Kind {
    const fn key(self) -> Option<u8> {
        match self {
            Self::Encrypted => Some(7),
            _ => None,
        }
    }

    fn options(self, folder: &Path) -> StoreOptions {
        StoreOptions {
            cache_bytes: 1 << 20,
            key: self.key().map(|byte| StoreKey::new([byte; 32])),
            open_timeout: Duration::from_secs(20),
            ..StoreOptions::new(folder, client("me"), at(77))
        }
    }

    const fn messages(self) -> i64 {
        match self {
            Self::Large => 40,
            _ => 300,
        }
    }

    fn text(self, (c, n): Name) -> String {
        let text = format!("message {n} of conversation {c}, long enough to be worth a record");
        match self {
            Self::Large => {
                let mut dice = Dice::new(u64::try_from(c * 1000 + n).unwrap());
                let letters = (0..1_500).map(|_| format!("{:016x}", dice.next()));
                text + &letters.collect::<String>()
            }
            _ => text,
        }
    }
}

fn edited(text: &str) -> String {
    format!("{text} (edited)")
}

impl Subject {
    pub(super) fn new(kind: Kind) -> Self {
        let mut subject = Self {
            kind,
            now: tempfile::tempdir().unwrap(),
            older: tempfile::tempdir().unwrap(),
            unsettled: BTreeSet::new(),
            in_tree: BTreeSet::new(),
            settled: BTreeSet::new(),
            settled_late: BTreeSet::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let opened = Store::open(&kind.options(folder.path())).unwrap();
        let half = kind.messages() / 2;
        let opened = subject.fill(opened, 0..half);
        drop(opened);
        copy(folder.path(), subject.older.path());
        let opened = Store::open(&kind.options(folder.path())).unwrap();
        let opened = subject.fill(opened, half..kind.messages());
        if kind == Kind::Killed {
            copy(folder.path(), subject.now.path());
        } else {
            subject.in_tree = subject.unsettled.clone();
            subject.settled_late.clear();
            drop(opened);
            copy(folder.path(), subject.now.path());
        }
        subject
    }

    /// Receives messages, edits some, sends now and then, and settles every third of what it sent.
    fn fill(&mut self, mut opened: Opened, range: std::ops::Range<i64>) -> Opened {
        let mut overlay = Overlay::new(&opened.store);
        let numbers: Vec<_> = (0..CONVERSATIONS)
            .map(|c| {
                let id = conversation_id(&format!("c{c}"));
                overlay.conversation_or_unknown(&id).unwrap()
            })
            .collect();
        let batch = overlay.into_batch();
        commit(&mut opened, batch, CommitClass::Cache);
        let (first, end) = (range.start, range.end);
        for from in range.step_by(20) {
            let upto = (from + 20).min(end);
            let mut overlay = Overlay::new(&opened.store);
            for (c, number) in (0..).zip(&numbers) {
                for n in from..upto {
                    let text = self.kind.text((c, n));
                    let message = message("other", n, &text);
                    overlay.put_message(*number, &message).unwrap();
                }
                overlay
                    .update_conversation(*number, |row| {
                        row.history.hold(position(0), position(upto - 1));
                    })
                    .unwrap();
                if from > first {
                    let n = from - 7;
                    let text = edited(&self.kind.text((c, n)));
                    overlay
                        .put_message(*number, &message("other", n, &text))
                        .unwrap();
                }
            }
            let batch = overlay.into_batch();
            commit(&mut opened, batch, CommitClass::Cache);
            self.in_tree = self.unsettled.clone();
            self.settled_late.clear();
            self.send(&mut opened, &numbers);
        }
        self.send(&mut opened, &numbers);
        opened
    }

    fn send(&mut self, opened: &mut Opened, numbers: &[ConversationNumber]) {
        for number in numbers {
            let mut overlay = Overlay::new(&opened.store);
            let seq = opened.store.seq().0;
            let token = local(&format!("l{seq}"));
            let text = format!("unsent in {}", number.0);
            let id = overlay.enqueue(*number, token, at(1), send(&text)).unwrap();
            let batch = overlay.into_batch();
            commit(opened, batch, CommitClass::Intent);
            if id.0.is_multiple_of(3) {
                let mut overlay = Overlay::new(&opened.store);
                overlay.settle(id);
                let batch = overlay.into_batch();
                commit(opened, batch, CommitClass::Intent);
                self.settled.insert(id.0);
                self.settled_late.insert(id.0);
            } else {
                self.unsettled.insert(id.0);
            }
        }
    }

    /// The codec of the store's records.
    fn codec(&self) -> Codec {
        let identity = Identity::read(&RealDisk::new(self.now.path())).unwrap();
        let key = self.kind.key().map(|byte| StoreKey::new([byte; 32]));
        identity.unwrap().codec(key.as_ref()).unwrap()
    }

    /// The whole records in the files of a spoilt copy.
    pub(super) fn raw(&self, folder: &Path) -> Raw {
        let codec = self.codec();
        let mut messages = BTreeSet::new();
        let copies = Identity::copies(&RealDisk::new(folder)).unwrap_or_default();
        let known = copies.iter().any(|(_, copy)| copy.store == codec.store);
        if self.kind == Kind::Encrypted && !known {
            // The data key is gone with the identity: nothing is whole any more.
            return Raw::default();
        }
        scan_folder(&folder.join("db"), &codec, &mut |opened, _| {
            let tail = || Parts::of(&opened.payload).ok()?.tail;
            let (number, payload) = match Tag::of(&opened.key) {
                Some(Tag::Pack | Tag::Hot) => {
                    (key::parse_pack(&opened.key), Some(&opened.payload[..]))
                }
                Some(Tag::Conversation) => {
                    let payload = tail().map(|(_, payload)| payload);
                    (key::parse_number(&opened.key), payload)
                }
                _ => return Ok(()),
            };
            if let (Ok(number), Some(payload)) = (number, payload)
                && let Ok(pack) = Pack::decode(payload.to_vec(), &codec.compressor)
            {
                let slots = pack.slots.iter();
                let times = slots.map(|slot| slot.position.sent_at.as_millis());
                messages.extend(times.map(|n| (i64::from(number.0), n)));
            }
            Ok(())
        })
        .unwrap();
        let journal = JournalContent::read(&RealDisk::new(folder), &codec).unwrap_or_default();
        let mut raw = Raw {
            known: true,
            messages,
            entries: BTreeSet::new(),
            settled: BTreeSet::new(),
        };
        for (key, value) in journal.records.iter().flat_map(|r| &r.batch.changes) {
            if let Ok(id) = key::parse_outbox(key) {
                raw.entries.insert(id.0);
                raw.settled.extend(value.is_none().then_some(id.0));
            }
        }
        raw
    }

    /// The entries that a spoilt copy must still have in its outbox.
    pub(super) fn must_keep(&self, folder: &Path, raw: &Raw) -> BTreeSet<u64> {
        let tree_whole =
            raw.known && contents(&folder.join("db")) == contents(&self.now.path().join("db"));
        let kept = |id: &&u64| raw.entries.contains(*id) || tree_whole && self.in_tree.contains(id);
        self.unsettled.iter().filter(kept).copied().collect()
    }

    /// The settled entries that wait again, though whole files say better.
    pub(super) fn came_back(&self, raw: &Raw, seen: &Seen) -> BTreeSet<u64> {
        let back = self.settled.intersection(&seen.waiting);
        let known = |id: &&u64| !self.settled_late.contains(*id) || raw.settled.contains(id);
        back.filter(known).copied().collect()
    }

    /// Opens a folder and reads all of it; everything shown must be as it was written, and no history may
    /// hide a hole. Writes something, too.
    pub(super) fn read(&self, folder: &Path) -> Result<Seen, String> {
        let opened = Store::open(&self.kind.options(folder));
        let mut opened = opened.map_err(|error| format!("refused: {error}"))?;
        if !opened.report.takes_writes() {
            return Err(format!("takes no writes: {}", opened.report));
        }
        let mut seen = self.look(&opened)?;
        if let StoreHealth::ReadOnly { .. } = opened.store.health() {
            // A read met the damage: the next probe mends it, as the engine's would.
            let probed = opened.writer.probe(at(78));
            let report = probed.map_err(|error| format!("a probe: {error}"))?;
            opened.report = report;
            seen = self.look(&opened)?;
        }
        if let Some(wrong) = seen.unread.take() {
            return Err(wrong);
        }
        write_and_forget(&mut opened).map_err(|error| format!("does not write: {error}"))?;
        Ok(seen)
    }

    fn look(&self, opened: &Opened) -> Result<Seen, String> {
        let mut seen = Seen {
            report: opened.report.clone(),
            messages: BTreeSet::new(),
            unsent: BTreeSet::new(),
            waiting: BTreeSet::new(),
            unread: None,
        };
        for c in 0..CONVERSATIONS {
            self.read_conversation(&opened.store, c, &mut seen)?;
        }
        self.read_outbox(&opened.store, &mut seen)?;
        Ok(seen)
    }

    fn read_conversation(&self, store: &Store, c: i64, seen: &mut Seen) -> Result<(), String> {
        let snapshot = store.snapshot();
        let id = conversation_id(&format!("c{c}"));
        let number = match snapshot.conversation_by_id(&id) {
            Ok(Some((number, _))) => number,
            Ok(None) => return Ok(()),
            Err(error) => {
                seen.unread = Some(format!("reading c{c}: {error}"));
                return Ok(());
            }
        };
        let (mut before, mut last) = (None, None);
        loop {
            let page = snapshot.page_before(number, before.as_ref(), 100);
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    seen.unread = Some(format!("reading c{c}: {error}"));
                    return Ok(());
                }
            };
            for item in page.items.iter().rev() {
                match item {
                    TimelineItem::Gap(_) => last = None,
                    TimelineItem::Echo { .. } => {}
                    TimelineItem::Message { position, message } => {
                        let n = position.sent_at.as_millis();
                        let text = self.kind.text((c, n));
                        let words = message.content.words().unwrap_or_default();
                        if words != text && words != edited(&text) {
                            return Err(format!("message {n} of c{c} is not what was written"));
                        }
                        if last.is_some_and(|last| last != n + 1) {
                            return Err(format!("a hole after {n} of c{c} without a gap"));
                        }
                        last = Some(n);
                        seen.messages.insert((c, n));
                    }
                }
            }
            before = page.items.iter().find_map(TimelineItem::place);
            if !page.more || before.is_none() {
                return Ok(());
            }
        }
    }

    fn read_outbox(&self, store: &Store, seen: &mut Seen) -> Result<(), String> {
        let snapshot = store.snapshot();
        for entry in snapshot.outbox() {
            let row = snapshot.conversation(entry.conversation);
            let row = row.map_err(|error| format!("an entry's conversation: {error}"))?;
            let row = row.ok_or("an entry without its conversation")?;
            let echo = snapshot
                .echo(&entry, &row.id)
                .ok_or("an entry of no kind")?;
            let number = row.id.as_str().trim_start_matches('c').to_owned();
            if echo.content.words() != Some(&*format!("unsent in {number}")) {
                return Err(format!("entry {} is not what was sent", entry.id.0));
            }
            if !self.unsettled.contains(&entry.id.0) && !self.settled.contains(&entry.id.0) {
                return Err(format!("entry {} was never sent", entry.id.0));
            }
            seen.unsent.insert(entry.id.0);
            if !matches!(entry.state, OutboxState::Failed { .. }) {
                seen.waiting.insert(entry.id.0);
            }
        }
        Ok(())
    }
}

fn commit(opened: &mut Opened, batch: crate::store::types::batch::Batch, class: CommitClass) {
    opened.writer.commit(batch, class).unwrap();
}

/// Promises something durably, and takes it back: the store takes writes again.
fn write_and_forget(opened: &mut Opened) -> Result<(), StoreError> {
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.conversation_or_unknown(&conversation_id("c0"))?;
    let token = local(&format!("again{}", opened.store.seq().0));
    let id = overlay.enqueue(number, token, at(2), send("again"))?;
    opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Intent)?;
    let mut overlay = Overlay::new(&opened.store);
    overlay.settle(id);
    opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Cache)?;
    opened.writer.sync()
}

/// Every file under a folder, by its path from there, in order.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    contents(folder).into_keys().collect()
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_path_buf();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

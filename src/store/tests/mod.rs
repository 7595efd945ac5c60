//! Tests of the store as a whole: scenarios, properties against a plain model, damage, crashes.

mod budget;
mod budget_disk;
mod budget_kill;
mod damage;
mod faults;
mod fixture;
mod inspect;
mod listed;
mod model;
mod noted;
mod packs;
mod promise;
mod quiet;
mod scenario;
#[cfg(target_os = "linux")]
mod syncs;
mod tails;
mod torture;
mod unreadable;

use crate::model::{
    ClientId, ConversationId, LocalId, Mentions, Message, MessageContent, MessageId, MessageState,
    Timestamp,
};

use crate::store::disk::memory::MemoryDisk;
use crate::store::open::Opened;
use crate::store::read::snapshot::Snapshot;
use crate::store::read::store::Store;
use crate::store::types::batch::CommitClass;
use crate::store::types::conversation::{ConversationRow, Freshness};
use crate::store::types::entry::{Intent, SendIntent};
use crate::store::types::position::{ConversationNumber, Position};
use crate::store::write::commit::Commit;
use crate::store::write::overlay::Overlay;
use crate::store::writer::Writer;

pub(super) fn client(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

pub(super) fn conversation_id(name: &str) -> ConversationId {
    ConversationId::new(name).unwrap()
}

pub(super) fn local(name: &str) -> LocalId {
    LocalId::new(name).unwrap()
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(super) fn position(n: i64) -> Position {
    Position {
        sent_at: at(n),
        id: MessageId::new(format!("m{n}")).unwrap(),
    }
}

/// A message of `sender` whose id and time are made of `n`.
pub(super) fn message(sender: &str, n: i64, text: &str) -> Message {
    Message {
        conversation: conversation_id("c"),
        id: Some(position(n).id),
        local_id: None,
        sender: client(sender),
        sent_at: at(n),
        content: MessageContent::text(text),
        mentions: Mentions::default(),
        state: MessageState::Sent,
        edited_at: None,
        transient: false,
        change: None,
    }
}

pub(super) fn send(text: &str) -> Intent {
    Intent::Send(SendIntent {
        content: MessageContent::text(text),
        mentions: Mentions::default(),
        receipt: true,
        transient: false,
        push: None,
        priority: None,
        will: false,
        upload: None,
    })
}

pub(super) fn row(id: &str) -> ConversationRow {
    ConversationRow {
        freshness: Freshness::Fresh,
        ..ConversationRow::unknown(conversation_id(id))
    }
}

/// A store on a disk in memory, which is opened again by `reopen`.
pub(super) struct Bench {
    pub(super) disk: MemoryDisk,
    pub(super) store: Store,
    pub(super) writer: Writer,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::on(MemoryDisk::new(1))
    }

    pub(super) fn on(disk: MemoryDisk) -> Self {
        let Opened { store, writer, .. } = Store::in_memory(&disk, client("me")).unwrap();
        Self {
            disk,
            store,
            writer,
        }
    }

    /// Closes the store and opens it again.
    pub(super) fn reopen(self) -> Self {
        let Self {
            disk,
            store,
            writer,
        } = self;
        drop((store, writer));
        Self::on(disk)
    }

    /// Cuts the power and opens the store again.
    pub(super) fn crash(self) -> Self {
        let Self {
            disk,
            store,
            writer,
        } = self;
        drop((store, writer));
        disk.crash();
        Self::on(disk)
    }

    /// Commits what `write` does, durably.
    pub(super) fn commit<T>(&mut self, write: impl FnOnce(&mut Overlay<'_>) -> T) -> (T, Commit) {
        let mut overlay = Overlay::new(&self.store);
        let result = write(&mut overlay);
        let batch = overlay.into_batch();
        (
            result,
            self.writer.commit(batch, CommitClass::Intent).unwrap(),
        )
    }

    /// Adds a conversation.
    pub(super) fn conversation(&mut self, id: &str) -> ConversationNumber {
        self.commit(|overlay| overlay.create_conversation(row(id)).unwrap())
            .0
    }
}

/// A copy of a folder's files, as a kill would leave them.
pub(super) fn left_by_a_kill(folder: &std::path::Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for path in crate::store::recovery::scan::files(folder).unwrap() {
        let to = copy.path().join(path.strip_prefix(folder).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    }
    copy
}

/// The list has every conversation that can be read, each once, in the order of the rows' activity;
/// however it is paged. A store in which a read fails is not looked at further.
pub(super) fn check_list(store: &Store) {
    if let Ok((listed, expected)) = listed_and_expected(&store.snapshot()) {
        assert_eq!(listed, expected);
    }
}

type Listed = Vec<(Timestamp, ConversationNumber)>;

fn listed_and_expected(
    snapshot: &Snapshot<'_>,
) -> Result<(Listed, Listed), crate::store::error::StoreError> {
    let mut expected = Vec::new();
    for number in (0..snapshot.tables.meta.next_number).map(ConversationNumber) {
        let echo = snapshot.newest_echo(number).map(|entry| entry.enqueued_at);
        let row = snapshot.row(number)?;
        expected.extend(row.map(|row| (row.activity_with(echo), number)));
    }
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = snapshot.conversations(after, 7)?;
        for (number, _) in &page.conversations {
            let row = snapshot.row(*number)?;
            listed.extend(row.map(|row| (row.activity, *number)));
        }
        after = page.next;
        if after.is_none() {
            return Ok((listed, expected));
        }
    }
}

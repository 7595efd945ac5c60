//! Sampan's store, through its public interface, with its defaults.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use sampan::model::{ClientId, Message, Timestamp};
use sampan::store::{
    CommitClass, ConversationNumber, ConversationRow, Freshness, Opened, Overlay, Place, Position,
    Store, StoreOptions, Tended, Writer,
};

use crate::subject::{Class, PAGE, Setting, Subject};
use crate::support::Outcome;
use crate::support::show::Stopwatch;
use crate::workload::{Begun, Delivered};

/// An open store.
pub(crate) struct Ours {
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    class: Class,
}

impl Ours {
    pub(crate) fn open(setting: &Setting) -> Outcome<Self> {
        let Opened { store, writer, .. } = Store::open(&options(&setting.folder)?)?;
        Ok(Self {
            store,
            writer,
            class: setting.class,
        })
    }
}

fn options(folder: &Path) -> Outcome<StoreOptions> {
    let owner = ClientId::new("me")?;
    Ok(StoreOptions::new(folder, owner, Timestamp::ZERO))
}

/// The memory that the store is given for its cache, in megabytes.
pub(crate) fn cache_megabytes() -> Outcome<u64> {
    Ok(options(Path::new("."))?.cache_bytes / 1_000_000)
}

/// The number that the conversation at a place has: they are begun in order, in a new store.
pub(crate) fn number(place: usize) -> Outcome<ConversationNumber> {
    Ok(ConversationNumber(u32::try_from(place)?))
}

/// Puts a batch into an overlay, as the receiver does: messages, unread counts, held history.
pub(crate) fn deliver(overlay: &mut Overlay<'_>, batch: &[Delivered]) -> Outcome<()> {
    let mut arrived: BTreeMap<usize, Vec<&Message>> = BTreeMap::new();
    for (place, message) in batch {
        overlay.put_message(number(*place)?, message)?;
        arrived.entry(*place).or_default().push(message);
    }
    for (place, messages) in arrived {
        let positions: Vec<_> = messages.iter().filter_map(|it| position(it)).collect();
        overlay.update_conversation(number(place)?, |row| {
            row.unread.count += positions.len() as u32;
            let newest = row.history.newest().map(|span| span.to.clone());
            let last = positions.iter().max().cloned();
            if let Some((from, to)) = newest.or_else(|| positions.first().cloned()).zip(last) {
                row.history.hold(from, to);
            }
        })?;
    }
    Ok(())
}

fn position(message: &Message) -> Option<Position> {
    Some(Position {
        sent_at: message.sent_at,
        id: message.id.clone()?,
    })
}

impl Subject for Ours {
    fn begin(&mut self, conversations: &[Begun]) -> Outcome<()> {
        for begun in conversations.chunks(100) {
            let mut overlay = Overlay::new(&self.store);
            for begun in begun {
                let mut row = ConversationRow::unknown(begun.id.clone());
                row.name = Some(begun.name.clone());
                row.creator = begun.members.first().cloned();
                row.members.clone_from(&begun.members);
                row.freshness = Freshness::Fresh;
                overlay.create_conversation(row)?;
            }
            let batch = overlay.into_batch();
            self.writer.commit(batch, CommitClass::Cache)?;
        }
        self.finish()
    }

    fn ingest(&mut self, batch: &[Delivered]) -> Outcome<()> {
        let mut overlay = Overlay::new(&self.store);
        deliver(&mut overlay, batch)?;
        let batch = overlay.into_batch();
        self.writer.commit(batch, CommitClass::Cache)?;
        match self.class {
            Class::Soon => Ok(()),
            Class::Each => self.finish(),
        }
    }

    fn finish(&mut self) -> Outcome<()> {
        Ok(self.writer.sync()?)
    }

    fn rest(&mut self) -> Outcome<()> {
        while self.writer.wants_tending() && self.writer.tend(&[])? == Tended::More {}
        self.finish()
    }

    fn list(&mut self) -> Outcome<usize> {
        let page = self.store.snapshot().conversations(None, PAGE)?;
        let (first, _) = page.conversations.first().ok_or("an empty list")?;
        Ok(usize::try_from(first.0)?)
    }

    fn newest(&mut self, place: usize) -> Outcome<usize> {
        page_size(&self.store, place)
    }

    fn walk(&mut self, place: usize) -> Outcome<Vec<Duration>> {
        let number = number(place)?;
        let mut times = Vec::new();
        let mut before: Option<Place> = None;
        loop {
            let began = Stopwatch::start();
            let snapshot = self.store.snapshot();
            let page = snapshot.page_before(number, before.as_ref(), PAGE)?;
            times.push(began.elapsed());
            before = page.items.iter().find_map(|item| item.place());
            if !page.more {
                return Ok(times);
            }
        }
    }
}

/// Reads the newest page of a conversation; how many messages.
pub(crate) fn page_size(store: &Store, place: usize) -> Outcome<usize> {
    let page = store.snapshot().page_before(number(place)?, None, PAGE)?;
    let messages = page.items.iter().filter(|item| item.message().is_some());
    Ok(messages.count())
}

//! The list of all that is unsent, in the order of enqueueing: why it waits, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{
    CommitSeq, ConversationId, Count, MessageKey, OutboxEntryId, OutboxKind, OutboxState,
    ServiceRefusal, Timestamp,
};
use crate::store::{ConversationNumber, Entry, Intent, Snapshot, StoreError};

use super::delivery::{Blocker, Delivery, Reach};
use super::diff::{Keyed, apply};
use super::edits::edits;
use super::{Uploads, Version, Windows};

/// One unsent piece of work, and why it is not done.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct OutboxRow {
    /// Its number: numbers grow in the order of enqueueing.
    pub entry: OutboxEntryId,
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The message it makes, if it makes one.
    pub message: Option<MessageKey>,
    /// The kind of work.
    pub kind: OutboxKind,
    /// When it was enqueued, by this device's clock.
    pub enqueued_at: Timestamp,
    /// How often it was sent, or refused before it left.
    pub tries: Count,
    /// Where it stands: the obstacle that it waits for, or why it failed.
    pub delivery: Delivery,
    /// When it is tried next, by this device's clock, where that is known: the service allows so many
    /// in a minute, or refused the last try for the time being.
    pub next_try: Option<Timestamp>,
    /// The service's refusal of the last try, where it refused for the time being.
    pub refusal: Option<ServiceRefusal>,
}

edits! {
    /// One edit of the list of unsent work. An index is good for applying that edit, after those before
    /// it, and for nothing else.
    OutboxEdit of OutboxRow as row, rows
}

/// The changes of the list of unsent work.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct OutboxUpdate {
    /// The version that the edits lead to: `next` takes it.
    pub version: Version,
    /// The commit whose state the list shows; it never goes back.
    pub seq: CommitSeq,
    /// The edits, in order.
    pub edits: Vec<OutboxEdit>,
}

/// The list of unsent work at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutboxListState {
    /// The version: `next` takes it.
    pub version: Version,
    /// The rows, in the order of enqueueing.
    pub rows: Vec<OutboxRow>,
}

impl OutboxListState {
    /// Takes an update that `next` answered to this state's version.
    pub fn apply(&mut self, update: OutboxUpdate) {
        for edit in update.edits {
            apply(&mut self.rows, edit.into());
        }
        self.version = update.version;
    }
}

impl Keyed for OutboxRow {
    type Key = OutboxEntryId;

    fn key(&self) -> &OutboxEntryId {
        &self.entry
    }
}

/// The work that a client keeps back although it is signed in. Times are those of the device's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Until when no message is sent.
    pub sends: Option<Timestamp>,
    /// Until when nothing else is sent.
    pub others: Option<Timestamp>,
    /// Conversations to which nothing is sent for now, because the service refused the last try.
    pub refused: BTreeMap<ConversationNumber, Refused>,
    /// Entries that the app's server is asked to sign.
    pub signing: BTreeSet<OutboxEntryId>,
}

/// A conversation whose last try the service refused for the time being.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it is tried again.
    pub until: Timestamp,
    /// The service's refusal.
    pub refusal: ServiceRefusal,
}

impl Holds {
    /// Until when the first unsent entry of a conversation is kept back; none if it is not.
    #[must_use]
    pub fn until(&self, entry: &Entry) -> Option<Timestamp> {
        let pace = match entry.intent {
            Intent::Send(_) => self.sends,
            _ => self.others,
        };
        let refused = self.refused.get(&entry.conversation).map(|it| it.until);
        pace.max(refused)
    }

    /// The obstacle of an entry that waits for its signature.
    #[must_use]
    pub fn signature(&self, entry: OutboxEntryId) -> Option<Blocker> {
        self.signing.contains(&entry).then_some(Blocker::Signature)
    }
}

/// A view of all that is unsent.
#[derive(Debug, Default)]
pub struct OutboxView {
    windows: Windows<Arc<OutboxRow>>,
    seq: CommitSeq,
    reach: Reach,
    holds: Holds,
    uploads: Arc<Uploads>,
}

impl OutboxView {
    /// A view that has read nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True if it shows what the store holds, and what keeps the client from sending, as given.
    #[must_use]
    pub fn is_fresh(&self, seq: CommitSeq, reach: Reach, holds: &Holds, uploads: &Uploads) -> bool {
        let has_read = self.windows.version() != Version::NONE;
        has_read
            && self.seq == seq
            && self.reach == reach
            && self.holds == *holds
            && *self.uploads == *uploads
    }

    /// The changes since a version; none when that version is the newest.
    #[must_use]
    pub fn update(&self, have: Version) -> Option<OutboxUpdate> {
        let (version, edits) = self.windows.news(have)?;
        Some(OutboxUpdate {
            version,
            seq: self.seq,
            edits,
        })
    }

    /// Reads the list as a snapshot has it.
    ///
    /// # Errors
    ///
    /// Those of reading: the view shows what it showed.
    pub fn refresh(
        &mut self,
        snapshot: &Snapshot<'_>,
        reach: Reach,
        holds: &Holds,
        uploads: &Arc<Uploads>,
    ) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        let mut begun = BTreeSet::new();
        for entry in snapshot.outbox() {
            let Some(row) = snapshot.conversation(entry.conversation)? else {
                continue;
            };
            let waits = !matches!(entry.state, OutboxState::Failed { .. });
            let is_state = matches!(
                entry.intent,
                Intent::Read(_) | Intent::Details(_) | Intent::Mute(_)
            );
            // The first of a conversation is the one that could go.
            let is_head = waits && (is_state || begun.insert(entry.conversation));
            let delivery = Delivery::of(&entry, &row, reach).with_uploads(entry.id, uploads);
            let hold = holds.until(&entry).filter(|_| is_head);
            rows.push(Arc::new(row_of(&entry, row.id, delivery, hold, holds)));
        }
        let rows = self.windows.shared(rows);
        let is_first = self.windows.version() == Version::NONE;
        if is_first || !self.windows.is_newest(&rows) {
            self.windows.push(rows);
        }
        self.seq = snapshot.seq();
        self.reach = reach;
        self.holds = holds.clone();
        self.uploads = Arc::clone(uploads);
        Ok(())
    }
}

fn row_of(
    entry: &Entry,
    conversation: ConversationId,
    delivery: Delivery,
    hold: Option<Timestamp>,
    holds: &Holds,
) -> OutboxRow {
    let delivery = match (delivery, holds.signature(entry.id)) {
        (Delivery::Waiting { .. } | Delivery::Sending { .. }, Some(blocker)) => {
            Delivery::Waiting { blocker }
        }
        (Delivery::Waiting { blocker }, None) => Delivery::Waiting {
            blocker: blocker.kept_back(hold),
        },
        (other, _) => other,
    };
    let held = match delivery {
        Delivery::Waiting {
            blocker: Blocker::Pace { until },
        } => Some(until),
        _ => None,
    };
    let refused = held.and_then(|_| holds.refused.get(&entry.conversation));
    OutboxRow {
        entry: entry.id,
        conversation,
        message: entry.local_id().cloned().map(MessageKey::local),
        kind: entry.intent.kind(),
        enqueued_at: entry.enqueued_at,
        tries: Count::from(entry.tries),
        delivery,
        next_try: held,
        refusal: refused.map(|refused| refused.refusal.clone()),
    }
}

//! The live list of unsent work, in the order of enqueueing, with the reason and the end of each wait.

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

/// One piece of unsent work, with the reason why it waits or failed.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct OutboxRow {
    /// The number of the entry. Numbers grow in the order of enqueueing.
    pub entry: OutboxEntryId,
    /// The conversation of the work.
    pub conversation: ConversationId,
    /// The entry's message; none if the entry makes no message.
    pub message: Option<MessageKey>,
    /// The kind of work.
    pub kind: OutboxKind,
    /// The time of the enqueueing, by this device's clock.
    pub enqueued_at: Timestamp,
    /// The number of times that the entry was sent, or refused before it left.
    pub tries: Count,
    /// The delivery: the obstacle of a waiting entry, or the reason of a failure.
    pub delivery: Delivery,
    /// The time of the next try, by this device's clock, where it is known: the service limits the rate, or
    /// refused the last try for now.
    pub next_try: Option<Timestamp>,
    /// The service's refusal of the last try, if the refusal will pass.
    pub refusal: Option<ServiceRefusal>,
}

edits! {
    /// One edit of the list of unsent work. An index is valid for this edit only, after those before it.
    OutboxEdit of OutboxRow as row, rows
}

/// The changes of the list of unsent work.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct OutboxUpdate {
    /// The version after the edits, for `next`.
    pub version: Version,
    /// The commit that the list shows; it never goes back.
    pub seq: CommitSeq,
    /// The edits, in order.
    pub edits: Vec<OutboxEdit>,
}

/// The state of the list of unsent work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutboxListState {
    /// The version of the state, for `next`.
    pub version: Version,
    /// The rows, in the order of enqueueing.
    pub rows: Vec<OutboxRow>,
}

impl OutboxListState {
    /// Applies an update that `next` answered for this state's version.
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

/// The work that a signed-in client delays. Times are of the device's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// The time until which no message is sent.
    pub sends: Option<Timestamp>,
    /// The time until which no other command is sent.
    pub others: Option<Timestamp>,
    /// Conversations that wait, because the service refused their last try.
    pub refused: BTreeMap<ConversationNumber, Refused>,
    /// Entries that wait for a signature of the app's server.
    pub signing: BTreeSet<OutboxEntryId>,
}

/// A conversation whose last try the service refused for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The time of the next try.
    pub until: Timestamp,
    /// The service's refusal.
    pub refusal: ServiceRefusal,
}

impl Holds {
    /// The time until which the first unsent entry of a conversation waits; none if it does not wait.
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

/// A view of all unsent work.
#[derive(Debug, Default)]
pub struct OutboxView {
    windows: Windows<Arc<OutboxRow>>,
    seq: CommitSeq,
    reach: Reach,
    holds: Holds,
    uploads: Arc<Uploads>,
}

impl OutboxView {
    /// A view without a window.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// True if the view shows the store's present content and the given obstacles of sending.
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

    /// Reads the list of a snapshot.
    ///
    /// # Errors
    ///
    /// Those of reading: the view keeps its window.
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
            // The first entry of a conversation is the next to go.
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

//! The rows of rare things: a conversation, the session, the totals.

use crate::Secret;
use crate::model::{
    ClientId, CommitSeq, ConversationId, ConversationInfo, ConversationKind, ConversationState,
    Draft, Json, Message, Receipt, Timestamp, Unread,
};
use crate::store::types::members::MemberLists;
use crate::store::types::origin::Teller;
use crate::store::types::position::{ConversationNumber, History, Position};

/// Everything the store keeps about one conversation, its messages apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversationRow {
    /// Its id now: the service's, or the local one while it exists on this device alone.
    pub id: ConversationId,
    /// The id this device gave it, if it was made here; it keeps resolving.
    pub local_id: Option<ConversationId>,
    /// Its kind.
    pub kind: ConversationKind,
    /// Its name, shared by all members.
    pub name: Option<String>,
    /// The client that made the conversation.
    pub creator: Option<ClientId>,
    /// The members.
    pub members: Vec<ClientId>,
    /// Roles, and who is silenced or blocked.
    pub lists: MemberLists,
    /// The app's own attributes: a JSON object.
    pub attributes: Option<Json>,
    /// Columns beside the known ones: a JSON object.
    pub columns: Option<Json>,
    /// True if there is one such conversation per set of members.
    pub unique: bool,
    /// True if this client asked not to be notified about the conversation.
    pub muted: bool,
    /// True if the conversation stands above the others in lists, on this device.
    pub pinned: bool,
    /// Lists leave it out, on this device, as long as nothing newer happens in it than at this time.
    pub hidden_until: Option<Timestamp>,
    /// A message that somebody began to write in the conversation, on this device.
    pub draft: Option<Draft>,
    /// The time at which the service made it.
    pub created_at: Option<Timestamp>,
    /// The time at which it last changed, by the service's clock.
    pub updated_at: Option<Timestamp>,
    /// The time until which a temporary conversation lives, by the service's clock.
    pub expires_at: Option<Timestamp>,
    /// The time at which its last message was sent, by the service's clock. Putting a newer message raises it.
    pub last_message_at: Option<Timestamp>,
    /// The unread count, as it is shown.
    pub unread: Unread,
    /// The times up to which others received and read the messages of this client.
    pub receipt: Receipt,
    /// The state of the conversation, as far as the service knows it.
    pub state: ConversationState,
    /// The time up to which this client has read, by the service's clock: the mark only moves forward.
    pub read_until_self: Option<Timestamp>,
    /// The service's last count of unread messages, and the time of that count.
    pub unread_told: Option<UnreadTold>,
    /// The stretches of the history that are held without holes.
    pub history: History,
    /// The freshness of the row, which may be out of date.
    pub freshness: Freshness,
    /// The cache that told of it, as long as the service has not.
    pub told_by: Option<Teller>,
    /// The time that orders the conversation in the list; computed when the row is committed.
    pub(in crate::store) activity: Timestamp,
    /// The messages that the store holds; computed when the row is committed.
    pub(in crate::store) held: Held,
}

/// The freshness of a conversation's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// The row is as the service last told it.
    #[default]
    Fresh,
    /// The row has to be requested again: only its id is known, or it changed while the client was offline.
    Stale,
}

/// The service's count of the unread messages of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadTold {
    /// The number of unread messages, up to the service's cap.
    pub count: u32,
    /// True if one of them mentions the client.
    pub mentioned: bool,
    /// The time of the newest message it counted.
    pub newest: Option<Timestamp>,
    /// The notification's own time.
    pub told_at: Timestamp,
}

impl ConversationRow {
    /// A conversation of which only the id is known, to be asked for.
    #[must_use]
    pub fn unknown(id: ConversationId) -> Self {
        let kind = if id.is_temporary() {
            ConversationKind::Temporary
        } else {
            ConversationKind::Normal
        };
        Self {
            local_id: id.is_local().then(|| id.clone()),
            id,
            kind,
            name: None,
            creator: None,
            members: Vec::new(),
            lists: MemberLists::default(),
            attributes: None,
            columns: None,
            unique: false,
            muted: false,
            pinned: false,
            hidden_until: None,
            draft: None,
            created_at: None,
            updated_at: None,
            expires_at: None,
            last_message_at: None,
            unread: Unread::NONE,
            receipt: Receipt::default(),
            state: ConversationState::Live,
            read_until_self: None,
            unread_told: None,
            history: History::default(),
            freshness: Freshness::Stale,
            told_by: None,
            activity: Timestamp::ZERO,
            held: Held::default(),
        }
    }

    /// The time that orders the conversation in the list, newest first.
    #[must_use]
    pub const fn activity(&self) -> Timestamp {
        self.activity
    }

    /// The time that is to order the conversation in the list, given when its newest local echo was made: the
    /// later of that and of its newest message's time, or else the time at which the conversation was made.
    pub(in crate::store) fn activity_with(&self, echo: Option<Timestamp>) -> Timestamp {
        let last = self.last_message_at.max(echo);
        let made = self.created_at.or(self.updated_at);
        last.or(made).unwrap_or(Timestamp::ZERO)
    }

    /// True if both are the same wherever they stand in the list.
    pub(in crate::store) fn is_same_but_for_activity(&self, other: &Self) -> bool {
        // A message that comes moves both: mostly there is nothing to compare further.
        self.last_message_at == other.last_message_at
            && (self == other || *self == other.clone().with_activity(self.activity))
    }

    /// The same, elsewhere in the list.
    pub(in crate::store) fn with_activity(self, activity: Timestamp) -> Self {
        Self { activity, ..self }
    }

    /// True if an app sees the same of both, their messages apart.
    pub(in crate::store) fn shows_same(&self, other: &Self) -> bool {
        let marks = |row: &Self| {
            (
                row.created_at,
                row.updated_at,
                row.expires_at,
                row.last_message_at,
                row.receipt,
            )
        };
        let kinds = |row: &Self| (row.kind, row.unique, row.muted, row.unread);
        marks(self) == marks(other)
            && kinds(self) == kinds(other)
            && self.id == other.id
            && self.name == other.name
            && self.creator == other.creator
            && self.members == other.members
            && self.lists == other.lists
            && self.attributes == other.attributes
            && self.columns == other.columns
            && self.state == other.state
    }

    /// The memory that the row takes, roughly, in bytes.
    pub(in crate::store) fn cost(&self) -> usize {
        let text = |text: Option<&str>| text.map_or(0, str::len);
        let json = |json: &Option<Json>| text(json.as_ref().map(Json::as_str));
        // An id's text is shared, with two counts before it.
        let ids = self
            .members
            .iter()
            .map(|id| id.as_str().len().saturating_add(32));
        let members = ids.fold(0, usize::saturating_add);
        let listed = self.lists.len().saturating_mul(64);
        let spans = self.history.spans().len();
        let spans = spans
            .saturating_add(self.history.claimed().len())
            .saturating_mul(2 * (size_of::<Position>() + 40));
        size_of::<Self>()
            .saturating_add(200)
            .saturating_add(text(self.name.as_deref()))
            .saturating_add(json(&self.attributes))
            .saturating_add(json(&self.columns))
            .saturating_add(self.draft.as_ref().map_or(0, |draft| draft.text.len()))
            .saturating_add(members)
            .saturating_add(listed)
            .saturating_add(spans)
    }

    /// True if the messages are closed to this client, for the client is not a member any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == ConversationState::Left && self.kind.has_member_list()
    }

    /// True if lists leave the conversation out: nothing happened in it since it was hidden.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.hidden_until
            .is_some_and(|until| self.activity <= until)
    }

    /// The number of its messages in the store.
    #[must_use]
    pub const fn held_count(&self) -> u32 {
        self.held.count
    }

    /// The conversation as an app sees it, with its newest message.
    #[must_use]
    pub fn info(&self, last_message: Option<Message>) -> ConversationInfo {
        ConversationInfo {
            id: self.id.clone(),
            kind: self.kind,
            name: self.name.clone(),
            creator: self.creator.clone(),
            members: self.members.clone(),
            attributes: self.attributes.clone(),
            columns: self.columns.clone(),
            unique: self.unique,
            muted: self.muted,
            created_at: self.created_at,
            updated_at: self.updated_at,
            last_message_at: self.last_message_at,
            last_message,
            expires_at: self.expires_at,
            unread: self.unread,
            delivered_until: self.receipt.delivered_until,
            read_until: self.receipt.read_until,
            state: self.state.clone(),
            seq: CommitSeq::default(),
        }
    }
}

/// The part of a session that a client keeps between connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRow {
    /// The session token that reopens the session without a signature.
    pub token: Option<Secret>,
    /// The time until which the token is good, by this device's clock.
    pub token_expires_at: Option<Timestamp>,
    /// The device id that goes with every opening.
    pub device_id: Option<String>,
    /// The newest unread notification that was applied.
    pub last_unread_notif_at: Option<Timestamp>,
    /// The newest patch that was applied.
    pub last_patch_at: Option<Timestamp>,
    /// The time, by the service's clock, up to which every change of the client's conversations is known: the
    /// next list goes back to this time.
    pub missed_until: Option<Timestamp>,
    /// Own messages up to this time overtook nothing: messages on their way when the own ones were
    /// acknowledged had time to come.
    pub settled_until: Option<Timestamp>,
    /// The chat room that this client entered last and did not leave since. The service keeps the place for a
    /// while after a connection is lost.
    pub room: Option<ConversationNumber>,
    /// The clients that are watched, in order.
    pub watched: Vec<ClientId>,
    /// The number of caches of older SDKs that were imported to their end. The commit that counts one makes
    /// durable all that it brought.
    pub imports: u64,
}

/// Unread counts over all conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadTotals {
    /// The total of all conversations.
    pub all: UnreadTotal,
    /// The total of the conversations that the client has not muted.
    pub unmuted: UnreadTotal,
    /// The number of conversations that are pinned or were hidden, on this device.
    pub placed: u32,
}

/// One sum of unread counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadTotal {
    /// Unread messages.
    pub messages: u64,
    /// Conversations with something unread.
    pub conversations: u32,
    /// Conversations whose unread messages mention the client.
    pub mentioning: u32,
    /// Conversations whose count is only a lower bound.
    pub at_least: u32,
}

impl UnreadTotals {
    /// Takes a conversation's old contribution away and adds its new one.
    pub(in crate::store) fn replace(
        &mut self,
        old: Option<&ConversationRow>,
        new: Option<&ConversationRow>,
    ) {
        let placed = |row: &ConversationRow| u32::from(row.pinned || row.hidden_until.is_some());
        if let Some(row) = old {
            self.each(row, UnreadTotal::subtract);
            debug_assert!(placed(row) <= self.placed, "the row was counted");
            self.placed = self.placed.saturating_sub(placed(row));
        }
        if let Some(row) = new {
            self.each(row, UnreadTotal::add);
            self.placed += placed(row);
        }
    }

    fn each(&mut self, row: &ConversationRow, apply: fn(&mut UnreadTotal, Unread)) {
        apply(&mut self.all, row.unread);
        if !row.muted {
            apply(&mut self.unmuted, row.unread);
        }
    }
}

impl UnreadTotal {
    fn add(&mut self, unread: Unread) {
        self.messages += u64::from(unread.count);
        self.conversations += u32::from(!unread.is_none());
        self.mentioning += u32::from(unread.mentioned);
        self.at_least += u32::from(unread.at_least);
    }

    fn subtract(&mut self, unread: Unread) {
        let mut part = Self::default();
        part.add(unread);
        debug_assert!(
            part.messages <= self.messages
                && part.conversations <= self.conversations
                && part.mentioning <= self.mentioning
                && part.at_least <= self.at_least,
            "the row was counted"
        );
        self.messages = self.messages.saturating_sub(part.messages);
        self.conversations = self.conversations.saturating_sub(part.conversations);
        self.mentioning = self.mentioning.saturating_sub(part.mentioning);
        self.at_least = self.at_least.saturating_sub(part.at_least);
    }
}

/// The row's knowledge of the conversation's messages that the store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// The number.
    pub(crate) count: u32,
    /// The newest of them.
    pub(crate) newest: Option<Position>,
    /// The number of messages in hot packs; sealing begins when there are many. Sealing corrects a number that
    /// damage made wrong.
    pub(crate) hot: u32,
}

/// The place at which the list of conversations goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListCursor {
    /// The activity of the last conversation of the page before.
    pub activity: Timestamp,
    /// Its number.
    pub number: ConversationNumber,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Caches count what they hold by this number.
    #[test]
    fn a_row_costs_more_than_the_texts_that_it_holds() {
        let id = ConversationId::new("c").unwrap();
        let empty = ConversationRow::unknown(id);
        let large = ConversationRow {
            name: Some("n".repeat(10_000)),
            ..empty.clone()
        };
        let crowded = ConversationRow {
            members: (0..100)
                .map(|number| ClientId::new(format!("client {number}")).unwrap())
                .collect(),
            ..empty.clone()
        };
        assert!(empty.cost() > size_of::<ConversationRow>());
        assert_eq!(large.cost(), empty.cost() + 10_000);
        assert!(crowded.cost() > empty.cost() + 100 * "client 0".len());
    }
}

//! An observer that knows only the events that it got, and must end up with the content of the store.

use std::collections::BTreeMap;

use sampan::model::{
    ConversationId, ConversationInfo, Event, LocalId, Message, MessageId, MessageState,
    OutboxEntry, OutboxEntryId, Timestamp, Unread,
};
use sampan::store::{Place, Store, StoreError, TimelineItem};

/// A replayed view of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mirror {
    conversations: BTreeMap<ConversationId, ConversationInfo>,
    messages: BTreeMap<(ConversationId, Name), Message>,
    outbox: BTreeMap<OutboxEntryId, OutboxEntry>,
}

/// The name by which an app knows a message: the id that the app gave it, else the service's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Local(LocalId),
    Service(MessageId),
}

impl Mirror {
    /// Reads everything, as an app does when it starts. A store that can't be read is empty.
    pub(crate) fn of(store: &Store) -> Self {
        Self::read(store).unwrap_or_default()
    }

    fn read(store: &Store) -> Result<Self, StoreError> {
        let mut mirror = Self::default();
        let snapshot = store.snapshot();
        let mut cursor = None;
        loop {
            let page = snapshot.conversations(cursor, 100)?;
            for (number, info) in page.conversations {
                for item in timeline(store_page(&snapshot, number)?) {
                    if let Some(message) = item.message() {
                        mirror.put(message.clone());
                    }
                }
                mirror.conversations.insert(info.id.clone(), info);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        for entry in snapshot.outbox() {
            if let Some(row) = snapshot.conversation(entry.conversation)? {
                mirror.outbox.insert(entry.id, entry.view(row.id));
            }
        }
        Ok(mirror)
    }

    /// Applies one change, as an app does.
    pub(crate) fn apply(&mut self, event: Event) {
        match event {
            Event::ConversationIdAssigned { local, id, .. } => self.rename(&local, &id),
            Event::ConversationRemoved { conversation, .. } => {
                self.conversations.remove(&conversation);
                self.messages.retain(|(at, _), _| *at != conversation);
            }
            Event::MessageAdded { message, .. } | Event::MessageChanged { message, .. } => {
                self.put(message);
            }
            Event::MessageRemoved {
                conversation,
                id,
                local_id,
                ..
            } => {
                if let Some(name) = name(local_id, id) {
                    self.messages.remove(&(conversation, name));
                }
            }
            Event::ConversationChanged { conversation, .. } => {
                self.conversations
                    .insert(conversation.id.clone(), conversation);
            }
            Event::OutboxChanged { entry, .. } => {
                self.outbox.insert(entry.id, entry);
            }
            Event::OutboxSettled { entry, .. } => {
                self.outbox.remove(&entry);
            }
            // Other events change nothing that a store keeps.
            _ => {}
        }
    }

    fn put(&mut self, message: Message) {
        // An own message may have come back in history before its echo was known to be the same.
        if let (Some(_), Some(id)) = (&message.local_id, &message.id) {
            let known = (message.conversation.clone(), Name::Service(id.clone()));
            self.messages.remove(&known);
        }
        if let Some(name) = name(message.local_id.clone(), message.id.clone()) {
            self.messages
                .insert((message.conversation.clone(), name), message);
        }
    }

    fn rename(&mut self, local: &ConversationId, id: &ConversationId) {
        if let Some(mut info) = self.conversations.remove(local) {
            info.id = id.clone();
            if let Some(last) = &mut info.last_message {
                last.conversation = id.clone();
            }
            // There may be a conversation with that id already: then the two have become one.
            self.conversations.entry(id.clone()).or_insert(info);
        }
        let moved: Vec<_> = self
            .messages
            .keys()
            .filter(|(at, _)| at == local)
            .cloned()
            .collect();
        for key in moved {
            if let Some(mut message) = self.messages.remove(&key) {
                message.conversation = id.clone();
                self.messages.insert((id.clone(), key.1), message);
            }
        }
        for entry in self.outbox.values_mut() {
            if entry.conversation == *local {
                entry.conversation = id.clone();
            }
        }
    }

    /// The difference from the store, in words; none if they are equal.
    pub(crate) fn difference(&self, store: &Store) -> Option<String> {
        let held = match Self::read(store) {
            Ok(held) => held.with_marks(store),
            Err(error) => return Some(format!("the store cannot be read: {error}")),
        };
        self.clone().with_marks(store).difference_of(&held)
    }

    /// With the conversations' marks applied to own messages, as an app does that shows more of
    /// them than one receipt reports.
    fn with_marks(mut self, store: &Store) -> Self {
        for message in self.messages.values_mut() {
            let info = self.conversations.get(&message.conversation);
            let Some(info) = info.filter(|_| message.sender == *store.owner()) else {
                continue;
            };
            let at = message.sent_at;
            let covers = |mark: Option<Timestamp>| mark.is_some_and(|mark| mark >= at);
            match &message.state {
                MessageState::Sent | MessageState::Delivered { .. } if covers(info.read_until) => {
                    message.state = MessageState::Read { at };
                }
                MessageState::Sent if covers(info.delivered_until) => {
                    message.state = MessageState::Delivered { at };
                }
                _ => {}
            }
        }
        self
    }

    /// Without facts that a device may learn more exactly when it asks again: the times at which own messages
    /// arrived and a conversation last changed, the order of its members, and the service's choice to count a
    /// recalled message as unread.
    pub(crate) fn without_times(mut self) -> Self {
        for message in self.messages.values_mut() {
            forget_times(message);
        }
        for info in self.conversations.values_mut() {
            info.updated_at = None;
            info.unread = Unread::NONE;
            info.members.sort();
            info.last_message.iter_mut().for_each(forget_times);
        }
        self
    }

    /// As if nothing were muted: the service tells other devices of a client about it at their next
    /// catch-up only.
    pub(crate) fn without_mutes(mut self) -> Self {
        for info in self.conversations.values_mut() {
            info.muted = false;
        }
        self
    }

    /// With own messages and marks of others no further than in an earlier view: a device may learn of receipts only when it asks again.
    pub(crate) fn no_further_than(mut self, before: &Self) -> Self {
        for (key, message) in &mut self.messages {
            if let Some(earlier) = before.messages.get(key) {
                stay_at(message, earlier);
            }
        }
        for (id, info) in &mut self.conversations {
            let Some(earlier) = before.conversations.get(id) else {
                continue;
            };
            info.delivered_until = info.delivered_until.min(earlier.delivered_until);
            info.read_until = info.read_until.min(earlier.read_until);
            if let (Some(message), Some(earlier)) = (&mut info.last_message, &earlier.last_message)
            {
                stay_at(message, earlier);
            }
        }
        self
    }

    /// Without messages that another view does not have.
    pub(crate) fn within(mut self, other: &Self) -> Self {
        let known = |key: &(ConversationId, Name)| other.messages.contains_key(key);
        self.messages.retain(|key, _| known(key));
        self
    }

    /// The difference from another view, in words.
    pub(crate) fn difference_of(&self, held: &Self) -> Option<String> {
        first_difference("conversation", &self.conversations, &held.conversations)
            .or_else(|| first_difference("message", &self.messages, &held.messages))
            .or_else(|| first_difference("outbox entry", &self.outbox, &held.outbox))
    }
}

/// Takes back receipts that an earlier view of the message did not know.
fn stay_at(message: &mut Message, earlier: &Message) {
    let was_sent = matches!(
        earlier.state,
        MessageState::Sent | MessageState::Delivered { .. }
    );
    let is_received = matches!(
        message.state,
        MessageState::Delivered { .. } | MessageState::Read { .. }
    );
    if message.id == earlier.id && was_sent && is_received {
        message.state = earlier.state.clone();
    }
}

fn forget_times(message: &mut Message) {
    match &mut message.state {
        MessageState::Delivered { at } | MessageState::Read { at } => *at = message.sent_at,
        MessageState::Pending | MessageState::Sent | MessageState::Failed { .. } => {}
    }
    // A change that was sent twice has the time of the second at the service.
    message.edited_at = message.edited_at.map(|_| message.sent_at);
}

fn name(local_id: Option<LocalId>, id: Option<MessageId>) -> Option<Name> {
    local_id.map(Name::Local).or_else(|| id.map(Name::Service))
}

fn first_difference<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    told: &BTreeMap<K, V>,
    held: &BTreeMap<K, V>,
) -> Option<String> {
    for (key, value) in told {
        match held.get(key) {
            None => return Some(format!("{what} {key:?} was told and is not held")),
            Some(other) if other != value => {
                let (told, held) = apart(&format!("{value:?}"), &format!("{other:?}"));
                return Some(format!("{what} {key:?}: told …{told}, held …{held}"));
            }
            Some(_) => {}
        }
    }
    let untold = held.keys().find(|key| !told.contains_key(key))?;
    Some(format!("{what} {untold:?} is held and was not told"))
}

/// The texts from the place where two descriptions part, a little of each.
fn apart(told: &str, held: &str) -> (String, String) {
    const SHOWN: usize = 90;
    let same = told.chars().zip(held.chars());
    let same = same.take_while(|(a, b)| a == b).count().saturating_sub(30);
    let part = |text: &str| text.chars().skip(same).take(SHOWN).collect();
    (part(told), part(held))
}

fn store_page(
    snapshot: &sampan::store::Snapshot<'_>,
    number: sampan::store::ConversationNumber,
) -> Result<Vec<sampan::store::Page>, StoreError> {
    let mut pages = Vec::new();
    let mut before: Option<Place> = None;
    loop {
        let page = snapshot.page_before(number, before.as_ref(), 50)?;
        before = page.items.iter().find_map(TimelineItem::place);
        let more = page.more && before.is_some();
        pages.push(page);
        if !more {
            return Ok(pages);
        }
    }
}

/// The items of a whole timeline, oldest first, out of its pages, newest first.
pub(crate) fn timeline(pages: Vec<sampan::store::Page>) -> Vec<TimelineItem> {
    let pages = pages.into_iter().rev();
    pages.flat_map(|page| page.items).collect()
}

/// The whole timeline of a conversation, oldest first.
pub(crate) fn whole_timeline(
    snapshot: &sampan::store::Snapshot<'_>,
    number: sampan::store::ConversationNumber,
) -> Result<Vec<TimelineItem>, StoreError> {
    Ok(timeline(store_page(snapshot, number)?))
}

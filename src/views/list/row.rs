//! A conversation as a list shows it: small, whatever the size of the group.

use crate::model::{
    ClientId, ConversationId, ConversationKey, ConversationKind, ConversationState, Count,
    MessageContent, MessageKey, OutboxState, Timestamp, Unread,
};
use crate::store::{
    ConversationNumber, ConversationRow as StoredRow, Snapshot, StoreError, TimelineItem,
};
use crate::views::delivery::{Delivery, Reach};
use crate::views::message::Message;

/// How many members of a group a row names.
const FACES_MAX: usize = 4;

/// How many characters of the last message a row has.
const WORDS_MAX: usize = 200;

/// A conversation as a list shows it.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct ConversationRow {
    /// The key of the conversation. It stays the same when the service gives the conversation an id.
    pub key: ConversationKey,
    /// The present id of the conversation; earlier ids stay valid.
    pub conversation: ConversationId,
    /// Its kind.
    pub kind: ConversationKind,
    /// Its name, shared by all members.
    pub name: Option<String>,
    /// The other member of a conversation of two.
    pub peer: Option<ClientId>,
    /// Some of the other members, at most four.
    pub faces: Vec<ClientId>,
    /// The number of members.
    pub member_count: Count,
    /// The unread messages.
    pub unread: Unread,
    /// The newest message, unsent ones included.
    pub last: Option<LastMessage>,
    /// The draft on this device: its first words, at most 200 characters on one line.
    pub draft: Option<String>,
    /// The members who type now. A member counts for six seconds after the last sign of typing.
    pub typing: Vec<ClientId>,
    /// The time of the last activity, which decides the order of activity.
    pub active_at: Timestamp,
    /// True if this client muted the conversation.
    pub muted: bool,
    /// True if the conversation is pinned on this device.
    pub pinned: bool,
    /// The number of unsent messages that will be sent.
    pub unsent: Count,
    /// The number of messages that failed for good.
    pub failed: Count,
    /// True if this client is no longer in the conversation.
    pub left: bool,
}

/// The newest message of a conversation, as a list shows it.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct LastMessage {
    /// The key of the message; it never changes.
    pub key: MessageKey,
    /// The sender.
    pub sender: ClientId,
    /// True if this client sent it, from any device.
    pub is_own: bool,
    /// The service's time. For an unsent message, this device's time of the enqueueing.
    pub sent_at: Timestamp,
    /// The kind of its content.
    pub kind: ContentKind,
    /// The first words, at most 200 characters on one line; none for content without words.
    pub words: Option<String>,
    /// The delivery; none for others' messages.
    pub delivery: Option<Delivery>,
}

/// The kinds of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum ContentKind {
    /// A text.
    Text,
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A film.
    Video,
    /// A place on Earth.
    Location,
    /// Any other file.
    File,
    /// The sender recalled the message.
    Recalled,
    /// A type of the app's own, or one that this build does not know.
    Custom,
    /// Text without an envelope.
    Plain,
    /// Bytes without an envelope.
    Binary,
}

impl ConversationRow {
    /// The row of a conversation, as a snapshot has it.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub(super) fn read(
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
        stored: &StoredRow,
        reach: Reach,
    ) -> Result<Self, StoreError> {
        let me = snapshot.owner();
        let others = stored.members.iter().filter(|member| *member != me);
        let faces: Vec<ClientId> = others.take(FACES_MAX).cloned().collect();
        let is_direct = stored.members.len() == 2;
        let newest = snapshot.newest_item(number, stored)?;
        let (mut unsent, mut failed) = (Count(0), Count(0));
        for entry in snapshot.outbox_of(number) {
            match entry.state {
                _ if !entry.has_echo() => {}
                OutboxState::Failed { .. } => failed = failed.next(),
                OutboxState::Queued | OutboxState::InFlight => unsent = unsent.next(),
            }
        }
        Ok(Self {
            key: ConversationKey(number.0.into()),
            conversation: stored.id.clone(),
            kind: stored.kind,
            name: stored.name.clone(),
            peer: faces.first().filter(|_| is_direct).cloned(),
            faces,
            member_count: Count::from(stored.members.len()),
            unread: stored.unread,
            last: newest.and_then(|item| LastMessage::of(snapshot, stored, item, reach)),
            draft: stored.draft.as_ref().map(|draft| on_one_line(&draft.text)),
            typing: Vec::new(),
            active_at: snapshot.activity(number).unwrap_or_default(),
            muted: stored.muted,
            pinned: stored.pinned,
            unsent,
            failed,
            left: stored.state == ConversationState::Left,
        })
    }
}

impl LastMessage {
    fn of(
        snapshot: &Snapshot<'_>,
        row: &StoredRow,
        item: TimelineItem,
        reach: Reach,
    ) -> Option<Self> {
        let message = Message::of_item(snapshot, row, item, reach)?;
        Some(Self {
            words: message.content.words().map(on_one_line),
            kind: ContentKind::of(&message.content),
            key: message.key,
            sender: message.sender,
            is_own: message.is_own,
            sent_at: message.sent_at,
            delivery: message.delivery,
        })
    }
}

/// The first words of a text: white space of any kind is one space.
fn on_one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let is_first = line.is_empty();
        line.extend((!is_first).then_some(' '));
        line.push_str(word);
        if line.len() > 4 * WORDS_MAX {
            break;
        }
    }
    line.chars().take(WORDS_MAX).collect()
}

impl ContentKind {
    const fn of(content: &MessageContent) -> Self {
        match content {
            MessageContent::Text { .. } => Self::Text,
            MessageContent::Image { .. } => Self::Image,
            MessageContent::Audio { .. } => Self::Audio,
            MessageContent::Video { .. } => Self::Video,
            MessageContent::Location { .. } => Self::Location,
            MessageContent::File { .. } => Self::File,
            MessageContent::Recalled { .. } => Self::Recalled,
            MessageContent::Custom { .. } => Self::Custom,
            MessageContent::Plain { .. } => Self::Plain,
            MessageContent::Binary { .. } => Self::Binary,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_line_of_at_most_200_characters() {
        assert_eq!(on_one_line("  one\n\ttwo  three "), "one two three");
        assert_eq!(on_one_line(&"船 ".repeat(300)).chars().count(), WORDS_MAX);
        assert_eq!(on_one_line(&"x".repeat(10_000)).len(), WORDS_MAX);
    }
}

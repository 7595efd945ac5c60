//! The answered message of a reply, as a screen shows it.

use crate::model::reply::{self, Reply, Target};
use crate::model::{ClientId, MessageContent, MessageKey};
use crate::store::{ConversationRow, Snapshot};

/// The message that a reply answers.
///
/// A quote of a message on this device shows its present state: edited or recalled. Any other quote shows the
/// words of the reply, which nobody has checked.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Quote {
    /// The key of the answered message; none where the reply names no message.
    pub message: Option<MessageKey>,
    /// The sender of the message.
    pub sender: ClientId,
    /// The first words of the message, on one line, at most 100 characters; empty where there are none.
    pub excerpt: String,
    /// True if the message is known to be recalled.
    pub recalled: bool,
}

impl Quote {
    /// The answered message in the words of a reply; none for content that is no reply.
    pub(crate) fn told(content: &MessageContent) -> Option<Self> {
        let Reply {
            target,
            sender,
            excerpt,
        } = Reply::of(content)?;
        let message = target.map(|target| match target {
            Target::Sent { id, sent_at } => MessageKey::service(sent_at, id),
            Target::Unsent(id) => MessageKey::local(id),
        });
        Some(Self {
            message,
            sender,
            excerpt,
            recalled: false,
        })
    }

    /// The answered message of a message; none for a message that is no reply.
    pub(crate) fn of(
        snapshot: &Snapshot<'_>,
        row: &ConversationRow,
        content: &MessageContent,
    ) -> Option<Self> {
        let told = Self::told(content)?;
        let key = &told.message;
        let number = snapshot.number(&row.id).ok().flatten();
        let held = number.zip(key.as_ref()).and_then(|(number, key)| {
            let message = snapshot.message_by_key(number, key);
            message.ok().flatten()
        });
        Some(match held {
            Some(message) => Self {
                message: MessageKey::of(&message),
                recalled: message.content.is_recalled(),
                excerpt: reply::excerpt(message.content.words().unwrap_or_default()),
                sender: message.sender,
            },
            None => told,
        })
    }
}

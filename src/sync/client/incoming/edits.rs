//! Edits and recalls by others, and by this client's other devices.
//!
//! An edit may come before its message: for an own message whose acknowledgement is late or lost, or when an
//! older answer with the message is still on its way. Such an edit is remembered until the session ends. Where
//! it may belong to an own message in doubt, the cursor for missed edits stays before it, so the service tells
//! it again after a crash.

use std::collections::BTreeMap;

use crate::model::{Message, MessageId, Timestamp};
use crate::store::{ConversationNumber, Intent, StoreError};
use crate::sync::client::incoming::unread::Source;
use crate::sync::client::{Client, Turn};
use crate::wire::convert::{self, PatchedMessage};
use crate::wire::generated::PatchCommand;

/// The most edits without their message that are remembered: at 5 KiB each a little over 1 MB.
const EARLY_MAX: usize = 256;

/// The edits whose message is not here.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct EarlyEdits(
    BTreeMap<MessageId, (ConversationNumber, PatchedMessage)>,
);

impl EarlyEdits {
    pub(in crate::sync::client) fn forget_connection(&mut self) {
        self.0.clear();
    }

    fn add(&mut self, number: ConversationNumber, edit: PatchedMessage) {
        let known = self.0.get(&edit.message.id);
        let older = known.is_some_and(|(_, known)| known.edited_at > edit.edited_at);
        if !older && self.0.len() < EARLY_MAX {
            self.0.insert(edit.message.id.clone(), (number, edit));
        }
    }

    /// The message as it was edited before it came.
    pub(in crate::sync::client) fn apply(&mut self, message: Message) -> Message {
        let Some(id) = &message.id else {
            return message;
        };
        match self.0.remove(id) {
            Some((_, edit)) if message.edited_at < Some(edit.edited_at) => edited(message, edit),
            _ => message,
        }
    }
}

impl Client {
    pub(in crate::sync::client) fn edits_came(
        &mut self,
        turn: &mut Turn<'_, '_>,
        body: PatchCommand,
    ) -> Result<(), StoreError> {
        let mut newest = None;
        for item in body.patches {
            let Ok(edit) = convert::edit_from_patch(item) else {
                continue;
            };
            newest = newest.max(Some(edit.edited_at));
            self.edit_came(turn, edit)?;
        }
        let newest = newest.min(self.doubtful_edit(turn).or(newest));
        turn.overlay
            .update_session(|row| row.last_patch_at = row.last_patch_at.max(newest));
        Ok(())
    }

    fn edit_came(
        &mut self,
        turn: &mut Turn<'_, '_>,
        edit: PatchedMessage,
    ) -> Result<(), StoreError> {
        let at = &edit.message;
        let snapshot = turn.overlay.snapshot();
        let number = snapshot.number(&at.conversation)?;
        let held = snapshot.message_by_ref(at)?;
        drop(snapshot);
        match (number, held) {
            (Some(number), Some(held)) if held.edited_at <= Some(edit.edited_at) => {
                let recalls = edit.content.is_recalled();
                self.keep(turn, number, &edited(held, edit), Source::Live)?;
                if recalls {
                    self.make_count_exact(turn, number)?;
                }
            }
            (Some(number), None) => self.early_edits.add(number, edit),
            _ => {}
        }
        Ok(())
    }

    /// The time before the oldest edit that may be of an own message in doubt.
    fn doubtful_edit(&self, turn: &Turn<'_, '_>) -> Option<Timestamp> {
        let snapshot = turn.overlay.snapshot();
        let doubtful = self.early_edits.0.values().filter(|(number, edit)| {
            let own = edit.sender.as_ref().is_none_or(|it| it == self.me());
            let mut unsent = snapshot.outbox_of(*number).into_iter();
            own && unsent.any(|entry| {
                matches!(entry.intent, Intent::Send(_)) && entry.in_doubt_since.is_some()
            })
        });
        let oldest = doubtful.map(|(_, edit)| edit.edited_at).min()?;
        Some(Timestamp::from_millis(oldest.as_millis().saturating_sub(1)))
    }
}

fn edited(message: Message, edit: PatchedMessage) -> Message {
    Message {
        content: edit.content,
        mentions: edit.mentions,
        edited_at: Some(edit.edited_at),
        ..message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ClientId, ConversationId, Mentions, MessageContent, MessageRef, MessageState,
    };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn plain(text: &str) -> MessageContent {
        MessageContent::Plain { text: text.into() }
    }

    fn edit(edited_at: i64) -> PatchedMessage {
        PatchedMessage {
            message: MessageRef {
                conversation: ConversationId::new("c").unwrap(),
                sent_at: at(1),
                id: MessageId::new("m").unwrap(),
            },
            sender: None,
            content: plain("edited"),
            mentions: Mentions::default(),
            edited_at: at(edited_at),
        }
    }

    fn message(edited_at: Option<i64>) -> Message {
        Message {
            conversation: ConversationId::new("c").unwrap(),
            id: Some(MessageId::new("m").unwrap()),
            local_id: None,
            sender: ClientId::new("ben").unwrap(),
            sent_at: at(1),
            content: plain("as it came"),
            mentions: Mentions::default(),
            state: MessageState::Sent,
            edited_at: edited_at.map(at),
            transient: false,
            change: None,
        }
    }

    #[test]
    fn an_edit_that_came_before_its_message_changes_it_unless_the_message_is_newer() {
        for (came, edited_at, words) in [
            (None, Some(5), "edited"),
            (Some(4), Some(5), "edited"),
            (Some(5), Some(5), "as it came"),
            (Some(6), Some(6), "as it came"),
        ] {
            let mut early = EarlyEdits::default();
            early.add(ConversationNumber(1), edit(5));
            let shown = early.apply(message(came));
            assert_eq!(shown.content.words(), Some(words), "{came:?}");
            assert_eq!(shown.edited_at, edited_at.map(at));
            assert_eq!(early.apply(message(None)), message(None), "it is used once");
        }
    }

    #[test]
    fn of_two_edits_that_came_early_the_later_one_counts() {
        for order in [[5, 6], [6, 5]] {
            let mut early = EarlyEdits::default();
            for edited_at in order {
                early.add(ConversationNumber(1), edit(edited_at));
            }
            assert_eq!(early.apply(message(None)).edited_at, Some(at(6)));
        }
    }
}

//! Edits and recalls of own messages.
//!
//! An edit or recall of a message that never left this device changes or cancels the message's entry. Any other
//! one becomes an entry of its own, behind the message in the content lane, which names the message by its key.
//! While the message has failed and may have arrived, the entries behind it are set aside: they go on when the
//! app has the message sent again, or when a late acknowledgement comes.
//!
//! A repeated edit or recall does no harm.

use std::sync::Arc;

use crate::model::reply;
use crate::model::{
    ConversationId, Discarded, Mentions, Message, MessageContent, MessageId, MessageKey,
    MessageRef, Named, OutboxEntryId, Timestamp,
};
use crate::store::{
    ConversationNumber, Entry, Intent, Patch, PatchIntent, Position, SendIntent, StoreError,
};
use crate::sync::client::answer::Answer;
use crate::sync::client::incoming::unread::Source;
use crate::sync::client::outgoing::requests::{check_content, fits};
use crate::sync::client::{Answered, Client, Purpose, Turn};
use crate::sync::link::RequestTag;
use crate::sync::request::{
    DiscardMessage, DiscardedMessage, Done, EditMessage, RecallMessage, RequestError, RetryEntry,
    RetryMessage,
};
use crate::wire::request;
use crate::wire::{Command, Envelope, Op, content};

/// As long as a message id of the service, to measure a command whose message has none yet.
const SOME_MESSAGE_ID: &str = "fptKnuYYQMGdiSt_Zs7zDA";

/// An own message that may be changed.
enum Target {
    /// It never left this device.
    Unsent(Arc<Entry>, SendIntent),
    /// The service has it, or may have it.
    Sent {
        /// The members that the message calls by name.
        mentions: Mentions,
        /// The content.
        content: MessageContent,
    },
}

impl Client {
    /// Edits a message.
    pub(in crate::sync::client) fn edit_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: EditMessage,
    ) -> Answered<Done> {
        let EditMessage {
            conversation,
            message,
            content: said,
        } = call;
        let (number, target) = match self.target(turn, &conversation, &message)? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = check_content(&said) {
            return Ok(Err(error));
        }
        match target {
            Target::Unsent(entry, intent) => {
                // The sender sees the content as others will read it.
                let said = content::as_received(&reply::kept(&intent.content, said));
                let upload = Self::upload_after_edit(&intent, &said);
                let intent = SendIntent {
                    content: said,
                    upload,
                    ..intent
                };
                let Some(row) = turn.overlay.snapshot().conversation(number)? else {
                    return Ok(Err(RequestError::UnknownConversation));
                };
                if let Err(error) = self.measure_send(&row, &intent, &entry.token) {
                    return Ok(Err(error));
                }
                turn.overlay.update_entry(entry.id, |entry| {
                    entry.intent = Intent::Send(intent);
                });
                turn.overlay.intend();
                if entry.upload().is_some()
                    && let Some(entry) = turn.overlay.snapshot().entry(entry.id)
                    && entry.failure().is_none()
                {
                    // Without a file to wait for it takes its place in the lane.
                    self.sender.add(&entry);
                }
                Ok(Ok(Done))
            }
            Target::Sent {
                mentions,
                content: before,
            } => {
                let patch = Patch::Edit {
                    content: content::as_received(&reply::kept(&before, said)),
                    mentions,
                };
                if let Err(error) = self.measure_patch(&conversation, &patch) {
                    return Ok(Err(error));
                }
                self.enqueue_patch(turn, number, &message, patch)
            }
        }
    }

    /// Takes a message back.
    pub(in crate::sync::client) fn recall_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: RecallMessage,
    ) -> Answered<Done> {
        let (number, target) = match self.target(turn, &call.conversation, &call.message)? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        match target {
            Target::Unsent(entry, _) => {
                self.cancel_send(turn, &entry);
                Ok(Ok(Done))
            }
            Target::Sent { .. } => self.enqueue_patch(turn, number, &call.message, Patch::Recall),
        }
    }

    /// An own message that is there and was not recalled.
    fn target(
        &self,
        turn: &Turn<'_, '_>,
        conversation: &ConversationId,
        key: &MessageKey,
    ) -> Result<Result<(ConversationNumber, Target), RequestError>, StoreError> {
        let snapshot = turn.overlay.snapshot();
        let Some(number) = snapshot.number(conversation)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let Some(row) = snapshot.shown_row(number)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let Some(message) = snapshot.message_by_key(number, key)? else {
            return Ok(Err(RequestError::UnknownMessage));
        };
        if &message.sender != self.me() {
            return Ok(Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::NotYours,
            }));
        }
        if message.content.is_recalled() {
            return Ok(Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::Recalled,
            }));
        }
        let unsent = message
            .local_id
            .as_ref()
            .and_then(|id| snapshot.unsent(number, id));
        if let Some(entry) = unsent
            && let Intent::Send(intent) = &entry.intent
            && !self.may_have_left(&entry)
        {
            let intent = intent.clone();
            return Ok(Ok((number, Target::Unsent(entry, intent))));
        }
        if row.is_closed() {
            return Ok(Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::ConversationLeft,
            }));
        }
        let (mentions, content) = (message.mentions, message.content);
        Ok(Ok((number, Target::Sent { mentions, content })))
    }

    /// True if the service may have the content of an entry.
    pub(in crate::sync::client) fn may_have_left(&self, entry: &Entry) -> bool {
        entry.in_doubt_since.is_some() || self.sender.is_busy_with(entry.id)
    }

    fn measure_patch(
        &self,
        conversation: &ConversationId,
        patch: &Patch,
    ) -> Result<(), RequestError> {
        let Ok(id) = MessageId::new(SOME_MESSAGE_ID) else {
            return Ok(());
        };
        let at = MessageRef {
            conversation: conversation.clone(),
            sent_at: Timestamp::from_millis(i64::MAX),
            id,
        };
        fits(self.size_of(command(&at, patch)))
    }

    /// Enqueues an edit or a recall, in place of the edits of the same message that never left.
    fn enqueue_patch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        message: &MessageKey,
        patch: Patch,
    ) -> Answered<Done> {
        let earlier = patches_of(turn, number, message)?;
        let replaced: Vec<_> = earlier
            .into_iter()
            .filter(|entry| !self.sender.is_busy_with(entry.id))
            .collect();
        if replaced.is_empty() && self.outbox_is_full(turn) {
            return Ok(Err(self.outbox_full()));
        }
        for entry in replaced {
            self.sender.remove(&entry);
            turn.overlay.settle(entry.id);
        }
        let message = message.clone();
        let intent = Intent::Patch(PatchIntent { message, patch });
        self.enqueue(turn, number, intent)?;
        Ok(Ok(Done))
    }

    /// Sends an edit or a recall, once its message is sent.
    pub(in crate::sync::client) fn dispatch_patch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &PatchIntent,
    ) -> Result<(), StoreError> {
        let number = entry.conversation;
        if let Named::Local(id) = intent.message.named()
            && turn.overlay.snapshot().unsent(number, id).is_some()
        {
            // Its sending failed and waits for the app.
            self.sender.set_aside(entry);
            return Ok(());
        }
        let Some(message) = sent_message(turn, number, &intent.message)? else {
            let reason = "its message is not on this device any more".to_owned();
            return self.fail_unsendable(turn, entry, reason);
        };
        if message.content.is_recalled() {
            if intent.patch == Patch::Recall {
                self.sender.remove(entry);
                turn.overlay.settle(entry.id);
                turn.overlay.intend();
                return Ok(());
            }
            let reason = "its message was recalled".to_owned();
            return self.fail_unsendable(turn, entry, reason);
        }
        let Some(at) = message.reference() else {
            return Ok(());
        };
        if self.paces.others.allows(turn.elapsed()) {
            self.paces.others.note(turn.elapsed());
            let command = command(&at, &intent.patch);
            self.dispatch(turn, entry, command, Purpose::Patch(entry.id));
        }
        Ok(())
    }

    pub(in crate::sync::client) fn patch_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        id: OutboxEntryId,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(());
        };
        if let Answer::Said(Envelope {
            command:
                Command::Patch {
                    op: Op::Modified,
                    body,
                },
            ..
        }) = &answer
            && let Some(intent) = entry.patch()
        {
            self.paces.others.answered();
            let edited_at = body.last_patch_time.map(Timestamp::from_millis);
            let edited_at = edited_at.unwrap_or_else(|| self.clock.now(turn.now));
            return self.settle_patch(turn, &entry, intent, edited_at);
        }
        self.not_done(turn, tag, &entry, answer)
    }

    /// The service has the change: the message keeps it.
    fn settle_patch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &PatchIntent,
        edited_at: Timestamp,
    ) -> Result<(), StoreError> {
        let number = entry.conversation;
        self.sender.remove(entry);
        turn.overlay.settle(entry.id);
        turn.overlay.intend();
        if let Some(message) = sent_message(turn, number, &intent.message)? {
            let changed = Message {
                edited_at: Some(edited_at),
                ..intent.patch.applied_to(message)
            };
            self.keep(turn, number, &changed, Source::Live)?;
        }
        Ok(())
    }

    /// The message is sent, or its sending is tried again: the entries set aside behind it go on.
    pub(in crate::sync::client) fn resume_patches(
        &mut self,
        turn: &Turn<'_, '_>,
        send: &Entry,
    ) -> Result<(), StoreError> {
        for entry in patches_of_send(turn, send)? {
            if entry.failure().is_none() {
                self.sender.add(&entry);
            }
        }
        Ok(())
    }

    /// The message's sending failed and the message surely did not arrive: the entries behind it change or cancel
    /// it here.
    pub(in crate::sync::client) fn fold_patches(
        &mut self,
        turn: &mut Turn<'_, '_>,
        send: &Entry,
    ) -> Result<(), StoreError> {
        for entry in patches_of_send(turn, send)? {
            let Some(intent) = entry.patch() else {
                continue;
            };
            match &intent.patch {
                Patch::Edit { content, mentions } => {
                    turn.overlay.update_entry(send.id, |send| {
                        if let Intent::Send(said) = &mut send.intent {
                            said.content.clone_from(content);
                            said.mentions.clone_from(mentions);
                        }
                    });
                    self.sender.remove(&entry);
                    turn.overlay.settle(entry.id);
                }
                Patch::Recall => {
                    self.cancel_send(turn, send);
                    return self.drop_patches(turn, send);
                }
            }
        }
        Ok(())
    }

    /// Removes the waiting changes of a discarded message.
    pub(in crate::sync::client) fn drop_patches(
        &mut self,
        turn: &mut Turn<'_, '_>,
        send: &Entry,
    ) -> Result<(), StoreError> {
        for entry in patches_of_send(turn, send)? {
            self.sender.remove(&entry);
            turn.overlay.settle(entry.id);
        }
        Ok(())
    }

    fn cancel_send(&mut self, turn: &mut Turn<'_, '_>, send: &Entry) {
        self.sender.remove(send);
        turn.overlay.settle(send.id);
        turn.overlay.intend();
    }

    /// Sends a failed message again, or its failed edits and recalls.
    pub(in crate::sync::client) fn retry_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: RetryMessage,
    ) -> Answered<Done> {
        let work = match work_on(turn, &call.conversation, &call.message)? {
            Ok(work) => work,
            Err(error) => return Ok(Err(error)),
        };
        let failed: Vec<_> = work
            .iter()
            .filter(|entry| entry.failure().is_some())
            .collect();
        if failed.is_empty() {
            return Ok(Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::HasNotFailed,
            }));
        }
        for entry in failed {
            let call = RetryEntry { entry: entry.id };
            if let Err(error) = self.retry_entry(turn, call)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(Done))
    }

    /// Gives up a failed or unsent message, or its failed edits and recalls.
    pub(in crate::sync::client) fn discard_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: DiscardMessage,
    ) -> Answered<DiscardedMessage> {
        let work = match work_on(turn, &call.conversation, &call.message)? {
            Ok(work) => work,
            Err(error) => return Ok(Err(error)),
        };
        let send = work
            .iter()
            .find(|entry| matches!(entry.intent, Intent::Send(_)));
        if let Some(send) = send {
            let left = self.may_have_left(send);
            if !left || send.failure().is_some() {
                self.cancel_send(turn, send);
                self.drop_patches(turn, send)?;
            }
            let discarded = if left {
                Discarded::WasOnItsWay
            } else {
                Discarded::NeverSent
            };
            return Ok(Ok(DiscardedMessage { discarded }));
        }
        let mut discarded = None;
        for entry in &work {
            let left = self.may_have_left(entry);
            if entry.failure().is_some() || !left {
                self.sender.remove(entry);
                turn.overlay.settle(entry.id);
                turn.overlay.intend();
            }
            let outcome = if left {
                Discarded::WasOnItsWay
            } else {
                Discarded::NeverSent
            };
            discarded = discarded.max(Some(outcome));
        }
        Ok(match discarded {
            Some(discarded) => Ok(DiscardedMessage { discarded }),
            None => Err(RequestError::NotPossible {
                obstacle: crate::Obstacle::HasNotFailed,
            }),
        })
    }
}

/// The command that edits or recalls a message.
fn command(at: &MessageRef, patch: &Patch) -> Command {
    match patch {
        Patch::Edit { content, mentions } => request::edit(at, content, mentions),
        Patch::Recall => request::recall(at),
    }
}

/// The message of a key as the service has it; none where it is not on this device, or not sent.
fn sent_message(
    turn: &Turn<'_, '_>,
    number: ConversationNumber,
    key: &MessageKey,
) -> Result<Option<Message>, StoreError> {
    let snapshot = turn.overlay.snapshot();
    let position = match key.named() {
        Named::Local(id) => match snapshot.position_by_local_id(id)? {
            Some((at, position)) if at == number => position,
            _ => return Ok(None),
        },
        Named::Service { sent_at, id } => Position {
            sent_at: *sent_at,
            id: id.clone(),
        },
    };
    snapshot.message(number, &position)
}

/// The unsent edits and recalls of a message, in the order of enqueueing. A message may have another
/// key by now than when they were enqueued.
fn patches_of(
    turn: &Turn<'_, '_>,
    number: ConversationNumber,
    key: &MessageKey,
) -> Result<Vec<Arc<Entry>>, StoreError> {
    let snapshot = turn.overlay.snapshot();
    let Some(message) = snapshot.message_by_key(number, key)? else {
        return Ok(Vec::new());
    };
    let entries = snapshot.patches_of(number).into_iter();
    let of_message = |entry: &Arc<Entry>| entry.patch().is_some_and(|it| it.is_of(&message));
    Ok(entries.filter(of_message).collect())
}

/// The unsent edits and recalls of a message that is, or was, unsent itself.
fn patches_of_send(turn: &Turn<'_, '_>, send: &Entry) -> Result<Vec<Arc<Entry>>, StoreError> {
    let key = MessageKey::local(send.token.clone());
    let entries = turn.overlay.snapshot().patches_of(send.conversation);
    let of_send = |entry: &Arc<Entry>| entry.patch().is_some_and(|it| it.message == key);
    Ok(entries.into_iter().filter(of_send).collect())
}

/// The entries that a message has in the outbox: its sending, its edits and recalls.
fn work_on(
    turn: &Turn<'_, '_>,
    conversation: &ConversationId,
    key: &MessageKey,
) -> Result<Result<Vec<Arc<Entry>>, RequestError>, StoreError> {
    let snapshot = turn.overlay.snapshot();
    let Some(number) = snapshot.number(conversation)? else {
        return Ok(Err(RequestError::UnknownConversation));
    };
    let Some(message) = snapshot.message_by_key(number, key)? else {
        return Ok(Err(RequestError::UnknownMessage));
    };
    let send = message
        .local_id
        .as_ref()
        .and_then(|id| snapshot.unsent(number, id));
    drop(snapshot);
    let mut work: Vec<_> = send.into_iter().collect();
    work.extend(patches_of(turn, number, key)?);
    Ok(Ok(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_that_measures_a_command_is_as_long_as_the_services() {
        assert!(MessageId::new(SOME_MESSAGE_ID).is_ok());
        assert_eq!(SOME_MESSAGE_ID.len(), 22);
    }
}

//! Replies as they are enqueued and sent: the answered message, by the id that others know.

use crate::Obstacle;
use crate::model::reply::{Reply, Target};
use crate::model::{MessageContent, NewMessage};
use crate::store::{ConversationNumber, Entry, Intent, SendIntent, Snapshot, StoreError};
use crate::sync::RequestError;
use crate::sync::client::Turn;
use crate::wire::content;

/// The content of a message, with the reply that it is.
pub(super) struct Said {
    /// The content as its sender sees it and others will read it.
    pub(super) content: MessageContent,
    /// The content at the greatest length that it can have until it is sent, where that is longer.
    pub(super) longest: Option<MessageContent>,
}

/// The content of a new message, if the message answers one that this device holds, or none.
pub(super) fn said(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    message: &NewMessage,
) -> Result<Result<Said, RequestError>, StoreError> {
    let Some(key) = &message.reply_to else {
        return Ok(Ok(Said {
            content: content::as_received(&message.content),
            longest: None,
        }));
    };
    let Some(answered) = snapshot.message_by_key(number, key)? else {
        return Ok(Err(RequestError::UnknownMessage));
    };
    if answered.content.is_recalled() {
        return Ok(Err(RequestError::NotPossible {
            obstacle: Obstacle::Recalled,
        }));
    }
    let Some(reply) = Reply::to(&answered) else {
        return Ok(Err(RequestError::UnknownMessage));
    };
    let put = |reply: &Reply| {
        let content = reply.put_into(message.content.clone())?;
        Some(content::as_received(&content))
    };
    let Some(content) = put(&reply) else {
        let reason = "reply_to: this kind of content has no attributes".to_owned();
        return Ok(Err(RequestError::InvalidArgument { reason }));
    };
    let longest = put(&reply.at_its_longest());
    Ok(Ok(Said { content, longest }))
}

/// Names the answered message of a reply that was made before that message was sent: by now the service has
/// that message, or it never will. The entry keeps the sent content, because it may be searched for in history.
pub(super) fn name_answered(
    turn: &mut Turn<'_, '_>,
    entry: &Entry,
    intent: &SendIntent,
) -> Result<Option<SendIntent>, StoreError> {
    let Some(mut reply) = Reply::of(&intent.content) else {
        return Ok(None);
    };
    let Some(Target::Unsent(id)) = &reply.target else {
        return Ok(None);
    };
    let place = turn.overlay.snapshot().position_by_local_id(id)?;
    let place = place.filter(|(number, _)| *number == entry.conversation);
    reply.target = place.map(|(_, position)| Target::Sent {
        id: position.id,
        sent_at: position.sent_at,
    });
    let Some(content) = reply.put_into(intent.content.clone()) else {
        return Ok(None);
    };
    let named = SendIntent {
        content,
        ..intent.clone()
    };
    turn.overlay.update_entry(entry.id, |entry| {
        entry.intent = Intent::Send(named.clone());
    });
    turn.overlay.intend();
    Ok(Some(named))
}

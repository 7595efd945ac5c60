//! Payloads of commands to and from the model: messages, edits, conversations.
//!
//! A message comes in four forms: live, in history, as the newest of an unread count, as the last of a
//! conversation row. All are one [`Message`] here.

use serde_json::{Map, Value};

use super::content;
use super::error::WireError;
use super::generated::{DirectCommand, LogItem, PatchItem, UnreadTuple};
use super::payload::Payload;
use super::row::{Subscription, WireConversation, WireLastMessage};
use crate::model::{
    ClientId, CommitSeq, ConversationId, ConversationInfo, ConversationState, Details, Json,
    Mentions, Message, MessageContent, MessageId, MessageRef, MessageState, Timestamp, Unread,
};

/// An edit or a recall, as a notification tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchedMessage {
    /// The message that was changed.
    pub message: MessageRef,
    /// The sender; none where the service left it out.
    pub sender: Option<ClientId>,
    /// The content now.
    pub content: MessageContent,
    /// The clients that it calls now.
    pub mentions: Mentions,
    /// The time at which it was changed, by the service's clock.
    pub edited_at: Timestamp,
}

/// A message that was delivered live, or pushed after it was missed.
///
/// # Errors
///
/// [`WireError::MissingField`] or [`WireError::IllegalField`] when a part of the message is missing or illegal.
pub fn message_from_direct(body: DirectCommand) -> Result<Message, WireError> {
    Ok(Message {
        conversation: conversation(body.cid, "DirectCommand.cid")?,
        id: Some(message_id(body.id, "DirectCommand.id")?),
        local_id: None,
        sender: client(body.from_peer_id, "DirectCommand.fromPeerId")?,
        sent_at: time(body.timestamp, "DirectCommand.timestamp")?,
        content: decoded(Payload::from_fields(body.msg, body.binary_msg)),
        mentions: mentions(body.mention_all, &body.mention_pids),
        state: MessageState::Sent,
        edited_at: edited(body.patch_timestamp),
        transient: body.transient.unwrap_or(false),
        change: None,
    })
}

/// A message of a page of history. Delivery is told for messages of `me` alone.
///
/// # Errors
///
/// As [`message_from_direct`].
pub fn message_from_history(
    conversation: &ConversationId,
    item: LogItem,
    me: &ClientId,
) -> Result<Message, WireError> {
    let sender = client(item.from, "LogItem.from")?;
    let payload = item
        .data
        .map(|data| Payload::from_data(data, item.bin.unwrap_or(false)));
    let state = match (positive(item.read_at), positive(item.ack_at)) {
        _ if &sender != me => MessageState::Sent,
        (Some(at), _) => MessageState::Read { at },
        (None, Some(at)) => MessageState::Delivered { at },
        (None, None) => MessageState::Sent,
    };
    Ok(Message {
        conversation: conversation.clone(),
        id: Some(message_id(item.msg_id, "LogItem.msgId")?),
        local_id: None,
        sender,
        sent_at: time(item.timestamp, "LogItem.timestamp")?,
        content: decoded(payload),
        mentions: mentions(item.mention_all, &item.mention_pids),
        state,
        edited_at: edited(item.patch_timestamp),
        transient: false,
        change: None,
    })
}

/// The newest message of an unread count; none where the count comes without one.
///
/// The tuple only says whether an unread message mentions the client, so nobody is mentioned here.
#[must_use]
pub fn message_from_unread(tuple: UnreadTuple) -> Option<Message> {
    Some(Message {
        conversation: ConversationId::new(tuple.cid).ok()?,
        id: Some(MessageId::new(tuple.mid?).ok()?),
        local_id: None,
        sender: ClientId::new(tuple.from?).ok()?,
        sent_at: Timestamp::from_millis(tuple.timestamp?),
        content: content::decode(Payload::from_fields(tuple.data, tuple.binary_msg)?),
        mentions: Mentions::default(),
        state: MessageState::Sent,
        edited_at: edited(tuple.patch_timestamp),
        transient: false,
        change: None,
    })
}

/// The last message of a conversation row.
#[must_use]
pub fn message_from_row(conversation: &ConversationId, last: WireLastMessage) -> Message {
    Message {
        conversation: conversation.clone(),
        id: Some(last.id),
        local_id: None,
        sender: last.sender,
        sent_at: last.sent_at,
        content: content::decode(last.payload),
        mentions: Mentions {
            all: last.mention_all,
            clients: last.mentions,
        },
        state: MessageState::Sent,
        edited_at: last.edited_at,
        transient: false,
        change: None,
    }
}

/// An edit or a recall. A recall that comes without content has the content of every recall.
///
/// # Errors
///
/// As [`message_from_direct`].
pub fn edit_from_patch(item: PatchItem) -> Result<PatchedMessage, WireError> {
    let content = match Payload::from_patch(item.data, item.binary_msg) {
        Some(payload) => content::decode(payload),
        None if item.recall == Some(true) => MessageContent::Recalled {
            caption: None,
            details: Details::default(),
        },
        None => return Err(missing("PatchItem.data")),
    };
    Ok(PatchedMessage {
        message: MessageRef {
            conversation: conversation(item.cid, "PatchItem.cid")?,
            sent_at: time(item.timestamp, "PatchItem.timestamp")?,
            id: message_id(item.mid, "PatchItem.mid")?,
        },
        sender: item.from.and_then(|from| ClientId::new(from).ok()),
        content,
        mentions: mentions(item.mention_all, &item.mention_pids),
        edited_at: time(item.patch_timestamp, "PatchItem.patchTimestamp")?,
    })
}

/// The body that sends a message: its content and its mentions. The rest (token, receipt, transient) is the sender's
/// to add.
#[must_use]
pub fn direct(
    conversation: &ConversationId,
    content: &MessageContent,
    calls: &Mentions,
) -> DirectCommand {
    let (msg, binary_msg) = content::encode(content).into_fields();
    DirectCommand {
        cid: Some(conversation.as_str().to_owned()),
        msg,
        binary_msg,
        mention_pids: calls.clients.iter().map(ToString::to_string).collect(),
        mention_all: calls.all.then_some(true),
        ..DirectCommand::default()
    }
}

/// A conversation as its row tells `me` about it. Other commands tell unread counts and marks. A row has the
/// remaining seconds of a temporary conversation, not the time of its end.
#[must_use]
pub fn conversation_info(row: WireConversation, me: &ClientId) -> ConversationInfo {
    let muted = match row.subscription {
        Some(Subscription::Joined { muted, .. }) => muted,
        _ => row.muted_by.is_some_and(|muted_by| muted_by.contains(me)),
    };
    let state = match row.subscription {
        Some(Subscription::None) => ConversationState::Left,
        _ => ConversationState::Live,
    };
    let last_message = row.last_message.map(|last| message_from_row(&row.id, last));
    ConversationInfo {
        id: row.id,
        kind: row.kind,
        name: row.name,
        creator: row.creator,
        members: row.members.unwrap_or_default(),
        attributes: row.attributes.map(json),
        columns: Some(row.columns).filter(|it| !it.is_empty()).map(json),
        unique: row.unique,
        muted,
        created_at: row.created_at,
        updated_at: row.updated_at,
        last_message_at: row.last_message_at,
        last_message,
        expires_at: None,
        unread: Unread::NONE,
        delivered_until: None,
        read_until: None,
        state,
        seq: CommitSeq::default(),
    }
}

fn json(object: Map<String, Value>) -> Json {
    Json::from_value(&Value::Object(object))
}

/// A message without payload says nothing, in plain text.
fn decoded(payload: Option<Payload>) -> MessageContent {
    content::decode(payload.unwrap_or_else(|| Payload::Text(String::new())))
}

fn mentions(all: Option<bool>, clients: &[String]) -> Mentions {
    Mentions {
        all: all.unwrap_or(false),
        clients: clients
            .iter()
            .filter_map(|id| ClientId::new(id).ok())
            .collect(),
    }
}

/// A mark that may be absent; 0 means never, as in the C# SDK's commands.
fn positive(millis: Option<i64>) -> Option<Timestamp> {
    millis.filter(|it| *it > 0).map(Timestamp::from_millis)
}

fn edited(millis: Option<i64>) -> Option<Timestamp> {
    positive(millis)
}

fn time(millis: Option<i64>, field: &'static str) -> Result<Timestamp, WireError> {
    millis
        .map(Timestamp::from_millis)
        .ok_or_else(|| missing(field))
}

fn conversation(id: Option<String>, field: &'static str) -> Result<ConversationId, WireError> {
    ConversationId::new(id.ok_or_else(|| missing(field))?)
        .map_err(|_| WireError::IllegalField { field })
}

fn message_id(id: Option<String>, field: &'static str) -> Result<MessageId, WireError> {
    MessageId::new(id.ok_or_else(|| missing(field))?).map_err(|_| WireError::IllegalField { field })
}

fn client(id: Option<String>, field: &'static str) -> Result<ClientId, WireError> {
    ClientId::new(id.ok_or_else(|| missing(field))?).map_err(|_| WireError::IllegalField { field })
}

const fn missing(field: &'static str) -> WireError {
    WireError::MissingField {
        field,
        serial: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConversationKind;

    fn me() -> ClientId {
        ClientId::new("Tom").unwrap()
    }

    fn here() -> ConversationId {
        ConversationId::new("c").unwrap()
    }

    #[test]
    fn a_message_that_is_sent_is_the_message_that_arrives() {
        let calls = Mentions {
            all: true,
            clients: vec![me()],
        };
        let content = MessageContent::text("hi");
        let delivered = DirectCommand {
            id: Some("m".into()),
            from_peer_id: Some("Jerry".into()),
            timestamp: Some(7),
            ..direct(&here(), &content, &calls)
        };
        let message = message_from_direct(delivered).unwrap();
        assert_eq!((message.content, message.mentions), (content, calls));
        assert_eq!(message.sent_at, Timestamp::from_millis(7));
    }

    #[test]
    fn a_message_without_its_id_is_refused_by_the_name_of_the_field() {
        let body = DirectCommand {
            cid: Some("c".into()),
            ..DirectCommand::default()
        };
        let error = message_from_direct(body).unwrap_err();
        assert_eq!(error.to_string(), "DirectCommand.id is missing");
        let body = DirectCommand {
            cid: Some(String::new()),
            ..DirectCommand::default()
        };
        let error = message_from_direct(body).unwrap_err();
        assert_eq!(error.to_string(), "DirectCommand.cid is not legal");
    }

    #[test]
    fn history_tells_how_far_own_messages_got_and_nothing_about_others() {
        let item = |from: &str, read_at| LogItem {
            from: Some(from.into()),
            msg_id: Some("m".into()),
            timestamp: Some(1),
            data: Some("AAE=".into()),
            bin: Some(true),
            ack_at: Some(2),
            read_at,
            ..LogItem::default()
        };
        let state = |item| message_from_history(&here(), item, &me()).unwrap().state;
        let at = |millis| Timestamp::from_millis(millis);
        assert_eq!(
            state(item("Tom", Some(3))),
            MessageState::Read { at: at(3) }
        );
        assert_eq!(
            state(item("Tom", Some(0))),
            MessageState::Delivered { at: at(2) }
        );
        assert_eq!(state(item("Jerry", Some(3))), MessageState::Sent);
        let message = message_from_history(&here(), item("Tom", None), &me()).unwrap();
        assert_eq!(message.content, MessageContent::Binary { data: vec![0, 1] });
    }

    #[test]
    fn a_recall_needs_no_content_and_an_edit_does() {
        let item = PatchItem {
            cid: Some("c".into()),
            mid: Some("m".into()),
            timestamp: Some(1),
            patch_timestamp: Some(2),
            ..PatchItem::default()
        };
        let recall = PatchItem {
            recall: Some(true),
            ..item.clone()
        };
        assert!(edit_from_patch(recall).unwrap().content.is_recalled());
        assert_eq!(edit_from_patch(item), Err(missing("PatchItem.data")));
    }

    #[test]
    fn a_conversation_is_muted_for_those_in_its_list_alone() {
        let mut row = WireConversation::new(here(), ConversationKind::Normal);
        row.muted_by = Some(vec![me()]);
        assert!(conversation_info(row.clone(), &me()).muted);
        let jerry = ClientId::new("Jerry").unwrap();
        assert!(!conversation_info(row, &jerry).muted);
    }
}

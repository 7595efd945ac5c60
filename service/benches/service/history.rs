//! A long history, written as the service writes it, and the bytes that it takes.

use std::path::Path;

use sampan::model::{AppId, ClientId, ConversationId, Timestamp};
use sampan_service::storage::{
    Body, Conversation, Kind, Member, Message, RedbStorage, Storage, Write, message_id,
};

use crate::TEXT;
use crate::common::{Outcome, to_f64};

/// Conversations of the history, of two members each.
const CONVERSATIONS: u64 = 500;

/// Messages of the history that share a commit.
const AT_ONCE: u64 = 500;

/// When the history begins.
const BEGIN: i64 = 1_700_000_000_000;

/// Bytes of the disk that a message takes.
pub(crate) struct Bytes {
    /// While messages come.
    pub(crate) busy: f64,
    /// After a rest.
    pub(crate) rested: f64,
}

/// Writes a history message by message, in commits of some hundreds, and lets the storage rest.
pub(crate) async fn write(folder: &Path, messages: u64) -> Outcome<Bytes> {
    let mut storage = RedbStorage::open_folder(folder)?;
    let app = AppId::new("myApp")?;
    for number in 0..CONVERSATIONS {
        let id = conversation_id(number)?;
        let creator = ClientId::new(format!("client{number}"))?;
        let at = Timestamp::from_millis(BEGIN);
        let conversation = Conversation {
            id: id.clone(),
            kind: Kind::Normal,
            creator: creator.clone(),
            columns: serde_json::Map::new(),
            unique_id: None,
            created_at: at,
            updated_at: at,
            expires_at: None,
        };
        let member = Write::PutMember(app.clone(), id, Member::joined(&creator, at));
        let conversation = Write::PutConversation(app.clone(), conversation);
        storage.apply(vec![conversation, member]).await?;
    }
    let mut dice: u64 = 7;
    for number in 0..messages {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let conversation = (dice >> 33) % CONVERSATIONS;
        let message = message(number, dice, conversation)?;
        let id = conversation_id(conversation)?;
        storage
            .apply(vec![Write::PutMessage(app.clone(), id, message)])
            .await?;
        if number % AT_ONCE == AT_ONCE - 1 {
            storage.commit().await?;
        }
    }
    storage.commit().await?;
    let busy = bytes_on_disk(folder)?;
    // It rests for the first time when it is asked again and nothing came in between.
    storage.rest().await?;
    while storage.rest().await? {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let each = |bytes| to_f64(bytes) / to_f64(messages);
    Ok(Bytes {
        busy: each(busy),
        rested: each(bytes_on_disk(folder)?),
    })
}

fn conversation_id(number: u64) -> Outcome<ConversationId> {
    Ok(ConversationId::new(format!("{number:024x}"))?)
}

fn message(number: u64, dice: u64, conversation: u64) -> Outcome<Message> {
    let sent_at = Timestamp::from_millis(BEGIN + i64::try_from(number)?);
    Ok(Message {
        id: message_id(sent_at, number, &format!("{dice:020}"))?,
        sent_at,
        from: ClientId::new(format!("client{conversation}"))?,
        body: Body::Text("x".repeat(TEXT)),
        wants_receipt: false,
        mention_all: false,
        mentions: Vec::new(),
        patched_at: None,
        recalled: false,
        delivered_at: None,
        read_at: None,
        token: Some(format!("{:022x}", dice.rotate_left(17))),
        only_for: Vec::new(),
    })
}

/// A file may be longer than what is written of it.
#[cfg(unix)]
fn bytes_on_disk(folder: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(std::fs::metadata(RedbStorage::file_in(folder))?.blocks() * 512)
}

#[cfg(not(unix))]
fn bytes_on_disk(folder: &Path) -> Outcome<u64> {
    Ok(std::fs::metadata(RedbStorage::file_in(folder))?.len())
}

//! Rooms: the words of the second generation, over the one engine.

use std::sync::Arc;

use crate::model::{
    ClientId, CommitSeq, ConversationId, ConversationKind, Count, Json, Message, MessageContent,
    MessageId, NewConversation, NewMessage, SendOptions, Timestamp, Uniqueness,
};
use crate::store::Position;
use crate::sync::FindRooms;
use crate::{SampanError, Subject};

use super::client::Client;
use super::conversation::{Conversation, SentMessage};
use super::notices::NoticeFeed;
use super::views::TimelinePlace;

/// How many rooms a query answers by default.
const QUERY_LIMIT: u32 = 10;

/// How many messages a log answers by default.
const LOG_LIMIT: u32 = 20;

/// The rooms of a client, in the words of the second generation. `room` and `conv` mean the same.
#[derive(Debug, uniffi::Object)]
pub struct Rooms {
    client: Arc<Client>,
}

/// A room: a conversation under another name.
#[derive(Debug, uniffi::Object)]
pub struct Room {
    client: Arc<Client>,
    conversation: Arc<Conversation>,
}

/// A room to make; every field may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct RoomOptions {
    /// The members beside this client; none of a transient room.
    #[uniffi(default)]
    pub members: Vec<ClientId>,
    /// Its name.
    #[uniffi(default)]
    pub name: Option<String>,
    /// Its attributes (`attr`, also `data`): a JSON object.
    #[uniffi(default)]
    pub attributes: Option<Json>,
    /// True for a chat room: it has no list of members, and absent clients get no messages.
    #[uniffi(default)]
    pub transient: bool,
}

/// The question for rooms; the defaults are those of the second generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct RoomQuery {
    /// The condition (`where`), a JSON object in the service's query language; none for the rooms of this client.
    #[uniffi(default)]
    pub condition: Option<Json>,
    /// The columns to sort by, separated by commas, with a minus for descending order; none for `-lm`, the newest
    /// message first.
    #[uniffi(default)]
    pub sort: Option<String>,
    /// The most rooms, 1 to 1000; none for 10.
    #[uniffi(default)]
    pub limit: Option<u32>,
    /// The number of rooms to skip. Default: 0.
    #[uniffi(default)]
    pub skip: u32,
    /// True to leave members and mutes out of the answer; this device keeps the ones that it has. Default: false.
    #[uniffi(default)]
    pub compact: bool,
}

/// The beginning and the length of a log of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct RoomLog {
    /// Messages before this time (`t`); none for the newest.
    #[uniffi(default)]
    pub before: Option<Timestamp>,
    /// The id of the message of that time before which the log ends (`mid`): it decides between messages of one
    /// millisecond.
    #[uniffi(default)]
    pub before_id: Option<MessageId>,
    /// The most messages, 1 to 100; none for 20.
    #[uniffi(default)]
    pub limit: Option<u32>,
}

#[uniffi::export]
impl Rooms {
    /// The rooms of a client. The call does not connect: `Client.go_online` does.
    #[uniffi::constructor]
    pub fn new(client: Arc<Client>) -> Arc<Self> {
        Arc::new(Self { client })
    }

    /// Makes a new room. The room is usable at once, online or not.
    ///
    /// # Errors
    ///
    /// Those of `Client.create_conversation`.
    pub async fn create(&self, options: RoomOptions) -> Result<Arc<Room>, SampanError> {
        let kind = if options.transient {
            ConversationKind::ChatRoom
        } else {
            ConversationKind::Normal
        };
        let wanted = NewConversation {
            kind,
            members: options.members,
            name: options.name,
            attributes: options.attributes,
            uniqueness: Uniqueness::Separate,
            lifetime: None,
        };
        let made = self.client.create_conversation(wanted).await?;
        Ok(self.room(made.conversation))
    }

    /// A room by its id, from this device or else from the service; none where there is no such room.
    ///
    /// # Errors
    ///
    /// `NotConnected`, `TimedOut` when the service had to be asked; `StoreUnavailable`; `SignedOut`, `ShutDown`.
    pub async fn get(&self, id: ConversationId) -> Result<Option<Arc<Room>>, SampanError> {
        match self.client.known_or_fetched(id).await {
            Ok(conversation) => Ok(Some(self.room(conversation))),
            Err(SampanError::NotFound {
                what: Subject::Conversation,
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks the service for rooms, and stores their rows. Answers the rooms in the order of the service's answer.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` when the condition is no JSON object; `NotConnected`, `TimedOut`, `Refused`; `SignedOut`,
    /// `ShutDown`.
    pub async fn query(&self, query: RoomQuery) -> Result<Vec<Arc<Room>>, SampanError> {
        let call = FindRooms {
            condition: query.condition,
            sort: query.sort,
            limit: query.limit.unwrap_or(QUERY_LIMIT),
            skip: query.skip,
            compact: query.compact,
        };
        let found = self.client.request(call).await?.found.into_iter();
        Ok(found.map(|id| self.room(self.client.handle(id))).collect())
    }

    /// The notices from now on: `open`, `close`, `create`, `join`, `left`, `message`, `reuse`, `receipt`.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn notices(&self) -> Result<Arc<NoticeFeed>, SampanError> {
        self.client.notices(None).await
    }
}

impl Rooms {
    fn room(&self, conversation: Arc<Conversation>) -> Arc<Room> {
        Arc::new(Room {
            client: Arc::clone(&self.client),
            conversation,
        })
    }
}

#[uniffi::export]
impl Room {
    /// The conversation of the room: for its id, name and attributes, its timeline, its unread count.
    #[must_use]
    pub fn conversation(&self) -> Arc<Conversation> {
        Arc::clone(&self.conversation)
    }

    /// Adds one client or many.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.add_members`.
    pub async fn add(&self, clients: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.conversation.add_members(clients).await
    }

    /// Removes one client or many.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.remove_members`.
    pub async fn remove(&self, clients: Vec<ClientId>) -> Result<CommitSeq, SampanError> {
        self.conversation.remove_members(clients).await
    }

    /// Joins the room.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.join`.
    pub async fn join(&self) -> Result<CommitSeq, SampanError> {
        self.conversation.join().await
    }

    /// Leaves the room.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.quit`.
    pub async fn leave(&self) -> Result<CommitSeq, SampanError> {
        self.conversation.quit().await
    }

    /// The members, as this device has them; none for a chat room.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.info`.
    pub async fn list(&self) -> Result<Vec<ClientId>, SampanError> {
        Ok(self.conversation.info().await?.members)
    }

    /// The number of members.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.count_members`.
    pub async fn count(&self) -> Result<Count, SampanError> {
        self.conversation.count_members().await
    }

    /// Sends any JSON value. Durable in the outbox on return. With `transient` the call returns when the service
    /// has accepted the message, which no log holds.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.send`.
    pub async fn send(&self, data: Json, transient: bool) -> Result<SentMessage, SampanError> {
        let content = MessageContent::Plain {
            text: data.as_str().to_owned(),
        };
        let options = SendOptions {
            transient,
            ..SendOptions::default()
        };
        let message = NewMessage {
            options,
            ..NewMessage::new(content)
        };
        self.conversation.send(message).await
    }

    /// Sends a message of a kind: text, image, audio, video, location, file. Receipts come for rooms of two.
    ///
    /// # Errors
    ///
    /// Those of `Conversation.send`.
    pub async fn send_message(&self, message: NewMessage) -> Result<SentMessage, SampanError> {
        self.conversation.send(message).await
    }

    /// Messages of the room, oldest first: the newest ones, or those before a place. With a session the call asks
    /// the service for messages that this device lacks. Without a session the answer is the messages on this
    /// device.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an id without a time; `TimedOut`, `Refused`; `NotFound`; `StoreUnavailable`;
    /// `SignedOut`, `ShutDown`.
    pub async fn log(&self, log: RoomLog) -> Result<Vec<Message>, SampanError> {
        let limit = log.limit.unwrap_or(LOG_LIMIT).clamp(1, 100);
        let before = match (log.before, log.before_id) {
            (None, None) => None,
            (None, Some(_)) => {
                let reason = "before_id: only with a time".to_owned();
                return Err(SampanError::InvalidArgument { reason });
            }
            // The smallest id: before all messages of that time.
            (Some(sent_at), id) => Some((sent_at, id.map_or_else(|| MessageId::new("\0"), Ok)?)),
        };
        let position = before.clone().map(|(sent_at, id)| Position { sent_at, id });
        match self.conversation.fetch(position, limit).await {
            // The messages on this device are the answer then.
            Ok(_) | Err(SampanError::NotConnected) => {}
            Err(error) => return Err(error),
        }
        let place = before.map(|(sent_at, id)| TimelinePlace::Message { sent_at, id });
        let page = self.conversation.page(place, limit).await?;
        let messages = page.items.iter().filter_map(|item| item.message()).cloned();
        Ok(messages.collect())
    }

    /// The notices of this room from now on: messages (`receive`), receipts (`receipt`), members who join and
    /// leave.
    ///
    /// # Errors
    ///
    /// `StoreUnavailable` when the store can't be read; `SignedOut`, `ShutDown`.
    pub async fn notices(&self) -> Result<Arc<NoticeFeed>, SampanError> {
        let id = self.conversation.info().await?.id;
        self.client.notices(Some(id)).await
    }
}

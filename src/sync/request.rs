//! The calls of an app on one client, and the answer that belongs to each.
//!
//! A call is a struct that implements [`Call`]; its answer is the type [`Call::Answer`]. An app's call goes
//! from `api` through the mailbox to [`Client::handle`](super::Client::handle) as a [`Request`], one of all
//! calls, and comes back as a [`Reply`], one of all answers. Neither end names those two: the mailbox gives
//! the asker the answer of its call, and a [`Caller`] accepts no other answer from the machine.
//!
//! A new call is added in three places:
//!
//! 1. here: a struct, and its row in the list of calls; calls about who is online and inside have their
//!    structs in `online_calls.rs`. An answer of a new type is a struct in
//!    `request/answers.rs`, with its row in the list of answers here;
//! 2. in `client/mod.rs`: an arm of `Client::requested`. The compiler asks for the arm. A call that only
//!    writes is a function that gives `Answered<TheAnswer>`, in the room of its rule; a call that waits for
//!    the service keeps its [`Caller`] until the service has answered;
//! 3. in `api`: `mailbox.request(&client, TheCall { .. })` gives the answer.

mod answers;
mod error;

use std::marker::PhantomData;

use crate::model::query::ConversationQuery;
use crate::model::{
    AttributeChange, ClientId, ConversationId, Draft, ForeignMessage, HistoryQuery, Json,
    MessageContent, MessageKey, NewConversation, NewMessage, OutboxEntryId, Timestamp,
};
use crate::store::{Dropped, MembersChange, Position, Upload};
use crate::sync::legacy::{LegacyPart, LegacyTaken};
use crate::sync::online_calls::{
    ClientsFound, FindRooms, ListInside, OpenPeers, Unwatch, Watch, WatchList, Watched, WhoIsOnline,
};

pub use answers::{
    AttributeChanged, ConversationsFetched, ConversationsFound, Counted, Created, DiscardedMessage,
    Done, Enqueued, HistoryFetched, Imported, MessagesFound, Token,
};
pub use error::RequestError;

/// A call of an app on one client.
pub trait Call: Into<Request> {
    /// The answer of the call when it succeeds.
    type Answer: Into<Reply> + TryFrom<Reply, Error = Reply>;
}

/// Lists the calls, each with its answer.
macro_rules! calls {
    ($($call:ident -> $answer:ident,)*) => {
        /// One of all calls.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $(
                #[doc = concat!("See [`", stringify!($call), "`].")]
                $call($call),
            )*
        }

        $(
            impl Call for $call {
                type Answer = $answer;
            }

            impl From<$call> for Request {
                fn from(call: $call) -> Self {
                    Self::$call(call)
                }
            }
        )*
    };
}

/// Lists the answers.
macro_rules! answers {
    ($($answer:ident,)*) => {
        /// One of all answers.
        #[derive(Clone, Debug, PartialEq)]
        #[expect(
            clippy::large_enum_variant,
            reason = "made once a call and handed over; the large one is the common one"
        )]
        pub enum Reply {
            $(
                #[doc = concat!("See [`", stringify!($answer), "`].")]
                $answer($answer),
            )*
        }

        $(
            impl From<$answer> for Reply {
                fn from(answer: $answer) -> Self {
                    Self::$answer(answer)
                }
            }

            impl TryFrom<Reply> for $answer {
                /// The reply to another call.
                type Error = Reply;

                fn try_from(reply: Reply) -> Result<Self, Reply> {
                    match reply {
                        Reply::$answer(answer) => Ok(answer),
                        other => Err(other),
                    }
                }
            }
        )*
    };
}

// The first group writes: these calls work offline and are answered when they are durable. The second
// group needs the service: without an open session these calls fail at once.
calls! {
    Connect -> Done,
    Disconnect -> Done,
    CreateConversation -> Created,
    SendMessage -> Enqueued,
    SendMedia -> Enqueued,
    KeepFailed -> Enqueued,
    KeepForeign -> Done,
    RemoveMessage -> Done,
    EditMessage -> Done,
    RecallMessage -> Done,
    RetryMessage -> Done,
    DiscardMessage -> DiscardedMessage,
    MarkRead -> Done,
    MarkReadMessage -> Done,
    MarkAllRead -> Done,
    SetName -> Done,
    SetAttributes -> Done,
    SetMuted -> Done,
    ChangeMembers -> Done,
    RetryEntry -> Done,
    DiscardEntry -> Done,
    Note -> Done,
    SetTyping -> Done,
    OpenPeers -> Created,
    Watch -> Done,
    Unwatch -> Done,
    Import -> Imported,
    ImportLegacy -> LegacyTaken,
    Focus -> Done,

    FetchHistory -> HistoryFetched,
    QueryHistory -> MessagesFound,
    FetchNewer -> HistoryFetched,
    FetchConversations -> ConversationsFetched,
    FetchReceipts -> Done,
    ChangeAttribute -> AttributeChanged,
    FindConversations -> ConversationsFound,
    CountConversations -> Counted,
    CountMembers -> Counted,
    RefreshBan -> Done,
    TakeRoles -> Done,
    ListInside -> ClientsFound,
    FindRooms -> ConversationsFetched,
    WhoIsOnline -> ClientsFound,
    Watched -> WatchList,
    FreshToken -> Token,
}

answers! {
    Done,
    Created,
    Enqueued,
    DiscardedMessage,
    Imported,
    LegacyTaken,
    HistoryFetched,
    MessagesFound,
    ConversationsFetched,
    AttributeChanged,
    ConversationsFound,
    Counted,
    ClientsFound,
    WatchList,
    Token,
}

/// Go online, and stay so over broken connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// The effect on other devices with the same tag.
    pub mode: SignIn,
}

/// Go offline: close the session and forget the wish to be online.
#[derive(Clone, Debug, PartialEq)]
pub struct Disconnect;

/// Enqueue the making of a conversation; it can be used at once by its local id.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateConversation {
    /// The conversation to make.
    pub conversation: NewConversation,
}

/// Enqueue a message.
#[derive(Clone, Debug, PartialEq)]
pub struct SendMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message to send.
    pub message: NewMessage,
}

/// Enqueue a message whose file has to be uploaded first. Until then the file of its content is in the spool.
#[derive(Clone, Debug, PartialEq)]
pub struct SendMedia {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message to send.
    pub message: NewMessage,
    /// The file.
    pub upload: Box<Upload>,
}

/// Keep a message as failed: the app could not make it ready to be sent, and wants it shown and kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeepFailed {
    /// The conversation that the message was for.
    pub conversation: ConversationId,
    /// The message that was to be sent.
    pub message: NewMessage,
    /// The reason of the failure, in the app's words.
    pub reason: String,
}

/// Store a message that the app got elsewhere, such as from a push: it stands alone between gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct KeepForeign {
    /// The message; its conversation must be known, and it must have the service's id and time.
    pub message: ForeignMessage,
}

/// Remove a message from this device alone.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoveMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageKey,
}

/// Edit an own message: visible at once, told to the service after the message.
#[derive(Clone, Debug, PartialEq)]
pub struct EditMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageKey,
    /// The message's content from then on.
    pub content: MessageContent,
}

/// Take an own message back: shown at once, told to the service behind the message.
#[derive(Clone, Debug, PartialEq)]
pub struct RecallMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageKey,
}

/// Enqueue a failed message again, or its failed edits and recalls.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageKey,
}

/// Give up a failed or unsent message, or its failed edits and recalls.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscardMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message.
    pub message: MessageKey,
}

/// Clear the unread count at once and enqueue the read mark for the service.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkRead {
    /// The conversation.
    pub conversation: ConversationId,
    /// Up to and including this time of a message; none for the newest message held.
    pub until: Option<Timestamp>,
}

/// Mark a conversation read up to and including a message of it.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkReadMessage {
    /// The conversation.
    pub conversation: ConversationId,
    /// The message; an unsent one stands for the newest stored message.
    pub message: MessageKey,
}

/// Clear the unread counts of several conversations at once, all or none.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkAllRead {
    /// The conversations.
    pub conversations: Vec<ConversationId>,
}

/// Enqueue another name of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct SetName {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its name from then on.
    pub name: String,
}

/// Enqueue changes of single attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct SetAttributes {
    /// The conversation.
    pub conversation: ConversationId,
    /// A JSON object: each key is set to its value; null removes it.
    pub changes: Json,
}

/// Enqueue a mute or an unmute.
#[derive(Clone, Debug, PartialEq)]
pub struct SetMuted {
    /// The conversation.
    pub conversation: ConversationId,
    /// True if this client is not to be notified from then on.
    pub muted: bool,
}

/// Enqueue a change of members.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeMembers {
    /// The conversation; for a join it may be unknown here.
    pub conversation: ConversationId,
    /// The kind of change.
    pub change: MembersChange,
    /// The members that are changed; none for a join and a quit, which are this client's own.
    pub members: Vec<ClientId>,
}

/// Enqueue a failed entry again, at its old place. For an ambiguous entry this accepts that the message
/// may arrive twice.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryEntry {
    /// The entry.
    pub entry: OutboxEntryId,
}

/// Give up a failed entry, or cancel one that was never sent. With a failed creation go the conversation
/// and all entries that wait for it.
#[derive(Clone, Debug, PartialEq)]
pub struct DiscardEntry {
    /// The entry.
    pub entry: OutboxEntryId,
}

/// Note something about a conversation that stays on this device.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The conversation.
    pub conversation: ConversationId,
    /// The note.
    pub note: LocalNote,
}

/// Tell the others that the user writes, or stopped. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct SetTyping {
    /// The conversation.
    pub conversation: ConversationId,
    /// True if the user writes.
    pub typing: bool,
}

/// A note that stays on this device.
#[derive(Clone, Debug, PartialEq)]
pub enum LocalNote {
    /// A draft; none where nothing is written.
    Draft(Option<Draft>),
    /// True if the conversation stands above the others in lists.
    Pinned(bool),
    /// True if lists leave the conversation out until something happens in it.
    Hidden(bool),
}

/// Enqueue the intents that another process of the app left, each once: an intent is known by its token.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// The intents, in the order in which they were left.
    pub dropped: Vec<Dropped>,
}

/// Store a part of the content of an older SDK's cache.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportLegacy {
    /// The part.
    pub part: LegacyPart,
}

/// Prefer one conversation when catching up: the one the user looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Focus {
    /// The conversation; none when no timeline is open.
    pub conversation: Option<ConversationId>,
}

/// Ask for a page of history and store it: older than a message, or the newest.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchHistory {
    /// The conversation.
    pub conversation: ConversationId,
    /// Older than this message; of a gap, its newer edge. None for the newest page.
    pub before: Option<Position>,
    /// The number of messages, 1 to 100; more are requested in several pages.
    pub limit: u32,
}

/// Ask for messages of any part of a conversation's history; nothing is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryHistory {
    /// The conversation.
    pub conversation: ConversationId,
    /// The messages asked for.
    pub query: HistoryQuery,
}

/// Ask for history forward in time, after stored messages, and store it.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchNewer {
    /// The conversation.
    pub conversation: ConversationId,
    /// Newer than this message.
    pub after: Position,
    /// The number of messages, 1 to 100; more are requested in several pages.
    pub limit: u32,
}

/// Ask for conversations by id and store them.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchConversations {
    /// The conversations; at most 50.
    pub conversations: Vec<ConversationId>,
}

/// Ask how far the others received and read a conversation, and store the marks.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchReceipts {
    /// The conversation.
    pub conversation: ConversationId,
}

/// Have the service change an attribute by its present value.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeAttribute {
    /// The conversation.
    pub conversation: ConversationId,
    /// The attribute.
    pub key: String,
    /// The change.
    pub change: AttributeChange,
}

/// Ask for the conversations that a query finds at the service.
#[derive(Clone, Debug, PartialEq)]
pub struct FindConversations {
    /// The query.
    pub query: ConversationQuery,
}

/// Ask how many conversations a condition finds at the service.
#[derive(Clone, Debug, PartialEq)]
pub struct CountConversations {
    /// The query; its page does not matter.
    pub query: ConversationQuery,
}

/// Ask for the number of a conversation's members; for a chat room, of those inside and online.
#[derive(Clone, Debug, PartialEq)]
pub struct CountMembers {
    /// The conversation.
    pub conversation: ConversationId,
}

/// Ask for a whole list of a conversation, and store it.
#[derive(Clone, Debug, PartialEq)]
pub struct RefreshBan {
    /// The conversation.
    pub conversation: ConversationId,
    /// The list.
    pub list: MemberBan,
}

/// Store the roles of a conversation, as the service told them over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeRoles {
    /// The conversation.
    pub conversation: ConversationId,
    /// All members with the role of a manager.
    pub managers: Vec<ClientId>,
}

/// The two lists of clients that may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberBan {
    /// Those who may read and not send.
    Silenced,
    /// Those who cannot come in.
    Blocked,
}

/// Ask for a session token that the service's HTTP side accepts, refreshed if it has expired.
#[derive(Clone, Debug, PartialEq)]
pub struct FreshToken;

/// A sign-in's effect on other devices with the same tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignIn {
    /// The user signs in here: another device with the same tag is signed out.
    #[default]
    TakeOver,
    /// The app comes back by itself: if another device took over meanwhile, it keeps the place and
    /// this session ends with a conflict.
    Yield,
}

/// The number of an API call; the caller chooses it and finds the answer by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The asker of a call, to whom an answer of type `A` is owed.
#[derive(Debug)]
pub(crate) struct Caller<A> {
    id: RequestId,
    answer: PhantomData<fn() -> A>,
}

impl<A> Caller<A> {
    /// The asker of this call, which has this number.
    pub(crate) const fn of<C: Call<Answer = A>>(_call: &C, id: RequestId) -> Self {
        let answer = PhantomData;
        Self { id, answer }
    }

    pub(crate) const fn id(self) -> RequestId {
        self.id
    }
}

impl<A> Clone for Caller<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Caller<A> {}

//! The things that Sampan talks about: plain data and its rules, without IO.
//!
//! Everything here is checked once, where it is made, and trusted from then on: an id that exists
//! has a legal length, a [`Timestamp`] is milliseconds since the Unix epoch, a [`Json`] parses.
//! The model names no other floor; how a value looks on disk or on the wire is theirs to say.
//!
//! | file | what it defines |
//! |---|---|
//! | `account.rs` | the data of a client, seen without opening it |
//! | `attribute.rs` | changes of an attribute by its present value |
//! | `commit.rs` | the numbers of commits |
//! | `id.rs` | the names of things |
//! | `key.rs` | the keys of what views show |
//! | `count.rs` | how many |
//! | `time.rs` | points in time |
//! | `json.rs` | JSON text that is known to parse |
//! | `conversation.rs` | conversations and their kinds |
//! | `message.rs`, `content.rs` | messages, what they say, how far they got |
//! | `iso.rs` | dates as text |
//! | `query/` | which conversations are wanted: conditions, order, page |
//! | `member.rs` | roles of members, and what is told when members change |
//! | `receipt.rs` | delivery and read marks, unread counts |
//! | `history_query.rs` | which messages of a history are asked for |
//! | `refusal.rs` | why the service said no |
//! | `operation.rs` | operations that the app's own server allows by signing them |
//! | `outgoing.rs` | conversations to make, and messages to send |
//! | `outbox.rs` | unsent work, as an app sees it |
//! | `plugin.rs` | what plug-ins are given |
//! | `presence.rs` | whether other clients are online |
//! | `session.rs` | the states of connection and session |
//! | `event.rs` | events for observers |
//! | `media.rs` | files to send |
//! | `upload.rs` | how far an upload got, why one failed |
//! | `push.rs` | what the payload of a push tells |

mod account;
mod attribute;
mod commit;
mod content;
mod conversation;
mod count;
mod event;
mod history_query;
mod id;
pub mod iso;
mod json;
mod key;
mod link;
mod media;
mod member;
mod message;
mod operation;
mod outbox;
mod outgoing;
mod plugin;
mod presence;
mod push;
pub mod query;
mod receipt;
mod refusal;
pub mod reply;
mod session;
mod time;
mod upload;

pub use account::Account;
pub use attribute::AttributeChange;
pub use commit::CommitSeq;
pub use content::{ContentFault, Details, MediaFile, MessageContent};
pub use conversation::{ConversationInfo, ConversationKind, ConversationState};
pub use count::Count;
pub use event::{Event, EventKind, StoreHealth};
pub use history_query::HistoryQuery;
pub use id::{
    AppId, ClientId, ConversationId, DeviceTag, InvalidId, LocalId, MessageId, MessageRef,
};
pub use json::{InvalidJson, JSON_DEPTH_MAX, Json, JsonFault, without_halves};
pub use key::{ConversationKey, InvalidKey, ItemKey, MessageKey, Named};
pub use link::InvalidLink;
pub use media::{MediaKind, MediaSource, NewMedia};
pub use member::{MemberRole, MembersEvent, MembersNotice};
pub use message::{Mentions, Message, MessageState, PendingChange, RefusedMember, SendFailure};
pub use operation::{OperationSignature, SigningRequest};
pub use outbox::{OutboxEntry, OutboxEntryId, OutboxKind, OutboxState, ServiceRefusal};
pub use outgoing::{
    Discarded, Draft, ForeignMessage, NewConversation, NewMessage, Priority, SendOptions,
    Uniqueness,
};
pub use plugin::ParsedMessage;
pub use presence::{Presence, WatchedClient};
pub use push::{PushDevice, PushHint, PushPlatform};
pub use receipt::{Receipt, Unread};
pub use refusal::Refusal;
pub use session::{
    ConnectionFailure, ConnectionState, LocalData, NetworkChange, OtherDevice, SessionEnd,
    SessionState, UnsentWork,
};
pub use time::{Now, Timestamp};
pub use upload::{Progress, UploadFailure, UploadTicket};

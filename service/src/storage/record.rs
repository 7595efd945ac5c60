//! The records of the service: conversations, members, messages, tokens, notifications.
//!
//! One type is both the fact for a rule and the record on disk, because both change only when the protocol
//! changes. On disk a record is one byte of record version and MessagePack with named fields. A new field
//! has a default, and an older build skips it.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, ConversationId, DeviceTag, MessageId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claim::{Claim, Known};
use super::codec::{bytes, millis, millis_opt, text, text_list, text_opt};

/// The kinds of conversations, numbered as on the wire (`convType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Has members; messages are kept.
    Normal,
    /// A chat room: has no list of members, only who is inside now.
    Room,
    /// A service conversation: made by the operator, clients subscribe.
    System,
    /// Has fixed members and a limited life.
    Temporary,
}

impl Kind {
    /// The wire's number of this kind.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Normal => 1,
            Self::Room => 2,
            Self::System => 3,
            Self::Temporary => 4,
        }
    }
}

/// A conversation, without its members and messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id: 24 hex digits, or `_tmp:` and such digits.
    #[serde(with = "text")]
    pub id: ConversationId,
    /// Its kind; never changes.
    pub kind: Kind,
    /// The client that made it.
    #[serde(with = "text")]
    pub creator: ClientId,
    /// The app's own data: `name`, `attr` and custom columns.
    pub columns: Map<String, Value>,
    /// The id of its set of members, for a unique conversation.
    pub unique_id: Option<String>,
    /// The time at which it was made.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// The time at which its columns or members last changed.
    #[serde(with = "millis")]
    pub updated_at: Timestamp,
    /// The time at which a temporary conversation ends.
    #[serde(with = "millis_opt")]
    pub expires_at: Option<Timestamp>,
}

/// The rights of a member in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// No special rights.
    #[default]
    Member,
    /// May remove, block and silence members.
    Manager,
}

/// One client's part in one conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The client.
    #[serde(with = "text")]
    pub client: ClientId,
    /// The time of the joining.
    #[serde(with = "millis")]
    pub joined_at: Timestamp,
    /// The member's rights; the creator always has the owner's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Role,
    /// True if the member wants no offline push from this conversation.
    #[serde(default, skip_serializing_if = "is_default")]
    pub muted: bool,
    /// The member has read every message up to this time.
    #[serde(with = "millis")]
    pub read_until: Timestamp,
    /// The time at which the member last marked something read.
    #[serde(with = "millis")]
    pub read_marked_at: Timestamp,
    /// The newest message of others that reached one of the member's devices.
    #[serde(with = "millis")]
    pub received_until: Timestamp,
    /// The newest message of others that the member read; zero when none.
    #[serde(with = "millis")]
    pub seen_until: Timestamp,
    /// True if the client has signed in in push mode since it joined or before: then every message behind
    /// `received_until` is pushed at its next login.
    #[serde(default, skip_serializing_if = "is_default")]
    pub queued: bool,
    /// True if the client has not subscribed: a service conversation sent messages to it alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub guest: bool,
}

/// True if a field has its default value: such a field is not written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Member {
    /// A client that joins at `at`: nothing before it is unread.
    #[must_use]
    pub fn joined(client: &ClientId, at: Timestamp) -> Self {
        Self {
            client: client.clone(),
            joined_at: at,
            role: Role::Member,
            muted: false,
            read_until: at,
            read_marked_at: at,
            received_until: Timestamp::ZERO,
            seen_until: Timestamp::ZERO,
            queued: false,
            guest: false,
        }
    }
}

/// The content of a message, as it travelled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Text: a typed-message envelope or anything else.
    Text(String),
    /// Bytes that the service does not look into.
    Binary(#[serde(with = "bytes")] Vec<u8>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The words of people stay out of logs.
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
        }
    }
}

/// A message that was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its id: 22 characters of URL-safe base64.
    #[serde(with = "text")]
    pub id: MessageId,
    /// The time at which it was accepted; strictly increasing within a conversation.
    #[serde(with = "millis")]
    pub sent_at: Timestamp,
    /// The sender.
    #[serde(with = "text")]
    pub from: ClientId,
    /// Its content, as last patched.
    pub body: Body,
    /// True if the sender asked for receipts.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub wants_receipt: bool,
    /// True if everybody is mentioned.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub mention_all: bool,
    /// The clients that are mentioned.
    #[serde(default, with = "text_list", skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<ClientId>,
    /// The time at which it was last modified or recalled.
    #[serde(default, with = "millis_opt", skip_serializing_if = "is_usual")]
    pub patched_at: Option<Timestamp>,
    /// True if the message was recalled.
    #[serde(default, skip_serializing_if = "is_usual")]
    pub recalled: bool,
    /// The time at which it first reached another client.
    #[serde(default, with = "millis_opt", skip_serializing_if = "is_usual")]
    pub delivered_at: Option<Timestamp>,
    /// The time at which another client first read it.
    #[serde(default, with = "millis_opt", skip_serializing_if = "is_usual")]
    pub read_at: Option<Timestamp>,
    /// The sender's idempotency token (`dt`).
    #[serde(default, skip_serializing_if = "is_usual")]
    pub token: Option<String>,
    /// The only clients that may read it, beside its sender; empty: everybody who may read the conversation.
    #[serde(default, with = "text_list", skip_serializing_if = "Vec::is_empty")]
    pub only_for: Vec<ClientId>,
}

impl Message {
    /// True if `client` is called by this message.
    #[must_use]
    pub fn mentions(&self, client: &ClientId) -> bool {
        self.mention_all || self.mentions.contains(client)
    }

    /// True if `client` may read the message, among those who may read the conversation.
    #[must_use]
    pub fn is_for(&self, client: &ClientId) -> bool {
        self.only_for.is_empty() || self.from == *client || self.only_for.contains(client)
    }

    /// The place of the message in its conversation.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            sent_at: self.sent_at,
            id: self.id.clone(),
        }
    }
}

/// The place of a message in its conversation, which orders the messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The message's time.
    #[serde(with = "millis")]
    pub sent_at: Timestamp,
    /// The message's id, which decides among equal times.
    #[serde(with = "text")]
    pub id: MessageId,
}

/// A session token, with the session that its bearer may reopen. The token itself is not kept, only its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Whose session.
    #[serde(with = "text")]
    pub client: ClientId,
    /// The tag the session was opened with.
    #[serde(with = "text_opt")]
    pub tag: Option<DeviceTag>,
    /// The device it was opened on, as that device named itself.
    pub device: Option<String>,
    /// The time at which the client was last authenticated; a renewed token keeps the time of the one before.
    #[serde(default, with = "millis")]
    pub authenticated_at: Timestamp,
    /// True if the client was authenticated by a signature of the app's own server.
    #[serde(default)]
    pub signed: bool,
    /// The time at which it ends.
    #[serde(with = "millis")]
    pub expires_at: Timestamp,
}

/// Tokens that are good no more, of an app or of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Tokens of clients that were authenticated at or before this time.
    #[serde(with = "millis")]
    pub until: Timestamp,
    /// The time until which the client does not sign in at all; only of a client.
    #[serde(default, with = "millis_opt")]
    pub barred_until: Option<Timestamp>,
}

/// The record of a client beyond its conversations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// True if the client ever signed in on a connection in push mode.
    #[serde(default)]
    pub push_mode: bool,
    /// The newest broadcast to all clients of the app that the client was sent.
    #[serde(default, with = "millis")]
    pub broadcast_until: Timestamp,
}

/// A device that can be pushed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Installation {
    /// Its object id: 24 hexadecimal digits.
    pub id: String,
    /// `ios`, `android` or another.
    pub device_type: String,
    /// Its address at its vendor.
    pub token: Option<String>,
    /// The id that it gave itself.
    pub device_id: Option<String>,
    /// The app on it.
    pub topic: Option<String>,
    /// The team of that app.
    pub team: Option<String>,
    /// The certificate that it wants to be pushed with.
    pub profile: Option<String>,
    /// The vendor that brings its pushes, where the device named one.
    pub vendor: Option<String>,
    /// The device's time zone.
    pub time_zone: Option<String>,
    /// The channels that it subscribed to by name.
    pub channels: BTreeSet<String>,
    /// The clients that signed in on it and have not closed their session; each has a row of its own.
    #[serde(default, skip_serializing)]
    pub clients: BTreeSet<String>,
    /// The number on its icon, which has a row of its own.
    #[serde(default, skip_serializing)]
    pub badge: u32,
    /// The time at which it announced itself.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// The time at which it changed last.
    #[serde(with = "millis")]
    pub updated_at: Timestamp,
}

impl Installation {
    /// The names by which sessions tell it: its token and its own id.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = [self.token.as_deref(), self.device_id.as_deref()];
        names.into_iter().flatten()
    }

    /// The names of clients whose messages it is pushed.
    pub fn subscribed(&self) -> BTreeSet<&str> {
        let all = self.clients.iter().chain(&self.channels);
        all.map(String::as_str).collect()
    }
}

/// A message to all clients of an app: a client that signs in while it is good is sent it too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Broadcast {
    /// The service conversation that it is in.
    #[serde(with = "text")]
    pub conversation: ConversationId,
    /// Its place there.
    pub place: Place,
    /// The time until which it is good.
    #[serde(with = "millis")]
    pub good_until: Timestamp,
}

/// A notification of one client alone that can be read again over REST after a broken connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// For whom.
    #[serde(with = "text")]
    pub client: ClientId,
    /// The time at which it was sent (`serverTs`).
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// Its place among those of the same time.
    pub sequence: u32,
    /// The flattened command as JSON.
    pub item: Map<String, Value>,
}

/// A notification that several clients can read again: it is kept once.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The clients that read it.
    pub readers: Readers,
    /// The time at which it was sent (`serverTs`).
    pub at: Timestamp,
    /// Its place among those of the same time.
    pub sequence: u32,
    /// The flattened command as JSON; none for a command that is too large to be kept: a client that missed it
    /// asks for everything anew.
    pub item: Option<Map<String, Value>>,
}

/// The readers of a notice that is kept once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Every member of a conversation, from the moment it joined.
    Members(ConversationId),
    /// These clients, wherever they are members.
    Clients(Vec<ClientId>),
}

/// The notifications that a client missed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Missed {
    /// The kept notifications, oldest first.
    pub notifications: Vec<Notification>,
    /// True if there may have been more than is kept.
    pub is_partial: bool,
}

/// The two lists a conversation keeps of clients that may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ban {
    /// May not join, and gets nothing.
    Blocked,
    /// May stay and read, but not send.
    Silenced,
}

/// The service's clock: no time that was told is later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// The newest time of messages and openings.
    pub shown: Timestamp,
    /// The newest time of changes.
    pub last: Timestamp,
    /// The time by which old things may be deleted; none in data of an elder build.
    pub proven: Option<Timestamp>,
}

/// One change of the stored data. A batch of them becomes durable together or not at all.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Adds or replaces a device.
    PutInstallation(AppId, Box<Installation>),
    /// A client signed in on the device with this token or id of its own, where that is known.
    BindInstallation(AppId, String, ClientId),
    /// A client signed out on it.
    UnbindInstallation(AppId, String, ClientId),
    /// Sets the number on a device's icon.
    PutBadge(AppId, String, u32),
    /// Removes a device.
    DropInstallation(AppId, String),
    /// Keeps how far the service's clock came.
    PutClock(Clock),
    /// Forgets how far it came.
    DropClock,
    /// Keeps a token under its digest.
    PutToken(AppId, String, Token),
    /// Forgets a token.
    DropToken(AppId, String),
    /// Revokes the tokens of an app, or of one of its clients.
    PutRevocation(AppId, Option<ClientId>, Revocation),
    /// Keeps the record of a client.
    PutClient(AppId, ClientId, Client),
    /// Forgets that there is such a client.
    DropClient(AppId, ClientId),
    /// Keeps a conversation, new or changed.
    PutConversation(AppId, Conversation),
    /// Forgets a conversation with all that belongs to it: members, messages, marks.
    DropConversation(AppId, ConversationId),
    /// Keeps a member, new or changed.
    PutMember(AppId, ConversationId, Member),
    /// Forgets a member.
    DropMember(AppId, ConversationId, ClientId),
    /// Keeps a message, new or changed; its token is kept as long.
    PutMessage(AppId, ConversationId, Message),
    /// Forgets a message, its token and its patch.
    DropMessage(AppId, ConversationId, Place),
    /// Stores the claims of loads about a message.
    PutClaim(AppId, ConversationId, MessageId, Claim),
    /// Forgets the claims of loads about a message.
    DropClaim(AppId, ConversationId, MessageId),
    /// Stores the claims of loads about a conversation.
    PutKnown(AppId, ConversationId, Box<Known>),
    /// Keeps a notification for one client.
    PutNotification(AppId, Notification),
    /// Forgets the notifications of a client up to and including a time.
    DropNotifications(AppId, ClientId, Timestamp),
    /// Keeps a broadcast.
    PutBroadcast(AppId, Broadcast),
    /// Forgets a broadcast; its message is another row.
    DropBroadcast(AppId, Place),
    /// Keeps a notification once for all its readers.
    PutNotice(AppId, Notice),
    /// Forgets the notices of a conversation's members up to and including a time.
    DropNotices(AppId, ConversationId, Timestamp),
    /// Forgets notices for single clients up to and including a time, at most so many, the oldest first.
    DropSingleNotices(AppId, Timestamp, usize),
    /// Puts a client on a list of a conversation.
    PutBan(AppId, ConversationId, Ban, ClientId),
    /// Takes a client off a list.
    DropBan(AppId, ConversationId, Ban, ClientId),
}

/// True if a field has its usual value: such a field is not written.
fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

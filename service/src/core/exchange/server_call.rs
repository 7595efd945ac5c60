//! The calls of an app's own servers over HTTP (the protocol, section 10.4).

use std::collections::BTreeMap;

use sampan::wire::signature::KeyKind;
use serde_json::Value;

use crate::storage::Kind;

/// A request of an app's own server.
#[derive(Clone, Debug)]
pub struct ServerRequest {
    /// The operation.
    pub call: ServerCall,
    /// The parts of the path by their names: `id`, `client`, `message`.
    pub path: BTreeMap<String, String>,
    /// The query, as it came.
    pub query: BTreeMap<String, String>,
    /// The body; null when there is none.
    pub body: Value,
    /// The key that came with the request.
    pub key: KeyKind,
}

/// The operations that an app's own server can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCall {
    /// Makes a conversation.
    Create(Kind),
    /// Finds conversations of a kind, or of all kinds.
    Find(Option<Kind>),
    /// Changes the columns of a conversation.
    Change(Kind),
    /// Deletes a conversation with all that was said in it.
    Delete(Kind),
    /// Adds members.
    AddMembers,
    /// Removes members.
    RemoveMembers,
    /// Lists the members, or some of those inside a chat room.
    ListMembers(Kind),
    /// Counts those inside a chat room.
    CountInside,
    /// Sends members no push from the conversation.
    Mute,
    /// Sends members push again.
    Unmute,
    /// Lists the members who want no push.
    ListMuted,
    /// Sends a message in the name of a client.
    Send(Kind),
    /// Sends a message to all subscribers of a service conversation.
    SendToSubscribers,
    /// Edits a message.
    Edit(Kind),
    /// Recalls a message.
    Recall(Kind),
    /// Deletes a message: clients hear nothing.
    DeleteMessage(Kind),
    /// Lists the messages of a service conversation that one client can read.
    ListFor,
    /// Deletes a message of a service conversation for one client.
    DeleteFor,
    /// Subscribes a client to a service conversation.
    Subscribe,
    /// Ends a subscription.
    Unsubscribe,
    /// Lists the subscribers.
    ListSubscribers,
    /// Counts the subscribers.
    CountSubscribers,
    /// Lists the service conversations that a client is subscribed to.
    ListSubscriptions,
    /// Lists the sessions that stand.
    ListSessions,
    /// Keeps a client out of the app.
    Bar,
    /// Lets a client in again.
    Unbar,
    /// Takes away, part by part, everything that a client left.
    Erase,
    /// Tells which clients are online.
    CheckOnline,
    /// Counts the messages that a client has not read.
    CountUnread,
    /// Counts the clients that are online and those that were today.
    Count,
    /// Sends a message to all clients of the app.
    Broadcast,
    /// Lists the broadcasts.
    ListBroadcasts,
    /// Ends a broadcast and deletes its message.
    DeleteBroadcast,
    /// Loads history of another service.
    Load,
    /// A request of the older interface.
    Older(OlderCall),
}

/// The requests of the older interface: the conversation of a message is in the body, and conversations are rows of
/// the class `_Conversation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OlderCall {
    /// Sends a message in the name of a client.
    Send,
    /// Sends a message to all subscribers of a service conversation.
    SendToSubscribers,
    /// Sends a message to all clients of the app.
    Broadcast,
    /// Edits a message, or recalls it.
    Patch,
    /// Makes a conversation.
    MakeRow,
    /// Finds conversations of all kinds.
    FindRows,
    /// Reads a conversation.
    ReadRow,
    /// Changes columns and members of a conversation.
    ChangeRow,
    /// Deletes a conversation.
    DeleteRow,
}

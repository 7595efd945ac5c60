//! The calls about facts that the service alone has and about the parts of a session outside the outbox, with
//! their answers.

use crate::model::{ClientId, ConversationId, Json, WatchedClient};

/// Have the conversation that the ids of these peers lead to, without a conversation that somebody made.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenPeers {
    /// The others.
    pub peers: Vec<ClientId>,
}

/// Watch clients from now on, on each connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// The clients.
    pub clients: Vec<ClientId>,
}

/// Watch clients no more.
#[derive(Clone, Debug, PartialEq)]
pub struct Unwatch {
    /// Whom; those who are not watched are passed over.
    pub clients: Vec<ClientId>,
}

/// Ask who is inside a chat room and online.
#[derive(Clone, Debug, PartialEq)]
pub struct ListInside {
    /// The chat room.
    pub conversation: ConversationId,
    /// At most so many, 1 to 50.
    pub limit: u32,
}

/// Ask for conversations by a condition and store them.
#[derive(Clone, Debug, PartialEq)]
pub struct FindRooms {
    /// A JSON object in the service's query language; none for those that this client is a member of.
    pub condition: Option<Json>,
    /// The columns to sort by; none for the newest message first.
    pub sort: Option<String>,
    /// At most so many, 1 to 1000.
    pub limit: u32,
    /// The number of conversations to skip.
    pub skip: u32,
    /// True if members and mutes are left out.
    pub compact: bool,
}

/// Ask which of these clients are signed in.
#[derive(Clone, Debug, PartialEq)]
pub struct WhoIsOnline {
    /// The clients that are asked about.
    pub clients: Vec<ClientId>,
}

/// Ask for the watched clients and their known states.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched;

/// Clients that the service named.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientsFound {
    /// The clients.
    pub clients: Vec<ClientId>,
}

/// The clients that are watched.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchList {
    /// The clients, in order of their ids.
    pub clients: Vec<WatchedClient>,
}

//! What goes into the core and what comes out of it.

use sampan::model::{AppId, ClientId};
use sampan::wire::{CloseCode, Command, Envelope, OfflineMode};

use super::rest::{RestAnswer, RestRequest};
use crate::storage::Write;

/// A connection, as the shell numbered it; a number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A session: one client on one connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId {
    /// The connection.
    pub connection: ConnectionId,
    /// The client.
    pub client: ClientId,
}

/// A request over HTTP that waits for its answer, as the shell numbered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Everything the core can be told.
#[derive(Debug)]
pub enum Input {
    /// A connection stands.
    Connected {
        /// Which.
        connection: ConnectionId,
        /// What its subprotocol asks for after a login.
        mode: OfflineMode,
    },
    /// A command arrived.
    Received {
        /// On which connection.
        connection: ConnectionId,
        /// The command.
        envelope: Box<Envelope>,
    },
    /// A connection is gone, however it ended.
    Lost {
        /// Which.
        connection: ConnectionId,
    },
    /// A request over HTTP.
    Asked {
        /// Where the answer goes.
        ticket: Ticket,
        /// What is asked.
        request: Box<RestRequest>,
    },
    /// The time has come that [`Core::wake_at`](super::Core::wake_at) named.
    Woke,
    /// The service is about to end: every connection is told to discover another one.
    Leaving,
}

/// Everything the core can want done. Effects may be carried out only after the commit of the
/// batch they belong to, and per connection in the order given.
#[derive(Debug)]
pub enum Effect {
    /// Send a command.
    Send {
        /// On which connection.
        connection: ConnectionId,
        /// The command.
        envelope: Box<Envelope>,
        /// How far from what was sent before it.
        gap: Gap,
    },
    /// Close a connection, after everything sent to it before.
    Close {
        /// Which.
        connection: ConnectionId,
        /// The code for the close frame.
        code: CloseCode,
    },
    /// Answer a request over HTTP.
    Answer {
        /// Which.
        ticket: Ticket,
        /// The answer.
        answer: Box<RestAnswer>,
    },
    /// Tell the operator of a fault; the text has no content of users.
    Report(String),
}

/// How far a command has to stay from the one before it on the same connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gap {
    /// As close as it gets.
    #[default]
    None,
    /// In a write of its own, a moment later. Some SDKs act on a reply only after they have read
    /// everything that arrived with it: the JavaScript one shows a stale value when a change's
    /// notification comes in the same segment as its reply, the C# one registers a client a
    /// moment after `opened` and loses what comes before that.
    Moment,
}

/// Who hears of something.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Audience {
    /// Every session of these clients.
    Clients(Vec<ClientId>),
    /// Every session of these clients but the one that caused it.
    Others(Vec<ClientId>, SessionId),
    /// The sessions of a client on connections in unread mode.
    Counting(ClientId),
    /// One session.
    Session(SessionId),
    /// These sessions.
    Sessions(Vec<SessionId>),
}

/// A notification and who gets it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notice {
    pub(super) to: Audience,
    pub(super) command: Command,
    pub(super) keeping: Keeping,
    pub(super) gap: Gap,
}

/// Whether a notification can be read again over HTTP by clients that missed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeping {
    /// It is sent to who is online, and that is all.
    Once,
    /// It is kept for every client it is addressed to.
    Replayable,
}

impl Notice {
    pub(super) fn once(to: Audience, command: Command) -> Self {
        Self {
            to,
            command,
            keeping: Keeping::Once,
            gap: Gap::None,
        }
    }

    pub(super) fn replayable(to: Audience, command: Command) -> Self {
        Self {
            to,
            command,
            keeping: Keeping::Replayable,
            gap: Gap::None,
        }
    }

    pub(super) fn apart(mut self) -> Self {
        self.gap = Gap::Moment;
        self
    }
}

/// What a command leads to: changes to keep, an answer, and who else hears of it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Decision {
    /// Applied first, together.
    pub(super) writes: Vec<Write>,
    /// Goes to who asked, before every notice.
    pub(super) reply: Option<Command>,
    /// Go out in order.
    pub(super) notices: Vec<Notice>,
}

impl Decision {
    pub(super) fn silent() -> Self {
        Self::default()
    }

    pub(super) fn reply(command: Command) -> Self {
        Self {
            reply: Some(command),
            ..Self::default()
        }
    }
}

/// Who sent a command.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) app: AppId,
    pub(super) session: SessionId,
}

impl Caller {
    pub(super) fn client(&self) -> &ClientId {
        &self.session.client
    }
}

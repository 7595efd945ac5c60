//! The inputs of the core, and its effects.

use sampan::model::ClientId;
use sampan::wire::{CloseCode, Command, Envelope, OfflineMode, Op};

use super::hook_call::HookCall;
use super::push::PushOrder;
use super::request::{RestAnswer, RestRequest};

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
        /// Its number.
        connection: ConnectionId,
        /// The mode that its subprotocol asks for after a login.
        mode: OfflineMode,
    },
    /// A connection comes from a page of this web origin, as the browser says; told before its commands.
    CameFrom {
        /// Its number.
        connection: ConnectionId,
        /// The origin, such as `https://chat.example.org`.
        origin: String,
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
        /// Its number.
        connection: ConnectionId,
    },
    /// A request over HTTP.
    Asked {
        /// The receiver of the answer.
        ticket: Ticket,
        /// The request.
        request: Box<RestRequest>,
    },
    /// The time has come that [`Core::wake_at`](crate::core::Core::wake_at) named.
    Woke,
    /// The service is about to end: every connection is told to discover another one.
    Leaving,
}

impl Input {
    /// The expected cost of handling this input, or its first part, in the units of `Core::take_cost`: known
    /// before anything was looked up.
    #[must_use]
    pub fn expected_cost(&self) -> u64 {
        const LITTLE: u64 = 50;
        const SOME: u64 = 500;
        const PART: u64 = 3_000;
        match self {
            Self::Received { envelope, .. } => match &envelope.command {
                Command::Conv { op: Op::Query, .. } | Command::Logs(_) | Command::Read(_) => PART,
                Command::Session { op: Op::Open, .. } => PART,
                Command::Direct(_) | Command::Echo | Command::Ack(_) => LITTLE,
                _ => SOME,
            },
            Self::Asked { .. } => SOME,
            Self::Connected { .. } | Self::CameFrom { .. } | Self::Lost { .. } => LITTLE,
            Self::Woke | Self::Leaving => SOME,
        }
    }
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
        /// The distance from the command that was sent before it.
        gap: Gap,
    },
    /// Close a connection, after everything sent to it before.
    Close {
        /// Its number.
        connection: ConnectionId,
        /// The code for the close frame.
        code: CloseCode,
    },
    /// Answer a request over HTTP.
    Answer {
        /// Its number.
        ticket: Ticket,
        /// The answer.
        answer: Box<RestAnswer>,
    },
    /// Ask a hook about the command of a connection, and hand in the answer by
    /// [`Core::hook_answered`](crate::core::Core::hook_answered); until then the connection's command is
    /// not taken further.
    Ask {
        /// Whose command waits for the answer.
        connection: ConnectionId,
        /// The question.
        call: Box<HookCall>,
    },
    /// Tell a hook of an event, without waiting for an answer.
    Tell(Box<HookCall>),
    /// Push a message to devices of offline clients.
    Push(Box<PushOrder>),
    /// Tell the operator of a fault; the text has no content of users.
    Report(String),
}

/// The distance of a command from the one before it on the same connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gap {
    /// No distance.
    #[default]
    None,
    /// In a write of its own, a moment later. Some SDKs act on a reply only after they have read everything
    /// that arrived with it. The JavaScript SDK shows a stale value when a change's notification comes in the
    /// same segment as its reply. The C# SDK registers a client a moment after `opened` and loses earlier
    /// frames.
    Moment,
}

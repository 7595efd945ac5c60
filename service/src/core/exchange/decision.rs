//! The outcome of a decision: changes to keep, a reply, and notices with their receivers.

use sampan::model::{AppId, ClientId, ConversationId, Priority};
use sampan::wire::Command;

use super::input::{ConnectionId, Gap, SessionId};
use crate::storage::{Kind, Write};

/// The author of a change by the app's own server that names no client. No client can sign in under this id.
pub(in crate::core) const OPERATOR: &str = "_operator";

/// The sessions that hear of something.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::core) enum Audience {
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

/// A notification and its audience.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::core) struct Notice {
    pub(in crate::core) to: Audience,
    pub(in crate::core) command: Command,
    pub(in crate::core) keeping: Keeping,
    pub(in crate::core) gap: Gap,
    /// True for a message that a client which is behind does not get: it can read the message in history.
    pub(in crate::core) spare: bool,
}

/// The way in which a notification is kept for clients that missed it; they read it again over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum Keeping {
    /// The notification is sent to online clients and not kept.
    Once,
    /// The notification is kept for every addressed client, each for itself: they are few.
    Each,
    /// The notification is kept once, and each client that is a member of this conversation reads it.
    Members(ConversationId),
    /// The notification is kept once, and each addressed client finds it, member or not.
    Named,
    /// The notification is too large to be kept: members of this conversation who missed it are told to ask for
    /// the row.
    TooLarge(ConversationId),
}

impl Keeping {
    /// True if clients that missed the notification can learn of it.
    pub(in crate::core) fn is_kept(&self) -> bool {
        *self != Self::Once
    }
}

impl Notice {
    pub(in crate::core) fn once(to: Audience, command: Command) -> Self {
        Self {
            to,
            command,
            keeping: Keeping::Once,
            gap: Gap::None,
            spare: false,
        }
    }

    pub(in crate::core) fn kept(keeping: Keeping, to: Audience, command: Command) -> Self {
        Self {
            to,
            command,
            keeping,
            gap: Gap::None,
            spare: false,
        }
    }

    /// The notice of a message with this priority. Priorities count in chat rooms alone.
    pub(in crate::core) fn with_priority(mut self, priority: Option<i32>) -> Self {
        let is_low = priority.and_then(Priority::from_number) == Some(Priority::Low);
        self.spare = is_low
            && matches!(&self.command, Command::Direct(body)
                if body.conv_type == Some(Kind::Room.number()));
        self
    }

    pub(in crate::core) fn apart(mut self) -> Self {
        self.gap = Gap::Moment;
        self
    }
}

/// The result of a command: changes to keep, an answer, and the notices to others.
#[derive(Debug, Default, PartialEq)]
pub(in crate::core) struct Decision {
    /// Applied first, together.
    pub(in crate::core) writes: Vec<Write>,
    /// Goes to the client that asked, before every notice.
    pub(in crate::core) reply: Option<Command>,
    /// Go out in order.
    pub(in crate::core) notices: Vec<Notice>,
}

impl Decision {
    pub(in crate::core) fn silent() -> Self {
        Self::default()
    }

    /// The decision about a message with this priority.
    pub(in crate::core) fn with_priority(mut self, priority: Option<i32>) -> Self {
        let notices = self.notices.into_iter();
        self.notices = notices.map(|it| it.with_priority(priority)).collect();
        self
    }

    /// True if the command leads to nothing.
    pub(in crate::core) fn is_silent(&self) -> bool {
        self.writes.is_empty() && self.reply.is_none() && self.notices.is_empty()
    }

    pub(in crate::core) fn reply(command: Command) -> Self {
        Self {
            reply: Some(command),
            ..Self::default()
        }
    }
}

/// The result of a part: a decision to carry out, and a mark if the part was the last.
pub(in crate::core) struct Part {
    pub(in crate::core) decision: Decision,
    pub(in crate::core) is_end: bool,
}

impl Part {
    pub(in crate::core) fn more() -> Self {
        Self::of(Decision::silent(), false)
    }

    pub(in crate::core) fn end(decision: Decision) -> Self {
        Self::of(decision, true)
    }

    pub(in crate::core) const fn of(decision: Decision, is_end: bool) -> Self {
        Self { decision, is_end }
    }
}

/// The sender of a command.
#[derive(Clone, Debug)]
pub(in crate::core) struct Caller {
    pub(in crate::core) app: AppId,
    pub(in crate::core) session: SessionId,
}

impl Caller {
    /// A client in whose name the app's own server does something, without a connection: the shell
    /// numbers those from 1.
    pub(in crate::core) fn by_server(app: &AppId, client: ClientId) -> Self {
        Self {
            app: app.clone(),
            session: SessionId {
                connection: ConnectionId(0),
                client,
            },
        }
    }

    pub(in crate::core) fn client(&self) -> &ClientId {
        &self.session.client
    }
}

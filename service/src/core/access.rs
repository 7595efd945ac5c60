//! The rights of every caller: one table with a row for each operation, and the one function that decides by
//! the table. An operation without a row cannot be carried out, so a missing right can be read here. `decide`
//! does no IO; `gate.rs` loads the `Standing` that `decide` needs.
//!
//! Three rules hold for every row. A client on a conversation's block list is outside, and is no member. In an
//! app without roles a member has a manager's rights. In a chat room, which has no list of members, the creator
//! is the owner and a client inside counts as a member.

use sampan::model::ClientId;
use sampan::wire::generated::{BlacklistCommand, ConvCommand, DirectCommand, RoomCommand};
use sampan::wire::{Command, Op, ServiceCode};

use super::exchange::refusal::Refusal;
use super::exchange::server_call::{OlderCall, ServerCall};
use crate::storage::{Conversation, Kind, Member, Role};

/// The callers that may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody who reaches the service.
    Anyone,
    /// A caller that shows the app's key or a signature made with it. Over HTTP.
    AppKey,
    /// A caller that shows a live session token of the client that the request names. Over HTTP.
    TokenHolder,
    /// A caller that has a link that the service made for just this. Over HTTP.
    LinkHolder,
    /// A caller that shows the app's master key or a fresh signature made with it. Over HTTP.
    MasterKey,
    /// A client with a session on the connection.
    SignedIn,
    /// A client with a session and this standing in the conversation.
    Within(Rights),
}

/// The standing in a conversation that an operation asks of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    normal: Need,
    temporary: Need,
    room: Need,
    service: Need,
    codes: Codes,
    bans: Bans,
}

/// The codes that refuse an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Codes {
    /// For a client that is not in the conversation.
    outside: ServiceCode,
    /// For a client that is in the conversation and has too few rights.
    below: ServiceCode,
    /// For a client that is on the block list, where the operation looks at it.
    blocked: ServiceCode,
}

/// The least standing that an operation needs in one kind of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Nobody does that in this kind of conversation.
    Never(ServiceCode),
    /// Every client with a session.
    Open,
    Member,
    Manager,
    Owner,
}

/// The effect of a conversation's lists on an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bans {
    /// Nothing: a blocked client is no member, and that is enough.
    Disregarded,
    /// A blocked client gets its refusal within the reply (the protocol, section 5.5).
    ToldInReply,
    /// A blocked client is refused.
    UnlessBlocked,
    /// A blocked client is refused, and so is a silenced one, with 4563.
    UnlessSilenced,
}

/// Only normal conversations can do that.
const NORMAL_ONLY: Need = Need::Never(ServiceCode::NORMAL_CONVERSATION_REQUIRED);
/// Only chat rooms can do that.
const ROOM_ONLY: Need = Need::Never(ServiceCode::TRANSIENT_CONVERSATION_REQUIRED);
/// Only the operator of the service conversation does that.
const NOT_ITS_OPERATOR: Need = Need::Never(ServiceCode::CONVERSATION_UPDATE_REJECTED);

const MEMBERSHIP: Codes = codes(
    ServiceCode::CONVERSATION_MEMBERSHIP_REQUIRED,
    ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED,
    ServiceCode::BLOCKED_BY_CONV,
);
const RANK: Codes = codes(
    ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED,
    ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED,
    ServiceCode::BLOCKED_BY_CONV,
);
const UPDATE: Codes = codes(
    ServiceCode::CONVERSATION_UPDATE_REJECTED,
    ServiceCode::CONVERSATION_UPDATE_REJECTED,
    ServiceCode::BLOCKED_BY_CONV,
);
const TARGET: Codes = codes(
    ServiceCode::INVALID_MESSAGING_TARGET,
    ServiceCode::INVALID_MESSAGING_TARGET,
    ServiceCode::BLOCKED_BY_CONV,
);
const LOG: Codes = codes(
    ServiceCode::CONVERSATION_LOG_REJECTED,
    ServiceCode::CONVERSATION_LOG_REJECTED,
    ServiceCode::CONVERSATION_LOG_REJECTED,
);

const fn codes(outside: ServiceCode, below: ServiceCode, blocked: ServiceCode) -> Codes {
    Codes {
        outside,
        below,
        blocked,
    }
}

/// The needs of an operation, by kind: normal, temporary, chat room, service conversation.
const fn within(needs: [Need; 4], codes: Codes, bans: Bans) -> Who {
    let [normal, temporary, room, service] = needs;
    Who::Within(Rights {
        normal,
        temporary,
        room,
        service,
        codes,
        bans,
    })
}

/// Makes the enum of all operations, the list of them, and the table.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident => $who:expr;)*) => {
        /// Everything that somebody can ask of the service, and the service's own acts on behalf of a client
        /// that is away.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// All operations, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The callers that may do the operation.
            #[must_use]
            pub const fn who(self) -> Who {
                #[allow(clippy::enum_glob_use, reason = "the table is read by its columns")]
                use {Bans::*, Need::*, Who::*};
                match self {
                    $(Self::$name => $who,)*
                }
            }
        }
    };
}

#[rustfmt::skip]
operations! {
    // Without a session, on a connection.

    /// Keeping the connection alive.
    Heartbeat => Anyone;
    /// A device that names its app, reports its push token or logs out: accepted and forgotten.
    AnnounceDevice => Anyone;
    /// Opening a session: the name is proved by a signature or a token where the app wants that.
    OpenSession => Anyone;

    // With a session, outside of any one conversation.

    /// Ending the own session, and its token.
    CloseSession => SignedIn;
    /// A new token for the own session.
    RefreshSession => SignedIn;
    /// Asking which clients are online.
    QueryOnline => SignedIn;
    /// Being told when clients come and go, or no more; first generation API.
    Watch => SignedIn;
    /// Sending to clients that one watches, without a conversation that somebody made; first generation
    /// API. [`Operation::Send`] is asked too.
    SendToPeers => SignedIn;
    /// Starting a conversation, or finding the unique one of exactly these members and oneself.
    Start => SignedIn;
    /// Finding conversations of the app, without the messages in them.
    QueryConversations => SignedIn;
    /// Asking of which conversations one is a member oneself.
    AskMembership => SignedIn;

    // Within a conversation:    normal       temporary    room         service
    /// Changing the attributes.
    Update         => within([Member,      NORMAL_ONLY, Owner,       NOT_ITS_OPERATOR ], UPDATE, Disregarded);
    /// Joining, entering or subscribing, oneself alone.
    Join           => within([Open,        NORMAL_ONLY, Open,        Open             ], MEMBERSHIP, ToldInReply);
    /// Adding others.
    Invite         => within([Member,      NORMAL_ONLY, NORMAL_ONLY, NORMAL_ONLY      ], MEMBERSHIP, Disregarded);
    /// Leaving, oneself alone.
    Quit           => within([Open,        NORMAL_ONLY, Open,        Open             ], MEMBERSHIP, Disregarded);
    /// Removing others; the ranks of both clients decide in each case.
    Remove         => within([Manager,     NORMAL_ONLY, NORMAL_ONLY, NORMAL_ONLY      ], MEMBERSHIP, Disregarded);
    /// Finding an existing unique conversation instead of starting another.
    FindUnique     => within([Member,      Member,      NORMAL_ONLY, NORMAL_ONLY      ], MEMBERSHIP, Disregarded);
    /// Giving and taking a role.
    UpdateRole     => within([Owner,       NORMAL_ONLY, NORMAL_ONLY, NORMAL_ONLY      ], RANK, Disregarded);
    /// Wanting no push from the conversation, or wanting it again.
    Mute           => within([Member,      NORMAL_ONLY, Open,        Member           ], UPDATE, Disregarded);
    /// Counting the members, those inside, or the subscribers.
    Count          => within([Member,      Member,      Open,        Open             ], MEMBERSHIP, UnlessBlocked);
    /// Listing the members or those inside; subscribers are nobody's to list.
    ListMembers    => within([Member,      Member,      Open,        ROOM_ONLY        ], MEMBERSHIP, UnlessBlocked);
    /// Listing the members who have a role.
    ListRoles      => within([Member,      Member,      Open,        Open             ], MEMBERSHIP, UnlessBlocked);
    /// Asking how far the others have received and read.
    AskMarks       => within([Member,      Member,      NORMAL_ONLY, NORMAL_ONLY      ], MEMBERSHIP, Disregarded);
    /// Silencing clients.
    Silence        => within([Manager,     NORMAL_ONLY, Owner,       NORMAL_ONLY      ], RANK, Disregarded);
    /// Ending the silence of clients.
    Unsilence      => within([Manager,     NORMAL_ONLY, Owner,       NORMAL_ONLY      ], RANK, Disregarded);
    /// Listing the silenced clients, or asking if others are silenced.
    ListSilenced   => within([Member,      NORMAL_ONLY, Member,      NORMAL_ONLY      ], MEMBERSHIP, Disregarded);
    /// Blocking clients.
    Block          => within([Manager,     NORMAL_ONLY, Owner,       NORMAL_ONLY      ], RANK, Disregarded);
    /// Unblocking clients.
    Unblock        => within([Manager,     NORMAL_ONLY, Owner,       NORMAL_ONLY      ], RANK, Disregarded);
    /// Listing the blocked clients, or asking if others are blocked.
    ListBlocked    => within([Member,      NORMAL_ONLY, Member,      NORMAL_ONLY      ], MEMBERSHIP, Disregarded);
    /// Asking whether one is silenced or blocked oneself.
    AskOwnBan      => within([Open,        NORMAL_ONLY, Open,        NORMAL_ONLY      ], MEMBERSHIP, Disregarded);

    // Messages:                 normal       temporary    room         service
    /// Sending a message, or leaving one to be sent when the connection breaks.
    Send           => within([Member,      Member,      Open,        Open             ], TARGET, UnlessSilenced);
    /// Editing or recalling an own message.
    Change         => within([Member,      Member,      Open,        Open             ], TARGET, UnlessSilenced);
    /// Reading messages, the last message of a query's row included.
    ReadHistory    => within([Member,      Member,      Open,        Open             ], LOG, UnlessBlocked);
    /// Saying that messages arrived. Never answered.
    Acknowledge    => within([Member,      Member,      NORMAL_ONLY, Member           ], MEMBERSHIP, Disregarded);
    /// Saying that messages were read. Never answered.
    MarkRead       => within([Member,      Member,      NORMAL_ONLY, Member           ], MEMBERSHIP, Disregarded);

    // On behalf of a client:    normal       temporary    room         service
    /// Sending the message that a client left for the case that its connection breaks.
    DeliverWill    => within([Member,      Member,      Open,        Open             ], TARGET, UnlessSilenced);
    /// Putting a client that signs in again back into its chat room.
    ReturnToRoom   => within([NORMAL_ONLY, NORMAL_ONLY, Open,        NORMAL_ONLY      ], MEMBERSHIP, UnlessBlocked);
    /// Pushing a message that the client has not acknowledged.
    PushAgain      => within([Member,      Member,      NORMAL_ONLY, Member           ], MEMBERSHIP, Disregarded);

    // Over HTTP.

    /// Asking for the service, its routers, or the WebSocket.
    Discover => Anyone;
    /// A signature for a login with an account session.
    SignAccount => AppKey;
    /// Announcing a device for push, and asking for the record of a device by its id.
    AnnounceInstallation => AppKey;
    /// Ending the sessions and tokens of a client.
    KickClient => MasterKey;
    /// Keeping a client out of the app, and letting it in again.
    BarClient => MasterKey;
    /// Taking away everything that a client left: messages, memberships with their receipts, tokens.
    EraseClient => MasterKey;
    /// Revoking the tokens of a client or of the app, up to a time.
    RevokeTokens => MasterKey;
    /// Reading missed notifications.
    ReadNotifications => TokenHolder;
    /// Making, finding, changing and deleting conversations of all kinds, their members, and the members that
    /// want no push.
    ManageConversations => MasterKey;
    /// Sending, editing, recalling and deleting messages in the name of any client, and broadcasts.
    SendAsClient => MasterKey;
    /// Subscribing a client to a service conversation, and ending it. Where a login needs a signature,
    /// this needs the master key.
    SubscribeClient => AppKey;
    /// Asking for the online clients, the subscriptions of clients, and their number.
    AskClients => MasterKey;
    /// Loading history of another service, with its ids and times.
    LoadHistory => MasterKey;
    /// Asking for a client's number of unread messages. Where a login needs a signature, this needs the master
    /// key.
    CountUnread => AppKey;
    /// Reading everything that is kept of the app.
    ReadRecords => MasterKey;
    /// Asking for a link by which a file can be uploaded, saying how the upload ended, and naming a file that is
    /// elsewhere.
    SendFile => AppKey;
    /// Uploading the bytes of a file, by the link that was asked for.
    UploadFile => LinkHolder;
    /// Reading the record of a file whose id one has.
    ReadFile => AppKey;
    /// Reading the bytes of a file, by its URL.
    FetchFile => LinkHolder;
    /// Taking a file away.
    RemoveFile => MasterKey;
    /// Reading the roles of a conversation; [`Operation::ListRoles`] is asked too.
    ReadMemberInfo => TokenHolder;
}

/// The rank of a client in a conversation, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Not in the conversation.
    Outside,
    Member,
    Manager,
    Owner,
}

/// The rank of a client; `own` is its row among the members.
pub(super) fn rank(conversation: &Conversation, own: Option<&Member>, client: &ClientId) -> Rank {
    match own {
        None => Rank::Outside,
        // A client that a service sent something has its messages, and has not subscribed.
        Some(member) if member.guest => Rank::Member,
        Some(_) if conversation.creator == *client => Rank::Owner,
        Some(member) if member.role == Role::Manager => Rank::Manager,
        Some(_) => Rank::Member,
    }
}

/// The standing of a client in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) kind: Kind,
    pub(super) rank: Rank,
    pub(super) blocked: bool,
    pub(super) silenced: bool,
    /// True if the app has roles.
    pub(super) roles: bool,
}

impl Rights {
    /// The rights of an operation that nobody may do.
    pub(super) const NOBODY: Self = Self {
        normal: NORMAL_ONLY,
        temporary: NORMAL_ONLY,
        room: NORMAL_ONLY,
        service: NORMAL_ONLY,
        codes: RANK,
        bans: Bans::Disregarded,
    };

    const fn need(&self, kind: Kind) -> Need {
        match kind {
            Kind::Normal => self.normal,
            Kind::Temporary => self.temporary,
            Kind::Room => self.room,
            Kind::System => self.service,
        }
    }

    /// True if the block list has to be looked at.
    pub(super) fn asks_blocked(&self) -> bool {
        self.bans != Bans::Disregarded
    }

    /// True if the list of silenced clients has to be looked at.
    pub(super) fn asks_silenced(&self) -> bool {
        self.bans == Bans::UnlessSilenced
    }

    /// Lets a client of this standing do the operation, or refuses it.
    pub(super) fn decide(&self, standing: Standing) -> Result<(), Refusal> {
        let need = self.need(standing.kind);
        if let Need::Never(code) = need {
            return Err(code.into());
        }
        let looks = matches!(self.bans, Bans::UnlessBlocked | Bans::UnlessSilenced);
        if looks && standing.blocked {
            return Err(self.codes.blocked.into());
        }
        let least = match need {
            Need::Never(_) | Need::Open => Rank::Outside,
            Need::Manager if standing.roles => Rank::Manager,
            Need::Member | Need::Manager => Rank::Member,
            Need::Owner => Rank::Owner,
        };
        if standing.rank < least {
            let code = match standing.rank {
                Rank::Outside => self.codes.outside,
                _ => self.codes.below,
            };
            return Err(code.into());
        }
        if self.bans == Bans::UnlessSilenced && standing.silenced {
            return Err(ServiceCode::SILIENCED.into());
        }
        Ok(())
    }
}

impl Operation {
    /// The operation that a command asks for; `None` for a command that this service does not serve.
    ///
    /// Where a command names clients, it makes a difference whether they are `own`, the asking
    /// client, and nobody else.
    pub(super) fn of(command: &Command, own: Option<&ClientId>) -> Option<Self> {
        Some(match command {
            Command::Echo => Self::Heartbeat,
            Command::Login(_) | Command::Logout | Command::Report { .. } => Self::AnnounceDevice,
            Command::Session { op, .. } => Self::of_session(*op)?,
            Command::Conv { op, body } => Self::of_conversation(*op, body, own)?,
            Command::Blacklist { op, body } => Self::of_block_list(*op, body, own)?,
            Command::Direct(body) if is_to_peers(body) => Self::SendToPeers,
            Command::Direct(_) => Self::Send,
            // Acknowledgements of live query and push name ids and no conversation.
            Command::Ack(body) if body.cid.is_none() => Self::AnnounceDevice,
            Command::Ack(_) => Self::Acknowledge,
            Command::Read(_) => Self::MarkRead,
            Command::Logs(_) => Self::ReadHistory,
            Command::Patch { op: Op::Modify, .. } => Self::Change,
            Command::Room { op, body } => Self::of_group(*op, body)?,
            Command::Patch { .. }
            | Command::Rcp(_)
            | Command::Unread(_)
            | Command::Error(_)
            | Command::Loggedin(_)
            | Command::Loggedout
            | Command::Goaway
            | Command::Data(_)
            | Command::Presence(_)
            | Command::Pubsub(_) => return None,
        })
    }

    fn of_session(op: Op) -> Option<Self> {
        Some(match op {
            Op::Open => Self::OpenSession,
            Op::Close => Self::CloseSession,
            Op::Refresh => Self::RefreshSession,
            Op::Query => Self::QueryOnline,
            Op::Add | Op::Remove => Self::Watch,
            _ => return None,
        })
    }

    fn of_conversation(op: Op, body: &ConvCommand, own: Option<&ClientId>) -> Option<Self> {
        Some(match op {
            Op::Start => Self::Start,
            Op::Query => Self::QueryConversations,
            Op::IsMember => Self::AskMembership,
            Op::Update => Self::Update,
            Op::Add if names_only(&body.m, own) => Self::Join,
            Op::Add => Self::Invite,
            Op::Remove if names_only(&body.m, own) => Self::Quit,
            Op::Remove => Self::Remove,
            Op::Mute | Op::Unmute => Self::Mute,
            Op::Count => Self::Count,
            Op::Members => Self::ListMembers,
            Op::MaxRead => Self::AskMarks,
            Op::MemberInfoUpdate => Self::UpdateRole,
            Op::AddShutup => Self::Silence,
            Op::RemoveShutup => Self::Unsilence,
            Op::CheckShutup if names_only(&body.m, own) => Self::AskOwnBan,
            Op::QueryShutup | Op::CheckShutup => Self::ListSilenced,
            _ => return None,
        })
    }

    /// Groups of the first generation are conversations: joining one without an id makes it.
    fn of_group(op: Op, body: &RoomCommand) -> Option<Self> {
        Some(match op {
            Op::Join if body.room_id.as_deref().is_none_or(str::is_empty) => Self::Start,
            Op::Join => Self::Join,
            Op::Invite => Self::Invite,
            Op::Kick => Self::Remove,
            Op::Leave => Self::Quit,
            _ => return None,
        })
    }

    fn of_block_list(op: Op, body: &BlacklistCommand, own: Option<&ClientId>) -> Option<Self> {
        Some(match op {
            Op::Block => Self::Block,
            Op::Unblock => Self::Unblock,
            Op::CheckBlock if names_only(&body.to_pids, own) => Self::AskOwnBan,
            Op::Query | Op::CheckBlock => Self::ListBlocked,
            _ => return None,
        })
    }

    /// The code for a conversation that does not exist. A temporary conversation that is over is
    /// not found: SDKs know from that that its time has come.
    pub(super) fn missing(self, is_temporary: bool) -> ServiceCode {
        match self {
            Self::Change => ServiceCode::MESSAGE_NOT_FOUND,
            Self::Send if !is_temporary => ServiceCode::INVALID_MESSAGING_TARGET,
            _ => ServiceCode::CONVERSATION_NOT_FOUND,
        }
    }
}

/// True if a message is for peers, and for no conversation.
fn is_to_peers(body: &DirectCommand) -> bool {
    let is_empty = |id: &Option<String>| id.as_deref().is_none_or(str::is_empty);
    is_empty(&body.cid) && is_empty(&body.room_id) && !body.to_peer_ids.is_empty()
}

/// True if a list names the asking client and nobody else.
fn names_only(listed: &[String], own: Option<&ClientId>) -> bool {
    let own = own.map(ClientId::as_str);
    !listed.is_empty() && listed.iter().all(|client| Some(client.as_str()) == own)
}

impl ServerCall {
    /// The operation that the call is.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::Create(_)
            | Self::Find(_)
            | Self::Change(_)
            | Self::Delete(_)
            | Self::AddMembers
            | Self::RemoveMembers
            | Self::ListMembers(_)
            | Self::CountInside
            | Self::Mute
            | Self::Unmute
            | Self::ListMuted
            | Self::ListSubscribers
            | Self::CountSubscribers => Operation::ManageConversations,
            Self::Send(_)
            | Self::SendToSubscribers
            | Self::Edit(_)
            | Self::Recall(_)
            | Self::DeleteMessage(_)
            | Self::DeleteFor
            | Self::Broadcast
            | Self::ListBroadcasts
            | Self::DeleteBroadcast => Operation::SendAsClient,
            Self::ListFor => Operation::ReadRecords,
            Self::Subscribe | Self::Unsubscribe => Operation::SubscribeClient,
            Self::ListSubscriptions | Self::CheckOnline | Self::Count | Self::ListSessions => {
                Operation::AskClients
            }
            Self::Bar | Self::Unbar => Operation::BarClient,
            Self::Erase => Operation::EraseClient,
            Self::CountUnread => Operation::CountUnread,
            Self::Load => Operation::LoadHistory,
            Self::Older(call) => call.operation(),
        }
    }
}

impl OlderCall {
    /// The operation that a request of the older interface is for.
    const fn operation(self) -> Operation {
        match self {
            Self::Send | Self::SendToSubscribers | Self::Broadcast | Self::Patch => {
                Operation::SendAsClient
            }
            Self::MakeRow | Self::FindRows | Self::ReadRow | Self::ChangeRow | Self::DeleteRow => {
                Operation::ManageConversations
            }
        }
    }
}

//! The state machines: what follows from a frame, a call, a timer. They decide and do nothing.
//!
//! ```text
//!   API calls, signatures ──▶ ┌────────┐ ──▶ writes (overlay), replies, effects, state
//!                             │ client │
//!             deliveries ┌──▶ └────────┘ ──┐ requests
//!                        │    ┌────────┐ ◀─┘
//!                        └─── │  link  │
//!   frames, hints, routes ──▶ └────────┘ ──▶ frames, sockets to open and to close
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `client/` | one client over its own store: session, outbox, receiver, catch-up |
//! | `link/` | the engine's one connection: back-off, heartbeat, correlation, routing to clients |
//! | `request.rs` | the calls of an app, each with its answer; how a new call is added |
//! | `legacy.rs` | the content of an older SDK's cache, part by part |
//! | `step.rs` | what a client is told, and what follows: a [`Step`] |
//! | `upload.rs` | what a step of an upload brings |
//! | `backoff.rs` | pauses between tries: the one rule for all of them |
//! | `random.rs` | the seeded source of jitter and ids |
//!
//! A caller keeps three rules. **Commit first**: what a step writes is committed, as durable as its
//! batch says, before its replies, requests and effects are carried out; if the commit fails, the
//! step and the machine are dropped and the machine is rebuilt from the store when writing works
//! again. **One at a time**: inputs are handed in one by one, with a `Now` that never goes back in
//! `elapsed`. **Nothing in between**: nobody else writes to the client's store.
//!
//! Nothing here asks the time, rolls dice it was not given, opens a socket or spawns a task; the
//! same inputs give the same outputs. States and rules are drawn in `docs/sync.md`.

mod backoff;
mod client;
mod legacy;
pub mod link;
mod online_calls;
mod random;
mod request;
mod step;
mod upload;

pub use backoff::{Backoff, Jitter};
pub use client::{CatchUpProgress, Client, ClientSettings, ElapsedHolds, Signing, TypingClients};
pub use legacy::{LegacyConversation, LegacyDraft, LegacyPart, LegacyTaken, LegacyTally};
pub use online_calls::{
    ClientsFound, FindRooms, ListInside, OpenPeers, Unwatch, Watch, WatchList, Watched, WhoIsOnline,
};
pub use random::Randomness;
pub(crate) use request::Caller;
pub use request::{
    AttributeChanged, Call, ChangeAttribute, ChangeMembers, Connect, ConversationsFetched,
    ConversationsFound, CountConversations, CountMembers, Counted, CreateConversation, Created,
    DiscardEntry, DiscardMessage, DiscardedMessage, Disconnect, Done, EditMessage, Enqueued,
    FetchConversations, FetchHistory, FetchNewer, FetchReceipts, FindConversations, Focus,
    FreshToken, HistoryFetched, Import, ImportLegacy, Imported, KeepFailed, KeepForeign, LocalNote,
    MarkAllRead, MarkRead, MarkReadMessage, MemberBan, MessagesFound, Note, QueryHistory,
    RecallMessage, RefreshBan, RemoveMessage, Reply, Request, RequestError, RequestId, RetryEntry,
    RetryMessage, SendMedia, SendMessage, SetAttributes, SetMuted, SetName, SetTyping, SignIn,
    TakeRoles, Token,
};
pub use step::{ClientInput, Effect, EffectId, MediaEffect, OperationSignature, Step};
pub use upload::{UploadError, Uploaded};

#[cfg(test)]
mod tests;

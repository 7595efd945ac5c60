//! The state machines: they decide the consequences of a frame, a call, a timer, and do no IO.
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
//! | `request.rs` | the calls of an app, each with its answer; the way to add a call |
//! | `legacy.rs` | the content of an older SDK's cache, part by part |
//! | `step.rs` | the inputs of a client's machine, and its answer: a [`Step`] |
//! | `upload.rs` | the result of a step of an upload |
//! | `backoff.rs` | pauses between tries: the one rule for all of them |
//! | `random.rs` | the seeded source of jitter and ids |
//!
//! A caller keeps three rules:
//!
//! - **Commit first.** A step's writes are committed, as durable as the batch says, before its replies,
//!   requests and effects are carried out. If the commit fails, the step and the machine are dropped, and the
//!   machine is rebuilt from the store when writing works again.
//! - **One at a time.** Inputs are passed one by one, with a `Now` whose `elapsed` never goes back.
//! - **One writer.** No other code writes to the client's store.
//!
//! No code here asks the time, rolls dice that it was not given, opens a socket or spawns a task. The same
//! inputs give the same outputs. `docs/sync.md` has the states and the rules.

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
pub use step::{
    ClientInput, Effect, EffectId, MediaEffect, MissedQuestion, OperationSignature, Step,
};
pub use upload::{UploadError, Uploaded};

#[cfg(test)]
mod tests;

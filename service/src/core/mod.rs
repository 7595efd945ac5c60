//! The rules of the service: load what a command needs, decide, apply. No sockets, no clock, no
//! randomness of its own.
//!
//! ```text
//!  Input ──▶ Core::handle ──▶ load   typed questions to the storage (storage/mod.rs)
//!                             decide pure functions: facts in, Decision or Refusal out
//!                             apply  writes join the batch, notices become effects
//!            Core::commit  ──▶ one durable commit for all inputs handled since the last
//!  Effect ◀── only now: replies, notifications, closing
//! ```
//!
//! | room | decision |
//! |---|---|
//! | `exchange/` | [`Input`] and [`Effect`], decisions, refusals, requests over HTTP |
//! | `apps/` | the apps, their settings, keys, signatures and tokens |
//! | `columns/` | the attributes of conversations |
//! | `state/` | connected and signed-in clients, the clock, ids, notifications that are read again, the cost of commands |
//! | `machine.rs`, `job.rs`, `telling.rs` | [`Core`]: the rule of each command, and the receivers of each notice |
//! | `access.rs`, `gate.rs`, `pacing.rs` | rights and rates: one table, and the one way to a conversation |
//! | `hooks/` | the calls of an app's own server |
//! | `conversations/` | conversations, their members, blocked and silenced clients |
//! | `messages/` | sending, changing and reading messages; receipts and missed messages |
//! | `queries/` | queries of conversations |
//! | `sessions/` | signing in and out, tags and conflicts |
//! | `push/` | the registered devices, and the devices that a message is pushed to |
//! | `upkeep/` | the deletion of ended data, and of messages past their retention |
//! | `loading/` | history of another service, joined with the stored data |
//! | `http/` | requests over HTTP |
//!
//! A room imports only from rooms above it in this table (`tests/tidy/rooms.rs` checks this). Two imports point
//! the other way: `machine.rs` keeps the jobs of `job.rs` and the half read pages of `http/reading.rs`, whose states
//! belong to the rooms below.
//!
//! Three rules hold everywhere:
//!
//! - The reply to a command goes out before every notification that the command causes.
//! - A message is either delivered live to a session or counted in the session's welcome, because both happen in
//!   one step.
//! - Every request of the schema is answered, except for the requests that the protocol leaves without an answer:
//!   `ack`, `read`, and the `login` of a device without a number.

pub mod access;
mod apps;
mod columns;
mod conversations;
mod exchange;
mod gate;
mod hooks;
mod http;
mod job;
pub mod loading;
mod machine;
mod messages;
mod pacing;
mod push;
mod queries;
mod sessions;
mod state;
mod telling;
#[cfg(test)]
mod tests;
mod upkeep;

pub use self::apps::{
    app, file_settings, hook_settings, push_settings, rates, settings, signature,
};
pub use self::columns::attributes;
pub use self::exchange::hook_call::{HookAnswer, HookCall, HookName};
pub use self::exchange::input::{ConnectionId, Effect, Gap, Input, SessionId, Ticket};
pub use self::exchange::push::{PushOrder, PushQuestion, PushTarget};
pub use self::exchange::refusal::Refusal;
pub use self::exchange::request::{
    Dialect, InstallationCall, RecordsCall, RestAnswer, RestCall, RestRequest, Vouched,
};
pub use self::exchange::server_call::{OlderCall, ServerCall, ServerRequest};
pub use self::machine::Core;
pub use self::state::entropy::Entropy;

/// The id of a set of members: the unique conversation of exactly these members is found by it.
#[must_use]
pub fn unique_id(
    kind: crate::storage::Kind,
    members: &std::collections::BTreeSet<sampan::model::ClientId>,
) -> String {
    conversations::start::unique_id(kind, members)
}

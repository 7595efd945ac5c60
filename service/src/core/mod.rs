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
//! | file | what it decides |
//! |---|---|
//! | `machine.rs` | [`Core`]: which rule a command belongs to, and who hears of what |
//! | `effect.rs` | [`Input`] and [`Effect`], and what a decision is |
//! | `registry.rs` | who is connected and signed in |
//! | `session.rs`, `token.rs`, `permit.rs` | signing in and out, tags and conflicts, tokens, signatures |
//! | `conversation.rs`, `member.rs`, `ban.rs` | conversations, who belongs to them, who may not |
//! | `search.rs`, `row.rs` | queries of conversations; with `query`, `filter`, `column`, `value` |
//! | `message.rs`, `patch.rs`, `history.rs` | sending, changing, reading messages |
//! | `receipt.rs`, `unread.rs` | what arrived, what was read, what was missed |
//! | `retention.rs` | forgetting messages that are older than their app wants them kept |
//! | `sweep.rs` | forgetting tokens and temporary conversations that ended |
//! | `rest.rs`, `replay.rs` | what is asked over HTTP |
//! | `app`, `settings`, `signature`, `attributes` | apps, what they want, who may, what they store |
//!
//! Three rules hold everywhere. The reply to a command goes out before every notification that the
//! command causes. A message is either delivered live to a session or counted in what the session
//! hears after its login, for both happen in one step. Every request of the schema is answered, or
//! is one that the protocol leaves without an answer: `ack`, `read`, `login`, `goaway`.

pub mod app;
pub mod attributes;
mod ban;
pub mod column;
mod conversation;
mod effect;
mod entropy;
pub mod filter;
mod history;
mod machine;
mod member;
mod message;
mod patch;
mod permit;
pub mod query;
mod receipt;
mod refusal;
mod registry;
mod replay;
mod rest;
mod retention;
mod row;
mod search;
mod session;
pub mod settings;
pub mod signature;
mod stamp;
mod sweep;
#[cfg(test)]
mod tests;
mod token;
mod unread;
mod value;

pub use self::effect::{ConnectionId, Effect, Gap, Input, SessionId, Ticket};
pub use self::entropy::Entropy;
pub use self::machine::Core;
pub use self::refusal::Refusal;
pub use self::rest::{Dialect, RestAnswer, RestCall, RestRequest};

//! What Sampan talks about: plain data and its rules, without IO.
//!
//! Everything here is checked once, where it is made, and trusted from then on: an id that exists
//! has a legal length, a [`Timestamp`] is milliseconds since the Unix epoch, a [`Json`] parses.
//! The model names no other floor; how a value looks on disk or on the wire is theirs to say.

mod id;
mod time;

pub use id::{AppId, ClientId, ConversationId, InvalidId, LocalId, MessageId, MessageRef, Tag};
pub use time::{Now, Timestamp};

//! Conversations, their members, and their lists of blocked and silenced clients.

mod ban;
mod conversation;
pub(in crate::core) mod groups;
mod inquiry;
pub(in crate::core) mod member;
pub(in crate::core) mod notices;
pub(in crate::core) mod role;
pub(in crate::core) mod start;
pub(in crate::core) mod update;

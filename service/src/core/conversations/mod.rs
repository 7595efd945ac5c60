//! Conversations, their members, and their lists of blocked and silenced clients.

pub(in crate::core) mod ban;
pub(in crate::core) mod conversation;
pub(in crate::core) mod member;

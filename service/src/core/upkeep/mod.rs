//! Upkeep: the deletion of tokens, conversations, notifications and messages whose time is over.

pub(in crate::core) mod retention;
pub(in crate::core) mod sweep;

//! Messages: sending, changing, reading, and the marks of receiving and reading of each member.

pub(in crate::core) mod history;
pub(in crate::core) mod patch;
mod peers;
pub(in crate::core) mod receipt;
pub(in crate::core) mod send;
pub(in crate::core) mod unread;

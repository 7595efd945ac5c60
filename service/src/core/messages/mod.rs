//! Messages: sending, changing, reading, and how far each member has received and read them.

pub(in crate::core) mod history;
pub(in crate::core) mod patch;
mod peers;
pub(in crate::core) mod receipt;
pub(in crate::core) mod send;
pub(in crate::core) mod unread;

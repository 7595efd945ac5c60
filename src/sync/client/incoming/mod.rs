//! Notifications of the service: messages, edits, receipts, unread counts, members.
//!
//! | file | decision |
//! |---|---|
//! | `messages.rs` | incoming messages, and their acknowledgement |
//! | `duplicates.rs` | the messages that are already known |
//! | `receipts.rs` | delivery and reading of own messages |
//! | `edits.rs` | incoming edits and recalls, also before their message |
//! | `typing.rs` | the clients that type now |
//! | `unread.rs` | unread counts |
//! | `membership.rs` | notifications about conversations and their members |
//! | `missed.rs` | missed notifications: the authors of changes, and the lists of members |
//! | `asked_members.rs` | the app's questions about members |
//! | `presence.rs` | being out of a conversation, and coming back |

pub(super) mod asked_members;
pub(super) mod duplicates;
pub(super) mod edits;
pub(super) mod membership;
pub(super) mod messages;
pub(super) mod missed;
pub(super) mod presence;
pub(super) mod receipts;
pub(super) mod typing;
pub(super) mod unread;

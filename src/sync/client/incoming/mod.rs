//! Notifications of the service: messages, edits, receipts, unread counts, members.
//!
//! | file | what it decides |
//! |---|---|
//! | `messages.rs` | messages that come in; acknowledging them |
//! | `duplicates.rs` | whether a message is known already |
//! | `receipts.rs` | how far own messages got |
//! | `edits.rs` | edits and recalls that come in, also before their message |
//! | `typing.rs` | who writes just now |
//! | `unread.rs` | unread counts |
//! | `membership.rs` | notifications about conversations and their members |
//! | `asked_members.rs` | what the app asks about members |
//! | `presence.rs` | being out of a conversation, and coming back |

pub(super) mod asked_members;
pub(super) mod duplicates;
pub(super) mod edits;
pub(super) mod membership;
pub(super) mod messages;
pub(super) mod presence;
pub(super) mod receipts;
pub(super) mod typing;
pub(super) mod unread;

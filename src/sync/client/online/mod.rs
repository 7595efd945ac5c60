//! Knowledge that the service alone has and that holds for a session alone: nothing here is queued. Two things are
//! kept, for each new connection: the chat room that was entered, and the list of clients that are watched.
//!
//! | file | what it decides |
//! |---|---|
//! | `inquiry.rs` | what was asked, and the caller that gets the answer |
//! | `inside.rs` | who is inside a chat room |
//! | `find.rs` | conversations by a condition |
//! | `peers.rs` | who is online, asked once |
//! | `watches.rs` | clients that are watched: told when they come and go |
//! | `room.rs` | being inside a chat room: one at a time, and after a broken connection |

pub(super) mod find;
pub(super) mod inquiry;
pub(super) mod inside;
pub(super) mod peers;
pub(super) mod room;
pub(super) mod watches;

//! Facts that the service alone has and that hold for one session. Nothing here is queued. Two things are kept
//! for each new connection: the chat room that the client is in, and the list of watched clients.
//!
//! | file | decision |
//! |---|---|
//! | `inquiry.rs` | a question, and the caller that gets the answer |
//! | `inside.rs` | the clients inside a chat room |
//! | `find.rs` | conversations by a condition |
//! | `peers.rs` | the clients that are online, asked once |
//! | `watches.rs` | watched clients, reported when they go online and offline |
//! | `room.rs` | being inside a chat room: one at a time, and after a broken connection |

pub(super) mod find;
pub(super) mod inquiry;
pub(super) mod inside;
pub(super) mod peers;
pub(super) mod room;
pub(super) mod watches;

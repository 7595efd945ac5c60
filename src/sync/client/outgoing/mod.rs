//! Outgoing work: calls that write, the lanes of the outbox, doubt, read marks, paces.
//!
//! | file | decision |
//! |---|---|
//! | `requests.rs` | API calls that write: enqueue, retry, discard |
//! | `extension.rs` | intents that another process of the app left |
//! | `legacy.rs` | the cache of an older SDK: history, and drafts that wait for the app |
//! | `sender.rs` | the lanes of each conversation: one entry of each in flight, in order |
//! | `lane.rs` | the outcome of an entry that is sent: acknowledged, refused, not answered |
//! | `flight.rs` | the state of an entry that was sent |
//! | `creation.rs` | creations, and the take-over of a local id by the service's |
//! | `patches.rs` | edits and recalls: of unsent messages at once, of others after them in the lane |
//! | `replies.rs` | the answered message of a reply, by the id that others know |
//! | `kept.rs` | messages that the app itself puts into the store and removes |
//! | `members.rs` | changes of members: join, leave, add, remove, block, silence, role |
//! | `members_command.rs` | such a change in the service's form |
//! | `attribute.rs` | changes of an attribute relative to its present value: at once or not at all |
//! | `peers.rs` | messages to peers without a created conversation |
//! | `details.rs` | the state lanes: name, attributes, mute, coalesced |
//! | `in_doubt.rs` | entries that may have arrived: searched for before they are sent again |
//! | `notes.rs` | drafts, pinned and hidden: notes that stay on this device |
//! | `typing.rs` | reports to others that the user types |
//! | `read_marks.rs` | read marks, coalesced |
//! | `verdict.rs` | the consequence of a refusal, by its code |
//! | `unkept.rs` | messages in no timeline: transient ones, which are never queued, and the will |
//! | `uploads.rs` | files that messages wait for: uploaded in steps, then sent |
//! | `pace.rs` | the rate of commands |
//! | `holds.rs` | delayed work, and the end of the delay |

pub(super) mod attribute;
pub(super) mod creation;
pub(super) mod details;
pub(super) mod extension;
pub(super) mod flight;
pub(super) mod holds;
pub(super) mod in_doubt;
pub(super) mod kept;
pub(super) mod lane;
pub(super) mod legacy;
pub(super) mod members;
mod members_command;
pub(super) mod notes;
pub(super) mod pace;
pub(super) mod patches;
pub(super) mod peers;
pub(super) mod read_marks;
pub(super) mod replies;
pub(super) mod requests;
pub(super) mod sender;
pub(super) mod typing;
pub(super) mod unkept;
pub(super) mod uploads;
pub(super) mod verdict;

//! Outgoing work: calls that write, the lanes of the outbox, doubt, read marks, paces.
//!
//! | file | what it decides |
//! |---|---|
//! | `requests.rs` | API calls that write: enqueue, retry, discard |
//! | `extension.rs` | intents that another process of the app left |
//! | `legacy.rs` | what the cache of an older SDK held: history, and drafts that wait for the app |
//! | `sender.rs` | the lanes of each conversation: one entry of each in flight, in order |
//! | `lane.rs` | what becomes of an entry that is sent: acknowledged, refused, not answered |
//! | `flight.rs` | how an entry that was sent stands |
//! | `creation.rs` | creations, and the service's id taking over a local one |
//! | `patches.rs` | edits and recalls: of unsent messages at once, of others behind them in the lane |
//! | `replies.rs` | which message another one answers, by the id that others know |
//! | `kept.rs` | messages that the app itself puts into the store and takes out |
//! | `members.rs` | who joins, leaves, is added, removed, blocked, silenced, given a role |
//! | `members_command.rs` | such a change as the service wants it written |
//! | `attribute.rs` | changes of an attribute by its present value: at once or not at all |
//! | `peers.rs` | messages to peers without a conversation that somebody made |
//! | `details.rs` | the state lanes: name, attributes, mute, coalesced |
//! | `in_doubt.rs` | entries that may have arrived: looked for before they are sent again |
//! | `notes.rs` | drafts, pinned and hidden: what stays on this device |
//! | `typing.rs` | others are told that the user writes |
//! | `read_marks.rs` | read marks, coalesced |
//! | `verdict.rs` | what becomes of a refused entry, by the number of the refusal |
//! | `unkept.rs` | messages that no timeline has: transient ones, which are never queued, and the will |
//! | `uploads.rs` | files that messages wait for: uploaded in steps, then sent |
//! | `pace.rs` | how often commands may be sent |
//! | `holds.rs` | what is kept back, and until when |

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

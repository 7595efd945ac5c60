//! What this client says: calls that write, the lanes of the outbox, doubt, read marks, paces.
//!
//! | file | what it decides |
//! |---|---|
//! | `requests.rs` | API calls that write: enqueue, retry, discard |
//! | `extension.rs` | what another process of the app left to be enqueued |
//! | `legacy.rs` | what the cache of an older SDK held: history, and drafts that wait for the app |
//! | `lane.rs` | the content lane: one entry in flight per conversation, in order |
//! | `flight.rs` | how an entry that was sent stands |
//! | `creation.rs` | creations, and the service's id taking over a local one |
//! | `patches.rs` | edits and recalls: of unsent messages at once, of others behind them in the lane |
//! | `in_doubt.rs` | entries that may have arrived: looked for before they are sent again |
//! | `read_marks.rs` | the state lane: read marks, coalesced |
//! | `pace.rs` | how often commands may be sent |
//! | `holds.rs` | what is kept back, and until when |

pub(super) mod creation;
pub(super) mod extension;
pub(super) mod flight;
pub(super) mod holds;
pub(super) mod in_doubt;
pub(super) mod lane;
pub(super) mod legacy;
pub(super) mod pace;
pub(super) mod patches;
pub(super) mod read_marks;
pub(super) mod requests;

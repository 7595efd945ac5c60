//! The one loop that ties the machines, the network and the stores together.
//!
//! ```text
//!   api ──▶ Mailbox ──▶ Driver (a thread of its own) ──▶ TurnLoop ──▶ stores, sockets
//!    ▲                     │
//!    └──── Publisher ◀─────┘      events, through a bounded queue per subscriber
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `running.rs` | `Runtime`: starts the loop, reads, stops |
//! | `mailbox.rs` | the commands of the API to the loop |
//! | `board.rs` | the state of the engine and of each client that anybody may read |
//! | `callers.rs` | the threads that wake callers and ask signers: app code runs there |
//! | `clients.rs` | the state of each client: being opened, open, being closed |
//! | `client_parts.rs` | a client as the API holds it, and a client without its store |
//! | `driver.rs` | the engine's thread: waits, and hands each input to the turn loop |
//! | `outward.rs` | the receivers of the loop's output |
//! | `turn_loop.rs` | the loop's work: drain, commit, send, tell; the simulator drives it too |
//! | `client_loop.rs` | one client's machine and store in the loop; the consequences of a failed commit |
//! | `client_loop/upkeep.rs` | flushing, and keeping the store small |
//! | `after_commit.rs` | answers, frames and events that are due after a client's commit |
//! | `attach.rs` | a client on its way into the loop and out of it |
//! | `ports.rs` | the world around the turn loop, as a trait |
//! | `engine_ports.rs` | the engine's ports: clock, sockets, signers, writers |
//! | `store_handle.rs` | the handle of a client's store: readers read, the loop opens and closes |
//! | `background.rs` | clients whose stores are closed while the app is in the background |
//! | `plugins.rs` | messages pass through the app's hooks between the socket and the loop |
//! | `sockets.rs` | the link's effects on the network |
//! | `uploads.rs` | steps of uploads, over HTTP; the spool |
//! | `spooling.rs` | a file of the app on its way into the spool |
//! | `downloads.rs` | files of messages come into the cache |
//! | `glance.rs` | the file with names and counts for notifications |
//! | `push.rs` | the registration of the device for pushes |
//! | `inbox.rs` | the work that other processes of the app left |
//! | `publish.rs` | events to subscribers |
//! | `refreshes.rs` | the number of running refreshes |
//! | `roles.rs` | the roles of members, over HTTP |
//! | `accounts.rs` | signing in with the session of an account |
//! | `missed.rs` | asking for the notifications that a client missed |
//! | `unsent.rs` | the unsent work that signing out counts |
//! | `refresh.rs` | [`Refreshed`]: connect, send, catch up, and restore the state from before |
//! | `events.rs` | changes of the store, as events |
//! | `client_state.rs` | the state of a client, in one value |
//! | `online.rs` | going online and offline |
//! | `progress.rs` | the progress of a catch-up, told a few times a second |
//! | `live.rs` | the common part of all live views |
//! | `timeline.rs`, `list.rs` | the drivers of a timeline, and of a list of conversations |
//! | `outbox.rs` | the driver of a list of unsent work |
//! | `members.rs` | the driver of a list of members |
//! | `drafts.rs` | drafts between the typing and the disk |
//! | `feed.rs` | numbered events, kept until they are taken |
//! | `marks.rs` | flags for the watchers of a store |
//! | `client_folders.rs` | the folders of clients |
//! | `blocking.rs` | blocking work on threads for it |
//! | `clock.rs` | the only reader of clocks and entropy |
//!
//! Reads do not pass through the loop: they go from the API to the store, on threads of their own. No code of the
//! app runs on the loop or on a thread for reads, and no continuation of a call does either. Dropping the last
//! handle ends the loop, on any thread. The drop does not wait for the end, and promised work is on disk already.
//! `Runtime::shutdown` waits.

mod accounts;
mod after_commit;
mod attach;
mod background;
mod blocking;
mod board;
mod callers;
mod client_folders;
mod client_loop;
mod client_parts;
mod client_state;
mod clients;
mod clock;
mod downloads;
mod drafts;
mod driver;
mod engine_ports;
mod events;
mod feed;
mod glance;
mod inbox;
#[cfg(feature = "import-legacy")]
mod legacy;
mod list;
mod live;
mod mailbox;
mod marks;
mod members;
mod missed;
mod online;
mod online_wish;
mod outbox;
mod outward;
mod plugins;
mod ports;
mod progress;
mod publish;
mod push;
mod refresh;
mod refreshes;
mod roles;
mod running;
mod sockets;
mod spooling;
mod store_handle;
#[cfg(test)]
mod tests;
mod timeline;
mod turn_loop;
mod unsent;
mod uploads;

#[doc(hidden)]
pub use attach::{ClientSetup, DetachedClient, StoreWriter, Wishes};
pub(crate) use client_parts::{ClientCore, OpenOptions, Signer};
pub(crate) use clock::wall;
pub(crate) use downloads::LiveDownload;
pub use feed::EventBatch;
pub(crate) use feed::{Feed, Wanted};
pub use inbox::InboxReport;
pub(crate) use inbox::{inbox_of, leave, leave_as};
#[cfg(feature = "import-legacy")]
pub(crate) use legacy::{Import, Watched};
#[cfg(feature = "import-legacy")]
pub use legacy::{
    LegacyCounts, LegacyKind, LegacyLeft, LegacyProgress, LegacyReason, LegacyReport, LegacyScope,
    LegacySource,
};
pub(crate) use list::LiveList;
#[doc(hidden)]
pub use marks::Touched;
pub(crate) use members::LiveMembers;
pub(crate) use outbox::LiveOutbox;
pub(crate) use plugins::MessageHooks;
#[doc(hidden)]
pub use ports::{InboxRemainder, Ports};
pub use publish::EventStream;
pub(crate) use publish::{Queue, Scope, notify};
pub use refresh::Refreshed;
pub(crate) use running::Runtime;
pub(crate) use timeline::LiveTimeline;
#[doc(hidden)]
pub use turn_loop::{TurnLoop, TurnProgress};

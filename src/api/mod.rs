//! The roof: the calls of an app, in Rust and, through UniFFI, in Swift, Kotlin and Python.
//!
//! ```text
//!   Engine ── client(id) ──▶ Client ── conversation(id) ──▶ Conversation
//!     │ observe                │ observe                       │ send, page, mark read
//!     └────────▶ EventSubscription ◀┘                               └──▶ store (reads), loop (writes)
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `engine.rs` | [`Engine`]: open, clients, pause, resume, shutdown |
//! | `client.rs` | [`Client`]: connect, conversations, outbox, sign out |
//! | `client_options.rs` | [`ClientOptions`] |
//! | `conversation.rs` | [`Conversation`]: info, send, page, history, mark read |
//! | `changes.rs` | changes of a conversation: name, attributes, mute, members |
//! | `download.rs` | [`Download`]: brings the file of a message to this device |
//! | `push.rs` | [`read_push`], and the facts that an extension may read |
//! | `media.rs` | [`Conversation::send_media`] |
//! | `history.rs` | questions to the service about any part of the history |
//! | `conversation_list.rs` | [`ConversationList`]: a live window over all conversations |
//! | `outbox_list.rs` | [`OutboxList`]: the live list of unsent work |
//! | `event_feed.rs` | [`EventFeed`]: every event, numbered |
//! | `states.rs` | the states of live views as streams |
//! | `timeline.rs` | [`Timeline`]: a live window over a conversation |
//! | `inbox.rs` | [`ExtensionInbox`]: takes the work that an extension of the app leaves |
//! | `legacy.rs` | [`Client::import_legacy`]: the caches of older SDKs; with the feature `import-legacy` |
//! | `member_list.rs` | [`MemberList`]: the live list of a conversation's members |
//! | `peer_session.rs` | [`PeerSession`], [`PeerGroup`]: the words of the first generation |
//! | `rooms.rs` | [`Rooms`], [`Room`]: the words of the second generation |
//! | `notices.rs` | [`NoticeFeed`]: events in the words of both generations |
//! | `plugin.rs` | [`EnginePlugin`]: hooks for new objects and received messages |
//! | `observer.rs` | [`EventObserver`], [`Signer`], [`EventSubscription`] |
//! | `online.rs` | questions that only the service can answer |
//! | `open_report.rs` | [`OpenReport`]: the findings of opening a store |
//! | `queries.rs` | queries of conversations, at the service and on this device |
//! | `pages.rs`, `views.rs` | hidden single reads, for our tests and tools |
//! | `log.rs` | [`LogSink`] |
//!
//! These rules hold for every call:
//!
//! - A read answers from the store and never waits for the network.
//! - A write returns when its intent is durable on this device. The write answers the number of the commit that
//!   holds the intent; the updates of views and events name that number too.
//! - A call that needs the service says so in its documentation, and fails with a typed error without a session.
//! - An asynchronous call may be awaited on any executor. Dropping a call loses its answer only.
//!
//! A panic in an observer, a signer or the embedded database is caught and reported. A host that is built with
//! `panic = "abort"` cannot catch a panic: the process ends, and all promised work is in the outbox at the next
//! start.

mod changes;
mod client;
mod client_options;
mod conversation;
mod conversation_list;
mod download;
mod engine;
mod event_feed;
mod history;
mod inbox;
#[cfg(feature = "import-legacy")]
mod legacy;
mod log;
mod media;
mod member_list;
mod notices;
mod observer;
mod online;
mod open_report;
mod outbox_list;
mod pages;
mod peer_session;
mod plugin;
mod push;
mod queries;
mod rooms;
mod states;
mod timeline;
mod views;

pub use client::{Client, CreatedConversation};
pub use client_options::ClientOptions;
pub use conversation::{Conversation, DiscardedWork, FoundMessage, SentMessage};
pub use conversation_list::ConversationList;
pub use download::Download;
pub use engine::{Engine, library_version};
pub use event_feed::EventFeed;
pub use inbox::ExtensionInbox;
#[cfg(feature = "import-legacy")]
pub use legacy::LegacyWatch;
pub use log::{LogLevel, LogRecord, LogSink, set_log_sink};
pub use member_list::MemberList;
pub use notices::{NoticeFeed, SessionNotice};
pub use observer::{EventObserver, EventSubscription, Signer};
pub use open_report::{Loss, OpenReport};
pub use outbox_list::OutboxList;
#[doc(hidden)]
pub use pages::FetchedHistory;
pub use peer_session::{PeerGroup, PeerSession};
pub use plugin::{EnginePlugin, escape_html};
pub use push::{Glance, read_push};
pub use rooms::{Room, RoomLog, RoomOptions, RoomQuery, Rooms};
pub use timeline::{Timeline, parse_message_link};
#[doc(hidden)]
pub use views::{
    ConversationsCursor, ConversationsPage, GapEdge, PageItem, TimelineGap, TimelinePage,
    TimelinePlace,
};

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
//! | `changes.rs` | what changes a conversation: name, attributes, mute, members |
//! | `download.rs` | [`Download`]: the file of a message comes to this device |
//! | `push.rs` | [`read_push`]; what an extension may know |
//! | `media.rs` | [`Conversation::send_media`] |
//! | `history.rs` | questions to the service about any part of the history |
//! | `conversation_list.rs` | [`ConversationList`]: a live window over all conversations |
//! | `outbox_list.rs` | [`OutboxList`]: all that is unsent, live |
//! | `event_feed.rs` | [`EventFeed`]: every event, numbered |
//! | `states.rs` | the states of live views as streams |
//! | `timeline.rs` | [`Timeline`]: a live window over a conversation |
//! | `inbox.rs` | [`ExtensionInbox`]: an extension of the app leaves work in it |
//! | `legacy.rs` | [`Client::import_legacy`]: the caches of older SDKs; with the feature `import-legacy` |
//! | `member_list.rs` | [`MemberList`]: who is in a conversation, live |
//! | `peer_session.rs` | [`PeerSession`], [`PeerGroup`]: the words of the first generation |
//! | `rooms.rs` | [`Rooms`], [`Room`]: the words of the second generation |
//! | `notices.rs` | [`NoticeFeed`]: what happens, in these words |
//! | `plugin.rs` | [`EnginePlugin`]: hooks for objects that are made and messages that come |
//! | `observer.rs` | [`EventObserver`], [`Signer`], [`EventSubscription`] |
//! | `online.rs` | what only the service can answer |
//! | `open_report.rs` | [`OpenReport`]: what opening a store found |
//! | `queries.rs` | queries of conversations, at the service and on this device |
//! | `pages.rs`, `views.rs` | single reads, hidden: for our tests and tools |
//! | `log.rs` | [`LogSink`] |
//!
//! Rules that hold for every call: reads answer from the store and never wait for the network; writes
//! return when their intent is durable on this device and answer the number of the commit that holds it, which
//! the updates of views and events name too; a call that needs the service says so and
//! fails with a typed error when there is no session. Asynchronous calls may be awaited on any
//! executor, and dropping one loses its answer only.
//!
//! A panic in an observer, a signer or the embedded database is caught and reported. In a host that is
//! built with `panic = "abort"` nothing can be caught: such a panic ends the process, and what was
//! promised is in the outbox at the next start.

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

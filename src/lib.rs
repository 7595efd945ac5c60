//! Sampan is a local-first chat engine.
//!
//! An app writes to a store on the device and gets its answer at once. State machines without any IO decide the
//! consequences. One loop carries their decisions to disk, to the wire and to the app.
//!
//! The floors, from the ground up (an import points down only; `tests/tidy.rs` checks this):
//!
//! | floor | what it holds |
//! |---|---|
//! | [`model`] | plain data: ids, times, conversations, messages, receipts, events |
//! | [`store`] | the data on disk: records, atomic commits, the outbox and its journal, repair |
//! | [`views`] | live views for an app: windows over the store, and their differences |
//! | `media` | the properties of a file: its kind, its MIME type |
//! | [`wire`] | protobuf frames and JSON payloads |
//! | [`sync`] | the state machines of the connection and of each client, without IO |
//! | [`net`] | moves bytes: the WebSocket and the HTTP requests |
//! | `runtime` | the one loop: commit, send, tell; the only clock |
//! | `api` | the calls of an app: [`Engine`], [`Client`], [`Conversation`] |

uniffi::setup_scaffolding!();

mod api;
mod config;
mod error;
mod ffi;
mod media;
pub mod model;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod runtime;
#[doc(hidden)]
pub mod splitmix;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod sync;
mod threads;
pub mod views;
pub mod wire;

#[cfg(feature = "import-legacy")]
pub use api::LegacyWatch;
pub use api::{
    Client, ClientOptions, Conversation, ConversationList, CreatedConversation, DiscardedWork,
    Download, Engine, EnginePlugin, EventFeed, EventObserver, EventSubscription, ExtensionInbox,
    FoundMessage, Glance, LogLevel, LogRecord, LogSink, Loss, MemberList, NoticeFeed, OpenReport,
    OutboxList, PeerGroup, PeerSession, Room, RoomLog, RoomOptions, RoomQuery, Rooms, SentMessage,
    SessionNotice, Signer, Timeline, escape_html, library_version, parse_message_link, read_push,
    set_log_sink,
};
#[doc(hidden)]
pub use api::{
    ConversationsCursor, ConversationsPage, FetchedHistory, GapEdge, PageItem, TimelineGap,
    TimelinePage, TimelinePlace,
};
pub use config::{
    Config, InsecureConnections, Limits, OfflineMode, PayloadEncoding, Secret, ServerAddress,
    TrustedRoots,
};
pub use error::{Obstacle, SampanError, StoreTrouble, Subject};
pub use model::query::{ConversationQuery, QueryCondition, QueryOrder};
pub use model::{
    Account, LocalData, NetworkChange, OperationSignature, OtherDevice, Refusal, SigningRequest,
    UnsentWork,
};
pub use runtime::{EventBatch, EventStream, InboxReport, Refreshed};
#[cfg(feature = "import-legacy")]
pub use runtime::{
    LegacyCounts, LegacyKind, LegacyLeft, LegacyProgress, LegacyReason, LegacyReport, LegacyScope,
    LegacySource,
};
pub use store::StorageUsage;
pub use views::{
    Anchor, Blocker, ClientState, ContentKind, ConversationFilter, ConversationOrder,
    ConversationRow, Delivery, DownloadFailure, DownloadPhase, DownloadState, FillFailure,
    FillState, LastMessage, LinkState, ListEdit, ListOptions, ListUpdate, Loaded, MemberEdit,
    MemberGroup, MemberListOptions, MemberRow, MemberUpdate, Message, OutboxEdit, OutboxRow,
    OutboxSummary, OutboxUpdate, Quote, SyncState, TimelineEdge, TimelineEdit, TimelineItem,
    TimelineItemKind, TimelineOptions, TimelineStart, TimelineUpdate, UnreadSum, UnreadSummary,
    Version,
};

/// The page that a newcomer reads first: its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! The engine against the service, over real sockets on loopback.
//!
//! | module | what it proves |
//! |---|---|
//! | `account_sessions.rs` | signing in with the session of an account |
//! | `attributes.rs` | attributes: any JSON, and changes by their present value |
//! | `calls.rs` | every asynchronous call: where its caller is woken, what a cancelled one leaves |
//! | `chat.rs` | two devices talk, offline and back; unread counts, read marks, receipts |
//! | `conversations.rs` | properties, lists, unread counts |
//! | `media.rs` | files: sent over trouble and restarts, shown on their way |
//! | `media_interop.rs` | pictures between the engine and the official JavaScript SDK |
//! | `file_host.rs` | a file service that fails on demand |
//! | `downloads.rs` | files of messages on their way to this device |
//! | `push.rs` | what an extension shows of a push without a store |
//! | `peers_messages.rs` | messages to peers: files, receipts, pushes |
//! | `media_kill.rs` | a process that is killed while it uploads |
//! | `members.rs` | members as a live view, roles, block and silence lists, notices |
//! | `messages.rs` | every kind of content, mentions, marks; limits of members and ids |
//! | `sessions.rs` | what is told when, and to whom |
//! | `moving.rs` | the same store at another service |
//! | `offline.rs` | what is done without a connection, and what comes of it |
//! | `patches.rs` | edits and recalls by others are shown |
//! | `endings.rs` | what ends, and who hears it; calls that are given up half-way |
//! | `extension.rs` | what an extension of the app leaves for it |
//! | `json.rs` | JSON of apps: carried as it is, or refused |
//! | `lifecycle.rs` | pause and resume, sign-out, accounts, observers, tags |
//! | `pause.rs` | the app in the background: files are shut, calls work all the same |
//! | `refresh.rs` | which messages a refresh in the background names |
//! | `refusals.rs` | bad input: typed errors, and nothing else happens |
//! | `budget.rs` | what the store takes on the disk: told, given back, within a budget |
//! | `store.rs` | the store through the API: second openers, newer schemas, keys |
//! | `damage.rs` | damaged stores: the app starts, is told, loses nothing unsent, and history comes back |
//! | `full.rs` | a disk that is full, and has space again |
//! | `strangers.rs` | services that talk garbage, never answer, or send us away |
//! | `signer.rs` | an app whose own server signs: promptly, slowly, wrongly, or not at all |
//! | `reconnect.rs` | a connection that breaks: what is told, tried, and there afterwards |
//! | `kinds.rs` | how conversations of each kind are made |
//! | `plugins.rs` | hooks of the app for what is made and what comes |
//! | `peers.rs` | the words of the first generation: sessions, peers, groups |
//! | `rooms_v2.rs` | the words of the second generation: rooms |
//! | `rooms.rs` | chat rooms, service and temporary conversations: who is inside, who hears |
//! | `legacy.rs` | the caches of older SDKs, taken over; with the feature `import-legacy` |
//! | `queries.rs` | queries of conversations: at the service, on this device, live |
//! | `queries_random.rs` | random queries find the same at the service and on this device |
//! | `receipts.rs` | pending, sent, delivered; where there are no receipts |
//! | `failures.rs` | messages that failed: kept, sent again, taken out |
//! | `paging.rs` | pages of history, from either end |
//! | `unread.rs` | counts after a sign-in, and what clears them |
//! | `hearing.rs` | what a subscriber hears |
//! | `tls.rs` | which certificates are believed, and what an app is told of others |
//! | `cold.rs` | what a first screen reads |
//! | `content.rs` | which contents are refused at the call, and what stays byte for byte |
//! | `interop.rs` | the engine and the official JavaScript SDK talk, both ways |
//! | `interop_contents.rs` | each kind of content, its options and changes, between the engine and that SDK |
//! | `wills.rs` | what the service says for a client that disappears |
//! | `replies.rs` | what a message answers |
//! | `tui.rs` | the chat in a terminal, without a terminal |
//! | `views_typing.rs` | who writes just now |
//! | `views_streams.rs` | live views as Rust streams |
//! | `views_timeline.rs` | live windows over a conversation |
//! | `views_anchors.rs` | where they begin, and how missing history is filled |
//! | `views_drafts.rs` | drafts, pinned and hidden conversations |
//! | `views_list.rs` | the list of conversations, live |
//! | `views_outbox.rs` | all that is unsent, live; numbered events |
//! | `views_state.rs` | the one small state of a client |
//! | `edits.rs` | edits and recalls by the app itself |
//! | `writes.rs` | every kind of write: offline, over a killed process, once and in order |
//! | `groups.rs` | who comes into a group and goes, and what each of them sees |
//! | `counters.rs` | unread counts and mentions, exact on all devices |
//! | `away.rs` | a device that was away while an official SDK and another device did everything |
//! | `notices.rs` | waiting for the notices of a session |
//! | `writes_forgetful.rs` | every kind of write over lost answers, against a service that forgets tokens |
//! | `kill.rs` | a process that is killed right after a send returned loses nothing |

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't set its scene fails there and then"
)]

#[path = "../../examples/support/mod.rs"]
mod support;
#[path = "../../examples/tui/ui/mod.rs"]
mod tui_screen;

mod account;
mod account_sessions;
mod attributes;
mod away;
mod budget;
mod cable;
mod calls;
mod chat;
mod cold;
mod content;
mod conversations;
mod counters;
mod damage;
mod downloads;
mod edits;
mod endings;
mod extension;
mod failures;
mod feeds;
mod file_host;
mod full;
mod groups;
mod hearing;
mod interop;
mod interop_contents;
mod json;
mod kill;
mod kinds;
#[cfg(feature = "import-legacy")]
mod legacy;
mod lifecycle;
mod media;
mod media_interop;
mod media_kill;
mod members;
mod members_away;
mod messages;
mod moving;
mod notices;
mod offline;
mod older_guides;
mod paging;
mod patches;
mod pause;
mod peers;
mod peers_messages;
mod place;
mod plugins;
mod push;
mod queries;
mod queries_random;
mod receipts;
mod reconnect;
mod refresh;
mod refusals;
mod replies;
mod rest;
mod rooms;
mod rooms_v2;
mod rules;
mod screen;
mod sessions;
mod signer;
mod store;
mod strangers;
mod tls;
mod tui;
mod unread;
mod views_anchors;
mod views_drafts;
mod views_list;
mod views_outbox;
mod views_rules;
mod views_state;
mod views_streams;
mod views_timeline;
mod views_typing;
mod wills;
mod writes;
mod writes_forgetful;

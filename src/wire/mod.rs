//! The wire: protobuf frames and JSON payloads, to and from plain data.
//!
//! ```text
//!   WebSocket message ─ Frame ─▶ Envelope { serial, peer, … , Command } ─ convert ─▶ model
//!         text or bytes             one enum, one body each              content, row
//! ```
//!
//! | part | what it holds |
//! |---|---|
//! | [`subprotocol`] | text or bytes, and the way in which a client learns of missed messages |
//! | [`frame`] | a command as a WebSocket message, and its limits |
//! | [`command`] | [`Command`]: one enum for all kinds of frames |
//! | [`generated`] | the structs of `proto/realtime.proto`, the bodies of commands |
//! | [`code`] | the codes of the service's refusals |
//! | [`payload`], [`content`] | the payload of a message, and the typed-message envelope |
//! | [`payloads`] | the payloads of all messages in a command |
//! | [`convert`] | messages, edits and conversations, to and from the model |
//! | [`roles`] | the roles of members, over HTTP |
//! | [`row`] | a conversation in the answer of a query |
//! | [`notification`] | missed notifications, over HTTP |
//! | [`route`] | answers of the routers |
//! | [`account`] | the signature of a log-in with the session of an account |
//! | [`files`] | files over HTTP: tickets, the forms of the storages |
//! | [`installation`] | the registration of a device for pushes |
//! | [`signature`] | the texts that are signed, and the algorithms |
//! | [`peers`] | the conversation of messages to peers |
//! | [`iso`], [`json`] | dates as text; JSON within a budget |
//! | [`error`] | the reasons why a value could not be read |
//!
//! A caller can rely on these rules:
//!
//! - Reading is total. Any bytes and any text are a value or a [`WireError`]; nothing panics, and
//!   allocated memory is bounded by the limits of [`frame`], [`FIELDS_MAX`] and
//!   [`json::JSON_BYTES_MAX`], which are checked first.
//! - A value that was read can be written, and reads the same again. Absent stays absent, unknown JSON keys and
//!   unknown message types are kept; unknown protobuf fields are not.
//! - `Debug` shows ids, times and numbers, never words of users, tokens or signatures.
//!
//! This floor opens no socket, knows no state and asks no clock. The floors above, and `sampan-service`, which uses
//! this floor as it is, decide whether a command is legal now, whose it is and what follows. The facts about the
//! protocol stand in `docs/wire.md`.
//!
//! ```
//! use sampan::wire::{Command, Direction, Encoding, Envelope, Frame, Serial};
//!
//! let echo = Envelope::new(Command::Echo).with_serial(Serial(7));
//! let frame = Frame::encode(&echo, Encoding::Text, Direction::ToService)?;
//! assert_eq!(frame, Frame::text("CA4oBw=="));
//! assert_eq!(frame.decode(Encoding::Text, Direction::ToService)?, echo);
//! # Ok::<(), sampan::wire::WireError>(())
//! ```

pub mod account;
pub mod code;
pub mod command;
pub mod content;
pub mod convert;
pub mod error;
pub mod files;
pub mod frame;
#[rustfmt::skip] // a test compares the file with what prost writes
pub mod generated;
pub mod installation;
pub mod iso;
pub mod json;
pub mod notification;
pub mod payload;
pub mod payloads;
pub mod peers;
mod redact;
pub mod request;
pub mod roles;
pub mod route;
pub mod row;
mod scan;
mod serial;
pub mod signature;
pub mod subprotocol;
#[cfg(test)]
mod tests;

pub use code::{CloseCode, Retry, ServiceCode};
pub use command::{Command, Envelope};
pub use error::WireError;
pub use frame::{Direction, Frame};
pub use generated::OpType as Op;
pub use payload::Payload;
pub use row::WireConversation;
pub use scan::FIELDS_MAX;
pub use serial::Serial;
pub use subprotocol::{Encoding, OfflineMode, Subprotocol};

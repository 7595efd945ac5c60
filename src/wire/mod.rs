//! What is on the wire: protobuf frames and JSON payloads, to and from plain data.
//!
//! | part | what it holds |
//! |---|---|
//! | [`frame`] | subprotocols; a command as a WebSocket message, and its limits |
//! | [`command`] | [`Command`]: one enum for everything a frame can be about |
//! | [`generated`] | the structs of `proto/realtime.proto`, the bodies of commands |
//! | [`code`] | the numbers by which the service says no |
//! | [`payload`], [`content`] | what a message carries, and the typed-message envelope |
//! | [`convert`] | messages, edits and conversations, to and from the model |
//! | [`row`] | a conversation in the answer of a query |
//! | [`notification`] | notifications that were missed, over HTTP |
//! | [`route`] | answers of the routers |
//! | [`signature`] | the texts that are signed, and how |
//! | [`iso`], [`json`] | dates as text; JSON within a budget |
//! | [`error`] | why something could not be read |

pub mod code;
pub mod command;
pub mod content;
pub mod convert;
pub mod error;
pub mod frame;
#[rustfmt::skip] // a test compares the file with what prost writes
pub mod generated;
pub mod iso;
pub mod json;
pub mod notification;
pub mod payload;
mod redact;
pub mod route;
pub mod row;
mod scan;
pub mod signature;
#[cfg(test)]
mod tests;

pub use code::{CloseCode, Retry, ServiceCode};
pub use command::{Command, Envelope, Serial};
pub use error::WireError;
pub use frame::{Direction, Encoding, Frame, OfflineMode, Subprotocol};
pub use generated::OpType as Op;
pub use payload::Payload;
pub use row::ConversationRow;
pub use scan::FIELDS_MAX;

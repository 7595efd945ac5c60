//! What is on the wire: protobuf frames and JSON payloads, to and from plain data.
//!
//! | part | what it holds |
//! |---|---|
//! | [`generated`] | the structs of `proto/realtime.proto`, one for each message of the schema |

#[rustfmt::skip] // a test compares the file with what prost writes
pub mod generated;
mod redact;

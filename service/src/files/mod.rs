//! Files that messages point to: pictures, sounds, films and documents.
//!
//! ```text
//!  fileTokens ──▶ Ticket      the file to upload, signed: nothing is kept yet
//!  PUT bytes  ──▶ Files::keep streamed into the store, counted, digested, then named by a record
//!  GET        ──▶ Files::read a range of the bytes
//! ```
//!
//! | file | content |
//! |---|---|
//! | `name.rs` | ids, and the names in the store: made of numbers alone, so no name leads elsewhere |
//! | `record.rs` | the known facts of a file |
//! | `ticket.rs` | the permission to upload one file |
//! | `store.rs` | the trait of a place for bytes |
//! | `disk.rs`, `memory.rs` | such places |
//! | `copy.rs` | the files of a folder in a backup |
//! | `usage.rs` | the bytes of an app |
//! | `library.rs` | [`Files`]: the rules above a store |
//!
//! A file exists when its record exists. The record is written once, after the bytes are durable, and names the
//! bytes. Two uploads of one file therefore never mix, and the first that ends is the file.

pub mod copy;
mod disk;
mod library;
mod memory;
mod name;
mod record;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod ticket;
mod usage;

pub use self::disk::DiskFiles;
pub use self::library::{Bounds, FileError, Files};
pub use self::memory::MemoryFiles;
pub use self::name::{AppFolder, BlobName, FileId, Part};
pub use self::record::FileRecord;
pub use self::store::{ByteStream, FileStore, Incoming, Later, StoreError};
pub use self::ticket::{Ticket, TicketError};

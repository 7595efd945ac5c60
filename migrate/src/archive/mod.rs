//! The archive: a folder that holds what a service answered, as it answered.
//!
//! | file | what it holds |
//! |---|---|
//! | `manifest.rs` | the ledger: what was read, what is left to read |
//! | `segment.rs` | files of pages, one compressed frame for each page |
//! | `digest.rs`, `error.rs` | the length and hash of bytes; why an archive cannot be used |
//! | `folder.rs` | opening, recovery after a kill, the one way to add a segment |
//! | `read.rs` | segments, and all messages in the order of time |
//!
//! The format is described in `docs/archive.md`. These rules hold at any time: a file that the manifest names
//! is complete; a page that is in no file that the manifest names is asked for again, or taken over from the
//! unfinished file that a killed run left.

mod digest;
mod error;
mod folder;
mod manifest;
mod read;
mod segment;

pub use self::digest::Digest;
pub use self::error::{ArchiveError, Damage};
pub use self::folder::{Archive, Recovered};
pub use self::manifest::{
    CheckedKind, Content, FORMAT, Manifest, Pass, PassKind, Segment, TableScan, VERSION,
};
pub use self::read::{Group, Reading, Readings, segment_readings, table_rows, table_rows_while};
pub use self::segment::{Header, PAGES_MAX, Page, SegmentWriter, read_segment};

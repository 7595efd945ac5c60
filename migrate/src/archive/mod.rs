//! The archive: a folder that holds the answers of a service, unchanged.
//!
//! | file | what it holds |
//! |---|---|
//! | `manifest.rs` | the ledger: the read history, and the history that is left to read |
//! | `segment.rs` | files of pages, one compressed frame for each page |
//! | `digest.rs`, `error.rs` | the length and hash of bytes; the reasons why an archive cannot be used |
//! | `folder.rs` | opening, recovery after a kill, the one way to add a segment |
//! | `read.rs` | segments, and all messages in the order of time |
//!
//! `docs/archive.md` describes the format. These rules hold at any time: a file that the manifest names is
//! complete; a page in no such file is asked for again, or taken from the unfinished file of a killed run.

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

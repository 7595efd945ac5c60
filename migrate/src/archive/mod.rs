//! The archive: a folder that holds what a service answered, as it answered.
//!
//! | file | what it holds |
//! |---|---|
//! | `manifest.rs` | the ledger: what was read, what is left to read |
//! | `segment.rs` | files of pages, one compressed frame for each page |
//! | `folder.rs` | opening, recovery after a kill, the one way to add a segment |
//! | `read.rs` | segments, and all messages in the order of time |
//!
//! The format is described in `docs/archive.md`. These rules hold at any time: a file that the manifest names
//! is complete; a page that is in no file that the manifest names is asked for again, or taken over from the
//! unfinished file that a killed run left.

mod folder;
mod manifest;
mod read;
mod segment;

use std::path::{Path, PathBuf};

pub use self::folder::{Archive, Recovered};
pub use self::manifest::{
    CheckedKind, Content, FORMAT, Manifest, Pass, PassKind, Segment, TableScan, VERSION,
};
pub use self::read::{Group, Reading, Readings, segment_readings, table_rows, table_rows_while};
pub use self::segment::{Damage, Digest, Header, PAGES_MAX, Page, SegmentWriter, read_segment};

/// The reason why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk has no room left. The pages that were read before are kept.
    #[error(
        "{} cannot be written: the disk is full. Nothing that was saved is lost; make room and run \
         the same command again, it goes on where it was", .path.display()
    )]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// A file or folder cannot be read or written for another reason.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The folder holds other things, and no archive.
    #[error("{} is not empty and holds no archive (no manifest.json)", .0.display())]
    NoArchive(PathBuf),
    /// The manifest cannot be understood.
    #[error(
        "{}: the manifest is damaged ({what}). The pages are not touched: \
         `sampan-migrate verify --repair` makes a new manifest from them", .path.display()
    )]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// The archive is of a later format.
    #[error("the archive has format {found}, this program knows {VERSION}")]
    NewerFormat {
        /// The format of the archive.
        found: u32,
    },
    /// The archive is of another app.
    #[error("the archive is of app {archive}, not of {asked}; each app has an archive of its own")]
    OtherApp {
        /// The app of the archive.
        archive: String,
        /// The app that was asked for.
        asked: String,
    },
    /// Another process writes into the archive.
    #[error("another process is writing into {}", .0.display())]
    InUse(PathBuf),
    /// A segment is not what was written.
    #[error("{}: {damage}. `sampan-migrate verify --repair` sets it aside and asks for its part again", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        damage: Damage,
    },
}

impl ArchiveError {
    /// Wraps an error of the file system.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        use std::io::ErrorKind;
        let path = path.to_owned();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull { path }
            }
            _ => Self::Io { path, source },
        }
    }
}

//! The reasons why an archive cannot be used.

use std::path::{Path, PathBuf};

use super::manifest::VERSION;

/// The damage of a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file is not there.
    #[error("the file is missing")]
    Missing,
    /// The file has another length or hash than the manifest says.
    #[error("the file is not what was written (length or SHA-256 differ)")]
    File,
    /// A frame cannot be decompressed.
    #[error("frame {0} is damaged")]
    Frame(usize),
    /// A line cannot be understood.
    #[error("line {0} cannot be understood")]
    Line(usize),
    /// A page has another hash than it says.
    #[error("the body in line {0} has another SHA-256 than it should")]
    Body(usize),
}

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
    /// There is no such folder, or nothing is in it.
    #[error("there is no archive in {}: the folder is missing or empty", .0.display())]
    Absent(PathBuf),
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
    /// A segment differs from its written form.
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

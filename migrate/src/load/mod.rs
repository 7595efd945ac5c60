//! Loading: archives and exports into the data folder of a `sampan-service`.
//!
//! | file | what it does |
//! |---|---|
//! | `export.rs` | exports of tables: JSON Lines, arrays, `results`, BSON; gz and tar around them |
//! | `rows.rs` | what a row of a table means |
//! | `ledger.rs` | what was loaded before, and as of when |
//! | `target.rs` | the service's storage: messages as they come, conversations from what is known of them |
//! | `report.rs` | what became of every row |
//!
//! Loading is a join: see [`crate::core::join`]. Sources may come in any order, and again.

mod export;
mod ledger;
mod report;
mod rows;
mod target;

use std::path::PathBuf;

use sampan::model::AppId;
use sampan_service::storage::StorageError;

pub use self::export::{ExportError, read_export};
pub use self::report::{Fate, Report};

use self::target::Target;
use crate::archive::{Archive, ArchiveError, Manifest, table_rows};
use crate::core::compare::Change;
use crate::merged::Messages;

/// The sources of a load, and its target.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder of the service. No service may be running on it.
    pub data: PathBuf,
    /// The app, as the service knows it.
    pub app: String,
    /// Folders of archives.
    pub archives: Vec<PathBuf>,
    /// Files of exports.
    pub exports: Vec<PathBuf>,
    /// The file that lists every row that was not stored.
    pub report: Option<PathBuf>,
}

/// The reason why loading ended early. The rows that were loaded stay, and loading again goes on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An export cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The service's data cannot be used.
    #[error("the service's data: {0}")]
    Storage(#[from] StorageError),
    /// The ledger of what was loaded cannot be used.
    #[error("the ledger of what was loaded ({path}): {reason}")]
    Ledger {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An archive is of another app.
    #[error("{path} is an archive of app {found}, not of {wanted}; nothing of it was loaded")]
    OtherApp {
        /// The archive.
        path: PathBuf,
        /// Its app.
        found: String,
        /// The app that is loaded into.
        wanted: String,
    },
    /// The app's id is none.
    #[error("{0:?} is no id of an app")]
    AppId(String),
    /// The report cannot be written.
    #[error("the report cannot be written: {0}")]
    Report(std::io::Error),
}

/// Loads everything that is named, tables before messages.
///
/// # Errors
///
/// [`LoadError`] when a source cannot be read or the data not be written.
pub async fn run(options: &Options) -> Result<Report, LoadError> {
    let app = AppId::new(&options.app).map_err(|_| LoadError::AppId(options.app.clone()))?;
    let mut manifests = Vec::new();
    for path in &options.archives {
        let manifest = Archive::read(path)?;
        if manifest.app != options.app {
            let (found, wanted) = (manifest.app, options.app.clone());
            return Err(LoadError::OtherApp {
                path: path.clone(),
                found,
                wanted,
            });
        }
        manifests.push((path, manifest));
    }
    let report = Report::to(options.report.as_deref()).map_err(LoadError::Report)?;
    let mut target = Target::open(&options.data, app, report)?;
    for path in &options.exports {
        let path = path.clone();
        let read = table(&mut target, move |each| read_export(&path, each)).await?;
        if let Err(error) = read {
            // The rows before the damage count; the others come in another run.
            target.finish().await?;
            return Err(error.into());
        }
    }
    for (path, manifest) in &manifests {
        for class in TABLES {
            let (path, manifest) = (path.to_path_buf(), manifest.clone());
            let read = move |each: &mut dyn FnMut(&str, TableRow)| {
                table_rows(&path, &manifest, class, |row, _| {
                    each(class, Ok(row.to_owned()));
                })
            };
            table(&mut target, read).await??;
        }
    }
    for (path, manifest) in &manifests {
        messages(&mut target, path, manifest).await?;
    }
    target.finish().await
}

/// The tables of an archive that are loaded, conversations first.
const TABLES: [&str; 5] = [
    "_Conversation",
    "_ConversationMemberInfo",
    "subscribers",
    "_SysMessage",
    "_File",
];

/// Rows of a table that are read and not loaded yet.
const ROWS_AHEAD: usize = 1_000;

/// A row of a table, or the reason why it cannot be read, with its text.
type TableRow = Result<String, (String, String)>;

/// Reads rows on a thread of its own, and loads each. The inner result is that of the reading.
async fn table<E: Send + 'static>(
    target: &mut Target,
    read: impl FnOnce(&mut dyn FnMut(&str, TableRow)) -> Result<(), E> + Send + 'static,
) -> Result<Result<(), E>, LoadError> {
    let (sender, mut rows) = tokio::sync::mpsc::channel(ROWS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        read(&mut |class, row| {
            // When loading failed, no row is taken any more, and the reading runs out.
            let _ = sender.blocking_send((class.to_owned(), row));
        })
    });
    while let Some((class, row)) = rows.recv().await {
        target.table_row(&class, row).await?;
    }
    match reading.await {
        Ok(read) => Ok(read),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

async fn messages(
    target: &mut Target,
    path: &std::path::Path,
    manifest: &Manifest,
) -> Result<(), LoadError> {
    let mut messages = Messages::of(path, manifest);
    let latest_pass = manifest
        .passes
        .iter()
        .map(|pass| pass.started_at)
        .max()
        .unwrap_or(0);
    while let Some((group, odd)) = messages.next_group()? {
        for (error, raw) in odd {
            target
                .report
                .note(Fate::Quarantined(error.to_string()), "message", &raw);
        }
        for message in group {
            // A deletion is as of the later reading that did not find the message.
            let is_gone = message.change == Some(Change::Deleted);
            let as_of = if is_gone {
                latest_pass.max(message.latest.as_of)
            } else {
                message.latest.as_of
            };
            target.message(&message.latest.row, as_of, is_gone).await?;
        }
    }
    Ok(())
}

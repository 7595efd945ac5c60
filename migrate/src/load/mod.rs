//! Loading: archives and exports into the data folder of a `sampan-service`, or into one that runs.
//!
//! | file | what it does |
//! |---|---|
//! | `options.rs`, `error.rs` | the sources and the target of a load; the reasons why one ended early |
//! | `export.rs` | exports of tables: JSON Lines, arrays, `results`, BSON; gz and tar around them |
//! | `rows.rs` | the meaning of a row of a table about clients |
//! | `target.rs` | messages in batches as they come, conversations at the end |
//! | `into.rs` | a folder or a running service, which joins loaded rows with stored ones |
//! | `report.rs` | the outcome of every row |
//!
//! Loading is a join: see [`sampan_service::core::loading`]. Sources may come in any order, and repeatedly.

mod error;
mod export;
mod into;
mod options;
mod report;
mod rows;
mod target;

use std::ops::ControlFlow;
use std::path::PathBuf;

use sampan::model::{AppId, Timestamp};

pub use self::error::LoadError;
pub use self::export::{ExportError, read_export};
pub use self::options::{Destination, LoadOptions};
pub use self::report::{Fate, LoadReport};

use self::into::Into;
use self::target::Target;
use crate::archive::{Archive, Manifest, table_rows_while};
use crate::core::compare::Change;
use crate::merged::Messages;

/// Loads everything that is named, tables before messages.
///
/// # Errors
///
/// [`LoadError`] when a source cannot be read or the data not be written.
pub async fn run(options: &LoadOptions) -> Result<LoadReport, LoadError> {
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
    let report = LoadReport::to(options.report.as_deref()).map_err(LoadError::Report)?;
    let mut target = Target::new(Into::open(&options.into, app)?, report);
    let read = sources(&mut target, options, &manifests).await;
    // The rows before damage in a source count; the others come in another run.
    let damage = match read {
        Ok(()) => None,
        Err(error @ (LoadError::Archive(_) | LoadError::Export(_))) => Some(error),
        Err(error) => return Err(error),
    };
    target.flush().await?;
    let foreign = match options.takes_any_export {
        true => None,
        false => target.forget_foreign(),
    };
    let report = target.finish().await?;
    damage.or(foreign).map_or(Ok(report), Err)
}

async fn sources(
    target: &mut Target,
    options: &LoadOptions,
    manifests: &[(&PathBuf, Manifest)],
) -> Result<(), LoadError> {
    for path in &options.exports {
        target.begin_export(path);
        let (path, name) = (path.clone(), path.display().to_string());
        table(target, &name, move |each| read_export(&path, each)).await??;
    }
    target.begin_archives();
    for (path, manifest) in manifests {
        for class in TABLES {
            let name = format!("table {class} of {}", path.display());
            let (path, manifest) = (path.to_path_buf(), manifest.clone());
            let read = move |each: &mut dyn FnMut(&str, TableRow) -> ControlFlow<()>| {
                table_rows_while(&path, &manifest, class, |row, _| {
                    each(class, Ok(row.to_owned()))
                })
            };
            table(target, &name, read).await??;
        }
    }
    for (path, manifest) in manifests {
        messages(target, path, manifest).await?;
    }
    Ok(())
}

/// The tables of an archive that are loaded, conversations first.
const TABLES: [&str; 6] = [
    "_Conversation",
    "AVOSRealtimeGroups",
    "_ConversationMemberInfo",
    "subscribers",
    "_SysMessage",
    "_File",
];

/// Rows of a table that are read and not loaded yet.
const ROWS_AHEAD: usize = 1_000;

/// A row of a table, or the reason why it cannot be read, with its text.
type TableRow = Result<String, (String, String)>;

/// Reads rows on a thread of its own, and loads each. The inner result is that of the reading, which stops when
/// loading fails.
async fn table<E: Send + 'static>(
    target: &mut Target,
    name: &str,
    read: impl FnOnce(&mut dyn FnMut(&str, TableRow) -> ControlFlow<()>) -> Result<(), E>
    + Send
    + 'static,
) -> Result<Result<(), E>, LoadError> {
    let (sender, mut rows) = tokio::sync::mpsc::channel(ROWS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        read(&mut |class, row| {
            let sent = sender.blocking_send((class.to_owned(), row));
            sent.map_or(ControlFlow::Break(()), ControlFlow::Continue)
        })
    });
    let mut number = 0_u64;
    while let Some((class, row)) = rows.recv().await {
        number += 1;
        let loaded = target.table_row(&class, row).await;
        loaded.map_err(|error| stopped(format!("row {number} of {name}"), error))?;
    }
    match reading.await {
        Ok(read) => Ok(read),
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

fn stopped(place: String, error: LoadError) -> LoadError {
    let error = Box::new(error);
    LoadError::Stopped { place, error }
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
            let at = message.latest.row.at;
            let loaded = target.message(message.latest.row, as_of, is_gone).await;
            loaded.map_err(|error| {
                let at = sampan::wire::iso::format(Timestamp::from_millis(at));
                stopped(format!("the messages of {at} of {}", path.display()), error)
            })?;
        }
    }
    Ok(())
}

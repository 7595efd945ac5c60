//! Reads the message caches that older chat SDKs left on phones, and changes none of them.
//!
//! | room | content |
//! |---|---|
//! | [`facts`] | the facts of a cache, as plain values |
//! | `row` | one row of a table, whose cells may be of any type |
//! | `keyed` | archives of NSKeyedArchiver, as JSON |
//! | `swift`, `objc`, `java` | rows of one SDK's tables to facts, without IO |
//! | `repeats`, `runs`, `drafts` | one message of the rows that repeat it; the stretches that a cache claims to be without a hole; drafts that were sent after all |
//! | `sqlite` | a copy of the file with its journals, and the rows in it, damaged or not |
//!
//! [`read`] ties them together. A cache is recognised by its tables, not by its name or version, because the
//! versions in the field are not reliable.

mod drafts;
pub mod facts;
mod java;
mod keyed;
mod objc;
mod owner;
mod repeats;
mod row;
mod runs;
mod sqlite;
mod swift;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use facts::{
    Cache, Conversation, Damage, Draft, Kind, Left, Mentions, Message, Payload, Place, Reason, Run,
};

/// The cache to read, with the client and the app that it is said to be of.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The SQLite file. Its journals are expected beside it.
    pub path: &'a Path,
    /// A folder for the copy that is read; it is made, and the copy in it removed.
    pub scratch: &'a Path,
    /// The client whose cache it is.
    pub client: &'a str,
    /// The app whose cache it is.
    pub app: &'a str,
}

/// The reason why a cache was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyError {
    /// The file is not there or cannot be copied.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is no SQLite database, or so damaged that its tables are not known.
    #[error("the file is no database that can be read: {reason}")]
    NoDatabase {
        /// SQLite's words.
        reason: String,
    },
    /// The name of the file or of its folder is that of another client.
    #[error("the cache is another client's")]
    OtherClient,
    /// The name of the folder is that of another app.
    #[error("the cache is another app's")]
    OtherApp,
    /// The watcher asked to stop.
    #[error("it was stopped")]
    Stopped,
}

/// Called with the number of rows read so far and the number of rows in all; it may ask to stop.
pub type Watch<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// Reads a cache. The call does not open the file itself but a copy with its journals, so rows that the old SDK
/// had written and not yet merged are read too.
///
/// A file without the tables of any SDK is an empty cache. Rows behind a damaged page are read from the other
/// end; [`Cache::damage`] has the damaged places.
///
/// # Errors
///
/// [`LegacyError`]; nothing has been changed then.
pub fn read(source: &Source<'_>, watch: Watch<'_>) -> Result<Cache, LegacyError> {
    let database = sqlite::Database::copy_of(source.path, source.scratch)?;
    let kind = database.kind()?;
    let mut cache = Cache::empty(kind);
    cache.is_of_app = owner::check(source, kind)?;
    let mut progress = sqlite::Progress::new(database.count(kind), watch);
    match kind {
        None => {}
        Some(Kind::Swift) => swift::read(&database, &mut cache, &mut progress)?,
        Some(Kind::ObjectiveC) => objc::read(&database, &mut cache, &mut progress)?,
        Some(Kind::Java) => java::read(&database, &mut cache, &mut progress)?,
    }
    cache.rows = progress.rows();
    let (messages, repeated) = repeats::joined(std::mem::take(&mut cache.messages));
    cache.messages = messages;
    cache.repeated += repeated;
    cache
        .conversations
        .sort_by(|a, b| (&a.id, a.row).cmp(&(&b.id, b.row)));
    cache.runs = runs::of(&cache.messages);
    drafts::leave_sent(&mut cache, source.client);
    Ok(cache)
}

//! Files beside the store: copies of the files to be uploaded, and files that were downloaded.
//!
//! Where the store is encrypted these files are too, under a key that is derived from the store's. Nothing here
//! is part of a commit: an outbox entry names its file, and a file that nobody names is removed.

mod cache;
mod sealed;
mod spool;

pub use cache::{CacheEntry, ClearCopy, FileCache};
pub use sealed::{FileKey, FileReader, FileWriter};
pub use spool::{Adding, Spool};

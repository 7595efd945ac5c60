//! Files beside the store: copies of the files to upload, and downloaded files.
//!
//! In an encrypted store these files are encrypted too, under a key that is derived from the store's. They
//! are not part of a commit: an outbox entry names its file, and a file without an entry is removed.

mod cache;
mod sealed;
mod spool;

pub use cache::{CacheEntry, ClearCopy, FileCache};
pub use sealed::{FileKey, FileReader, FileWriter};
pub use spool::{Adding, Spool};

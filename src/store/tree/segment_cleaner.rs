//! The segment cleaner makes the embedded database reuse the dead parts of its file.
//!
//! The database writes to segments of 512 KiB. When half of a segment is dead, its live pages are to move
//! elsewhere, and then the segment can be written again. The database moves one page only when it writes a
//! whole page, which is every tenth change of a page. The writes of a chat mostly add to pages, so the moving
//! falls behind, and the file grows to several times the live bytes until it is compacted. The cleaner writes
//! one value ten times, in a tree of its own. That is a write of a whole page, and costs little more than the
//! page that moves.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A page moves for so many bytes of keys and values that are written.
const BYTES_A_PAGE: usize = 12 * 1024;

/// The most pages that move before a sync: together with a batch about a segment is written then, so
/// no segment is written again before the sync that makes durable what moved out of it.
const PAGES_MAX: usize = 8;

/// How many changes of a page make the database write it as a whole.
const CHANGES: u8 = 10;

/// Moves as many pages as the writes so far require.
#[derive(Debug, Default)]
pub(crate) struct SegmentCleaner {
    owed: AtomicUsize,
}

impl SegmentCleaner {
    /// Takes note of bytes that are written.
    pub(crate) fn owe(&self, bytes: usize) {
        self.owed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Moves the required pages: `write` writes a value of the cleaner's own tree. The writes belong to the
    /// next sync.
    pub(crate) fn clean<E>(&self, mut write: impl FnMut(u8) -> Result<(), E>) -> Result<(), E> {
        let owed = self.owed.swap(0, Ordering::Relaxed);
        self.owe(owed % BYTES_A_PAGE);
        for _ in 0..(owed / BYTES_A_PAGE).min(PAGES_MAX) {
            (0..CHANGES).try_for_each(&mut write)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cleaner: &SegmentCleaner) -> usize {
        let mut count = 0;
        let counted = cleaner.clean(|_| {
            count += 1;
            Ok::<(), ()>(())
        });
        counted.unwrap();
        count
    }

    #[test]
    fn a_page_moves_for_so_many_bytes_and_only_some_at_once() {
        let cleaner = SegmentCleaner::default();
        cleaner.owe(BYTES_A_PAGE - 1);
        assert_eq!(written(&cleaner), 0);
        cleaner.owe(1);
        assert_eq!(written(&cleaner), usize::from(CHANGES));
        assert_eq!(written(&cleaner), 0);
        cleaner.owe(100 * BYTES_A_PAGE);
        assert_eq!(written(&cleaner), PAGES_MAX * usize::from(CHANGES));
    }
}

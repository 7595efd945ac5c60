//! The messages of an archive, each once: readings joined by the rules of [`crate::core::compare`].

use std::path::Path;

use crate::archive::{ArchiveError, Manifest, PassKind, Readings};
use crate::core::compare::{Complete, Merged, Seen, merge};
use crate::core::row::RowError;
use crate::core::slice::DAY_MS;

/// The time for which services surely keep messages; older ones may be gone without having been deleted. Two
/// days less than half a year, so that nothing expires while a pass is running.
const SURELY_KEPT_MS: i64 = 178 * DAY_MS;

/// Goes through the messages of an archive, from the newest time to the oldest.
pub struct Messages {
    readings: Readings,
    complete: Vec<Complete>,
}

/// The messages of one millisecond, and the rows that are no message, each with its text.
pub type MergedGroup = (Vec<Merged>, Vec<(RowError, String)>);

impl Messages {
    /// The messages of an archive.
    #[must_use]
    pub fn of(root: &Path, manifest: &Manifest) -> Self {
        Self {
            readings: Readings::new(root, manifest, |_| true),
            complete: complete_passes(manifest),
        }
    }

    /// The messages of the next millisecond that has any.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when a segment is damaged or cannot be read.
    pub fn next_group(&mut self) -> Result<Option<MergedGroup>, ArchiveError> {
        let Some(group) = self.readings.next_group()? else {
            return Ok(None);
        };
        let (mut seen, mut odd) = (Vec::new(), Vec::new());
        for reading in group {
            match reading.row {
                Ok(row) => seen.push(Seen {
                    row,
                    pass: reading.pass,
                    as_of: reading.as_of,
                }),
                Err(reason) => odd.push(reason),
            }
        }
        Ok(Some((merge(seen, &self.complete), odd)))
    }
}

/// The finished readings of the whole app, with the time from which on they tell of deletions.
fn complete_passes(manifest: &Manifest) -> Vec<Complete> {
    let whole = manifest
        .passes
        .iter()
        .filter(|pass| pass.kind == PassKind::Again && pass.is_done);
    let complete = whole.filter_map(|pass| {
        let segments = manifest.segments.iter();
        let of_pass = segments.filter(|one| {
            one.slice
                .as_ref()
                .is_some_and(|slice| slice.pass == pass.number)
        });
        let oldest = of_pass.filter_map(|one| one.oldest).min()?;
        Some(Complete {
            pass: pass.number,
            older: pass.older.max(oldest).max(pass.started_at - SURELY_KEPT_MS),
            newer: pass.newer,
            started_at: pass.started_at,
        })
    });
    complete.collect()
}

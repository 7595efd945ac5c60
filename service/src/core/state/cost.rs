//! The cost of a client's commands, counted and not timed, so the same commands cost the same on every machine
//! and in every test. A unit is about a microsecond of a small server.

use crate::storage::Work;

/// The cost of an input before anything is done for it.
const INPUT: u64 = 20;

/// The cost of a row that is looked up.
const ROW: u64 = 2;

/// Bytes that are read for one unit.
const BYTES_READ: u64 = 256;

/// Bytes that are written for one unit: they are encoded, sorted, and go to the disk.
const BYTES_WRITTEN: u64 = 64;

/// Entries in memory that are looked at for one unit.
const ENTRIES: u64 = 4;

/// Steps of a pattern's matcher for one unit.
const STEPS: u64 = 100;

/// Adds up the work.
#[derive(Debug, Default)]
pub(in crate::core) struct Meter {
    units: u64,
    seen: Work,
}

impl Meter {
    /// An input begins or goes on.
    pub(in crate::core) fn input(&mut self) {
        self.units += INPUT;
    }

    /// Takes the storage's work so far.
    pub(in crate::core) fn storage(&mut self, work: Work) {
        let rows = work.rows.saturating_sub(self.seen.rows);
        let read = work.bytes.saturating_sub(self.seen.bytes);
        let written = work.written_bytes.saturating_sub(self.seen.written_bytes);
        self.seen = work;
        let units = rows.saturating_mul(ROW) + read / BYTES_READ + written / BYTES_WRITTEN;
        self.units += units;
    }

    /// Adds a look at this many entries in memory.
    pub(in crate::core) fn looked(&mut self, entries: usize) {
        let units = u64::try_from(entries).unwrap_or(u64::MAX) / ENTRIES;
        self.units += units;
    }

    /// A pattern was matched in so many steps.
    pub(in crate::core) fn steps(&mut self, steps: u64) {
        self.units += steps / STEPS;
    }

    /// The sum since it was taken last.
    pub(in crate::core) fn sum(&self) -> u64 {
        self.units
    }

    /// Takes the sum, and begins anew.
    pub(in crate::core) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.units)
    }
}

//! The spool of a device: the names of the copies of files that messages wait for.
//!
//! A copy is durable when it exists. Its removal is not durable: after a power cut the copy may be back.

use std::collections::BTreeSet;

use crate::dice::Dice;

/// The copies of files on a device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spool {
    copies: BTreeSet<String>,
    /// Copies whose message was not answered yet: a sweep leaves them.
    adding: BTreeSet<String>,
    /// Copies that were removed since the last power cut.
    removed: BTreeSet<String>,
}

impl Spool {
    /// Adds a copy, whose message is on its way to the engine.
    pub(crate) fn begin(&mut self, copy: &str) {
        self.copies.insert(copy.to_owned());
        self.adding.insert(copy.to_owned());
    }

    /// The call about a copy was answered.
    pub(crate) fn answered(&mut self, copy: &str) {
        self.adding.remove(copy);
    }

    pub(crate) fn remove(&mut self, copy: &str) {
        if self.copies.remove(copy) {
            self.removed.insert(copy.to_owned());
        }
    }

    /// Removes every copy but these, and those whose message is on its way.
    pub(crate) fn sweep(&mut self, keep: &BTreeSet<String>) {
        let stays = |copy: &&String| !keep.contains(*copy) && !self.adding.contains(*copy);
        let gone: Vec<_> = self.copies.iter().filter(stays).cloned().collect();
        gone.iter().for_each(|copy| self.remove(copy));
    }

    /// The power is cut: some of the removed copies are back.
    pub(crate) fn crash(&mut self) {
        self.adding.clear();
        for copy in std::mem::take(&mut self.removed) {
            // Chance by the name alone: a run without this file is the same otherwise.
            if Dice::stream(0, &copy).chance(500) {
                self.copies.insert(copy);
            }
        }
    }

    /// The copies as a backup brings them back.
    pub(crate) fn of_backup(&self) -> Self {
        Self {
            copies: self.copies.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn holds(&self, copy: &str) -> bool {
        self.copies.contains(copy)
    }

    pub(crate) const fn copies(&self) -> &BTreeSet<String> {
        &self.copies
    }
}

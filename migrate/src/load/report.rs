//! The outcome of every row: counts of all, and a line for each row that was not stored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde_json::json;

/// The fate of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The row is new in the service.
    Stored,
    /// The row changed the service's data.
    Merged,
    /// The service has the row, or a later state of it.
    Known,
    /// The row was not stored, for this reason.
    Quarantined(String),
}

/// Counts, and the file of rows that were not stored.
#[derive(Debug, Default)]
pub struct LoadReport {
    /// The number of rows of each kind with each fate.
    pub counts: BTreeMap<(String, Fate), u64>,
    list: Option<BufWriter<File>>,
    failed: Option<std::io::Error>,
}

impl LoadReport {
    /// A report whose list is written to a file.
    pub(super) fn to(path: Option<&Path>) -> std::io::Result<Self> {
        let list = path.map(File::create).transpose()?.map(BufWriter::new);
        Ok(Self {
            list,
            ..Self::default()
        })
    }

    /// Notes the fate of a row.
    pub(super) fn note(&mut self, fate: Fate, kind: &str, row: &str) {
        if let (Fate::Quarantined(reason), Some(list)) = (&fate, &mut self.list) {
            // The row as it came, so that nothing is lost with it.
            let line = json!({ "kind": kind, "reason": reason, "row": row });
            if let Err(error) = writeln!(list, "{line}") {
                self.failed.get_or_insert(error);
            }
        }
        *self.counts.entry((kind.to_owned(), fate)).or_default() += 1;
    }

    /// Makes the list complete.
    pub(super) fn close(&mut self) -> std::io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        match &mut self.list {
            Some(list) => list.flush(),
            None => Ok(()),
        }
    }

    /// The number of rows of a kind with a fate; quarantined rows count for any reason.
    #[must_use]
    pub fn count(&self, kind: &str, fate: &Fate) -> u64 {
        let is_same = |other: &Fate| match (fate, other) {
            (Fate::Quarantined(_), Fate::Quarantined(_)) => true,
            _ => fate == other,
        };
        let counts = self
            .counts
            .iter()
            .filter(|((one, other), _)| one == kind && is_same(other));
        counts.map(|(_, count)| count).sum()
    }
}

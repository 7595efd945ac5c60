//! The ledger of an archive: `manifest.json`, always replaced as a whole.

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use crate::core::slice::Slice;

/// The word that a manifest begins with.
pub const FORMAT: &str = "sampan-archive";

/// The version of the format that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// The ledger: the pages that an archive holds, and the work that is left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The app that the archive is of.
    pub app: String,
    /// The address that was asked last, without anything secret.
    pub server: String,
    /// The time at which the archive was begun, in milliseconds since 1970.
    pub created_at: i64,
    /// True if addresses of senders are kept.
    pub keeps_addresses: bool,
    /// The readings of the history, in the order they were begun.
    pub passes: Vec<Pass>,
    /// The slices of the passes that are left to read.
    pub pending: Vec<Slice>,
    /// The files of pages.
    pub segments: Vec<Segment>,
    /// The tables that were read to their end.
    pub tables: Vec<TableScan>,
    /// The findings of the comparisons with single conversations, the newest last.
    #[serde(default)]
    pub checks: Vec<CheckedKind>,
}

/// The reason for reading a stretch of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassKind {
    /// The history that no earlier pass has read.
    History,
    /// All of the history once more: only a second reading finds edits, recalls and deletions.
    Again,
    /// Some conversations by themselves, to compare.
    Check,
    /// Conversations of kinds that the whole app's history turned out to leave out.
    Rest,
    /// The history that came while the program followed.
    Tail,
}

/// One reading of a stretch of history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Its number, from 1.
    pub number: u32,
    /// The reason for the pass.
    pub kind: PassKind,
    /// The first millisecond that is read.
    pub older: i64,
    /// The first millisecond that is not read.
    pub newer: i64,
    /// The time at which it was begun, by the service's clock.
    pub started_at: i64,
    /// True if the whole stretch is read.
    pub is_done: bool,
}

/// The kind of pages in a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Content {
    /// Pages of the history of messages.
    Messages,
    /// Pages of a table.
    Table {
        /// The name of its class.
        class: String,
        /// The time at which that reading of the table was begun; a table that is read again has another one.
        scan: i64,
    },
}

/// A file of pages that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The number that its name is made of.
    pub number: u32,
    /// The kind of its pages.
    pub content: Content,
    /// The slice that the segment began with; none for a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
    /// Its pages.
    pub pages: u32,
    /// The rows on them.
    pub rows: u64,
    /// The newest time of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// The oldest time of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<i64>,
    /// True if its rows go from the newest to the oldest without exception.
    pub is_sorted: bool,
    /// The whole file.
    pub file: Digest,
}

impl Segment {
    /// The path of a segment inside the archive.
    #[must_use]
    pub fn path_of(number: u32) -> String {
        format!("pages/{number:06}.jsonl.zst")
    }
}

/// A table that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableScan {
    /// The name of its class.
    pub class: String,
    /// The time at which the reading was begun.
    pub scan: i64,
    /// The rows that were found.
    pub rows: u64,
}

/// The findings of the comparison of one kind of conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedKind {
    /// The pass that read the conversations by themselves.
    pub pass: u32,
    /// The kind: `normal`, `room` or `service`.
    pub kind: String,
    /// Conversations that were compared.
    pub conversations: u64,
    /// Messages in them.
    pub messages: u64,
    /// Messages of these conversations that the whole app's history had not.
    pub missing: u64,
}

impl Manifest {
    /// The manifest of an archive that holds nothing yet.
    #[must_use]
    pub fn new(app: &str, server: &str, created_at: i64, keeps_addresses: bool) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            app: app.to_owned(),
            server: server.to_owned(),
            created_at,
            keeps_addresses,
            passes: Vec::new(),
            pending: Vec::new(),
            segments: Vec::new(),
            tables: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Begins a pass with its slices, and returns its number.
    pub fn begin(&mut self, kind: PassKind, older: i64, newer: i64, started_at: i64) -> u32 {
        let number = self.passes.last().map_or(0, |pass| pass.number) + 1;
        self.passes.push(Pass {
            number,
            kind,
            older,
            newer,
            started_at,
            is_done: false,
        });
        number
    }

    /// The time until which the history was read, or is being read: the end of the newest pass that goes
    /// forward.
    #[must_use]
    pub fn covered_until(&self) -> Option<i64> {
        let forward = |pass: &&Pass| {
            matches!(
                pass.kind,
                PassKind::History | PassKind::Again | PassKind::Tail
            )
        };
        self.passes
            .iter()
            .filter(forward)
            .map(|pass| pass.newer)
            .max()
    }

    /// Replaces a slice by its rest. The oldest slices stand first.
    pub fn settle(&mut self, taken: &Slice, left: impl IntoIterator<Item = Slice>) {
        self.pending.retain(|slice| !slice.begins_like(taken));
        self.pending.extend(left);
        self.pending
            .sort_by_key(|slice| (slice.pass, slice.older, slice.newer));
        for pass in &mut self.passes {
            // A tail has no slices: it is done when its end is known.
            if pass.kind != PassKind::Tail {
                pass.is_done = self.pending.iter().all(|slice| slice.pass != pass.number);
            }
        }
    }

    /// The pending slice that a segment began with. Its older end may have moved since.
    #[must_use]
    pub fn pending_like(&self, slice: &Slice) -> Option<&Slice> {
        self.pending
            .iter()
            .find(|pending| pending.begins_like(slice))
    }
}

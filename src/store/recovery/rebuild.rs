//! Rebuilding: a new tree in place of a damaged one, filled with the whole records in the old tree's files.
//!
//! ```text
//!   note the name ─▶ rename the tree ─▶ scan it into a new one ─▶ flush ─▶ remove the note
//! ```
//!
//! The note ([`UNFINISHED_FILE`]) names every tree that was set aside and not yet salvaged. After a kill the
//! note is still there: the next opening begins again with all of these trees, and with the unfinished new
//! tree.

use std::collections::BTreeMap;

use crate::model::{ConversationId, Timestamp};
use crate::store::disk::Disk;
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::record::SCHEMA;
use crate::store::journal::reader::JournalContent;
use crate::store::recovery::aside::aside_name;
use crate::store::recovery::load::{Rows, entry_record, load, put_counters};
use crate::store::recovery::report::{OpenReport, SetAside};
use crate::store::recovery::salvage::{Rebuilt, Salvage};
use crate::store::recovery::scan::{Scanned, scan_bytes, scan_folder};
use crate::store::recovery::segment_check::LogEnd;
use crate::store::state::Tables;
use crate::store::tree::KvBatch;
use crate::store::tree::location::{Location, TreeLocation, TreeName};
use crate::store::tree::sled::open_trial;

/// The note's name in the folder. It holds names, each on a line of its own.
pub(crate) const UNFINISHED_FILE: &str = "unfinished";

/// The trees that were set aside and are not saved from yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfinished(pub(crate) Vec<String>);

impl Unfinished {
    /// Reads the note. A folder without a note has nothing unfinished; most folders have none.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, StoreError> {
        let note = disk.read(UNFINISHED_FILE);
        let note = note.map_err(|e| StoreError::io("reading what is unfinished", &e))?;
        let note = String::from_utf8(note.unwrap_or_default()).unwrap_or_default();
        // Names of this folder alone: the note may be damaged like anything else.
        let names = note.lines().filter(|name| name.contains(".bad-"));
        let names = names.filter(|name| !name.contains(['/', '\\']));
        Ok(Self(names.map(str::to_owned).collect()))
    }

    fn write(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        let note: String = self.0.iter().map(|name| format!("{name}\n")).collect();
        disk.replace(UNFINISHED_FILE, note.as_bytes())
            .map_err(|e| StoreError::io("setting damaged files aside", &e))
    }

    /// Removes the note: the named trees are salvaged, durably.
    pub(crate) fn finish(disk: &dyn Disk) -> Result<(), StoreError> {
        disk.remove(UNFINISHED_FILE)
            .map_err(|e| StoreError::io("finishing a new tree", &e))
    }
}

impl Location {
    /// Sets the tree aside and fills a new one with the findings of a raw scan in the old tree, and in trees
    /// that an earlier attempt left unfinished. The caller removes the note.
    pub(crate) fn rebuild(
        &self,
        codec: &Codec,
        (tail, journal, unfinished): (&LogEnd, &JournalContent, Unfinished),
        now: Timestamp,
        report: &mut OpenReport,
    ) -> Result<(Tables, Rows), StoreError> {
        // Nothing is set aside where no new tree could be opened in its place.
        if let TreeLocation::Folder { options, .. } = &self.tree {
            open_trial(options)?;
        }
        let sources = self.set_tree_aside(tail, unfinished, now)?;
        let kv = self.open_kv(TreeName::Tree)?;
        let mut salvage = Salvage::new(kv, codec, SCHEMA, names(journal, codec));
        let mut scans = Vec::new();
        for source in sources {
            let scanned = self.scan(&source, codec, &mut salvage)?;
            scans.push((source, scanned));
        }
        let tree = salvage.tree();
        let Rebuilt {
            meta,
            totals,
            saved,
            outbox,
        } = salvage.finish()?;
        // The report names everything saved out of all sources with the last source, which mostly is the only one.
        let mut saved = Some(saved);
        while let Some((name, scanned)) = scans.pop() {
            let saved = saved.take().unwrap_or_default();
            report.set_aside.push(SetAside::new(name, saved, scanned));
        }
        let mut batch = KvBatch::default();
        put_counters(&mut batch, codec, &meta, totals)?;
        tree.apply(&batch)?;
        tree.flush()?;
        Ok((load(tree, codec)?, outbox))
    }

    /// Renames the tree; gives the names of all that is to be saved from.
    fn set_tree_aside(
        &self,
        tail: &LogEnd,
        mut unfinished: Unfinished,
        now: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let disk = self.disk.as_ref();
        let failed = |error| StoreError::io("setting damaged files aside", &error);
        let name = self.tree_name(TreeName::Tree);
        let taken = disk.list().map_err(failed)?;
        unfinished.0.retain(|name| taken.contains(name));
        if taken.contains(&name) {
            let aside = aside_name(&taken, &name, now);
            unfinished.0.push(aside.clone());
            unfinished.write(disk)?;
            disk.rename(&name, &aside).map_err(failed)?;
            disk.sync_folder().map_err(failed)?;
            if let TreeLocation::Folder { folder, .. } = &self.tree {
                tail.keep(&folder.join(&aside)).map_err(failed)?;
            }
        }
        Ok(unfinished.0)
    }

    fn scan(
        &self,
        source: &str,
        codec: &Codec,
        salvage: &mut Salvage<'_>,
    ) -> Result<Scanned, StoreError> {
        match &self.tree {
            TreeLocation::Folder { folder, .. } => {
                scan_folder(&folder.join(source), codec, &mut |opened, frame| {
                    salvage.add(opened, frame)
                })
            }
            TreeLocation::Memory => {
                let log = self.disk.read(source);
                let log = log.map_err(|e| StoreError::io("reading the log", &e))?;
                let log = log.unwrap_or_default();
                scan_bytes(&log, codec, &mut |opened, frame| salvage.add(opened, frame))
            }
        }
    }
}

/// The ids of conversations that the journal's entries name: their messages find home even if the
/// tree has forgotten which conversation a number stands for.
fn names(journal: &JournalContent, codec: &Codec) -> BTreeMap<u32, ConversationId> {
    let mut names = BTreeMap::new();
    for record in &journal.records {
        for (key, value) in &record.batch.changes {
            let entry = value
                .as_ref()
                .and_then(|value| entry_record(key, value, codec));
            if let Some((_, entry)) = entry
                && let Ok(id) = ConversationId::new(&entry.conversation_id)
            {
                names.insert(entry.conversation, id);
            }
        }
    }
    names
}

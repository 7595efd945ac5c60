//! Reopening: the tree is closed and opened again after many writes, so the next opening is cheap.
//!
//! The embedded database writes its snapshot, an index of its file, only when it is opened. An opening reads
//! everything that was written after the last snapshot. After a large sync the tree is therefore closed and
//! opened once, in idle time; readers wait as long as an opening takes. A store that is closed before that
//! reopens its tree as it closes.

use crate::model::StoreHealth;
use crate::store::error::StoreError;
use crate::store::maintain::Maintenance;
use crate::store::tree::location::TreeName;
use crate::store::tree::memory::memory_tree;
use crate::store::write::commit::WrittenSinceOpen;

impl Maintenance<'_> {
    /// Opens the tree anew before it is closed, if much came and nothing is amiss. The next opening
    /// mends a failure.
    pub(crate) fn reopen_at_last(&mut self) -> Result<(), StoreError> {
        let is_good = self.committer.shared.health() == StoreHealth::Good;
        if self.committer.since_open.is_much() && is_good && !self.state.is_compacting() {
            return self.reopen_tree();
        }
        Ok(())
    }

    /// Opens the tree anew. No compaction may be under way.
    pub(crate) fn reopen_tree(&mut self) -> Result<(), StoreError> {
        self.committer.sync()?;
        self.committer.since_open = WrittenSinceOpen::default();
        let mut tables = self.committer.shared.write();
        // The last handle of the tree: it is closed before it is opened again.
        tables.kv = memory_tree();
        let opened = self.location.open_kv(TreeName::Tree);
        let failed = match opened {
            Ok(tree) => {
                tables.kv = tree;
                return Ok(());
            }
            Err(error) => error,
        };
        // Nothing is open any more. Readers see the part that can be read without opening until a probe has
        // mended the store.
        self.location
            .show_readable(&mut tables, &self.committer.shared.codec);
        drop(tables);
        self.committer.shared.set_health(failed.health());
        Err(failed)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::write::commit::MUCH;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use crate::model::StoreHealth;
    use crate::store::disk::memory::{Fault, MemoryDisk};
    use crate::store::maintain::Tended;
    use crate::store::open::Opened;
    use crate::store::read::store::Store;
    use crate::store::recovery::options::StoreOptions;
    use crate::store::tests::{at, client, message, row};
    use crate::store::types::batch::CommitClass;
    use crate::store::write::overlay::Overlay;

    fn snapshots(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder.join("db")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("snap.")).collect()
    }

    #[test]
    fn a_store_that_is_closed_right_after_much_came_has_a_new_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(folder.path(), client("me"), at(1));
        let mut opened = Store::open(&options).unwrap();
        let mut overlay = Overlay::new(&opened.store);
        overlay.create_conversation(row("c")).unwrap();
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
        let before = snapshots(folder.path());
        opened.writer.since_open().add(MUCH);
        drop(opened);
        let after = snapshots(folder.path());
        assert!(!after.is_empty() && after != before, "{before:?} {after:?}");
        let opened = Store::open(&options).unwrap();
        assert!(!opened.report.found_damage());
        assert_eq!(
            opened
                .store
                .snapshot()
                .conversations(None, 9)
                .unwrap()
                .conversations
                .len(),
            1
        );
        assert_eq!(snapshots(folder.path()), after, "nothing was left to read");
    }

    #[test]
    fn a_close_tells_that_the_disk_failed() {
        let mut behind = 0;
        for nth in 1..=20 {
            let disk = MemoryDisk::new(3);
            let mut opened = Store::in_memory(&disk, client("me")).unwrap();
            let operation = disk.operations() + nth;
            disk.set_fault(Some(Fault::From { operation }));
            let mut overlay = Overlay::new(&opened.store);
            overlay.create_conversation(row("c")).unwrap();
            let batch = overlay.into_batch();
            let committed = opened.writer.commit(batch, CommitClass::Cache);
            if committed.is_ok() && opened.store.health() != StoreHealth::Good {
                behind += 1;
                let closed = opened.writer.close();
                assert!(closed.is_err(), "operation {nth}");
            }
        }
        assert!(behind > 0, "no operation failed behind the commit");
    }

    #[test]
    fn a_tree_into_which_much_came_has_a_new_snapshot_once_it_was_tended() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(folder.path(), client("me"), at(1));
        let Opened {
            store, mut writer, ..
        } = Store::open(&options).unwrap();
        let mut overlay = Overlay::new(&store);
        let number = overlay.create_conversation(row("c")).unwrap();
        writer
            .commit(overlay.into_batch(), CommitClass::Intent)
            .unwrap();
        let before = snapshots(folder.path());
        for from in (0..1_900).step_by(100) {
            let mut overlay = Overlay::new(&store);
            for n in from..from + 100 {
                overlay
                    .put_message(number, &message("other", n, "hello"))
                    .unwrap();
            }
            let batch = overlay.into_batch();
            writer.commit(batch, CommitClass::Cache).unwrap();
        }
        assert!(writer.since_open().0 > 0 && !writer.wants_tending());
        writer.since_open().add(MUCH);
        assert!(writer.wants_tending());
        while writer.tend(&[]).unwrap() == Tended::More {}
        assert!(!writer.wants_tending());
        let after = snapshots(folder.path());
        assert!(!after.is_empty() && after != before, "{before:?} {after:?}");
        // It goes on.
        let mut overlay = Overlay::new(&store);
        overlay
            .put_message(number, &message("other", 1_900, "hello"))
            .unwrap();
        let batch = overlay.into_batch();
        writer.commit(batch, CommitClass::Cache).unwrap();
        drop((store, writer));
        let opened = Store::open(&options).unwrap();
        assert!(!opened.report.found_damage());
        let row = opened.store.snapshot().conversation(number).unwrap();
        assert_eq!(row.unwrap().held_count(), 1_901);
    }
}

//! Files that can't be read now: nothing is taken for damaged, nothing is shown as gone.

use std::fs;

use super::damage::{UNSENT, build, options, read_all};
use super::*;
use crate::store::disk::memory::Fault;
use crate::store::error::StoreError;
use crate::store::recovery::options::StoreOptions;
use crate::store::recovery::report::OpenReport;
use crate::store::tree::sled::TRIAL_SUFFIX;
use crate::store::tree::sled::surroundings::{self, Failing};

#[test]
fn files_that_cannot_be_read_now_are_neither_damaged_nor_replaced() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), Some(1));
    let before = read_all(folder.path(), Some(1)).unsent;
    let disk = Unreadable(crate::store::disk::RealDisk::new(folder.path()));
    let mut report = OpenReport::default();
    let options = options(folder.path(), Some(1));
    let identified = crate::store::recovery::identify::identify(&disk, &options, &mut report);
    assert!(matches!(identified, Err(StoreError::Io { .. })));
    assert_eq!(report, OpenReport::default());
    assert_eq!(
        (before, read_all(folder.path(), Some(1)).unsent),
        (UNSENT, UNSENT)
    );
}

/// The journal and the tree of a store whose files can't be read are not shown as empty.
#[test]
fn what_cannot_be_read_now_is_not_shown_as_if_it_were_gone() {
    let disk = MemoryDisk::new(1);
    let mut opened = Store::in_memory(&disk, client("me")).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.create_conversation(row("c")).unwrap();
    overlay
        .enqueue(number, local("l"), at(1), send("unsent"))
        .unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    drop(opened);
    let access = disk.accesses() + 1;
    disk.set_fault(Some(Fault::AnyFrom { access }));
    let refused = Store::in_memory(&disk, client("me")).map(drop);
    assert!(matches!(refused, Err(StoreError::Io { .. })), "{refused:?}");
    disk.set_fault(None);
    let opened = Store::in_memory(&disk, client("me")).unwrap();
    assert!(!opened.report.found_damage());
    assert_eq!(opened.store.snapshot().outbox().len(), 1);
}

#[test]
fn a_probe_that_cannot_read_leaves_the_outbox_on_show_until_one_can() {
    let disk = MemoryDisk::new(1);
    let mut opened = Store::in_memory(&disk, client("me")).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.create_conversation(row("c")).unwrap();
    overlay
        .enqueue(number, local("l"), at(1), send("unsent"))
        .unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    opened
        .store
        .shared
        .set_health(crate::model::StoreHealth::ReadOnly {
            trouble: crate::StoreTrouble::Device,
            reason: "a failure".to_owned(),
        });
    // Trying to write works, and reading does not any more.
    for after in 2..12 {
        let access = disk.accesses() + after;
        disk.set_fault(Some(Fault::AnyFrom { access }));
        assert!(opened.writer.probe(at(9)).is_err());
        assert_eq!(opened.store.snapshot().outbox().len(), 1, "{after}");
    }
    disk.set_fault(None);
    opened.writer.probe(at(9)).unwrap();
    assert_eq!(opened.store.snapshot().outbox().len(), 1);
    assert!(opened.store.snapshot().row(number).unwrap().is_some());
}

/// A clock before 1970, or no thread to be had, is no damage: nothing is set aside, however often it is
/// tried, and everything is there when it works again.
#[test]
fn a_database_that_cannot_be_opened_here_now_is_not_damaged() {
    for failing in [Failing::Panics, Failing::Hangs] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), Some(1));
        surroundings::set(folder.path(), Some(failing));
        let options = StoreOptions {
            open_timeout: std::time::Duration::from_millis(100),
            ..options(folder.path(), Some(1))
        };
        let mut opened = Store::open(&options).unwrap();
        assert!(!opened.report.takes_writes());
        assert!(!opened.report.found_damage(), "{:?}", opened.report);
        assert_eq!(opened.store.snapshot().outbox().len(), UNSENT);
        for _ in 0..3 {
            let probed = opened.writer.probe(at(78));
            assert!(matches!(probed, Err(StoreError::Io { .. })), "{probed:?}");
        }
        surroundings::set(folder.path(), None);
        drop(opened);
        assert_eq!(read_all(folder.path(), Some(1)).unsent, UNSENT);
        let names = crate::store::disk::RealDisk::new(folder.path());
        let names = crate::store::disk::Disk::list(&names).unwrap();
        let strange = |name: &&String| name.contains(".bad-") || name.contains(TRIAL_SUFFIX);
        assert_eq!(names.iter().find(strange), None, "{failing:?}");
    }
}

/// Another opener may have taken a folder that could not be locked before.
#[test]
fn a_store_that_was_opened_without_the_lock_gets_it_before_it_takes_writes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    let path = file.join("store");
    let mut opened = Store::open(&options(&path, Some(1))).unwrap();
    fs::remove_file(&file).unwrap();
    let other = Store::open(&options(&path, Some(1))).unwrap();
    let refused = opened.writer.probe(at(78));
    assert!(
        matches!(refused, Err(StoreError::InUse { .. })),
        "{refused:?}"
    );
    // The folder is the other one's store now.
    drop(other);
    assert!(opened.writer.probe(at(78)).is_err());
    fs::remove_dir_all(&path).unwrap();
    opened.writer.probe(at(78)).unwrap();
    let refused = Store::open(&options(&path, Some(1))).map(drop);
    assert!(
        matches!(refused, Err(StoreError::InUse { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_folder_that_cannot_be_made_gives_a_store_that_reads_and_refuses_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    let mut opened = Store::open(&options(&file.join("store"), None)).unwrap();
    assert!(!opened.report.takes_writes());
    assert_eq!(
        opened
            .store
            .snapshot()
            .conversations(None, 10)
            .unwrap()
            .conversations,
        []
    );
    let mut overlay = Overlay::new(&opened.store);
    overlay.create_conversation(row("c")).unwrap();
    let refused = opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Intent);
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })));
    // Once the way is free, a probe makes it an ordinary store.
    fs::remove_file(&file).unwrap();
    opened.writer.probe(at(78)).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    overlay.create_conversation(row("c")).unwrap();
    opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Intent)
        .unwrap();
}

/// A folder whose files cannot be read, as of a phone that was not unlocked yet.
#[derive(Debug)]
struct Unreadable(crate::store::disk::RealDisk);

impl crate::store::disk::Disk for Unreadable {
    fn open(&self, name: &str) -> std::io::Result<Box<dyn crate::store::disk::DiskFile>> {
        self.0.open(name)
    }
    fn read(&self, _: &str) -> std::io::Result<Option<Vec<u8>>> {
        Err(std::io::ErrorKind::PermissionDenied.into())
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.0.replace(name, bytes)
    }
    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.0.remove(name)
    }
    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.rename(from, to)
    }
    fn list(&self) -> std::io::Result<Vec<String>> {
        self.0.list()
    }
    fn sizes(&self) -> std::io::Result<Vec<(String, u64)>> {
        self.0.sizes()
    }
    fn sync_folder(&self) -> std::io::Result<()> {
        self.0.sync_folder()
    }
}

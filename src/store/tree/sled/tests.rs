//! The tree over the embedded database.

use std::ops::{Bound, ControlFlow};

use super::*;

fn options(folder: &Path) -> DbOptions {
    DbOptions {
        folder: folder.to_path_buf(),
        cache_bytes: 1 << 20,
        open_timeout: Duration::from_secs(60),
    }
}

fn put(kv: &SledKv, key: &[u8]) {
    let mut batch = KvBatch::default();
    batch.put(key.to_vec(), b"value".to_vec());
    kv.apply(&batch).unwrap();
    kv.flush().unwrap();
}

#[test]
fn a_torn_snapshot_or_configuration_does_not_stop_it_from_opening() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledKv::open(&options(folder.path())).unwrap());
    put(&SledKv::open(&options(folder.path())).unwrap(), b"a");
    drop(SledKv::open(&options(folder.path())).unwrap());
    let torn = folder.path().join("snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(torn, b"half").unwrap();
    fs::write(folder.path().join("snap.FFFFFFFFFFFFFFFE"), b"").unwrap();
    fs::write(folder.path().join("conf"), b"not a configuration").unwrap();
    let kv = SledKv::open(&options(folder.path())).unwrap();
    assert_eq!(kv.value(b"a").unwrap().as_deref(), Some(&b"value"[..]));
}

/// Many values that are all the same.
fn many(value: u8) -> ApplyRequest {
    let mut batch = KvBatch::default();
    for key in 0..200_u8 {
        batch.put(vec![key], vec![value; 300]);
    }
    ApplyRequest {
        seldom: vec![vec![7]],
        batch,
    }
}

fn seen(kv: &SledKv) -> Vec<Vec<u8>> {
    let mut seen = Vec::new();
    let all = (Bound::Unbounded, Bound::Unbounded);
    kv.scan(all, Direction::Backward, &mut |_, value| {
        seen.push(value.to_vec());
        ControlFlow::Continue(())
    })
    .unwrap();
    seen
}

#[test]
fn a_batch_on_its_way_is_seen_whole_and_is_there_when_the_database_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let kv = SledKv::open(&options(folder.path())).unwrap();
    for value in 0..40 {
        kv.begin_apply(many(value)).unwrap();
        assert_eq!(kv.value(&[7]).unwrap(), Some(vec![value; 300]));
        assert_eq!(seen(&kv), vec![vec![value; 300]; 200]);
        if value % 3 == 0 {
            kv.wait_flushed().unwrap();
            assert_eq!(seen(&kv), vec![vec![value; 300]; 200]);
        }
    }
    kv.begin_apply(many(40)).unwrap();
    drop(kv);
    let kv = SledKv::open(&options(folder.path())).unwrap();
    assert_eq!(seen(&kv), vec![vec![40; 300]; 200]);
}

/// Changes some of many values again and again, as messages do that come to conversations, and
/// adds some that stay; gives the size of the file.
fn filled(cleaner: Option<&SegmentCleaner>) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let db = open_database(&options(folder.path())).unwrap();
    for round in 0..2_000_u32 {
        let mut batch = sled::Batch::default();
        for n in 0..25 {
            let key = (round * 7_919 + n * 17) % 500;
            batch.insert(&key.to_be_bytes(), vec![0; 1_300]);
        }
        for n in 0..6 {
            let key = [(round * 31 + n * 83) % 500, round];
            batch.insert(key.map(u32::to_be_bytes).concat(), vec![0; 1_900]);
        }
        db.apply_batch(batch).unwrap();
        if let Some(cleaner) = cleaner {
            cleaner.owe(25 * 1_300 + 6 * 1_900);
            flushed(&db, cleaner).unwrap();
        }
        db.flush().unwrap();
    }
    db.size_on_disk().unwrap()
}

#[test]
fn what_is_dead_in_the_file_is_used_again_while_much_is_written() {
    let cleaned = filled(Some(&SegmentCleaner::default()));
    let left = filled(None);
    assert!(cleaned < left / 10 * 9, "{cleaned} instead of {left}");
}

#[test]
fn records_that_stand_where_the_configuration_belongs_are_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    drop(SledKv::open(&options(folder.path())).unwrap());
    let conf = folder.path().join("conf");
    fs::write(&conf, [&b"log"[..], &frame::MAGIC].concat()).unwrap();
    let refused = SledKv::open(&options(folder.path()));
    assert!(matches!(refused, Err(StoreError::Damaged { .. })));
    assert!(conf.exists());
}

#[test]
fn it_keeps_its_own_snapshot_and_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        drop(SledKv::open(&options(folder.path())).unwrap());
    }
    let names = || {
        let entries = fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    assert!(
        before
            .iter()
            .any(|name| name.to_string_lossy().starts_with("snap."))
    );
    heal(folder.path()).unwrap();
    assert_eq!(names(), before);
}

//! Compaction: nothing is lost by it, whatever is written meanwhile and wherever it ends.

use super::*;
use crate::storage::compaction::{Reached, Size, has_room};

const CONVERSATIONS: u8 = 40;

/// Looks at a compaction, a millisecond from each to the next.
const ROUNDS_MAX: u32 = 120_000;

/// A message as the service makes it, with ids of the usual lengths.
fn usual(n: u32) -> Write {
    let sent_at = at(1_700_000_000_000 + i64::from(n));
    let number = n.wrapping_mul(2_654_435_761);
    let conversation = number.to_be_bytes()[0] % CONVERSATIONS;
    let message = Message {
        id: message_id(sent_at, u64::from(n), &format!("{number:010}")).unwrap(),
        sent_at,
        from: ClientId::new(format!("{conversation:024x}")).unwrap(),
        body: Body::Text("x".repeat(100)),
        wants_receipt: false,
        mention_all: false,
        mentions: Vec::new(),
        patched_at: None,
        recalled: false,
        delivered_at: None,
        read_at: None,
        token: Some(format!("{number:08x}-b666-495c-bc7c-82ca3c01f6a3")),
        only_for: Vec::new(),
    };
    Write::PutMessage(app(), long_cid(conversation), message)
}

fn long_cid(n: u8) -> ConversationId {
    ConversationId::new(format!("5f1d3c7b8a9e4d6c2b1a00{n:02x}")).unwrap()
}

fn write(storage: &mut RedbStorage, numbers: std::ops::Range<u32>, at_once: usize) {
    let numbers: Vec<_> = numbers.collect();
    for some in numbers.chunks(at_once) {
        now(storage.apply(some.iter().copied().map(usual).collect())).unwrap();
        now(storage.commit()).unwrap();
    }
}

fn count(storage: &RedbStorage) -> usize {
    let (all, order) = (Span::default(), Order::OldestFirst);
    let count = |n| {
        now(storage.messages(&app(), &long_cid(n), &all, order, usize::MAX))
            .unwrap()
            .len()
    };
    (0..CONVERSATIONS).map(count).sum()
}

/// Lets the storage rest until nothing is left to do; answers whether there was anything.
fn rest(storage: &mut RedbStorage) -> bool {
    let mut rounds = 0;
    while now(storage.rest()).unwrap() {
        rounds += 1;
        assert!(rounds < ROUNDS_MAX, "a compaction ends");
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    rounds > 0
}

fn bytes(folder: &tempfile::TempDir) -> u64 {
    bytes_on_disk(&RedbStorage::file_in(folder.path())).unwrap()
}

fn parts(folder: &tempfile::TempDir) -> usize {
    std::fs::read_dir(folder.path()).unwrap().count() - 1
}

#[test]
fn a_message_takes_350_bytes_of_the_file_after_a_rest() {
    const MESSAGES: u32 = 30_000;
    let folder = tempfile::tempdir().unwrap();
    let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
    write(&mut storage, 0..MESSAGES, 50);
    // Too many commits for a rest, and then none.
    assert!(!now(storage.rest()).unwrap());
    let before = bytes(&folder) / u64::from(MESSAGES);
    assert!(
        rest(&mut storage),
        "{before} bytes a message are full of gaps"
    );
    let after = bytes(&folder) / u64::from(MESSAGES);
    println!("{before} bytes a message before a rest, {after} after it");
    assert!(after <= 350, "{after} bytes a message");
    assert_eq!(count(&storage), MESSAGES as usize);
    assert!(!rest(&mut storage), "a file without gaps is left as it is");
    drop(storage);
    assert!(check(folder.path()).unwrap().has_checksums);
    let storage = RedbStorage::open_folder(folder.path()).unwrap();
    assert_eq!(count(&storage), MESSAGES as usize);
}

#[test]
fn rows_that_fill_no_page_are_not_copied_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
    let long = |n: u32| match usual(n) {
        Write::PutMessage(app, id, mut message) => {
            message.body = Body::Binary(vec![7; 4_400]);
            Write::PutMessage(app, id, message)
        }
        other => other,
    };
    for from in (0..4_000).step_by(100) {
        now(storage.apply((from..from + 100).map(long).collect())).unwrap();
        now(storage.commit()).unwrap();
    }
    assert!(rest(&mut storage), "there are gaps");
    assert!(!rest(&mut storage), "there are gaps that stay");
    assert_eq!(count(&storage), 4_000);
    drop(storage);
    let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
    assert!(!rest(&mut storage), "a start knows them");
    assert_eq!(count(&storage), 4_000);
}

#[test]
fn gaps_stay_for_rows_that_are_like_the_copied_ones() {
    let copied = Size {
        rows: 100,
        bytes: 10_000,
    };
    let reached = Reached {
        rows: copied,
        taken: 15_000,
    };
    let rows = |rows, bytes| Size { rows, bytes };
    for (now, full) in [
        (copied, 15_000),
        (rows(200, 20_000), 30_000),
        (rows(200, 24_000), 36_000),
        (rows(200, 40_000), 40_000),
        (rows(200, 10_000), 10_000),
        (rows(0, 0), 0),
        (rows(u64::MAX, u64::MAX), u64::MAX),
    ] {
        assert_eq!(reached.full(now), Size { bytes: full, ..now });
    }
    let packed = Reached {
        taken: 9_000,
        ..reached
    };
    assert_eq!(packed.full(copied), copied);
}

#[test]
fn a_disk_has_no_room_for_everything() {
    let folder = tempfile::tempdir().unwrap();
    let file = RedbStorage::file_in(folder.path());
    #[cfg(unix)]
    assert!(!has_room(&file, u64::MAX).unwrap());
    #[cfg(not(unix))]
    assert!(has_room(&file, u64::MAX).unwrap());
}

/// Some data, and a compaction of it that is under way.
fn under_way(folder: &tempfile::TempDir) -> RedbStorage {
    let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
    write(&mut storage, 0..500, 50);
    storage.map_mut().begin_compaction().unwrap();
    storage
}

#[test]
fn changes_that_come_during_a_compaction_are_in_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = under_way(&folder);
    write(&mut storage, 500..700, 20);
    let gone = |n| match usual(n) {
        Write::PutMessage(app, id, message) => Write::DropMessage(app, id, message.place()),
        other => other,
    };
    now(storage.apply((0..100).map(gone).collect())).unwrap();
    now(storage.commit()).unwrap();
    // In the batch when the files are changed.
    now(storage.apply(vec![usual(700)])).unwrap();
    let before = storage.frozen().unwrap();
    let file = std::fs::File::open(RedbStorage::file_in(folder.path())).unwrap();
    rest(&mut storage);
    assert_eq!(count(&storage), 601);
    assert!(
        is_another(&file, &folder),
        "the file was not changed for a new one"
    );
    assert_eq!(parts(&folder), 0);
    now(storage.commit()).unwrap();
    write(&mut storage, 701..705, 1);
    // Who reads the old rows reads on.
    let mut rows = 0;
    before
        .each(&mut |_, _| {
            rows += 1;
            Ok(())
        })
        .unwrap();
    assert!(rows > 1_000, "{rows}");
    drop((before, storage));
    assert_eq!(
        count(&RedbStorage::open_folder(folder.path()).unwrap()),
        605
    );
}

#[test]
fn a_commit_that_a_full_disk_refuses_ends_the_compaction_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = under_way(&folder);
    storage.map_mut().is_full_with_part = true;
    write(&mut storage, 500..502, 1);
    assert_eq!(parts(&folder), 0, "the part is gone");
    assert!(storage.is_sound());
    assert!(!rest(&mut storage), "no other one begins");
    assert_eq!(count(&storage), 502);
    drop(storage);
    let storage = RedbStorage::open_folder(folder.path()).unwrap();
    assert_eq!(count(&storage), 502);
}

#[cfg(unix)]
fn is_another(file: &std::fs::File, folder: &tempfile::TempDir) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let now = std::fs::metadata(RedbStorage::file_in(folder.path())).unwrap();
    file.metadata().unwrap().ino() != now.ino()
}

#[cfg(not(unix))]
fn is_another(_: &std::fs::File, _: &tempfile::TempDir) -> bool {
    true
}

#[test]
fn a_process_that_ends_during_a_compaction_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = under_way(&folder);
    write(&mut storage, 500..510, 1);
    let left = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
    }
    // A part that is torn somewhere.
    let part = RedbStorage::file_in(left.path()).with_extension("compaction");
    std::fs::write(part, b"torn").unwrap();
    let storage_after = RedbStorage::open_folder(left.path()).unwrap();
    assert_eq!(count(&storage_after), 510);
    assert_eq!(parts(&left), 0);
    drop(storage);
    assert_eq!(parts(&folder), 0);
}

#[test]
fn a_service_that_does_not_rest_ends_its_compaction() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = under_way(&folder);
    let long = |n: u32| match usual(n) {
        Write::PutMessage(app, id, mut message) => {
            message.body = Body::Binary(vec![7; 1 << 20]);
            Write::PutMessage(app, id, message)
        }
        other => other,
    };
    for n in 500..512 {
        now(storage.apply(vec![long(n)])).unwrap();
        now(storage.commit()).unwrap();
    }
    assert_eq!(parts(&folder), 0, "the part is gone");
    assert_eq!(count(&storage), 512);
}

#[test]
fn a_compaction_that_finds_damage_leaves_the_file_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
    write(&mut storage, 0..500, 50);
    storage.map_mut().plant(b"Dbroken", b"no checksum");
    storage.map_mut().begin_compaction().unwrap();
    rest(&mut storage);
    assert!(!storage.is_sound());
    assert_eq!(parts(&folder), 0);
}

//! Damaged folders: bytes flipped, files cut, emptied, deleted, swapped. Nothing panics, nothing hangs,
//! nothing wrong is shown as right, and every promise is kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::store::error::StoreError;
use crate::store::format::cipher::StoreKey;
use crate::store::format::key::{self, Tag};
use crate::store::read::items::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::recovery::report::OpenReport;

const CONVERSATIONS: i64 = 5;
const MESSAGES: i64 = 400;
pub(super) const UNSENT: usize = 20;

pub(super) fn options(folder: &Path, key: Option<u8>) -> StoreOptions {
    let key = key.map(|byte| StoreKey::new([byte; 32]));
    let options = StoreOptions::new(folder, client("me"), at(77));
    StoreOptions {
        cache_bytes: 1 << 20,
        key,
        ..options
    }
}

fn text(c: i64, n: i64) -> String {
    format!("message {n} of conversation {c}, long enough to be worth a record of its own")
}

/// A store with messages, held in whole spans, and unsent entries.
pub(super) fn build(folder: &Path, key: Option<u8>) {
    let mut opened = Store::open(&options(folder, key)).unwrap();
    assert!(opened.report.created);
    let mut numbers = Vec::new();
    let mut overlay = Overlay::new(&opened.store);
    for c in 0..CONVERSATIONS {
        numbers.push(overlay.create_conversation(row(&format!("c{c}"))).unwrap());
    }
    opened
        .writer
        .commit(overlay.into_batch(), CommitClass::Cache)
        .unwrap();
    for from in (0..MESSAGES).step_by(50) {
        let mut overlay = Overlay::new(&opened.store);
        for (c, number) in (0..).zip(&numbers) {
            for n in from..from + 50 {
                overlay
                    .put_message(*number, &message("other", n, &text(c, n)))
                    .unwrap();
            }
            let hold =
                |row: &mut ConversationRow| row.history.hold(position(0), position(from + 49));
            overlay.update_conversation(*number, hold).unwrap();
        }
        opened
            .writer
            .commit(overlay.into_batch(), CommitClass::Cache)
            .unwrap();
    }
    for n in 0..UNSENT {
        let mut overlay = Overlay::new(&opened.store);
        let token = local(&format!("l{n}"));
        overlay
            .enqueue(numbers[n % 5], token, at(1), send(&format!("unsent {n}")))
            .unwrap();
        opened
            .writer
            .commit(overlay.into_batch(), CommitClass::Intent)
            .unwrap();
    }
}

/// The content that a damaged store still showed.
#[derive(Debug)]
pub(super) struct Seen {
    report: OpenReport,
    messages: i64,
    pub(super) unsent: usize,
}

/// Opens the store and reads all of it: everything shown must be as it was written, and no span may hide a
/// hole.
pub(super) fn read_all(folder: &Path, key: Option<u8>) -> Seen {
    let opened = Store::open(&options(folder, key)).unwrap();
    check_list(&opened.store);
    let snapshot = opened.store.snapshot();
    let mut messages = 0;
    for c in 0..CONVERSATIONS {
        let number = snapshot.number(&conversation_id(&format!("c{c}")));
        let Ok(Some(number)) = number else { continue };
        let Ok(Some(_)) = snapshot.conversation(number) else {
            continue;
        };
        let mut before = None;
        let mut last = None;
        while let Ok(page) = snapshot.page_before(number, before.as_ref(), 100) {
            for item in page.items.iter().rev() {
                match item {
                    TimelineItem::Gap(_) => last = None,
                    TimelineItem::Echo { .. } => {}
                    TimelineItem::Message { position, message } => {
                        let n = position.sent_at.as_millis();
                        assert_eq!(message.content.words(), Some(&*text(c, n)));
                        assert!(
                            last.is_none_or(|last| last == n + 1),
                            "a hole without a gap"
                        );
                        last = Some(n);
                        messages += 1;
                    }
                }
            }
            before = page.items.iter().find_map(TimelineItem::place);
            if !page.more {
                break;
            }
        }
    }
    let unsent = snapshot.outbox();
    for entry in &unsent {
        let row = snapshot.conversation(entry.conversation).unwrap().unwrap();
        let echo = snapshot.echo(entry, &row.id).unwrap();
        let n = entry.id.0 - 1;
        assert_eq!(echo.content.words(), Some(&*format!("unsent {n}")));
        assert_eq!(row.id, conversation_id(&format!("c{}", n % 5)));
    }
    let unsent = unsent.len();
    drop(snapshot);
    Seen {
        report: opened.report,
        messages,
        unsent,
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn data_file(folder: &Path) -> PathBuf {
    folder.join("db").join("db")
}

/// Changes the bytes of a file.
fn spoil(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// The n-th number of a sequence that looks random.
fn random(n: u64) -> usize {
    let number = crate::splitmix::nth(0x1234_5678_9ABC_DEF1, n);
    usize::try_from(number >> 8).unwrap()
}

/// How many cases of each kind; the long run sets `SAMPAN_TORTURE_ROUNDS`.
fn rounds() -> u64 {
    let rounds = std::env::var("SAMPAN_TORTURE_ROUNDS").ok();
    rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(6)
}

/// Spoils copies of one store in the given way, and checks each.
fn torture(spoil_case: impl Fn(&Path, u64), least_unsent: usize) {
    let whole = tempfile::tempdir().unwrap();
    build(whole.path(), None);
    for case in 0..rounds() {
        let copied = tempfile::tempdir().unwrap();
        copy(whole.path(), copied.path());
        spoil_case(copied.path(), case);
        let seen = read_all(copied.path(), None);
        println!("case {case}: {} {:?}", seen.messages, seen.report);
        assert!(seen.unsent >= least_unsent, "case {case}: {seen:?}");
        // A mended store stays mended.
        let again = read_all(copied.path(), None);
        assert!(again.report.set_aside.is_empty(), "case {case}: {again:?}");
        assert_eq!(again.unsent, seen.unsent, "case {case}");
    }
}

#[test]
fn an_undamaged_store_shows_everything() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), None);
    let seen = read_all(folder.path(), None);
    assert!(!seen.report.found_damage());
    assert_eq!(
        (seen.messages, seen.unsent),
        (CONVERSATIONS * MESSAGES, UNSENT)
    );
}

#[test]
fn a_flipped_byte_anywhere_in_the_tree_harms_no_promise() {
    let flip = |folder: &Path, case| {
        spoil(&data_file(folder), |bytes| {
            let at = random(case) % bytes.len();
            bytes[at] = !bytes[at];
        });
    };
    torture(flip, UNSENT);
}

#[test]
fn zeroed_pages_in_the_tree_harm_no_promise() {
    let zero = |folder: &Path, case| {
        spoil(&data_file(folder), |bytes| {
            let at = random(case) % bytes.len();
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
        });
    };
    torture(zero, UNSENT);
}

#[test]
fn a_tree_cut_off_anywhere_harms_no_promise() {
    let cut = |folder: &Path, case| {
        spoil(&data_file(folder), |bytes| {
            bytes.truncate(random(case) % bytes.len())
        });
    };
    torture(cut, UNSENT);
}

#[test]
fn deleted_files_harm_no_promise_that_the_journal_holds() {
    let delete = |folder: &Path, case: u64| match case % 4 {
        0 => fs::remove_file(data_file(folder)).unwrap(),
        1 => fs::remove_dir_all(folder.join("db")).unwrap(),
        2 => fs::remove_file(folder.join("db").join("conf")).unwrap(),
        _ => fs::remove_file(folder.join("store.0")).unwrap(),
    };
    torture(delete, UNSENT);
}

#[test]
fn a_lost_journal_harms_nothing_while_the_tree_is_whole() {
    let delete = |folder: &Path, _| {
        for name in ["journal.0", "journal.1"] {
            let _ = fs::remove_file(folder.join(name));
        }
    };
    torture(delete, UNSENT);
}

#[test]
fn damage_in_the_journal_harms_nothing_while_the_tree_is_whole() {
    let spoil_journal = |folder: &Path, case| {
        for name in ["journal.0", "journal.1"] {
            let path = folder.join(name);
            if path.exists() {
                spoil(&path, |bytes| {
                    let at = random(case) % 8192;
                    bytes[at..at + 512].fill(0xEE);
                });
            }
        }
    };
    torture(spoil_journal, UNSENT);
}

#[test]
fn both_copies_of_the_identity_may_be_lost() {
    let delete = |folder: &Path, _| {
        fs::remove_file(folder.join("store.0")).unwrap();
        fs::remove_file(folder.join("store.1")).unwrap();
    };
    torture(delete, UNSENT);
}

#[test]
fn a_tree_of_another_store_is_not_taken_for_ones_own() {
    let other = tempfile::tempdir().unwrap();
    build(other.path(), None);
    let own = tempfile::tempdir().unwrap();
    build(own.path(), None);
    fs::remove_dir_all(own.path().join("db")).unwrap();
    copy(&other.path().join("db"), &own.path().join("db"));
    let seen = read_all(own.path(), None);
    assert_eq!((seen.messages, seen.unsent), (0, UNSENT));
    assert!(seen.report.found_damage());
}

#[test]
fn a_journal_of_another_store_beside_ones_own_takes_no_promise_along() {
    for key in [None, Some(1)] {
        let other = tempfile::tempdir().unwrap();
        build(other.path(), None);
        let own = tempfile::tempdir().unwrap();
        build(own.path(), key);
        fs::copy(other.path().join("journal.1"), own.path().join("journal.0")).unwrap();
        spoil(&data_file(own.path()), |bytes| bytes.fill(0xEE));
        let seen = read_all(own.path(), key);
        assert_eq!((seen.messages, seen.unsent), (0, UNSENT));
        assert!(!seen.report.created && seen.report.found_damage());
    }
}

#[test]
fn salvage_saves_nearly_every_record_that_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), None);
    // Wreck the head of each segment: the database cannot make sense of the file any more.
    spoil(&data_file(folder.path()), |bytes| {
        for segment in bytes.chunks_mut(512 * 1024) {
            segment.iter_mut().take(64).for_each(|byte| *byte ^= 0x5A);
        }
    });
    for entry in fs::read_dir(folder.path().join("db")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("snap.")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let seen = read_all(folder.path(), None);
    println!("{seen:?}");
    assert!(
        seen.messages * 100 >= CONVERSATIONS * MESSAGES * 99,
        "{seen:?}"
    );
    assert_eq!(seen.unsent, UNSENT);
}

#[test]
fn what_is_behind_a_tear_in_an_older_segment_is_saved_although_opening_overwrites_it() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), None);
    let mut segments = 0;
    spoil(&data_file(folder.path()), |bytes| {
        segments = bytes.len() / (512 * 1024);
        bytes[200_000..200_512].fill(0);
    });
    assert!(segments >= 1, "the tear is in an older segment");
    let seen = read_all(folder.path(), None);
    assert!(seen.report.found_damage());
    assert!(
        seen.messages * 100 >= CONVERSATIONS * MESSAGES * 97,
        "{seen:?}"
    );
    assert_eq!(seen.unsent, UNSENT);
}

#[test]
fn an_encrypted_store_shows_nothing_without_its_key_and_all_with_it() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), Some(1));
    for (path, secret) in [
        (data_file(folder.path()), "message 7"),
        (data_file(folder.path()), "c3"),
        (folder.path().join("journal.1"), "unsent"),
    ] {
        let bytes = fs::read(path).unwrap();
        let found = bytes
            .windows(secret.len())
            .filter(|w| *w == secret.as_bytes())
            .count();
        // Two letters meet by chance; a sentence does not.
        assert!(found == 0 || secret.len() < 3, "{secret} shows");
    }
    for key in [None, Some(2)] {
        let refused = Store::open(&options(folder.path(), key));
        assert_eq!(refused.unwrap_err(), StoreError::WrongKey);
    }
    let seen = read_all(folder.path(), Some(1));
    assert_eq!(
        (seen.messages, seen.unsent),
        (CONVERSATIONS * MESSAGES, UNSENT)
    );
}

#[test]
fn an_encrypted_store_is_salvaged_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), Some(1));
    fs::remove_file(folder.path().join("store.1")).unwrap();
    spoil(&data_file(folder.path()), |bytes| bytes[..64].fill(0));
    let seen = read_all(folder.path(), Some(1));
    assert_eq!(seen.unsent, UNSENT);
}

#[test]
fn the_key_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), Some(1));
    let mut opened = Store::open(&options(folder.path(), Some(1))).unwrap();
    let (old, new) = (StoreKey::new([1; 32]), StoreKey::new([2; 32]));
    assert!(opened.writer.change_key(&new, &old).is_err());
    opened.writer.change_key(&old, &new).unwrap();
    drop(opened);
    assert!(Store::open(&options(folder.path(), Some(1))).is_err());
    assert_eq!(read_all(folder.path(), Some(2)).unsent, UNSENT);
}

#[test]
fn a_store_of_a_newer_schema_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), None);
    let mut identity = crate::store::disk::identity::Identity::read(
        &crate::store::disk::RealDisk::new(folder.path()),
    )
    .unwrap()
    .unwrap();
    identity.schema = 99;
    identity
        .write(&crate::store::disk::RealDisk::new(folder.path()))
        .unwrap();
    let before = fs::read(data_file(folder.path())).unwrap();
    let refused = Store::open(&options(folder.path(), None)).unwrap_err();
    let newer = StoreError::TooNew {
        found: 99,
        supported: crate::store::format::record::SCHEMA,
    };
    assert_eq!(refused, newer);
    assert_eq!(fs::read(data_file(folder.path())).unwrap(), before);
}

#[test]
fn an_identity_of_another_store_is_set_aside_and_its_own_copy_rules() {
    let other = tempfile::tempdir().unwrap();
    build(other.path(), None);
    // The stranger's copy was written more often, so it looks newer.
    let disk = crate::store::disk::RealDisk::new(other.path());
    let mut stranger = crate::store::disk::identity::Identity::read(&disk)
        .unwrap()
        .unwrap();
    (0..3).for_each(|_| stranger.write(&disk).unwrap());
    for names in [&["store.0"][..], &["store.1"], &["store.0", "store.1"]] {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), None);
        for name in names {
            fs::copy(other.path().join(name), folder.path().join(name)).unwrap();
        }
        let seen = read_all(folder.path(), None);
        let told: Vec<_> = seen.report.set_aside.iter().map(|it| &it.name).collect();
        assert_eq!(told.len(), names.len(), "{told:?}");
        assert!(told.iter().all(|name| name.starts_with("store.")));
        let all = (CONVERSATIONS * MESSAGES, UNSENT);
        assert_eq!((seen.messages, seen.unsent), all);
        assert!(!read_all(folder.path(), None).report.found_damage());
    }
}

#[test]
fn a_rebuild_that_was_cut_off_goes_on_with_what_it_had_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), None);
    let inside = |name: &str| folder.path().join(name);
    // As a kill leaves it: the tree has another name, and the new one has nothing yet.
    fs::write(inside("unfinished"), "db.bad-5\n").unwrap();
    fs::rename(inside("db"), inside("db.bad-5")).unwrap();
    fs::create_dir(inside("db")).unwrap();
    let seen = read_all(folder.path(), None);
    let all = (CONVERSATIONS * MESSAGES, UNSENT);
    assert_eq!((seen.messages, seen.unsent), all, "{:?}", seen.report);
    assert!(!inside("unfinished").exists());
    assert!(!read_all(folder.path(), None).report.found_damage());
}

#[test]
fn a_store_whose_folder_could_be_made_only_later_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    let path = file.join("store");
    let mut opened = Store::open(&options(&path, Some(1))).unwrap();
    fs::remove_file(&file).unwrap();
    opened.writer.probe(at(78)).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    overlay.create_conversation(row("c")).unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    drop(opened);
    let opened = Store::open(&options(&path, Some(1))).unwrap();
    assert!(!opened.report.found_damage(), "{:?}", opened.report);
    let snapshot = opened.store.snapshot();
    assert!(snapshot.number(&conversation_id("c")).unwrap().is_some());
}

/// The bytes are whole, and belong elsewhere: a conversation must not show the content of another one.
#[test]
fn a_value_that_lies_under_another_key_is_damaged_and_not_shown() {
    let disk = MemoryDisk::new(1);
    let mut opened = Store::in_memory(&disk, client("me")).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let a = overlay.create_conversation(row("a")).unwrap();
    let b = overlay.create_conversation(row("b")).unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
    opened.writer.sync().unwrap();
    let kv = std::sync::Arc::clone(&opened.store.shared.read().kv);
    let value = kv.value(&key::conversation(a)).unwrap().unwrap();
    let mut batch = crate::store::tree::KvBatch::default();
    batch.put(key::conversation(b), value);
    kv.apply(&batch).unwrap();
    kv.flush().unwrap();
    drop((opened, kv));
    let opened = Store::in_memory(&disk, client("me")).unwrap();
    let snapshot = opened.store.snapshot();
    let shown = snapshot.conversation_by_id(&conversation_id("b")).unwrap();
    assert!(shown.is_none(), "{shown:?}");
    assert!(opened.store.damaged_reads() > 0);
}

/// Ids are hashed under a secret of the store's own, or a list of likely ids would tell who talks with
/// whom.
#[test]
fn the_keys_of_an_encrypted_store_are_hashed_under_its_own_secret() {
    let hashes = |store_key: Option<u8>| {
        let folder = tempfile::tempdir().unwrap();
        build(folder.path(), store_key);
        let opened = Store::open(&options(folder.path(), store_key)).unwrap();
        let mut found = std::collections::BTreeSet::new();
        let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        let tables = opened.store.shared.read();
        tables
            .scan(
                all,
                crate::store::tree::Direction::Forward,
                &mut |key, _| {
                    let hashed = [Tag::Id, Tag::Local, Tag::Awaiting].map(Some);
                    if hashed.contains(&Tag::of(key)) {
                        found.insert(key.to_vec());
                    }
                    std::ops::ControlFlow::Continue(())
                },
            )
            .unwrap();
        found
    };
    let (plain, one, other) = (hashes(None), hashes(Some(1)), hashes(Some(1)));
    assert!(!plain.is_empty() && plain.len() == one.len());
    assert!(plain.is_disjoint(&one), "a secret of zeros");
    assert!(one.is_disjoint(&other), "one secret for two stores");
}

#[test]
fn damage_that_is_set_aside_before_1970_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), Some(1));
    let data = folder.path().join("db/db");
    let mut bytes = fs::read(&data).unwrap();
    bytes.iter_mut().take(20).for_each(|byte| *byte ^= 0x5A);
    fs::write(&data, bytes).unwrap();
    let options = StoreOptions {
        now: at(i64::MIN),
        ..options(folder.path(), Some(1))
    };
    let opened = Store::open(&options).unwrap();
    let aside: Vec<_> = opened.report.set_aside.iter().map(|it| &it.name).collect();
    assert_eq!(aside, [&format!("db.bad-{}", i64::MIN)]);
    assert_eq!(opened.store.snapshot().outbox().len(), UNSENT);
}

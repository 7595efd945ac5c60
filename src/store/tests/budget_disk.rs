//! The budget on a real disk, and compaction beside reads.

use super::*;
use crate::store::maintain::Tended;
use crate::store::read::items::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::types::position::HistoryStart;

/// A store in a real folder, with many versions of everything in its file.
fn grown(folder: &std::path::Path, budget: Option<u64>, upto: i64) -> Opened {
    let options = StoreOptions {
        disk_budget: budget,
        cache_bytes: 2 << 20,
        ..StoreOptions::new(folder, client("me"), at(1))
    };
    let mut opened = Store::open(&options).unwrap();
    for c in 0..4 {
        let mut overlay = Overlay::new(&opened.store);
        let id = conversation_id(&format!("c{c}"));
        let number = overlay.conversation_or_unknown(&id).unwrap();
        overlay
            .update_conversation(number, |row| row.history.set_start(HistoryStart::Reached))
            .unwrap();
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Cache).unwrap();
        for from in (0..upto).step_by(50) {
            let mut overlay = Overlay::new(&opened.store);
            for n in from..from + 50 {
                // Words that don't compress well.
                let mut seed = u64::try_from(n + c * upto).unwrap();
                let mut text = format!("text {n} ");
                for _ in 0..12 {
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(99);
                    text.push_str(&format!("{:x} ", seed >> 16));
                }
                overlay
                    .put_message(number, &message("other", n, &text))
                    .unwrap();
            }
            overlay
                .update_conversation(number, |row| {
                    row.history
                        .hold(position((from - 1).max(0)), position(from + 49));
                })
                .unwrap();
            let batch = overlay.into_batch();
            opened.writer.commit(batch, CommitClass::Cache).unwrap();
        }
    }
    opened
}

// D12
#[test]
fn a_budget_is_kept_on_a_real_disk_and_the_newest_messages_stay() {
    let folder = tempfile::tempdir().unwrap();
    let budget = 4 << 20;
    let mut opened = grown(folder.path(), Some(budget), 8_000);
    let before = opened.store.usage().unwrap();
    assert!(before.file_bytes > budget, "{before:?}");
    assert!(opened.writer.wants_tending());
    let mut steps = 0;
    while opened.writer.tend(&[]).unwrap() == Tended::More {
        steps += 1;
        assert!(steps < 10_000);
    }
    assert!(!opened.writer.wants_tending());
    let after = opened.store.usage().unwrap();
    assert!(after.file_bytes < budget, "{before:?} {after:?}");
    assert!(
        after.messages > 2_000,
        "no more went than had to: {after:?}"
    );
    drop(opened);
    let options = StoreOptions::new(folder.path(), client("me"), at(2));
    let opened = Store::open(&options).unwrap();
    assert!(!opened.report.found_damage());
    let usage = opened.store.usage().unwrap();
    assert_eq!(usage.messages, after.messages);
    let snapshot = opened.store.snapshot();
    for (number, info) in snapshot.conversations(None, 10).unwrap().conversations {
        assert_eq!(info.last_message.unwrap().sent_at, at(7_999));
        let page = snapshot.page_after(number, None, 20).unwrap();
        assert!(matches!(page.items.first(), Some(TimelineItem::Gap(_))));
    }
}

#[test]
fn a_read_goes_on_in_another_thread_while_a_store_is_compacted() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = grown(folder.path(), None, 1_000);
    let store = opened.store.clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let reader = std::thread::spawn(move || {
        let mut reads = 0_u64;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let snapshot = store.snapshot();
            let (number, _) = snapshot
                .conversation_by_id(&conversation_id("c1"))
                .unwrap()
                .unwrap();
            let page = snapshot.page_before(number, None, 100).unwrap();
            assert_eq!(page.items.len(), 100);
            reads += 1;
        }
        reads
    });
    for _ in 0..3 {
        opened.writer.compact().unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reader.join().unwrap() > 0);
    assert_eq!(opened.store.usage().unwrap().messages, 4_000);
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("db"))
        .collect();
    assert_eq!(names, ["db"]);
}

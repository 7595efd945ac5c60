//! Damage of every kind, done to the file: it is noticed, and the rest is saved.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use sampan::model::{ClientId, MessageId, Timestamp};

use super::*;
use crate::storage::{
    Body, Conversation, Kind, Message, Span, Storage, Write, check, salvage as save,
};

const MESSAGES: usize = 600;

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an embedded storage waits for nobody"),
    }
}

fn app() -> AppId {
    AppId::new("app").unwrap()
}

fn cid() -> ConversationId {
    ConversationId::new("c").unwrap()
}

fn who(name: &str) -> ClientId {
    ClientId::new(name).unwrap()
}

fn message(n: usize) -> Message {
    let sent_at = Timestamp::from_millis(n as i64 + 1);
    Message {
        id: MessageId::new(format!("m{n:05}")).unwrap(),
        sent_at,
        from: who("Tom"),
        body: Body::Text(format!("message {n} {}", "x".repeat(200))),
        wants_receipt: false,
        mention_all: false,
        mentions: Vec::new(),
        patched_at: None,
        recalled: false,
        delivered_at: None,
        read_at: None,
        token: Some(format!("t{n}")),
        only_for: Vec::new(),
    }
}

/// How many cases of each damage: as many as `cargo xtask torture service` asks for, else a few.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|it| it.parse::<u64>().ok())
    };
    let from = number("SAMPAN_TORTURE_FROM").unwrap_or_default();
    from..from + number("SAMPAN_TORTURE_ROUNDS").unwrap_or(usual)
}

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Data with messages; answers the bytes of its file as they were left by a process that ended well,
/// and by one that was killed.
fn files() -> (Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
    let conversation = Conversation {
        id: cid(),
        kind: Kind::Normal,
        creator: who("Tom"),
        columns: serde_json::Map::new(),
        unique_id: Some("u".to_owned()),
        created_at: Timestamp::ZERO,
        updated_at: Timestamp::ZERO,
        expires_at: None,
    };
    let mut writes = vec![Write::PutConversation(app(), conversation)];
    let members = ["Jerry", "Tom"].map(|name| Member::joined(&who(name), Timestamp::ZERO));
    writes.extend(members.map(|member| Write::PutMember(app(), cid(), member)));
    for n in 0..MESSAGES {
        writes.push(Write::PutMessage(app(), cid(), message(n)));
        if n % 50 == 49 {
            now(storage.apply(std::mem::take(&mut writes))).unwrap();
            now(storage.commit()).unwrap();
        }
    }
    let file = RedbStorage::file_in(folder.path());
    let killed = std::fs::read(&file).unwrap();
    drop(storage);
    (std::fs::read(&file).unwrap(), killed)
}

fn with_file(bytes: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(RedbStorage::file_in(folder.path()), bytes).unwrap();
    folder
}

/// The messages that a service over this folder would show, by number; a message that is not as it
/// was said fails the test. None when the service refuses to start or to answer.
fn shown(folder: &Path) -> Option<BTreeMap<String, Message>> {
    let storage = RedbStorage::open_folder(folder).ok()?;
    let all = guarded(|| {
        let span = Span::default();
        now(storage.messages(&app(), &cid(), &span, Order::OldestFirst, usize::MAX))
    });
    let all = all.ok()?.into_iter();
    Some(all.map(|it| (it.id.as_str().to_owned(), it)).collect())
}

fn said() -> BTreeMap<String, Message> {
    let all = (0..MESSAGES).map(message);
    all.map(|it| (it.id.as_str().to_owned(), it)).collect()
}

/// Saves the good rows; answers the number of messages. A saved message is as it was said.
fn saved(folder: &Path) -> usize {
    let into = tempfile::tempdir().unwrap();
    let new = into.path().join("data");
    save(folder, &new).unwrap();
    check(&new).expect("what was saved is whole");
    let (shown, said) = (shown(&new).expect("a service starts over it"), said());
    for (id, message) in &shown {
        assert_eq!(Some(message), said.get(id));
    }
    // A saved message is found by its id too.
    let storage = RedbStorage::open_folder(&new).unwrap();
    for message in shown.values() {
        let place = now(storage.message_place(&app(), &cid(), &message.id)).unwrap();
        assert_eq!(place, Some(message.place()));
    }
    shown.len()
}

/// Damages a file, and holds what must be true of it: noticed, or without an effect; and the rest is
/// saved. Answers whether it was noticed.
fn damaged(bytes: &[u8], least: usize, what: &str) -> bool {
    let folder = with_file(bytes);
    let counted = saved(folder.path());
    assert!(counted >= least, "{what}: {counted} messages are saved");
    let is_whole = check(folder.path()).is_ok();
    match shown(folder.path()) {
        None => {
            assert!(!is_whole, "{what}: check finds nothing");
            true
        }
        Some(shown) => {
            assert_eq!(
                shown.len(),
                MESSAGES,
                "{what}: messages are lost without a word"
            );
            assert_eq!(shown, said(), "{what}: messages changed without a word");
            false
        }
    }
}

#[test]
fn data_that_is_whole_is_copied_as_it_is() {
    let (closed, killed) = files();
    let folder = with_file(&closed);
    let checked = check(folder.path()).unwrap();
    assert!(checked.has_checksums);
    let new = folder.path().join("new");
    let salvaged = save(folder.path(), &new).unwrap();
    assert_eq!(
        (salvaged.was_whole, salvaged.made_anew, salvaged.left_out),
        (true, 0, 0)
    );
    assert_eq!(salvaged.rows, checked.rows);
    assert!(matches!(
        save(folder.path(), &new),
        Err(BackupError::Occupied(_))
    ));
    let folder = with_file(&killed);
    let checked = check(folder.path());
    let is_told = matches!(checked, Err(BackupError::Storage(StorageError::NotClosed)));
    assert!(is_told, "{checked:?}");
    assert_eq!(saved(folder.path()), MESSAGES);
    assert_eq!(
        std::fs::read(RedbStorage::file_in(folder.path())).unwrap(),
        killed
    );
}

#[test]
fn pages_that_changed_places_are_noticed_and_the_rest_is_saved() {
    let (closed, _) = files();
    let pages = closed.len() / PAGE_BYTES;
    let mut noticed = 0;
    for seed in seeds(24) {
        let mut dice = Dice(seed);
        let (one, other) = (1 + dice.below(pages - 1), 1 + dice.below(pages - 1));
        let mut bytes = closed.clone();
        for at in 0..PAGE_BYTES {
            bytes.swap(one * PAGE_BYTES + at, other * PAGE_BYTES + at);
        }
        noticed += usize::from(damaged(
            &bytes,
            MESSAGES * 9 / 10,
            &format!("swap {one} {other}"),
        ));
    }
    println!(
        "torture salvage: {noticed} of {} swaps noticed",
        seeds(24).count()
    );
    assert!(noticed > 3, "{noticed} of the swaps met a page in use");
}

#[test]
fn bits_that_changed_are_noticed_and_the_rest_is_saved() {
    let (closed, _) = files();
    let mut noticed = 0;
    for seed in seeds(24) {
        let mut dice = Dice(seed);
        let mut bytes = closed.clone();
        for _ in 0..4 {
            let at = PAGE_BYTES + dice.below(bytes.len() - PAGE_BYTES);
            bytes[at] ^= 1 << dice.below(8);
        }
        noticed += usize::from(damaged(&bytes, MESSAGES * 9 / 10, &format!("flips {seed}")));
    }
    println!(
        "torture salvage: {noticed} of {} flips noticed",
        seeds(24).count()
    );
    assert!(noticed > 3, "{noticed} of the flips met a row");
}

#[test]
fn what_a_killed_process_left_is_saved_though_it_is_damaged() {
    let (_, killed) = files();
    for seed in seeds(60) {
        let mut dice = Dice(seed);
        let mut bytes = killed.clone();
        let pages = bytes.len() / PAGE_BYTES;
        for _ in 0..2 {
            let page = 1 + dice.below(pages - 1);
            bytes[page * PAGE_BYTES..][..PAGE_BYTES].fill(0);
        }
        let folder = with_file(&bytes);
        let counted = saved(folder.path());
        assert!(
            counted >= MESSAGES * 8 / 10,
            "seed {seed}: {counted} messages are saved"
        );
    }
}

#[test]
fn a_file_that_is_no_database_any_more_still_gives_its_rows() {
    let (mut closed, _) = files();
    closed[..PAGE_BYTES].fill(0);
    let folder = with_file(&closed);
    assert!(RedbStorage::open_folder(folder.path()).is_err());
    assert_eq!(saved(folder.path()), MESSAGES);
}

#[test]
fn data_of_a_build_without_checksums_is_read_and_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = RedbStorage::file_in(folder.path());
    let old = redb::Database::create(&file).unwrap();
    let table: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("rows");
    let write = old.begin_write().unwrap();
    write
        .open_table(table)
        .unwrap()
        .insert(&b"s"[..], &[1][..])
        .unwrap();
    write.commit().unwrap();
    drop(old);
    for n in 0..3 {
        let mut storage = RedbStorage::open_folder(folder.path()).unwrap();
        now(storage.apply(vec![Write::PutMessage(app(), cid(), message(n))])).unwrap();
        now(storage.commit()).unwrap();
    }
    assert_eq!(shown(folder.path()).unwrap().len(), 3);
    assert!(!check(folder.path()).unwrap().has_checksums);
    let new = folder.path().join("new");
    save(folder.path(), &new).unwrap();
    assert!(check(&new).unwrap().has_checksums);
    assert_eq!(shown(&new).unwrap().len(), 3);
}

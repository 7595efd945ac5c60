//! The suite that each storage has to pass: order, atomicity, idempotent tokens, and the data that is left
//! after a crash. A storage joins by a [`Backend`], which opens it, and ends it as a power cut would.

use super::*;

/// A kind of storage under test.
pub(super) trait Backend {
    type Store: Storage;

    /// Opens the storage over the data that was left.
    fn open(&mut self) -> Self::Store;

    /// Ends a storage without a word to it: the committed data is left, and nothing else.
    fn crash(&mut self, store: Self::Store);
}

struct OnDisk {
    folders: Vec<tempfile::TempDir>,
}

impl Backend for OnDisk {
    type Store = RedbStorage;

    fn open(&mut self) -> RedbStorage {
        RedbStorage::open_folder(self.folders.last().unwrap().path()).unwrap()
    }

    fn crash(&mut self, store: RedbStorage) {
        // The file as it is while the storage has it open: nothing is flushed by closing.
        let next = tempfile::tempdir().unwrap();
        let file = RedbStorage::file_in(self.folders.last().unwrap().path());
        std::fs::copy(file, RedbStorage::file_in(next.path())).unwrap();
        drop(store);
        self.folders.push(next);
    }
}

struct InMemory(Option<MemoryStorage>);

impl Backend for InMemory {
    type Store = MemoryStorage;

    fn open(&mut self) -> MemoryStorage {
        self.0
            .take()
            .unwrap_or_else(|| MemoryStorage::empty().unwrap())
    }

    fn crash(&mut self, mut store: MemoryStorage) {
        store.rollback();
        self.0 = Some(store);
    }
}

/// Makes a test of each rule for each storage.
macro_rules! suite {
    ($($rule:ident),* $(,)?) => {
        mod on_disk {
            $(#[test] fn $rule() {
                let folders = vec![tempfile::tempdir().unwrap()];
                super::$rule(super::OnDisk { folders });
            })*
        }
        mod in_memory {
            $(#[test] fn $rule() { super::$rule(super::InMemory(None)); })*
        }
    };
}

suite!(
    messages_come_in_the_order_of_time_and_id_however_they_were_written,
    a_page_begins_behind_the_last_row_of_the_one_before,
    a_batch_is_seen_at_once_and_kept_as_a_whole_or_not_at_all,
    what_was_committed_outlives_a_crash_and_what_was_applied_does_not,
    a_token_finds_the_first_message_of_its_sender_in_its_conversation_alone,
    an_app_sees_nothing_of_another,
    a_snapshot_stays_as_it_was,
    a_rest_changes_nothing_that_can_be_asked,
);

fn put(time: i64, n: u8) -> Write {
    Write::PutMessage(app(), cid(0), message(time, n, None))
}

fn ids(storage: &impl Storage, span: &Span, order: Order, limit: usize) -> Vec<String> {
    let found = now(storage.messages(&app(), &cid(0), span, order, limit)).unwrap();
    found
        .into_iter()
        .map(|it| it.id.as_str().to_owned())
        .collect()
}

fn messages_come_in_the_order_of_time_and_id_however_they_were_written(mut backend: impl Backend) {
    let mut storage = backend.open();
    now(storage.apply(vec![put(3, 1), put(1, 9)])).unwrap();
    now(storage.commit()).unwrap();
    // Half of them lie below and half in the batch.
    now(storage.apply(vec![put(2, 5), put(1, 2)])).unwrap();
    let all = Span::default();
    let oldest = ["m2", "m9", "m5", "m1"];
    assert_eq!(ids(&storage, &all, Order::OldestFirst, 9), oldest);
    let mut newest = oldest;
    newest.reverse();
    assert_eq!(ids(&storage, &all, Order::NewestFirst, 9), newest);
    now(storage.commit()).unwrap();
    backend.crash(storage);
    assert_eq!(ids(&backend.open(), &all, Order::OldestFirst, 9), oldest);
}

fn a_page_begins_behind_the_last_row_of_the_one_before(mut backend: impl Backend) {
    let mut storage = backend.open();
    // Several of one time: the id decides.
    now(storage.apply((0..20).map(|n| put(i64::from(n / 4), n)).collect())).unwrap();
    now(storage.commit()).unwrap();
    let whole = ids(&storage, &Span::default(), Order::OldestFirst, 99);
    assert_eq!(whole.len(), 20);
    for limit in 1..7 {
        let (mut found, mut span) = (Vec::new(), Span::default());
        loop {
            let order = Order::OldestFirst;
            let page = now(storage.messages(&app(), &cid(0), &span, order, limit)).unwrap();
            let Some(last) = page.last() else { break };
            span.older = Some(Edge {
                at: last.sent_at,
                id: Some(last.id.clone()),
                included: false,
            });
            found.extend(page.iter().map(|it| it.id.as_str().to_owned()));
        }
        assert_eq!(found, whole, "by {limit}");
    }
    let mut after = None;
    let many: Vec<Write> = (0..9)
        .map(|n| Write::PutConversation(app(), conversation(n, None)))
        .collect();
    now(storage.apply(many)).unwrap();
    let mut found = 0;
    loop {
        let page = now(storage.conversations(&app(), after.as_ref(), 2)).unwrap();
        found += page.len();
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    assert_eq!(found, 9);
}

fn a_batch_is_seen_at_once_and_kept_as_a_whole_or_not_at_all(mut backend: impl Backend) {
    let mut storage = backend.open();
    let before = picture(&storage);
    let batch = || {
        vec![
            Write::PutConversation(app(), conversation(0, None)),
            Write::PutMember(app(), cid(0), member(1, 5)),
            put(1, 1),
        ]
    };
    now(storage.apply(batch())).unwrap();
    let after = picture(&storage);
    assert_ne!(after, before, "a batch is seen");
    storage.rollback();
    assert_eq!(picture(&storage), before);
    assert!(!storage.has_changes());
    now(storage.apply(batch())).unwrap();
    assert!(storage.has_changes());
    now(storage.commit()).unwrap();
    assert!(!storage.has_changes());
    storage.rollback();
    assert_eq!(
        picture(&storage),
        after,
        "what is committed is not rolled back"
    );
}

fn what_was_committed_outlives_a_crash_and_what_was_applied_does_not(mut backend: impl Backend) {
    let mut storage = backend.open();
    for round in 0..5_u8 {
        now(storage.apply(vec![put(i64::from(round), round)])).unwrap();
        now(storage.commit()).unwrap();
        let kept = picture(&storage);
        now(storage.apply(vec![put(50, 50), Write::DropConversation(app(), cid(0))])).unwrap();
        backend.crash(storage);
        storage = backend.open();
        assert_eq!(picture(&storage), kept, "in round {round}");
    }
}

fn a_token_finds_the_first_message_of_its_sender_in_its_conversation_alone(
    mut backend: impl Backend,
) {
    let mut storage = backend.open();
    let sent = message(5, 1, None);
    now(storage.apply(vec![Write::PutMessage(app(), cid(0), sent.clone())])).unwrap();
    let find = find_sent;
    let place = Some(sent.place());
    // In the batch, and after the commit, and after a crash.
    assert_eq!(find(&storage, 0, 1, "dt1"), place);
    now(storage.commit()).unwrap();
    backend.crash(storage);
    let mut storage = backend.open();
    assert_eq!(find(&storage, 0, 1, "dt1"), place);
    assert_eq!(find(&storage, 1, 1, "dt1"), None);
    assert_eq!(find(&storage, 0, 2, "dt1"), None);
    assert_eq!(find(&storage, 0, 1, "dt2"), None);
    // A change of the message keeps its token; its end ends it.
    let patched = Message {
        patched_at: Some(at(9)),
        ..sent.clone()
    };
    now(storage.apply(vec![Write::PutMessage(app(), cid(0), patched)])).unwrap();
    assert_eq!(find(&storage, 0, 1, "dt1"), place);
    now(storage.apply(vec![Write::DropMessage(app(), cid(0), sent.place())])).unwrap();
    assert_eq!(find(&storage, 0, 1, "dt1"), None);
}

fn find_sent(storage: &impl Storage, conversation: u8, from: u8, token: &str) -> Option<Place> {
    now(storage.sent_with(&app(), &cid(conversation), &who(from), token)).unwrap()
}

fn an_app_sees_nothing_of_another(mut backend: impl Backend) {
    let mut storage = backend.open();
    let other = AppId::new("app2").unwrap();
    now(storage.apply(vec![
        Write::PutConversation(other.clone(), conversation(0, None)),
        Write::PutMember(other.clone(), cid(0), member(1, 5)),
        Write::PutMessage(other.clone(), cid(0), message(1, 1, Some(2))),
        Write::PutBan(other, cid(0), Ban::Silenced, who(1)),
    ]))
    .unwrap();
    let empty = picture(&MemoryStorage::empty().unwrap());
    assert_eq!(picture(&storage), empty);
    now(storage.commit()).unwrap();
    assert_eq!(picture(&storage), empty);
}

fn a_snapshot_stays_as_it_was(mut backend: impl Backend) {
    let mut storage = backend.open();
    now(storage.apply(vec![put(1, 1)])).unwrap();
    now(storage.commit()).unwrap();
    let snapshot = storage.snapshot().unwrap();
    now(storage.apply(vec![
        put(2, 2),
        Write::DropMessage(app(), cid(0), message(1, 1, None).place()),
    ]))
    .unwrap();
    now(storage.commit()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    snapshot.write_to(&copy, folder.path(), None).unwrap();
    Backup::check(&copy).unwrap();
    let copied = RedbStorage::open_folder(&copy).unwrap();
    assert_eq!(
        ids(&copied, &Span::default(), Order::OldestFirst, 9),
        ["m1"]
    );
    assert_eq!(
        ids(&storage, &Span::default(), Order::OldestFirst, 9),
        ["m2"]
    );
}

fn a_rest_changes_nothing_that_can_be_asked(mut backend: impl Backend) {
    let mut storage = backend.open();
    let large = Message {
        body: Body::Binary(vec![7; 1 << 20]),
        ..message(1, 1, None)
    };
    // Much is written, and little is left.
    for _ in 0..12 {
        let put = Write::PutMessage(app(), cid(1), large.clone());
        now(storage.apply(vec![
            put,
            Write::PutConversation(app(), conversation(0, None)),
        ]))
        .unwrap();
        now(storage.commit()).unwrap();
        now(storage.apply(vec![Write::DropMessage(app(), cid(1), large.place())])).unwrap();
        now(storage.commit()).unwrap();
    }
    let committed = picture(&storage);
    now(storage.apply(vec![put(2, 2)])).unwrap();
    let applied = picture(&storage);
    assert_ne!(applied, committed);
    let mut rounds = 0;
    while now(storage.rest()).unwrap() {
        assert_eq!(picture(&storage), applied);
        rounds += 1;
        assert!(rounds < 120_000, "a rest ends");
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    assert_eq!(picture(&storage), applied);
    storage.rollback();
    assert_eq!(picture(&storage), committed);
    backend.crash(storage);
    assert_eq!(picture(&backend.open()), committed);
}

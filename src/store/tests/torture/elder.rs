//! A store as schema 1 left it: a key for each message.

use std::path::Path;

use super::kill::times;
use crate::store::disk::RealDisk;
use crate::store::disk::identity::Identity;
use crate::store::format::codec::Codec;
use crate::store::format::key;
use crate::store::format::messagepack::{decode, encode, encode_compact};
use crate::store::format::record::{ConversationRecord, MetaRecord};
use crate::store::format::record_message::ContentRecord;
use crate::store::read::timeline::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::tests::*;
use crate::store::tree::sled::{DbOptions, SledKv};
use crate::store::tree::{Kv, KvBatch};
use crate::store::types::conversation::Held;
use crate::store::types::link::link;

/// How many messages each of the two conversations has.
pub(super) const MESSAGES: i64 = 1_500;

const NAMES: [&str; 2] = ["a", "b"];

/// Makes the store: an ordinary one whose messages are put under keys of their own.
pub(super) fn elder(folder: &Path) {
    let options = StoreOptions::new(folder, client("me"), at(1));
    let mut opened = Store::open(&options).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    for name in NAMES {
        let number = overlay.create_conversation(row(name)).unwrap();
        let hold =
            |row: &mut ConversationRow| row.history.hold(position(0), position(MESSAGES - 1));
        overlay.update_conversation(number, hold).unwrap();
        overlay
            .enqueue(number, local(&format!("l{name}")), at(1), send("unsent"))
            .unwrap();
    }
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Intent).unwrap();
    drop(opened);
    let disk = RealDisk::new(folder);
    let mut identity = Identity::read(&disk).unwrap().unwrap();
    let codec = identity.codec(None).unwrap();
    let tree = SledKv::open(&DbOptions {
        folder: folder.join("db"),
        cache_bytes: options.cache_bytes,
        open_timeout: options.open_timeout,
    });
    let tree = tree.unwrap();
    let value = tree.value(&key::meta()).unwrap().unwrap();
    let meta: MetaRecord = decode(&codec.open(&key::meta(), &value).unwrap()).unwrap();
    for number in 0..u32::try_from(NAMES.len()).unwrap() {
        unpack(&tree, &codec, ConversationNumber(number), meta.seq);
    }
    let old = encode(&MetaRecord { schema: 1, ..meta }).unwrap();
    put(&tree, &codec, key::meta(), &old, meta.seq);
    tree.flush().unwrap();
    drop(tree);
    identity.schema = 1;
    identity.write(&disk).unwrap();
}

fn unpack(tree: &SledKv, codec: &Codec, number: ConversationNumber, seq: u64) {
    let row_key = key::conversation(number);
    let value = tree.value(&row_key).unwrap().unwrap();
    let payload = codec.open(&row_key, &value).unwrap();
    let record: ConversationRecord<'_> = decode(&payload).unwrap();
    let mut row = record.row().unwrap();
    row.held = Held {
        count: u32::try_from(MESSAGES).unwrap(),
        newest: Some(position(MESSAGES - 1)),
        hot: 0,
    };
    let record = encode(&ConversationRecord::of(&row)).unwrap();
    put(tree, codec, row_key, &record, seq);
    let mut batch = KvBatch::default();
    for n in 0..MESSAGES {
        let message = message("other", n, "hello");
        let content = ContentRecord::of(&message.content);
        let nothing = None::<i64>;
        let older = (n > 0).then(|| link(&position(n - 1)));
        let record = (
            "other",
            None::<String>,
            content,
            false,
            Vec::<String>::new(),
            nothing,
            nothing,
            nothing,
            older,
        );
        let key = key::single(number, &position(n));
        let payload = encode_compact(&record).unwrap();
        batch.put(key.clone(), codec.seal(&key, &payload, seq).unwrap());
    }
    tree.apply(&batch).unwrap();
}

fn put(tree: &SledKv, codec: &Codec, key: Vec<u8>, payload: &[u8], seq: u64) {
    let mut batch = KvBatch::default();
    batch.put(key.clone(), codec.seal(&key, payload, seq).unwrap());
    tree.apply(&batch).unwrap();
}

/// Whether a store that was made so, and brought forward, has everything.
pub(super) fn unharmed(opened: &Opened) -> Result<(), String> {
    if opened.report.read_only.is_some() || opened.report.found_damage() {
        return Err(format!("{:?}", opened.report));
    }
    let snapshot = opened.store.snapshot();
    // The process that was killed may have sent something itself before.
    if snapshot.outbox().len() < NAMES.len() {
        return Err("unsent work is lost".to_owned());
    }
    for name in NAMES {
        let there = times(&opened.store, name)?;
        if there != (0..MESSAGES).collect() {
            return Err(format!("{} messages of {MESSAGES}", there.len()));
        }
        let number = snapshot.number(&conversation_id(name)).unwrap().unwrap();
        let page = snapshot.page_before(number, None, 200).unwrap();
        let gaps = |item: &&TimelineItem| matches!(item, TimelineItem::Gap(_));
        if page.items.iter().filter(gaps).count() > 0 {
            return Err("a gap in a whole history".to_owned());
        }
    }
    Ok(())
}

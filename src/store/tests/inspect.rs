//! The reports of `store-inspect` on folders: whole ones, damaged ones, encrypted ones. The tool changes none of
//! them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::store::format::cipher::StoreKey;
use crate::store::inspect;
use crate::store::inspect::Inspection;
use crate::store::recovery::options::StoreOptions;

const MESSAGES: i64 = 150;

fn write(folder: &Path, key: Option<StoreKey>) {
    let options = StoreOptions {
        key,
        ..StoreOptions::new(folder, client("me"), at(77))
    };
    let mut opened = Store::open(&options).unwrap();
    let mut overlay = Overlay::new(&opened.store);
    let number = overlay.create_conversation(row("c")).unwrap();
    let small = overlay.create_conversation(row("d")).unwrap();
    for n in 0..MESSAGES {
        overlay
            .put_message(number, &message("other", n, &format!("secret {n}")))
            .unwrap();
    }
    overlay
        .put_message(small, &message("me", 1, "one"))
        .unwrap();
    commit(&mut opened.writer, overlay, CommitClass::Cache);
    let mut overlay = Overlay::new(&opened.store);
    overlay
        .enqueue(number, local("l"), at(1), send("unsent"))
        .unwrap();
    commit(&mut opened.writer, overlay, CommitClass::Intent);
}

fn commit(writer: &mut Writer, overlay: Overlay<'_>, class: CommitClass) {
    writer.commit(overlay.into_batch(), class).unwrap();
}

/// Every file of a folder, with what is in it.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = crate::store::recovery::scan::files(folder).unwrap();
    let read = |path: PathBuf| (path.clone(), fs::read(path).unwrap());
    files.into_iter().map(read).collect()
}

/// Inspects, and sees that nothing was changed and nothing of the text is shown.
fn look(folder: &Path, key: Option<&StoreKey>) -> Inspection {
    let before = contents(folder);
    let found = inspect(folder, key).unwrap();
    assert_eq!(contents(folder), before, "the folder was changed");
    let shown = format!("{found:?}{}", serde_json::to_string(&found).unwrap());
    assert!(!shown.contains("secret") && !shown.contains("unsent\""));
    found
}

#[test]
fn a_whole_store_is_counted_to_the_message() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), None);
    let found = look(folder.path(), None);
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.tree.messages, Some(151));
    assert_eq!((found.tree.seq, found.journal.seq), (Some(2), 2));
    assert_eq!(found.journal.unsettled, Some(1));
    assert_eq!(found.tree.kinds["conversations"].records, 2);
    assert_eq!(found.tree.kinds["outbox"].records, 1);
    let [first, second] = &found.tree.largest[..] else {
        panic!("{:?}", found.tree.largest);
    };
    assert_eq!((first.messages, second.messages), (150, 1));
    assert!(first.bytes > second.bytes && found.tree.live_bytes < found.tree.file_bytes);
    assert_eq!(found.last_holder, Some(std::process::id()));
}

#[test]
fn a_store_that_is_open_can_be_inspected() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), None);
    let options = StoreOptions::new(folder.path(), client("me"), at(78));
    let opened = Store::open(&options).unwrap();
    assert_eq!(look(folder.path(), None).tree.messages, Some(151));
    drop(opened);
}

#[test]
fn of_a_tree_that_does_not_open_what_is_whole_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), None);
    let data = folder.path().join("db/db");
    let mut bytes = fs::read(&data).unwrap();
    bytes[5] ^= 0xFF;
    fs::write(&data, bytes).unwrap();
    fs::write(folder.path().join("store.1"), b"nothing").unwrap();
    fs::create_dir(folder.path().join("db.bad-7")).unwrap();
    let found = look(folder.path(), None);
    assert!(found.tree.refusal.is_some());
    // The hot packs that became sealed ones are still there.
    assert!(found.tree.messages >= Some(151), "{:?}", found.tree);
    assert_eq!(found.journal.unsettled, Some(1));
    assert_eq!(found.set_aside, [("db.bad-7".to_owned(), 0)]);
    assert_eq!(found.problems.len(), 3, "{:?}", found.problems);
}

#[test]
fn without_its_key_an_encrypted_store_shows_sizes_and_with_it_everything() {
    let folder = tempfile::tempdir().unwrap();
    let key = StoreKey::new([7; 32]);
    write(folder.path(), Some(key.clone()));
    let sealed = look(folder.path(), None);
    assert_eq!(sealed.problems, Vec::<String>::new());
    assert!(sealed.identity.is_encrypted && !sealed.identity.is_readable);
    assert_eq!(
        (sealed.tree.messages, sealed.journal.unsettled),
        (None, None)
    );
    assert_eq!(sealed.tree.seq, Some(2));
    let open = look(folder.path(), Some(&key));
    assert_eq!(
        (open.tree.messages, open.journal.unsettled),
        (Some(151), Some(1))
    );
    assert_eq!(open.tree.kinds, sealed.tree.kinds);
    let wrong = look(folder.path(), Some(&StoreKey::new([8; 32])));
    assert_eq!(wrong.problems.len(), 1, "{:?}", wrong.problems);
}

#[test]
fn a_folder_that_is_no_store_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let found = look(folder.path(), None);
    assert_eq!(found.problems.len(), 3, "{:?}", found.problems);
    assert!(inspect(&folder.path().join("nowhere"), None).is_err());
}

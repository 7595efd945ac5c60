//! The store through the public API: second openers, stale locks, newer schemas, keys.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sampan::model::{ConversationId, NewConversation, StoreHealth};
use sampan::{Client, ClientOptions, Config, Engine, SampanError, Secret, ServerAddress};

use crate::place::{Place, config, id};

/// Names the store root for the process that holds it.
const STORE: &str = "SAMPAN_TEST_STORE";

/// The line that the holder writes when it has the store open.
const HOLDING: &str = "holding the store";

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn offline(store: &Path) -> Config {
    let url = "http://127.0.0.1:9".to_owned();
    config(ServerAddress::Router { url }, store)
}

fn keyed(key: Option<&str>) -> ClientOptions {
    ClientOptions {
        store_key: key.map(Secret::new),
        ..ClientOptions::default()
    }
}

async fn open(store: &Path, key: Option<&str>) -> Result<(Arc<Engine>, Arc<Client>), SampanError> {
    let engine = Engine::open(offline(store))?;
    let client = engine.client(id("ann"), keyed(key)).await?;
    Ok((engine, client))
}

/// Makes a conversation with one unsent message.
async fn write(client: &Client, words: &str) -> ConversationId {
    let made = client.create_conversation(NewConversation {
        members: vec![id("ben")],
        ..NewConversation::default()
    });
    let talk = made.await.unwrap().conversation;
    talk.send_text(words.to_owned(), None).await.unwrap();
    talk.conversation_id()
}

async fn words(client: &Client, talk: &ConversationId) -> Vec<String> {
    let talk = client.conversation(talk.clone()).unwrap();
    let page = talk.page(None, 100).await.unwrap();
    let messages = page.items.iter().filter_map(|item| item.message());
    messages
        .map(|message| message.content.words().unwrap().to_owned())
        .collect()
}

/// The one folder of a store under a root.
fn folder(root: &Path) -> PathBuf {
    let mut entries = fs::read_dir(root).unwrap();
    entries.next().unwrap().unwrap().path()
}

fn bytes_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(bytes_of(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

/// Run by the test below in a process of its own: opens the store and waits to be killed.
#[tokio::test]
#[ignore = "the process that a test kills"]
async fn holder() {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let (_engine, client) = open(Path::new(&store), None).await.unwrap();
    write(&client, "before the kill").await;
    println!("{HOLDING}");
    std::future::pending::<()>().await;
}

/// The second opener is told who holds the store; once that one was killed, its lock is gone.
#[tokio::test]
async fn a_second_opener_learns_the_holders_pid_and_a_killed_holder_blocks_nobody() {
    let root = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::holder", "--ignored", "--nocapture"])
        .env(STORE, root.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains(HOLDING)));
    let holder = Some(i64::from(child.id()));
    let refusal = open(root.path(), None).await.unwrap_err();
    assert_eq!(refusal, SampanError::StoreInUse { holder });
    child.kill().unwrap();
    child.wait().unwrap();
    let (engine, client) = open(root.path(), None).await.unwrap();
    assert!(!client.open_report().found_damage);
    assert_eq!(client.outbox().await.unwrap().len(), 2);
    let second = Engine::open(offline(root.path())).unwrap();
    let refusal = second.client(id("ann"), keyed(None)).await.unwrap_err();
    let holder = Some(i64::from(std::process::id()));
    assert_eq!(refusal, SampanError::StoreInUse { holder });
    engine.shutdown().await.unwrap();
    second.client(id("ann"), keyed(None)).await.unwrap();
}

/// A store of a newer version is refused with both numbers, and not a byte of it is changed.
#[tokio::test]
async fn a_store_of_a_newer_version_is_refused_and_not_touched() {
    let root = tempfile::tempdir().unwrap();
    let (engine, client) = open(root.path(), None).await.unwrap();
    write(&client, "from the future").await;
    engine.shutdown().await.unwrap();
    let folder = folder(root.path());
    for copy in ["store.0", "store.1"] {
        raise_schema(&folder.join(copy), 99);
    }
    let before = bytes_of(&folder);
    let refusal = open(root.path(), None).await.unwrap_err();
    assert!(matches!(
        refusal,
        SampanError::StoreTooNew { found: 99, .. }
    ));
    assert!(!refusal.is_retryable());
    assert_eq!(bytes_of(&folder), before);
}

/// Writes another schema number into a copy of the identity: a MessagePack map in a frame whose
/// checksum stands at byte 30 (`docs/store.md`).
fn raise_schema(path: &Path, schema: u8) {
    let mut bytes = fs::read(path).unwrap();
    let name = b"\xA6schema";
    let at = bytes.windows(name.len()).position(|it| it == name).unwrap() + name.len();
    let number = bytes.get_mut(at).unwrap();
    assert!(*number < 128, "a number of one byte");
    *number = schema;
    let (header, rest) = bytes.split_at(30);
    let mut sum = flate2::Crc::new();
    sum.update(header);
    sum.update(rest.split_at(4).1);
    let sum = sum.sum().to_le_bytes();
    bytes.splice(30..34, sum);
    fs::write(path, bytes).unwrap();
}

/// With its key a store is as any other; without it, or with another, nothing opens,
/// nothing shows and nothing is harmed. The key can be changed, and the old one is then wrong.
#[tokio::test]
async fn an_encrypted_store_opens_with_its_key_alone_and_the_key_can_be_changed() {
    let root = tempfile::tempdir().unwrap();
    let (engine, client) = open(root.path(), Some(KEY)).await.unwrap();
    let talk = write(&client, "nobody reads this on the disk").await;
    let again = Secret::new(OTHER_KEY);
    let refusal = client.change_store_key(again.clone(), again).await;
    assert_eq!(refusal.unwrap_err(), SampanError::WrongKey);
    engine.shutdown().await.unwrap();
    for (path, bytes) in bytes_of(root.path()) {
        let shown = bytes.windows(19).any(|part| part == b"nobody reads this o");
        assert!(!shown, "{}", path.display());
    }
    let before = bytes_of(&folder(root.path()));
    for wrong in [None, Some(OTHER_KEY)] {
        let refusal = open(root.path(), wrong).await.unwrap_err();
        assert_eq!(refusal, SampanError::WrongKey);
        let after = bytes_of(&folder(root.path()));
        let changed: Vec<_> = after.iter().filter(|it| !before.contains(it)).collect();
        // The lock file holds the pid of the process that looked last.
        assert!(changed.iter().all(|(path, _)| path.ends_with("lock")));
    }
    let (engine, client) = open(root.path(), Some(KEY)).await.unwrap();
    assert_eq!(
        words(&client, &talk).await,
        ["nobody reads this on the disk"]
    );
    let (old, new) = (Secret::new(KEY), Secret::new(OTHER_KEY));
    client.change_store_key(old, new).await.unwrap();
    // The files are shut and opened again under the new key.
    engine.pause().await.unwrap();
    write(&client, "written after the change").await;
    engine.shutdown().await.unwrap();
    assert_eq!(
        open(root.path(), Some(KEY)).await.unwrap_err(),
        SampanError::WrongKey
    );
    let both = ["nobody reads this on the disk", "written after the change"];
    let (_engine, client) = open(root.path(), Some(OTHER_KEY)).await.unwrap();
    assert!(!client.open_report().found_damage);
    assert_eq!(words(&client, &talk).await, both);
    assert_eq!(client.outbox().await.unwrap().len(), 3);
}

/// A text that is no key is an argument error that does not repeat the text; a store without a key has none to
/// change; and no key shows in debug output.
#[tokio::test]
async fn what_is_no_key_is_refused_and_keys_are_never_shown() {
    let root = tempfile::tempdir().unwrap();
    let multibyte = "é".repeat(32);
    for bad in [
        "",
        "abc",
        "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        &multibyte,
    ] {
        let refusal = open(root.path(), Some(bad)).await.unwrap_err();
        let SampanError::InvalidArgument { reason } = refusal else {
            panic!("{refusal:?}");
        };
        assert!(bad.is_empty() || !reason.contains(bad));
    }
    assert!(!format!("{:?}", keyed(Some(KEY))).contains(KEY));
    let (_engine, client) = open(root.path(), None).await.unwrap();
    let (old, new) = (Secret::new(KEY), Secret::new(OTHER_KEY));
    let refusal = client.change_store_key(old, new).await.unwrap_err();
    assert_eq!(refusal, SampanError::WrongKey);
    let refusal = client
        .change_store_key(Secret::new("x"), Secret::new(KEY))
        .await;
    assert!(matches!(
        refusal.unwrap_err(),
        SampanError::InvalidArgument { .. }
    ));
    assert!(!format!("{client:?}").contains(KEY));
}

/// A root that can't be written still gives a client: it reads, and says why it takes no writes.
#[tokio::test]
async fn a_root_that_cannot_be_made_gives_a_client_that_says_so() {
    let place = Place::new().await;
    let file = place.folder.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    let (engine, client) = open(&file.join("store"), None).await.unwrap();
    assert!(client.open_report().detail.contains("takes no writes"));
    assert!(matches!(
        client.store_health(),
        StoreHealth::ReadOnly { .. }
    ));
    assert!(
        client
            .conversations(None, 10)
            .await
            .unwrap()
            .conversations
            .is_empty()
    );
    let refusal = client.create_conversation(NewConversation::default()).await;
    assert!(matches!(
        refusal.unwrap_err(),
        SampanError::StoreUnavailable { .. }
    ));
    // Writing resumes by itself once the way is free.
    fs::remove_file(&file).unwrap();
    let device = crate::place::Device { engine, client };
    device
        .until("a store that takes writes", || async {
            (device.client.store_health() == StoreHealth::Good).then_some(())
        })
        .await;
    write(&device.client, "at last").await;
}

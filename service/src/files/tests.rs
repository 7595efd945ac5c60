//! The suite that each store must pass, and the rules above a store.

#[cfg(target_os = "linux")]
mod syncs;

use std::convert::Infallible;
use std::fs;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use sampan::model::AppId;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;
use crate::core::Entropy;

pub(crate) const NO_BOUNDS: Bounds = Bounds {
    file: u64::MAX,
    app: u64::MAX,
};

/// Numbers that count up, in place of random ones.
struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        bytes.fill(self.0);
    }
}

fn app() -> AppFolder {
    AppFolder::of(&AppId::new("app").unwrap())
}

fn name(file: u8, part: Part) -> BlobName {
    let file = FileId::from_random([file; 12]);
    BlobName {
        app: app(),
        file,
        part,
    }
}

async fn write(store: &dyn FileStore, name: BlobName, pieces: &[&[u8]]) {
    let mut incoming = store.create(name).await.unwrap();
    for piece in pieces {
        incoming.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    incoming.finish().await.unwrap();
}

async fn read(store: &dyn FileStore, name: BlobName, range: Range<u64>) -> Option<Vec<u8>> {
    let bytes = store.read(name, range).await.unwrap()?;
    let pieces: Vec<Bytes> = bytes.try_collect().await.unwrap();
    Some(pieces.concat())
}

/// The rules that each store must keep.
pub(crate) async fn holds(store: &dyn FileStore) {
    let bytes = name(1, Part::Bytes(7));
    let long: Vec<u8> = (0..600_000_u32).map(|it| it.to_le_bytes()[0]).collect();
    let (head, tail) = long.split_at(300_001);
    write(store, bytes, &[head, b"", tail]).await;
    assert_eq!(
        read(store, bytes, 0..600_000).await.as_deref(),
        Some(long.as_slice())
    );
    assert_eq!(
        read(store, bytes, 599_999..600_000).await.as_deref(),
        long.get(599_999..)
    );
    assert_eq!(read(store, bytes, 5..5).await, Some(Vec::new()));
    assert_eq!(read(store, name(1, Part::Bytes(8)), 0..1).await, None);
    assert_eq!(store.usage(app()).await.unwrap(), 600_000);

    let half = store.create(name(2, Part::Bytes(1))).await;
    let mut half = half.unwrap();
    half.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    drop(half);
    assert_eq!(read(store, name(2, Part::Bytes(1)), 0..1).await, None);

    let record = name(1, Part::Record);
    assert!(
        store
            .claim(record, Bytes::from_static(b"first"))
            .await
            .unwrap()
    );
    assert!(
        !store
            .claim(record, Bytes::from_static(b"second"))
            .await
            .unwrap()
    );
    assert_eq!(
        store.read_small(record).await.unwrap().as_deref(),
        Some(&b"first"[..])
    );
    assert_eq!(store.usage(app()).await.unwrap(), 600_005);
    let other = AppFolder::of(&AppId::new("other").unwrap());
    assert_eq!(store.usage(other).await.unwrap(), 0);

    assert!(store.remove(record).await.unwrap());
    assert!(!store.remove(record).await.unwrap());
    assert_eq!(store.read_small(record).await.unwrap(), None);
    assert!(
        store
            .claim(record, Bytes::from_static(b"third"))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn memory_is_a_store() {
    holds(&MemoryFiles::default()).await;
}

#[tokio::test]
async fn a_folder_is_a_store_and_keeps_only_what_was_ended() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("files");
    let store = DiskFiles::open(&root).unwrap();
    holds(&store).await;
    let mut half = store.create(name(3, Part::Bytes(1))).await.unwrap();
    half.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    // As a process leaves it that is killed.
    std::mem::forget(half);
    assert_eq!(fs::read_dir(root.join("incoming")).unwrap().count(), 1);
    let store = DiskFiles::open(&root).unwrap();
    assert_eq!(fs::read_dir(root.join("incoming")).unwrap().count(), 0);
    assert_eq!(
        read(&store, name(1, Part::Bytes(7)), 0..4).await.as_deref(),
        Some(&[0, 1, 2, 3][..])
    );
    let record = store.read_small(name(1, Part::Record)).await.unwrap();
    assert_eq!(record.as_deref(), Some(&b"third"[..]));
}

#[tokio::test]
async fn bytes_that_no_record_names_are_taken_away_once_they_are_old() {
    let folder = tempfile::tempdir().unwrap();
    let store = DiskFiles::open(folder.path()).unwrap();
    let parts = [
        name(1, Part::Bytes(1)),
        name(2, Part::Bytes(1)),
        name(3, Part::Bytes(1)),
    ];
    for part in parts {
        write(&store, part, &[b"bytes"]).await;
    }
    assert!(
        store
            .claim(name(1, Part::Record), Bytes::from_static(b"{}"))
            .await
            .unwrap()
    );
    let [named, old, _young] = parts;
    for aged in [named, old] {
        let (sub, file) = aged.folder_and_file();
        let file = fs::File::options()
            .write(true)
            .open(folder.path().join(sub).join(file))
            .unwrap();
        let two_days = Duration::from_secs(2 * 86_400);
        let then = file.metadata().unwrap().modified().unwrap() - two_days;
        file.set_modified(then).unwrap();
    }
    assert_eq!(store.usage(app()).await.unwrap(), 12);
    let there: Vec<bool> = {
        let mut there = Vec::new();
        for part in parts {
            there.push(store.read(part, 0..1).await.unwrap().is_some());
        }
        there
    };
    assert_eq!(there, [true, false, true]);
}

fn library() -> Files {
    Files::new(Box::<MemoryFiles>::default(), Box::new(Counting(0)))
}

pub(crate) fn record(id: FileId) -> FileRecord {
    FileRecord {
        id,
        name: "a.png".to_owned(),
        key: "a.png".to_owned(),
        mime_type: "image/png".to_owned(),
        size: 0,
        digest: None,
        blob: None,
        url: None,
        meta: serde_json::Map::new(),
        created_at: 1,
    }
}

async fn keep(
    files: &Files,
    id: FileId,
    bounds: Bounds,
    bytes: &'static [u8],
) -> Result<FileRecord, FileError> {
    let pieces = bytes
        .chunks(3)
        .map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece)));
    files
        .keep(
            app(),
            record(id),
            bounds,
            stream::iter(pieces.collect::<Vec<_>>()),
        )
        .await
}

#[tokio::test]
async fn the_first_upload_is_the_file_and_the_same_bytes_again_change_nothing() {
    keeps(library()).await;
}

/// The rules above a store.
pub(crate) async fn keeps(files: Files) {
    let id = files.new_id();
    let kept = keep(&files, id, NO_BOUNDS, b"hello").await.unwrap();
    assert_eq!(kept.size, 5);
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(kept.digest.as_deref(), Some(digest));
    assert_eq!(keep(&files, id, NO_BOUNDS, b"hello").await.unwrap(), kept);
    assert!(matches!(
        keep(&files, id, NO_BOUNDS, b"hellO").await,
        Err(FileError::Taken)
    ));
    let read = files.read(app(), &kept, 1..4).await.unwrap().unwrap();
    assert_eq!(read.try_collect::<Vec<_>>().await.unwrap().concat(), b"ell");
    assert!(files.remove(app(), id).await.unwrap());
    assert!(!files.remove(app(), id).await.unwrap());
    assert_eq!(files.record(app(), id).await.unwrap(), None);
}

#[tokio::test]
async fn two_uploads_of_one_file_at_a_time_leave_one_whole() {
    let files = library();
    let id = files.new_id();
    let (sender, waits) = tokio::sync::oneshot::channel::<()>();
    let slow = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"slow"))]);
    let slow = slow.chain(stream::once(async move {
        waits.await.unwrap();
        Ok(Bytes::from_static(b"er"))
    }));
    let slow = files.keep(app(), record(id), NO_BOUNDS, Box::pin(slow));
    let quick = async {
        // The slow one has begun: `join` polls it first.
        let kept = keep(&files, id, NO_BOUNDS, b"quick").await.unwrap();
        sender.send(()).unwrap();
        kept
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert!(matches!(slow, Err(FileError::Taken)), "{slow:?}");
    assert_eq!(files.record(app(), id).await.unwrap(), Some(quick));
}

#[tokio::test]
async fn what_is_too_large_leaves_nothing_and_takes_no_room() {
    let files = library();
    let bounds = Bounds { file: 8, app: 1000 };
    let id = files.new_id();
    let large = keep(&files, id, bounds, b"nine byte").await;
    assert!(matches!(large, Err(FileError::TooLarge(8))), "{large:?}");
    assert_eq!(files.record(app(), id).await.unwrap(), None);
    let mut kept = Vec::new();
    let full = loop {
        let id = files.new_id();
        match keep(&files, id, bounds, b"8 bytes!").await {
            Ok(_) => kept.push(id),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, FileError::Full(1000)), "{full}");
    assert!((3..10).contains(&kept.len()), "{}", kept.len());
    // One goes, so one fits: neither refusals nor the removal left anything counted.
    assert!(files.remove(app(), kept[0]).await.unwrap());
    let id = files.new_id();
    keep(&files, id, bounds, b"8 bytes!").await.unwrap();
    assert!(
        keep(&files, files.new_id(), bounds, b"8 bytes!")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn failed_uploads_and_removed_files_give_all_their_room_back() {
    let files = library();
    let bounds = Bounds {
        file: 1_000,
        app: 1_000,
    };
    for _ in 0..20 {
        let cut = stream::iter([Ok(Bytes::from_static(&[7; 300])), Err("gone")]);
        let kept = files.keep(app(), record(files.new_id()), bounds, cut).await;
        assert!(matches!(kept, Err(FileError::Cut)), "{kept:?}");
        let id = files.new_id();
        keep(&files, id, bounds, &[7; 600]).await.unwrap();
        let more = keep(&files, files.new_id(), bounds, &[7; 600]).await;
        assert!(matches!(more, Err(FileError::Full(1_000))), "{more:?}");
        assert!(files.remove(app(), id).await.unwrap());
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let files = library();
    let id = files.new_id();
    let cut = stream::iter([Ok(Bytes::from_static(b"half")), Err("gone")]);
    let kept = files.keep(app(), record(id), NO_BOUNDS, cut).await;
    assert!(matches!(kept, Err(FileError::Cut)), "{kept:?}");
    assert_eq!(files.record(app(), id).await.unwrap(), None);
    keep(&files, id, NO_BOUNDS, b"whole").await.unwrap();
}

/// A store that writes a record and then fails to say so, or says so only when it is let.
struct Hesitant {
    files: Arc<MemoryFiles>,
    says: Option<Arc<Semaphore>>,
}

impl FileStore for Hesitant {
    fn create(&self, name: BlobName) -> Later<'_, Box<dyn Incoming>> {
        self.files.create(name)
    }

    fn claim(&self, name: BlobName, bytes: Bytes) -> Later<'_, bool> {
        let claimed = async move {
            let claimed = self.files.claim(name, bytes).await?;
            let Some(says) = &self.says else {
                return Err(std::io::Error::other("the disk failed").into());
            };
            says.acquire().await.unwrap().forget();
            Ok(claimed)
        };
        claimed.boxed()
    }

    fn read(&self, name: BlobName, range: Range<u64>) -> Later<'_, Option<ByteStream>> {
        self.files.read(name, range)
    }

    fn read_small(&self, name: BlobName) -> Later<'_, Option<Bytes>> {
        self.files.read_small(name)
    }

    fn remove(&self, name: BlobName) -> Later<'_, bool> {
        self.files.remove(name)
    }

    fn usage(&self, app: AppFolder) -> Later<'_, u64> {
        self.files.usage(app)
    }
}

fn hesitant(files: &Arc<MemoryFiles>, says: Option<Arc<Semaphore>>) -> Files {
    let files = Arc::clone(files);
    Files::new(Box::new(Hesitant { files, says }), Box::new(Counting(0)))
}

#[tokio::test(start_paused = true)]
async fn an_upload_whose_client_goes_away_at_its_end_is_kept_and_counted() {
    let says = Arc::new(Semaphore::new(0));
    let files = hesitant(&Arc::default(), Some(Arc::clone(&says)));
    let bounds = Bounds { file: 8, app: 400 };
    let id = files.new_id();
    let gone = keep(&files, id, bounds, b"8 bytes!");
    timeout(Duration::from_secs(1), gone).await.unwrap_err();
    says.add_permits(9);
    let kept = keep(&files, id, bounds, b"8 bytes!").await.unwrap();
    let other = keep(&files, files.new_id(), bounds, b"8 bytes!").await;
    assert!(matches!(other, Err(FileError::Full(400))), "{other:?}");
    assert!(files.read(app(), &kept, 0..8).await.unwrap().is_some());
    assert!(files.remove(app(), id).await.unwrap());
    keep(&files, files.new_id(), bounds, b"8 bytes!")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_record_that_may_not_be_durable_does_not_outlive_its_bytes() {
    let kept = Arc::new(MemoryFiles::default());
    let files = hesitant(&kept, None);
    let id = files.new_id();
    let failed = keep(&files, id, NO_BOUNDS, b"bytes").await;
    assert!(matches!(failed, Err(FileError::Store(_))), "{failed:?}");
    // Else the next try would be told that the file is kept.
    assert_eq!(files.record(app(), id).await.unwrap(), None);
    assert_eq!(kept.usage(app()).await.unwrap(), 0, "no bytes stay");
}

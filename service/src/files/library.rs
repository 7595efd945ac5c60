//! [`Files`]: the rules above a store.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use futures_util::{Stream, StreamExt as _};
use sha2::{Digest as _, Sha256};

use super::name::{AppFolder, BlobName, FileId, Part};
use super::record::FileRecord;
use super::store::{ByteStream, FileStore, Incoming, StoreError};
use super::usage::{Reserved, Usage, give_back};

/// The limits of uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the file.
    pub file: u64,
    /// Bytes of all files of the app together.
    pub app: u64,
}

/// The reason why a file is not kept or not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is too large.
    #[error("a file has at most {0} bytes")]
    TooLarge(u64),
    /// The app has too many bytes.
    #[error("the files of this app have {0} bytes at most")]
    Full(u64),
    /// Another file has the id.
    #[error("this file was uploaded already, with other bytes")]
    Taken,
    /// The upload ended before its end.
    #[error("the upload broke off")]
    Cut,
    /// The record of the file can't be read.
    #[error("the record of the file is damaged")]
    Damaged,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The files of all apps.
pub struct Files {
    store: Arc<dyn FileStore>,
    usage: Usage,
    entropy: std::sync::Mutex<Box<dyn crate::core::Entropy>>,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl Files {
    /// The files of a store. The random bytes become ids, which nobody may guess.
    #[must_use]
    pub fn new(store: Box<dyn FileStore>, entropy: Box<dyn crate::core::Entropy>) -> Self {
        Self {
            store: store.into(),
            usage: Usage::default(),
            entropy: std::sync::Mutex::new(entropy),
        }
    }

    fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        entropy.fill(&mut bytes);
        bytes
    }

    /// An id that no file has.
    #[must_use]
    pub fn new_id(&self) -> FileId {
        FileId::from_random(self.random())
    }

    /// The record of a file, if it is there.
    ///
    /// # Errors
    ///
    /// [`FileError::Store`] and [`FileError::Damaged`].
    pub async fn record(
        &self,
        app: AppFolder,
        id: FileId,
    ) -> Result<Option<FileRecord>, FileError> {
        record_in(&*self.store, app, id).await
    }

    /// Keeps the bytes of a file. When this returns, the bytes and the record with their length and digest are durable.
    /// Bytes that are there already are kept once.
    ///
    /// # Errors
    ///
    /// [`FileError`]; nothing is kept then.
    pub async fn keep<E>(
        &self,
        app: AppFolder,
        mut record: FileRecord,
        bounds: Bounds,
        bytes: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<FileRecord, FileError> {
        if let Some(there) = self.record(app, record.id).await? {
            return same_bytes(there, bounds, bytes).await;
        }
        let number = u64::from_le_bytes(self.random());
        let name = bytes_of(app, record.id, number);
        let mut reserved = Reserved::new(self.used(app).await?);
        let mut incoming = self.store.create(name).await?;
        let (size, digest) = receive(&mut *incoming, bounds, bytes, &mut reserved).await?;
        record.size = size;
        record.digest = Some(digest);
        record.blob = Some(number);
        let store = Arc::clone(&self.store);
        to_its_end(async move {
            let kept = async {
                incoming.finish().await?;
                put_record(&*store, app, &record, bounds, &mut reserved).await
            };
            match kept.await {
                Ok(true) => {
                    reserved.keep();
                    Ok(record)
                }
                Ok(false) => {
                    store.remove(name).await?;
                    // Another upload of the same file has ended before this one.
                    let there = record_in(&*store, app, record.id).await?;
                    there
                        .filter(|there| there.digest == record.digest)
                        .ok_or(FileError::Taken)
                }
                Err(error) => {
                    undo(&*store, app, &record).await?;
                    Err(error)
                }
            }
        })
        .await
    }

    /// Keeps the record of a file whose bytes are elsewhere.
    ///
    /// # Errors
    ///
    /// [`FileError`]; nothing is kept then.
    pub async fn keep_link(
        &self,
        app: AppFolder,
        record: &FileRecord,
        bounds: Bounds,
    ) -> Result<(), FileError> {
        let mut reserved = Reserved::new(self.used(app).await?);
        let (store, record) = (Arc::clone(&self.store), record.clone());
        to_its_end(async move {
            match put_record(&*store, app, &record, bounds, &mut reserved).await {
                Ok(true) => {
                    reserved.keep();
                    Ok(())
                }
                Ok(false) => Err(FileError::Taken),
                Err(error) => {
                    undo(&*store, app, &record).await?;
                    Err(error)
                }
            }
        })
        .await
    }

    /// A range of the bytes of a file; none where they are elsewhere or gone.
    ///
    /// # Errors
    ///
    /// [`FileError::Store`].
    pub async fn read(
        &self,
        app: AppFolder,
        record: &FileRecord,
        range: Range<u64>,
    ) -> Result<Option<ByteStream>, FileError> {
        debug_assert!(range.end <= record.size, "a range lies within its file");
        let Some(number) = record.blob else {
            return Ok(None);
        };
        let name = bytes_of(app, record.id, number);
        Ok(self.store.read(name, range).await?)
    }

    /// Takes a file away, durably; answers whether it was there.
    ///
    /// # Errors
    ///
    /// [`FileError::Store`]; the file may be gone then.
    pub async fn remove(&self, app: AppFolder, id: FileId) -> Result<bool, FileError> {
        let name = record_of(app, id);
        let Some(bytes) = self.store.read_small(name).await? else {
            return Ok(false);
        };
        let used = self.used(app).await?;
        let store = Arc::clone(&self.store);
        to_its_end(async move {
            // The record goes first: a file is there when its record is.
            if !store.remove(name).await? {
                return Ok(false);
            }
            give_back(&used, length(&bytes));
            let record: Option<FileRecord> = serde_json::from_slice(&bytes).ok();
            if let Some((number, size)) = record.and_then(|it| Some((it.blob?, it.size))) {
                store.remove(bytes_of(app, id, number)).await?;
                give_back(&used, size);
            }
            Ok(true)
        })
        .await
    }

    async fn used(&self, app: AppFolder) -> Result<Arc<AtomicU64>, StoreError> {
        self.usage.of(app, &*self.store).await
    }
}

/// Does work that must be finished although the caller is dropped. Else bytes would stay
/// that nobody counts.
async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, FileError>> + Send + 'static,
) -> Result<T, FileError> {
    let done = tokio::spawn(work).await;
    done.map_err(|error| StoreError::from(io::Error::other(error)))?
}

async fn record_in(
    store: &dyn FileStore,
    app: AppFolder,
    id: FileId,
) -> Result<Option<FileRecord>, FileError> {
    let found = store.read_small(record_of(app, id)).await?;
    let read = |bytes: Bytes| serde_json::from_slice(&bytes).map_err(|_| FileError::Damaged);
    found.map(read).transpose()
}

/// Takes the bytes of an upload; answers how many they are, and their digest.
async fn receive<E>(
    incoming: &mut dyn Incoming,
    bounds: Bounds,
    mut bytes: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    reserved: &mut Reserved,
) -> Result<(u64, String), FileError> {
    let (mut size, mut digest) = (0_u64, Sha256::new());
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|_| FileError::Cut)?;
        size += length(&piece);
        if size > bounds.file {
            return Err(FileError::TooLarge(bounds.file));
        }
        if !reserved.take(length(&piece), bounds.app) {
            return Err(FileError::Full(bounds.app));
        }
        digest.update(&piece);
        incoming.write(piece).await?;
    }
    Ok((size, hex(digest)))
}

async fn put_record(
    store: &dyn FileStore,
    app: AppFolder,
    record: &FileRecord,
    bounds: Bounds,
    reserved: &mut Reserved,
) -> Result<bool, FileError> {
    // Plain fields with texts as keys always become JSON.
    let json = Bytes::from(serde_json::to_vec(record).unwrap_or_default());
    if !reserved.take(length(&json), bounds.app) {
        return Err(FileError::Full(bounds.app));
    }
    Ok(store.claim(record_of(app, record.id), json).await?)
}

/// Removes an upload that failed at its end. If the record was written, it is removed first: a record whose
/// bytes are gone would answer the next try as if the file were kept.
async fn undo(store: &dyn FileStore, app: AppFolder, record: &FileRecord) -> Result<(), FileError> {
    let there = record_in(store, app, record.id).await?;
    if there.is_some_and(|there| there.blob == record.blob) {
        store.remove(record_of(app, record.id)).await?;
    }
    if let Some(number) = record.blob {
        store.remove(bytes_of(app, record.id, number)).await?;
    }
    Ok(())
}

/// The record of a file that is there, if it has these bytes.
async fn same_bytes<E>(
    there: FileRecord,
    bounds: Bounds,
    mut bytes: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
) -> Result<FileRecord, FileError> {
    let (mut size, mut digest) = (0_u64, Sha256::new());
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|_| FileError::Cut)?;
        size += length(&piece);
        if size > bounds.file.max(there.size) {
            return Err(FileError::Taken);
        }
        digest.update(&piece);
    }
    let digest = Some(hex(digest));
    match there.digest == digest {
        true => Ok(there),
        false => Err(FileError::Taken),
    }
}

const fn bytes_of(app: AppFolder, file: FileId, number: u64) -> BlobName {
    let part = Part::Bytes(number);
    BlobName { app, file, part }
}

const fn record_of(app: AppFolder, file: FileId) -> BlobName {
    let part = Part::Record;
    BlobName { app, file, part }
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

pub(super) fn hex(digest: Sha256) -> String {
    let bytes = digest.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

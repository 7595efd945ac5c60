//! [`MemoryFiles`]: files in memory, for tests.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future, stream};

use super::name::{AppFolder, BlobName};
use super::store::{ByteStream, FileStore, Incoming, Later};

type Blobs = Arc<Mutex<BTreeMap<BlobName, Bytes>>>;

/// Files in memory: gone with the service.
#[derive(Debug, Default)]
pub struct MemoryFiles(Blobs);

fn lock(blobs: &Blobs) -> MutexGuard<'_, BTreeMap<BlobName, Bytes>> {
    blobs.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FileStore for MemoryFiles {
    fn create(&self, name: BlobName) -> Later<'_, Box<dyn Incoming>> {
        let incoming = MemoryIncoming {
            blobs: Arc::clone(&self.0),
            name,
            bytes: Vec::new(),
        };
        let incoming: Box<dyn Incoming> = Box::new(incoming);
        future::ready(Ok(incoming)).boxed()
    }

    fn claim(&self, name: BlobName, bytes: Bytes) -> Later<'_, bool> {
        let mut blobs = lock(&self.0);
        let is_free = !blobs.contains_key(&name);
        if is_free {
            blobs.insert(name, bytes);
        }
        future::ready(Ok(is_free)).boxed()
    }

    fn read(&self, name: BlobName, range: Range<u64>) -> Later<'_, Option<ByteStream>> {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let range = index(range.start)..index(range.end);
        let found = lock(&self.0).get(&name).cloned();
        let found = found.map(|bytes| {
            let all = bytes.len();
            let within = range.start.min(all)..range.end.min(all);
            stream::iter([Ok(bytes.slice(within))]).boxed()
        });
        future::ready(Ok(found)).boxed()
    }

    fn read_small(&self, name: BlobName) -> Later<'_, Option<Bytes>> {
        let found = lock(&self.0).get(&name).cloned();
        future::ready(Ok(found)).boxed()
    }

    fn remove(&self, name: BlobName) -> Later<'_, bool> {
        let found = lock(&self.0).remove(&name);
        future::ready(Ok(found.is_some())).boxed()
    }

    fn usage(&self, app: AppFolder) -> Later<'_, u64> {
        let blobs = lock(&self.0);
        let own = blobs.iter().filter(|(name, _)| name.app == app);
        let length = |bytes: &Bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let bytes = own.map(|(_, bytes)| length(bytes)).sum();
        future::ready(Ok(bytes)).boxed()
    }
}

struct MemoryIncoming {
    blobs: Blobs,
    name: BlobName,
    bytes: Vec<u8>,
}

impl Incoming for MemoryIncoming {
    fn write(&mut self, bytes: Bytes) -> Later<'_, ()> {
        self.bytes.extend_from_slice(&bytes);
        future::ready(Ok(())).boxed()
    }

    fn finish(self: Box<Self>) -> Later<'static, ()> {
        lock(&self.blobs).insert(self.name, Bytes::from(self.bytes));
        future::ready(Ok(())).boxed()
    }
}

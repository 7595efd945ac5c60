//! [`FileStore`]: a place for bytes.

use std::io;
use std::ops::Range;

use axum::body::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::name::{AppFolder, BlobName};

/// The error of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Bytes that are read a piece at a time.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// The future of an answer.
pub type Later<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// A place for bytes under names. `files/tests.rs` has the suite that each of them must pass.
pub trait FileStore: Send + Sync {
    /// Begins an upload under a new name.
    fn create(&self, name: BlobName) -> Later<'_, Box<dyn Incoming>>;

    /// Keeps a few bytes under a name, whole and durable when this answers true. Answers false, and changes
    /// nothing, where something has the name.
    fn claim(&self, name: BlobName, bytes: Bytes) -> Later<'_, bool>;

    /// Reads a range of bytes, which must lie within the stored ones; none where nothing has the name.
    fn read(&self, name: BlobName, range: Range<u64>) -> Later<'_, Option<ByteStream>>;

    /// Reads all of a few bytes; none where nothing has the name.
    fn read_small(&self, name: BlobName) -> Later<'_, Option<Bytes>>;

    /// Takes away the bytes of the name, durably; answers whether there were any.
    fn remove(&self, name: BlobName) -> Later<'_, bool>;

    /// The number of bytes that an app has. May remove bytes that no record names and that are a day old.
    fn usage(&self, app: AppFolder) -> Later<'_, u64>;
}

/// An upload into a store. If it is dropped before `finish`, nothing of it is left.
pub trait Incoming: Send {
    /// Takes the next bytes.
    fn write(&mut self, bytes: Bytes) -> Later<'_, ()>;

    /// Ends: when this answers, all bytes are durable under their name.
    fn finish(self: Box<Self>) -> Later<'static, ()>;
}

//! [`S3Files`]: files in a storage that speaks S3, such as Amazon's, MinIO, Ceph or R2.
//!
//! | file | what it does |
//! |---|---|
//! | `call.rs` | one request on a connection of its own, within its time |
//! | `incoming.rs` | the upload of bytes: one request for a small file, parts for a large one |
//!
//! Names are the same as in a folder. A record is claimed by a PUT that the storage refuses if the name exists
//! (`If-None-Match: *`); the start finds out if a storage does not know the condition.

mod call;
mod incoming;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use hyper::{Method, StatusCode};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::actions::list_objects_v2::ListObjectsContent;
use rusty_s3::{Bucket, Credentials, UrlStyle};
use sampan::model::Timestamp;
use sampan::wire::iso;
use tokio::sync::Mutex;
use url::Url;

use self::call::{Answer, Caller, Refused};
use self::incoming::S3Incoming;
use super::clock::{Clock, SystemEntropy};
use crate::core::Entropy as _;
use crate::core::app::Secret;
use crate::files::{AppFolder, BlobName, ByteStream, FileStore, Incoming, Later, StoreError};

/// How long a signed URL holds: a request is made at once.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// How old bytes must be that no record names before they are taken away: an upload may be on its way.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a claim is tried that the storage puts off because of another one.
const CLAIMS_MAX: u32 = 3;

/// The beginning of the name that is claimed twice at the start, to see whether the storage refuses the second claim.
const PROBE: &str = "probe-";

/// A storage of files that speaks S3.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The storage's URL, such as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The bucket, which must be there.
    pub bucket: String,
    /// The region of the bucket.
    pub region: String,
    /// The id of the key by which the service signs.
    pub key_id: String,
    /// The key.
    pub key: Secret,
    /// True if the bucket is named in the host of URLs, and not in their path.
    pub bucket_in_host: bool,
}

/// The reason why a storage can't be used.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// The URL or the name of the bucket is none.
    #[error("the URL or the bucket can't be used: {0}")]
    Address(String),
    /// The storage overwrites an existing name in spite of the condition.
    #[error("the storage does not know If-None-Match, by which a file is written once")]
    Overwrites,
    /// The storage refuses the service.
    #[error(transparent)]
    Refused(StoreError),
}

/// Files in a bucket.
pub(super) struct S3Files {
    desk: Arc<Desk>,
    clock: Clock,
    /// One removal at a time: a removal first checks that the record exists.
    removing: Mutex<()>,
}

impl fmt::Debug for S3Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Files").finish_non_exhaustive()
    }
}

/// The bucket, the keys, and the way there.
struct Desk {
    bucket: Bucket,
    credentials: Credentials,
    caller: Caller,
}

impl Desk {
    fn signed<'a>(&'a self, action: &impl rusty_s3::S3Action<'a>) -> Url {
        action.sign(SIGNED_FOR)
    }

    async fn put(&self, key: &str, bytes: Bytes, only_if_new: bool) -> Result<Answer, StoreError> {
        let url = self.signed(&self.bucket.put_object(Some(&self.credentials), key));
        let condition = ("if-none-match", "*".to_owned());
        match only_if_new {
            // A repeated claim would find the record of the first one.
            true => {
                self.caller
                    .call(Method::PUT, &url, vec![condition], bytes)
                    .await
            }
            false => {
                self.caller
                    .call_again(Method::PUT, &url, Vec::new(), bytes)
                    .await
            }
        }
    }

    async fn is_there(&self, key: &str) -> Result<bool, StoreError> {
        let url = self.signed(&self.bucket.head_object(Some(&self.credentials), key));
        let answer = self
            .caller
            .call_again(Method::HEAD, &url, Vec::new(), Bytes::new())
            .await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(answer.refused().await),
        }
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Answer, StoreError> {
        let url = self.signed(&self.bucket.get_object(Some(&self.credentials), key));
        let range = range.map(|it| format!("bytes={}-{}", it.start, it.end.saturating_sub(1)));
        let headers = range.map(|range| ("range", range)).into_iter().collect();
        self.caller
            .call_again(Method::GET, &url, headers, Bytes::new())
            .await
    }

    async fn claim(&self, key: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let answer = self.put(key, bytes.clone(), true).await?;
            match answer.status {
                status if status.is_success() => return Ok(true),
                StatusCode::PRECONDITION_FAILED => return Ok(false),
                // Another request about the same name is under way.
                StatusCode::CONFLICT if tries < CLAIMS_MAX => {}
                _ => return Err(answer.refused().await),
            }
        }
    }

    async fn remove(&self, key: &str) -> Result<(), StoreError> {
        let url = self.signed(&self.bucket.delete_object(Some(&self.credentials), key));
        let answer = self
            .caller
            .call_again(Method::DELETE, &url, Vec::new(), Bytes::new())
            .await?;
        match answer.status {
            status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
            _ => Err(answer.refused().await),
        }
    }

    /// A page of the names of an app, in their order, and where the next one begins.
    async fn page(
        &self,
        app: AppFolder,
        from: Option<String>,
    ) -> Result<(Vec<ListObjectsContent>, Option<String>), StoreError> {
        let mut list = self.bucket.list_objects_v2(Some(&self.credentials));
        list.with_prefix(format!("{app}/"));
        if let Some(from) = from {
            list.with_continuation_token(from);
        }
        let url = self.signed(&list);
        let answer = self
            .caller
            .call_again(Method::GET, &url, Vec::new(), Bytes::new())
            .await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refused().await);
        }
        let text = answer.text().await?;
        let page = ListObjectsV2::parse_response(&text)
            .map_err(|error| unreadable("the list of files", &error))?;
        Ok((page.contents, page.next_continuation_token))
    }
}

fn unreadable(what: &str, error: &impl fmt::Display) -> StoreError {
    let reason = format!("{what} of the storage can't be read: {error}");
    io::Error::new(ErrorKind::InvalidData, reason).into()
}

impl S3Files {
    /// The files of a bucket. Nothing is asked yet.
    pub(super) fn new(options: &S3Options, clock: Clock) -> Result<Self, S3Error> {
        let address = |error: &dyn fmt::Display| S3Error::Address(error.to_string());
        let endpoint = Url::parse(&options.endpoint).map_err(|error| address(&error))?;
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(S3Error::Address("it is neither http nor https".to_owned()));
        }
        let style = match options.bucket_in_host {
            true => UrlStyle::VirtualHost,
            false => UrlStyle::Path,
        };
        let (bucket, region) = (options.bucket.clone(), options.region.clone());
        let bucket = Bucket::new(endpoint, style, bucket, region);
        let desk = Desk {
            bucket: bucket.map_err(|error| address(&error))?,
            credentials: Credentials::new(&options.key_id, options.key.expose()),
            caller: Caller::new(),
        };
        Ok(Self {
            desk: Arc::new(desk),
            clock,
            removing: Mutex::default(),
        })
    }

    /// Claims a name twice, and takes it away. A storage that is not reached is no reason not to start: it may be
    /// there when the first file comes.
    pub(super) async fn check(&self) -> Result<(), S3Error> {
        // Another service may start at the same time: each start has a name of its own.
        let mut number = [0; 8];
        SystemEntropy.fill(&mut number);
        let name = format!("{PROBE}{:016x}", u64::from_le_bytes(number));
        let probe = async {
            self.desk.claim(&name, Bytes::from_static(b"1")).await?;
            let again = self.desk.claim(&name, Bytes::from_static(b"2")).await?;
            self.desk.remove(&name).await?;
            Ok(again)
        };
        match probe.await {
            Ok(false) => Ok(()),
            Ok(true) => Err(S3Error::Overwrites),
            Err(StoreError::Io(error)) if !is_refusal(&error) => {
                tracing::warn!(%error, "the storage of files was not reached");
                Ok(())
            }
            Err(error) => Err(S3Error::Refused(error)),
        }
    }
}

/// True if the storage refused the request; then it refuses the next one too.
fn is_refusal(error: &io::Error) -> bool {
    let refused = error.get_ref().and_then(|it| it.downcast_ref::<Refused>());
    refused.is_some_and(|it| it.status.is_client_error())
}

fn key_of(name: BlobName) -> String {
    let (folder, file) = name.folder_and_file();
    format!("{folder}/{file}")
}

impl FileStore for S3Files {
    fn create(&self, name: BlobName) -> Later<'_, Box<dyn Incoming>> {
        let incoming: Box<dyn Incoming> =
            Box::new(S3Incoming::new(Arc::clone(&self.desk), key_of(name)));
        futures_util::future::ready(Ok(incoming)).boxed()
    }

    fn claim(&self, name: BlobName, bytes: Bytes) -> Later<'_, bool> {
        let key = key_of(name);
        async move { self.desk.claim(&key, bytes).await }.boxed()
    }

    fn read(&self, name: BlobName, range: Range<u64>) -> Later<'_, Option<ByteStream>> {
        let key = key_of(name);
        async move {
            if range.is_empty() {
                let is_there = self.desk.is_there(&key).await?;
                return Ok(is_there.then(|| stream::empty().boxed()));
            }
            let wanted = range.end.saturating_sub(range.start);
            let is_whole = range.start == 0;
            let answer = self.desk.get(&key, Some(range)).await?;
            match answer.status {
                StatusCode::PARTIAL_CONTENT => {}
                StatusCode::OK if is_whole => {}
                StatusCode::NOT_FOUND => return Ok(None),
                // The bytes are fewer than the record says: a reader must not take them for whole.
                StatusCode::RANGE_NOT_SATISFIABLE => return Err(cut()),
                _ => return Err(answer.refused().await),
            }
            if answer.length() != Some(wanted) {
                return Err(cut());
            }
            Ok(Some(answer.stream()))
        }
        .boxed()
    }

    fn read_small(&self, name: BlobName) -> Later<'_, Option<Bytes>> {
        let key = key_of(name);
        async move {
            let answer = self.desk.get(&key, None).await?;
            match answer.status {
                StatusCode::OK => Ok(Some(answer.bytes().await?)),
                StatusCode::NOT_FOUND => Ok(None),
                _ => Err(answer.refused().await),
            }
        }
        .boxed()
    }

    fn remove(&self, name: BlobName) -> Later<'_, bool> {
        let key = key_of(name);
        async move {
            let _one = self.removing.lock().await;
            // The storage answers the same whether there was something or not.
            let is_there = self.desk.is_there(&key).await?;
            if is_there {
                self.desk.remove(&key).await?;
            }
            Ok(is_there)
        }
        .boxed()
    }

    fn usage(&self, app: AppFolder) -> Later<'_, u64> {
        let now = self.clock.now().wall;
        async move {
            let (mut sum, mut from) = (Sum::default(), None);
            loop {
                let (contents, next) = self.desk.page(app, from).await?;
                for found in contents {
                    sum.add(found, now);
                }
                from = next;
                if from.is_none() {
                    break;
                }
            }
            sum.end_of_file();
            for orphan in sum.orphans {
                self.desk.remove(&orphan).await?;
            }
            Ok(sum.bytes)
        }
        .boxed()
    }
}

fn cut() -> StoreError {
    io::Error::from(ErrorKind::UnexpectedEof).into()
}

/// The bytes of an app, counted in the order of names: the bytes of a file come right before its record.
#[derive(Default)]
struct Sum {
    bytes: u64,
    orphans: Vec<String>,
    /// The file whose names come now, and its old bytes, as long as no record was seen.
    file: String,
    old: Vec<(String, u64)>,
}

impl Sum {
    fn add(&mut self, found: ListObjectsContent, now: Timestamp) {
        let size = found.size.unwrap_or_default();
        let (stem, is_record) = match found.key.strip_suffix(".json") {
            Some(stem) => (stem, true),
            None => (found.key.split_once('-').map_or("", |it| it.0), false),
        };
        if stem != self.file {
            self.end_of_file();
            stem.clone_into(&mut self.file);
        }
        if is_record {
            self.bytes += self.old.drain(..).map(|(_, size)| size).sum::<u64>() + size;
            return;
        }
        let written = found.last_modified.as_deref().and_then(iso::parse);
        // Bytes of which no age is known stay.
        let age = written.map_or(0, |it| now.as_millis().saturating_sub(it.as_millis()));
        let is_old = u128::try_from(age).is_ok_and(|age| age >= ORPHAN_AGE.as_millis());
        match is_old {
            true => self.old.push((found.key, size)),
            false => self.bytes += size,
        }
    }

    /// No record came for the old bytes.
    fn end_of_file(&mut self) {
        self.orphans.extend(self.old.drain(..).map(|(key, _)| key));
    }
}

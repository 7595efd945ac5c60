//! Downloads: a file of a message comes into the cache, piece by piece, over broken connections and restarts.
//!
//! ```text
//!   look on this device ──▶ ask for the missing bytes ──▶ write, count ──▶ verify ──▶ done
//!            ▲                        │
//!            └────── pause ◀── trouble┘        written bytes stay, and only the rest is requested
//! ```

mod host;
mod legacy;
mod writing;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use host::{elsewhere, range_of, total_of, version_of};
use writing::{Piece, Writing, Written, checksum_of, disk, is_damage};

use super::blocking::blocking;
use super::board::EngineBoard;
use super::callers::Callers;
use super::spooling::SPOOL_SCHEME;
use super::store_handle::{NotOpen, ReadAccess};
use super::{ClientCore, Runtime, clock};
use crate::SampanError;
use crate::model::{Count, MediaFile, Progress};
use crate::net::{HttpAnswer, HttpBody, HttpMethod, HttpRequest, NetError, Transport};
use crate::store::{CacheEntry, ClearCopy, FileKey, FileWriter};
use crate::threads::Threads;
use crate::views::{DownloadFailure, DownloadPhase, DownloadState, Version};

/// How many tries in a row may bring nothing.
const TRIES_MAX: u32 = 5;

/// The first pause between two tries; it doubles.
const PAUSE: Duration = Duration::from_secs(1);

/// A download that brings no byte for so long is tried again.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The pause between two reports of the progress of a download.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// How many pieces may wait for the disk.
const PIECES_MAX: usize = 4;

/// How many redirects of a host are followed.
const REDIRECTS_MAX: usize = 5;

/// A download that an app holds: it waits for the file or watches the progress.
pub(crate) struct LiveDownload {
    gear: Gear,
    client: Weak<ClientCore>,
    file: MediaFile,
    entry: CacheEntry,
    state: watch::Sender<DownloadState>,
    is_cancelled: watch::Sender<bool>,
    clear: Mutex<Option<ClearCopy>>,
}

/// The tools of a download. They keep no engine alive.
struct Gear {
    transport: Arc<dyn Transport>,
    threads: Threads,
    callers: Callers,
    board: Arc<EngineBoard>,
    connect_timeout: Duration,
    cache_bytes: u64,
    legacy_folders: Vec<PathBuf>,
}

impl fmt::Debug for LiveDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveDownload")
            .field("entry", &self.entry)
            .finish_non_exhaustive()
    }
}

/// The downloads of a client that an app holds, by URL. One URL is downloaded once, however many hold it.
#[derive(Debug, Default)]
pub(super) struct Downloads(Mutex<BTreeMap<String, Weak<LiveDownload>>>);

/// The outcome of one try.
enum Try {
    Done(PathBuf),
    /// Trouble that passes, and whether bytes came before it.
    Again {
        reason: String,
        moved: bool,
    },
    /// The app went to the background: the download goes on when the app is back.
    Away,
    Cancelled,
    Failed(DownloadFailure),
}

/// The outcome of a look on this device.
enum Looked {
    Whole(PathBuf),
    /// An older SDK downloaded the file.
    Legacy(PathBuf),
    /// The first bytes of this version of the file are on the disk, this many.
    Part(u64, Option<String>),
}

impl LiveDownload {
    /// Begins a download, or joins the one of the same URL.
    pub(crate) fn begin(
        runtime: &Arc<Runtime>,
        client: &Arc<ClientCore>,
        file: MediaFile,
    ) -> Arc<Self> {
        let mut all = client
            .downloads
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| known.strong_count() > 0);
        let known = all.get(&file.url).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.may_go_on()) {
            return known;
        }
        let name = file.name.as_deref().unwrap_or(&file.url);
        let download = Arc::new(Self {
            gear: Gear {
                transport: Arc::clone(&runtime.transport),
                threads: runtime.media.clone(),
                callers: runtime.callers.clone(),
                board: Arc::clone(&runtime.board),
                connect_timeout: runtime.config.limits.connect_timeout,
                cache_bytes: runtime.config.file_cache_bytes,
                legacy_folders: runtime.config.legacy_file_folders.clone(),
            },
            client: Arc::downgrade(client),
            entry: client.cache.entry(&file.url, name),
            state: watch::Sender::new(DownloadState {
                version: Version(1),
                phase: DownloadPhase::Waiting,
            }),
            is_cancelled: watch::Sender::new(false),
            clear: Mutex::default(),
            file,
        });
        all.insert(download.file.url.clone(), Arc::downgrade(&download));
        drop(all);
        let work = work(Arc::downgrade(&download));
        runtime.callers.spawn(&runtime.tasks, Box::pin(work));
        download
    }

    fn may_go_on(&self) -> bool {
        !matches!(
            self.state.borrow().phase,
            DownloadPhase::Cancelled | DownloadPhase::Failed { .. }
        )
    }

    /// The next state after a version, once there is one; none after the last.
    pub(crate) async fn next(&self, have: Version) -> Option<DownloadState> {
        let mut states = self.state.subscribe();
        let newest = states.borrow().clone();
        if newest.version == have && newest.phase.is_last() {
            return None;
        }
        let mut closed = self.client.upgrade()?.store.watch_closed();
        let newer = async {
            tokio::select! {
                state = states.wait_for(|it| it.version != have) => state.ok().map(|it| it.clone()),
                // The client is closed, so no task works on the download.
                _ = closed.wait_for(|it| *it) => None,
            }
        };
        self.gear.callers.outside(newer).await
    }

    /// Stops the download; the bytes that came are kept for another time.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.send_replace(true);
        self.state.send_if_modified(|state| {
            let stops = !state.phase.is_last();
            if stops {
                state.go_to(DownloadPhase::Cancelled);
            }
            stops
        });
    }

    fn tell(&self, phase: DownloadPhase) {
        self.state.send_if_modified(|state| {
            let changes = !state.phase.is_last() && state.phase != phase;
            if changes {
                state.go_to(phase);
            }
            changes
        });
    }

    fn clear(&self) -> MutexGuard<'_, Option<ClearCopy>> {
        self.clear.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One try, from the cache to the end of the answer.
    async fn attempt(&self) -> Try {
        let (access, client) = match self.access() {
            Ok(both) => both,
            Err(outcome) => return outcome,
        };
        let key = match access.store().file_key() {
            Ok(key) => key,
            Err(error) => return Try::Failed(disk(&error.to_string())),
        };
        let work = self.look(&client, key.clone());
        let looked = blocking(&self.gear.threads, work).await;
        // While the host is asked, no file need be open.
        drop((access, client));
        let (have, version) = match looked {
            Ok(Looked::Whole(path)) => return self.open(key, path).await,
            Ok(Looked::Legacy(path)) => return Try::Done(path),
            Ok(Looked::Part(have, version)) => (have, version),
            Err(error) => return Try::Failed(disk(&error.to_string())),
        };
        if self.file.url.starts_with(SPOOL_SCHEME) {
            return Try::Failed(DownloadFailure::Absent);
        }
        let answer = self.ask(have, version.as_deref());
        let mut cancelled = self.is_cancelled.subscribe();
        let answer = tokio::select! {
            answer = timeout(IDLE_MAX, answer) => answer.unwrap_or(Err(NetError::TimedOut)),
            _ = cancelled.wait_for(|it| *it) => return Try::Cancelled,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error @ (NetError::Address { .. } | NetError::Insecure)) => {
                return Try::Failed(DownloadFailure::Address {
                    reason: error.to_string(),
                });
            }
            Err(error) => return again(error.to_string(), false),
        };
        let from = match self.judge(&answer, have, version.as_deref()) {
            Ok(from) => from,
            Err(outcome) => return outcome,
        };
        match self.access() {
            Ok((access, _)) => self.receive(access, key, answer, from).await,
            Err(outcome) => outcome,
        }
    }

    /// Access to the files of the client; else the outcome of the try.
    fn access(&self) -> Result<(ReadAccess, Arc<ClientCore>), Try> {
        let client = self.client.upgrade().ok_or(Try::Cancelled)?;
        match client.store.read() {
            Ok(access) => Ok((access, client)),
            Err(NotOpen::Shut) => Err(Try::Away),
            Err(NotOpen::Closed) => Err(Try::Cancelled),
        }
    }

    /// Looks into the cache and into the folders of older SDKs. A file that still waits to be uploaded is taken from the spool.
    fn look(
        &self,
        client: &ClientCore,
        key: Option<FileKey>,
    ) -> impl FnOnce() -> Result<Looked, SampanError> + Send + use<> {
        let entry = self.entry.again();
        let spooled = self.file.url.strip_prefix(SPOOL_SCHEME).map(str::to_owned);
        let spool = client.spool.clone();
        let now = clock::wall();
        let (file, folders) = (self.file.clone(), self.gear.legacy_folders.clone());
        move || {
            let look = || -> io::Result<Looked> {
                if let Some(file) = spooled {
                    let path = spool.path(&file)?;
                    let there = path.exists();
                    return Ok(if there {
                        Looked::Whole(path)
                    } else {
                        Looked::Part(0, None)
                    });
                }
                if let Some(path) = entry.find(now)? {
                    return Ok(Looked::Whole(path));
                }
                if let Some(path) = legacy::find(&folders, &file) {
                    return Ok(Looked::Legacy(path));
                }
                let have = FileWriter::bytes_of_part(&entry.part(), key.as_ref())?;
                Ok(Looked::Part(have, entry.version()))
            };
            look().map_err(|error| disk_error(&error))
        }
    }

    /// Asks the host for the missing bytes, and follows its redirects.
    async fn ask(&self, have: u64, version: Option<&str>) -> Result<HttpAnswer, NetError> {
        let mut url = self.file.url.clone();
        for _ in 0..REDIRECTS_MAX {
            let mut headers = vec![("Accept", "*/*".to_owned())];
            if have > 0 {
                headers.push(("Range", format!("bytes={have}-")));
                if let Some(version) = version {
                    headers.push(("If-Range", version.to_owned()));
                }
            }
            let request = HttpRequest {
                method: HttpMethod::Get,
                url: url.clone(),
                headers,
                body: HttpBody::whole(Bytes::new()),
                connect_timeout: self.gear.connect_timeout,
            };
            let answer = self.gear.transport.exchange(request).await?;
            let location = answer.headers.get("location");
            match (answer.status, location) {
                (301 | 302 | 303 | 307 | 308, Some(location)) => {
                    url = elsewhere(&url, location).ok_or(NetError::Address {
                        reason: "the host sends us to a place that is none",
                    })?;
                }
                _ => return Ok(answer),
            }
        }
        Err(NetError::Handshake {
            reason: "the host sends us around".to_owned(),
        })
    }

    /// The byte from which on the answer brings the file; else the outcome of the try.
    fn judge(&self, answer: &HttpAnswer, have: u64, version: Option<&str>) -> Result<u64, Try> {
        match answer.status {
            200 => Ok(0),
            206 if have > 0 => {
                let range = answer
                    .headers
                    .get("content-range")
                    .and_then(|it| range_of(it));
                let same = version.is_none() || version_of(answer).as_deref() == version;
                if range.is_some_and(|(from, _)| from == have) && same {
                    Ok(have)
                } else {
                    Err(self.begin_anew("the host answered with another part"))
                }
            }
            416 => Err(self.begin_anew("the host has no more bytes than there are here")),
            404 | 410 => Err(Try::Failed(DownloadFailure::Absent)),
            408 | 425 | 429 | 500.. => Err(again(format!("HTTP status {}", answer.status), false)),
            status => Err(Try::Failed(DownloadFailure::Refused {
                status: status.into(),
            })),
        }
    }

    fn begin_anew(&self, reason: &str) -> Try {
        match self.entry.discard() {
            Ok(()) => again(reason.to_owned(), false),
            Err(error) => Try::Failed(disk(&error.to_string())),
        }
    }

    /// Writes the bytes as they come, reports the progress, and verifies the whole file.
    async fn receive(
        &self,
        access: ReadAccess,
        key: Option<FileKey>,
        mut answer: HttpAnswer,
        from: u64,
    ) -> Try {
        let total = total_of(&answer, from).or(self.file.size);
        let limit = self.gear.cache_bytes;
        if let Some(actual) = total.filter(|total| *total > limit) {
            let (limit, actual) = (Count(limit), Count(actual));
            return Try::Failed(DownloadFailure::TooLarge { limit, actual });
        }
        let (pieces, received) = mpsc::channel(PIECES_MAX);
        let (done, outcome) = oneshot::channel();
        let writing = Writing {
            _access: access,
            entry: self.entry.again(),
            key: key.clone(),
            version: version_of(&answer),
            from,
            size: total,
            stated: self.file.size,
            checksum: checksum_of(&self.file),
            limit,
        };
        let started = self.gear.threads.run(Box::new(move || {
            // The app dropped the download and is told nothing.
            let _ = done.send(writing.write(received));
        }));
        if let Err(error) = started {
            return again(error.to_string(), false);
        }
        let interrupted = self.hand_over(&mut answer, pieces, from, total).await;
        let outcome = outcome.await.unwrap_or(Written::Part(false));
        match (outcome, interrupted) {
            (Written::Failed(failure), _) => Try::Failed(failure),
            (Written::Whole(path), None) => {
                let (cache, files) = (self.entry.cache(), limit);
                // A file that can't be removed now is tried with the next file.
                let evict = move || {
                    drop(cache.evict(files));
                    Ok(())
                };
                drop(blocking(&self.gear.threads, evict).await);
                self.open(key, path).await
            }
            (Written::Whole(_), Some(outcome)) => outcome,
            (Written::Part(moved), None) => again("the answer ended early".to_owned(), moved),
            (Written::Part(moved), Some(Try::Again { reason, .. })) => again(reason, moved),
            (Written::Part(_), Some(outcome)) => outcome,
        }
    }

    /// Hands the pieces of the answer to the disk; gives the reason if that ends early.
    async fn hand_over(
        &self,
        answer: &mut HttpAnswer,
        pieces: mpsc::Sender<Piece>,
        from: u64,
        total: Option<u64>,
    ) -> Option<Try> {
        let mut cancelled = self.is_cancelled.subscribe();
        let mut away = self.gear.board.is_away.subscribe();
        let mut closed = match self.client.upgrade() {
            Some(client) => client.store.watch_closed(),
            None => return Some(Try::Cancelled),
        };
        let mut bytes = from;
        let mut told = tokio::time::Instant::now();
        self.tell(running(bytes, total));
        loop {
            let piece = tokio::select! {
                piece = timeout(IDLE_MAX, answer.body.recv()) => piece,
                _ = cancelled.wait_for(|it| *it) => return Some(Try::Cancelled),
                _ = away.wait_for(|it| *it) => return Some(Try::Away),
                // The client is closed, so the bytes are not wanted.
                _ = closed.wait_for(|it| *it) => return Some(Try::Cancelled),
            };
            match piece {
                Ok(Some(Ok(piece))) => {
                    bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    // The writing thread ended, and its result says why.
                    if pieces.send(Some(piece)).await.is_err() {
                        return None;
                    }
                    if told.elapsed() >= TOLD_EVERY {
                        told = tokio::time::Instant::now();
                        self.tell(running(bytes, total));
                    }
                }
                Ok(Some(Err(error))) => return Some(again(error.to_string(), false)),
                Ok(None) => {
                    // The writing thread ended, and its result says why.
                    let _ = pieces.send(None).await;
                    return None;
                }
                Err(_) => return Some(again("nothing came for a minute".to_owned(), false)),
            }
        }
    }

    /// Opens the finished file. If the cache is encrypted, the app gets a copy in the clear, until it drops the download.
    async fn open(&self, key: Option<FileKey>, path: PathBuf) -> Try {
        let Some(key) = key else {
            return Try::Done(path);
        };
        let entry = self.entry.again();
        let copied = blocking(&self.gear.threads, move || {
            let copied = match entry.clear_copy(&path, &key) {
                // The file is encrypted with another key or damaged, so it is downloaded again.
                Err(error) if is_damage(&error) && path == entry.path() => {
                    entry.discard().map(|()| None)
                }
                copied => copied.map(Some),
            };
            copied.map_err(|error| disk_error(&error))
        });
        match copied.await {
            Ok(Some(copy)) => {
                let path = copy.path().to_owned();
                *self.clear() = Some(copy);
                Try::Done(path)
            }
            Ok(None) => again("the file on this device is damaged".to_owned(), false),
            Err(error) => Try::Failed(disk(&error.to_string())),
        }
    }
}

/// Tries until the file is there or can't be had.
async fn work(download: Weak<LiveDownload>) {
    let mut tries = 0;
    loop {
        let Some(this) = download.upgrade() else {
            return;
        };
        let phase = match this.attempt().await {
            Try::Done(path) => Some(DownloadPhase::Done { path }),
            Try::Failed(failure) => Some(DownloadPhase::Failed { failure }),
            Try::Cancelled => Some(DownloadPhase::Cancelled),
            Try::Again { reason, moved } => {
                tries = if moved { 1 } else { tries + 1 };
                (tries >= TRIES_MAX).then_some(DownloadPhase::Failed {
                    failure: DownloadFailure::Unreachable { tries, reason },
                })
            }
            Try::Away => None,
        };
        if let Some(phase) = phase {
            this.tell(phase);
            return;
        }
        let mut cancelled = this.is_cancelled.subscribe();
        let mut away = this.gear.board.is_away.subscribe();
        drop(this);
        let pause = PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(8));
        let go_on = async {
            // The engine ended: the next call of the app says so.
            let _ = away.wait_for(|away| !*away).await;
            sleep(pause).await;
        };
        tokio::select! {
            () = go_on => {}
            _ = cancelled.wait_for(|it| *it) => {}
        }
    }
}

const fn running(done: u64, total: Option<u64>) -> DownloadPhase {
    DownloadPhase::Running {
        progress: Progress {
            done: Count(done),
            total: match total {
                Some(total) => Some(Count(total)),
                None => None,
            },
        },
    }
}

const fn again(reason: String, moved: bool) -> Try {
    Try::Again { reason, moved }
}

fn disk_error(error: &io::Error) -> SampanError {
    crate::store::StoreError::io("the files that were downloaded", error).into()
}

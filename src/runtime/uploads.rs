//! The steps of uploads, over HTTP; and the spool, which holds the copies of files.
//!
//! The machine names the next step. A step runs beside the loop; while bytes leave, the board shows the
//! progress.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::client_parts::ClientCore;
use super::clock;
use super::store_handle::ReadAccess;
use crate::model::{AppId, Count, OutboxEntryId, Progress, UploadTicket};
use crate::net::{HttpAnswer, HttpBody, HttpMethod, HttpRequest, NetError, Transport};
use crate::store::{FileKey, Spool, Upload, UploadStage};
use crate::sync::link::ClientSlot;
use crate::sync::{EffectId, MediaEffect, UploadError, Uploaded};
use crate::threads::Threads;
use crate::wire::files::{self, FileToStore, UploadForm};
use crate::{Config, Secret, ServerAddress};

/// Threads that read files for uploads, and remove files.
const THREADS_MAX: usize = 4;

/// How many pieces of a file may wait for the socket: some hundred kilobytes of memory in all.
const PIECES_MAX: usize = 2;

/// The pause between two reports of the progress of an upload.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// An upload that moves no byte for so long is broken off and tried again.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The outcome of a step of an upload, and the client whose step it was.
pub(super) type FinishedStep = (ClientSlot, EffectId, Result<Uploaded, UploadError>);

/// The steps that run.
pub(super) struct Uploads {
    service: FileService,
    /// The most bytes in the cache of a client. The files that the client sends go into the same cache.
    cache_bytes: u64,
    threads: Threads,
    tasks: JoinSet<FinishedStep>,
    running: BTreeMap<(ClientSlot, EffectId), AbortHandle>,
}

impl Uploads {
    pub(super) fn new(config: &Config, transport: Arc<dyn Transport>) -> Self {
        Self {
            service: FileService::new(config, transport),
            cache_bytes: config.file_cache_bytes,
            threads: Threads::new("sampan-media", THREADS_MAX),
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
        }
    }

    /// Carries out the machine's wish for a client's files.
    pub(super) fn carry_out(
        &mut self,
        slot: ClientSlot,
        core: &Arc<ClientCore>,
        effect: MediaEffect,
    ) {
        match effect {
            MediaEffect::Upload {
                effect,
                entry,
                upload,
            } => {
                let step = Step {
                    service: self.service.clone(),
                    threads: self.threads.clone(),
                    core: Arc::clone(core),
                    entry,
                };
                let work = async move { (slot, effect, step.run(upload).await) };
                let task = self.tasks.spawn(work);
                self.running.insert((slot, effect), task);
            }
            MediaEffect::EndUpload { effect } => {
                if let Some(task) = self.running.remove(&(slot, effect)) {
                    task.abort();
                }
            }
            MediaEffect::Unspool {
                file,
                stored_at: Some(url),
            } => {
                // A file that was uploaded from here goes into the cache, so that showing it needs no download.
                let (entry, bytes_max) = (core.cache.entry(&url, &url), self.cache_bytes);
                self.with_spool(core, move |spool| {
                    if entry.adopt(&spool.path(&file)?).is_err() {
                        return spool.remove(&file);
                    }
                    let cache = entry.cache();
                    // A file that is larger than the cache may be is removed at once.
                    drop(entry);
                    cache.evict(bytes_max)
                });
            }
            MediaEffect::Unspool {
                file,
                stored_at: None,
            } => {
                self.with_spool(core, move |spool| spool.remove(&file));
            }
            MediaEffect::KeepSpooled { files } => {
                let cache = core.cache.clone();
                self.with_spool(core, move |spool| {
                    let cleared = cache.clear_away();
                    spool.sweep(&files).and(cleared)
                });
            }
        }
    }

    /// Ends all steps of a client.
    pub(super) fn end_of(&mut self, slot: ClientSlot) {
        let ended = self.running.extract_if(.., |(owner, _), _| *owner == slot);
        ended.for_each(|(_, task)| task.abort());
    }

    /// Waits for the next step that ends. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> FinishedStep {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(finished)) => return self.finished(finished),
                // An aborted step has no outcome.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// The next step that has ended already; none if none has.
    pub(super) fn try_next(&mut self) -> Option<FinishedStep> {
        loop {
            if let Ok(finished) = self.tasks.try_join_next()? {
                return Some(self.finished(finished));
            }
        }
    }

    fn finished(&mut self, finished: FinishedStep) -> FinishedStep {
        self.running.remove(&(finished.0, finished.1));
        finished
    }

    /// Works on the spool on a thread for it, while the store's files may be open: where they are shut, the next
    /// opening sweeps.
    fn with_spool(
        &self,
        core: &Arc<ClientCore>,
        work: impl FnOnce(&Spool) -> io::Result<()> + Send + 'static,
    ) {
        let Ok(access) = core.store.read() else {
            return;
        };
        let spool = core.spool.clone();
        let started = self.threads.run(Box::new(move || {
            if let Err(error) = work(&spool) {
                log::warn!("a file that was sent stays on this device for now: {error}");
            }
            drop(access);
        }));
        if let Err(error) = started {
            log::warn!("a file that was sent stays on this device for now: {error}");
        }
    }
}

/// The service's REST interface: for files, and all else that goes over HTTP.
#[derive(Clone)]
pub(super) struct FileService {
    transport: Arc<dyn Transport>,
    app_id: AppId,
    app_key: Secret,
    base: Option<String>,
    connect_timeout: Duration,
}

/// The base URL of the REST interface; none where the configuration names none.
pub(crate) fn api_base(config: &Config) -> Option<&str> {
    let base = match (&config.api_url, &config.server) {
        (Some(url), _) => url,
        (None, ServerAddress::Router { url }) => url,
        (None, ServerAddress::Socket { .. }) => return None,
    };
    Some(base.trim_end_matches('/'))
}

impl FileService {
    pub(super) fn new(config: &Config, transport: Arc<dyn Transport>) -> Self {
        Self {
            transport,
            app_id: config.app_id.clone(),
            app_key: config.app_key.clone(),
            base: api_base(config).map(str::to_owned),
            connect_timeout: config.limits.connect_timeout,
        }
    }

    /// True if the address of the REST interface is known.
    pub(super) const fn has_address(&self) -> bool {
        self.base.is_some()
    }

    /// Posts to the REST interface; any status is an answer.
    pub(super) async fn post(
        &self,
        path: &str,
        body: String,
    ) -> Result<(u16, String), UploadError> {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        self.ask(HttpMethod::Post, path, headers, body).await
    }

    /// Gets something from the REST interface with the token of a session; any status is an answer.
    pub(super) async fn get(
        &self,
        path: &str,
        token: &Secret,
    ) -> Result<(u16, String), UploadError> {
        let headers = vec![("X-LC-IM-Session-Token", token.reveal().to_owned())];
        self.ask(HttpMethod::Get, path, headers, String::new())
            .await
    }

    async fn ask(
        &self,
        method: HttpMethod,
        path: &str,
        mut headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<(u16, String), UploadError> {
        let Some(base) = &self.base else {
            return Err(later("no address of the REST interface is configured"));
        };
        headers.push(("X-LC-Id", self.app_id.as_str().to_owned()));
        headers.push(("X-LC-Key", self.app_key.reveal().to_owned()));
        let request = HttpRequest {
            method,
            url: format!("{base}{path}"),
            headers,
            body: HttpBody::whole(body.into_bytes()),
            connect_timeout: self.connect_timeout,
        };
        let exchange = async {
            let mut answer = self.transport.exchange(request).await?;
            let text = answer.text(ANSWER_BYTES_MAX).await?;
            Ok((answer.status, text))
        };
        let answered = tokio::time::timeout(IDLE_MAX, exchange).await;
        answered
            .unwrap_or(Err(NetError::TimedOut))
            .map_err(|error| later(error.to_string()))
    }
}

/// One step of an upload.
struct Step {
    service: FileService,
    threads: Threads,
    core: Arc<ClientCore>,
    entry: OutboxEntryId,
}

impl Step {
    async fn run(self, upload: Upload) -> Result<Uploaded, UploadError> {
        match &upload.stage {
            UploadStage::Waiting => self.ask_for_ticket(&upload).await,
            UploadStage::Ticketed(ticket) => self.transfer(&upload, ticket).await,
            UploadStage::Stored(ticket) => self.confirm(ticket).await,
        }
    }

    async fn ask_for_ticket(&self, upload: &Upload) -> Result<Uploaded, UploadError> {
        let key = storage_key(&upload.file, &upload.name);
        let file = FileToStore {
            name: &upload.name,
            mime: &upload.mime,
            bytes: upload.bytes,
            key: &key,
        };
        let body = files::ticket_request(&file);
        let (status, body) = self.service.post(files::TICKET_PATH, body).await?;
        match status {
            200..=299 => {
                // The sign-in page of a public network answers too, and is no ticket.
                let ticket = files::ticket(&body).map_err(|error| later(error.to_string()))?;
                Ok(Uploaded::Ticket(ticket))
            }
            status if is_passing(status) => Err(later(format!("HTTP status {status}"))),
            status => Err(refused(status, &body)),
        }
    }

    /// Tells the service that the storage has the bytes. A service that refuses a second report knows of the first.
    async fn confirm(&self, ticket: &UploadTicket) -> Result<Uploaded, UploadError> {
        let body = files::confirmation(&ticket.token, true);
        let (status, _) = self.service.post(files::CONFIRM_PATH, body).await?;
        if is_passing(status) {
            return Err(later(format!("HTTP status {status}")));
        }
        Ok(Uploaded::Confirmed)
    }

    async fn transfer(
        &self,
        upload: &Upload,
        ticket: &UploadTicket,
    ) -> Result<Uploaded, UploadError> {
        let boundary = clock::randomness().local_id();
        let form = files::form(ticket, &upload.mime, &upload.name, boundary.as_str());
        let Some(form) = form else {
            let provider = ticket.provider.clone();
            return Err(UploadError::UnknownStorage { provider });
        };
        let feed = self.feed(upload, &form)?;
        let FileFeed {
            pieces,
            through,
            flaw,
        } = feed;
        let around = form.before.len().saturating_add(form.after.len());
        let around = u64::try_from(around).unwrap_or(u64::MAX);
        let request = HttpRequest {
            method: if form.is_put {
                HttpMethod::Put
            } else {
                HttpMethod::Post
            },
            url: ticket.upload_url.clone(),
            headers: form.headers,
            body: HttpBody {
                bytes: upload.bytes.saturating_add(around),
                pieces,
            },
            connect_timeout: self.service.connect_timeout,
        };
        let exchange = self.service.transport.exchange(request);
        let outcome = self.watch(exchange, &through, upload.bytes).await;
        let flaw = flaw.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reason) = flaw {
            return Err(UploadError::CopyLost { reason });
        }
        let mut answer = outcome.map_err(|error| later(error.to_string()))?;
        let status = answer.status;
        let body = words(&mut answer).await;
        match status {
            200..=299 => Ok(Uploaded::Stored),
            401 | 403 | 404 | 410 => Err(UploadError::TicketRefused {
                status,
                reason: "the storage does not take the ticket".to_owned(),
            }),
            status if is_passing(status) => Err(later(format!("HTTP status {status}"))),
            status => Err(refused(status, &body)),
        }
    }

    /// Begins to read the file, on a thread for it. The thread ends with the request.
    fn feed(&self, upload: &Upload, form: &UploadForm) -> Result<FileFeed, UploadError> {
        let access = self.core.store.read();
        let access = access.map_err(|_| later("the store is shut"))?;
        let key = access.store().file_key();
        let key = key.map_err(|error| UploadError::CopyLost {
            reason: error.to_string(),
        })?;
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let through = Arc::new(AtomicU64::new(0));
        let flaw = Arc::new(Mutex::new(None));
        let reading = FileReading {
            _access: access,
            spool: self.core.spool.clone(),
            file: upload.file.clone(),
            bytes: upload.bytes,
            key,
            before: form.before.clone(),
            after: form.after.clone(),
            through: Arc::clone(&through),
        };
        let noted = Arc::clone(&flaw);
        let job = Box::new(move || {
            if let Err(error) = reading.send(&sender) {
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        });
        self.threads
            .run(job)
            .map_err(|error| later(error.to_string()))?;
        Ok(FileFeed {
            pieces,
            through,
            flaw,
        })
    }

    /// Waits for the answer, reports the progress of the upload, and gives up when nothing moves.
    async fn watch(
        &self,
        exchange: impl Future<Output = Result<HttpAnswer, NetError>>,
        through: &AtomicU64,
        total: u64,
    ) -> Result<HttpAnswer, NetError> {
        let shown = ShownProgress {
            core: &self.core,
            entry: self.entry,
            total,
        };
        shown.tell(0);
        let mut told = 0;
        let mut moved_at = Instant::now();
        tokio::pin!(exchange);
        loop {
            tokio::select! {
                answer = &mut exchange => return answer,
                () = sleep(TOLD_EVERY) => {}
            }
            let now = through.load(Ordering::Relaxed);
            if now != told {
                told = now;
                moved_at = Instant::now();
                shown.tell(now);
            } else if moved_at.elapsed() > IDLE_MAX {
                return Err(NetError::TimedOut);
            }
        }
    }
}

/// A file on its way to the socket.
struct FileFeed {
    pieces: mpsc::Receiver<Bytes>,
    /// Bytes of the file that the socket took.
    through: Arc<AtomicU64>,
    /// The reason why the file could not be read.
    flaw: Arc<Mutex<Option<String>>>,
}

/// A file that is read for an upload. Its store counts as used, so that a caller that waits for free files waits
/// for this.
struct FileReading {
    _access: ReadAccess,
    spool: Spool,
    file: String,
    bytes: u64,
    key: Option<FileKey>,
    before: Vec<u8>,
    after: Vec<u8>,
    through: Arc<AtomicU64>,
}

impl FileReading {
    /// Sends the whole body. Ends early when the request was dropped.
    fn send(self, pieces: &mpsc::Sender<Bytes>) -> io::Result<()> {
        let mut reader = self.spool.open(&self.file, self.key.as_ref())?;
        if reader.bytes() != self.bytes {
            return Err(io::Error::other("it has another length than it had"));
        }
        let before = Bytes::from(self.before);
        if !before.is_empty() && pieces.blocking_send(before).is_err() {
            return Ok(());
        }
        while let Some(piece) = reader.read_next()? {
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if pieces.blocking_send(piece.into()).is_err() {
                return Ok(());
            }
            self.through.fetch_add(length, Ordering::Relaxed);
        }
        if !self.after.is_empty() {
            // The request may have been dropped.
            let _ = pieces.blocking_send(self.after.into());
        }
        Ok(())
    }
}

/// The progress of an upload. It stands on the board until this value is dropped.
struct ShownProgress<'a> {
    core: &'a ClientCore,
    entry: OutboxEntryId,
    total: u64,
}

impl ShownProgress<'_> {
    fn tell(&self, done: u64) {
        let progress = Progress {
            done: Count(done),
            total: Some(Count(self.total)),
        };
        self.core.board.uploads.send_modify(|uploads| {
            Arc::make_mut(uploads).insert(self.entry, progress);
        });
    }
}

impl Drop for ShownProgress<'_> {
    fn drop(&mut self) {
        self.core.board.uploads.send_modify(|uploads| {
            Arc::make_mut(uploads).remove(&self.entry);
        });
    }
}

/// The name of a file in the storage: the same for each try, with the ending of the file's own name.
fn storage_key(file: &str, name: &str) -> String {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    let ending = ending.filter(|it| {
        (1..=8).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    match ending {
        Some(ending) => format!("{file}.{}", ending.to_ascii_lowercase()),
        None => file.to_owned(),
    }
}

/// The text of an answer, if it comes in time. The status alone is enough to go on.
async fn words(answer: &mut HttpAnswer) -> String {
    let words = tokio::time::timeout(IDLE_MAX, answer.text(ANSWER_BYTES_MAX));
    words.await.ok().and_then(Result::ok).unwrap_or_default()
}

/// True if a status stands for trouble that passes.
pub(super) const fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

fn later(reason: impl Into<String>) -> UploadError {
    let reason = reason.into();
    UploadError::Later { reason }
}

fn refused(status: u16, body: &str) -> UploadError {
    let (code, reason) = files::refusal(body);
    UploadError::Refused {
        status,
        code,
        reason: reason.unwrap_or_else(|| "it said no more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_in_the_storage_keeps_a_harmless_ending_only() {
        assert_eq!(storage_key("0a", "Cat.PNG"), "0a.png");
        for name in ["cat", "cat.", "cat./../x", "cat.p?g", "cat.waytoolong"] {
            assert_eq!(storage_key("0a", name), "0a", "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_never_ends_its_answer_keeps_no_upload() {
        let (pieces, body) = mpsc::channel(1);
        let mut answer = HttpAnswer {
            status: 200,
            headers: BTreeMap::new(),
            body,
        };
        let half = Bytes::from_static(b"{\"half");
        pieces.send(Ok(half)).await.unwrap();
        let said = tokio::time::timeout(IDLE_MAX * 2, words(&mut answer)).await;
        assert_eq!(said.as_deref(), Ok(""));
        drop(pieces);
        assert_eq!(words(&mut answer).await, "");
    }

    #[test]
    fn a_status_says_whether_trying_again_helps() {
        for status in [408, 429, 500, 502, 503] {
            assert!(is_passing(status));
        }
        for status in [200, 400, 401, 404, 413] {
            assert!(!is_passing(status));
        }
        let refused = refused(413, r#"{"code":154,"error":"too large"}"#);
        let UploadError::Refused { code, reason, .. } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!((code, reason.as_str()), (Some(154), "too large"));
    }
}

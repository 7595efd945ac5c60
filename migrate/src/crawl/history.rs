//! Workers that read slices into segments, the oldest slices first.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::error::CrawlError;
use super::progress::Progress;
use super::source::{Fetched, Source};
use crate::archive::{Archive, ArchiveError, Content, PAGES_MAX, SegmentWriter};
use crate::core::page::{self, Summary};
use crate::core::slice::{PAGE_ROWS_MAX, Slice};

/// A slice is not cut into halves shorter than this.
const SHORTEST_HALF_MS: i64 = 60 * 1000;

/// The archive that all workers write into, and the slice of each worker.
pub(super) struct Work<'a> {
    archive: Mutex<&'a mut Archive>,
    source: &'a Source,
    progress: &'a Progress,
    state: Mutex<State>,
    changed: Notify,
    workers: usize,
}

#[derive(Default)]
struct State {
    /// Slices that a worker reads now.
    claimed: Vec<Slice>,
    /// Slices that failed; the next run tries them again.
    failed: Vec<(Slice, String)>,
    /// Set when something happened that ends the run.
    is_over: bool,
}

/// Reads all pending slices of a pass, or of all passes. Returns the slices that failed.
pub(super) async fn read_pending(
    archive: &mut Archive,
    source: &Source,
    progress: &Progress,
    workers: usize,
) -> Result<Vec<String>, CrawlError> {
    let work = Work {
        archive: Mutex::new(archive),
        source,
        progress,
        state: Mutex::default(),
        changed: Notify::new(),
        workers: workers.max(1),
    };
    progress.begin(&work.lock().manifest().pending);
    let mut running: Vec<_> = (0..work.workers).map(|_| Box::pin(work.run())).collect();
    let mut first_error = None;
    for result in join_all(&mut running).await {
        first_error = first_error.or_else(|| result.err());
    }
    drop(running);
    progress.end();
    match first_error {
        Some(error) => Err(error),
        None => {
            let state = work
                .state
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
            Ok(state.failed.into_iter().map(|(_, reason)| reason).collect())
        }
    }
}

/// Drives some futures beside each other until all have ended.
async fn join_all<F: Future + Unpin>(futures: &mut [F]) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        let mut is_ready = true;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match std::pin::Pin::new(future).poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => is_ready = false,
                }
            }
        }
        if is_ready {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

impl<'a> Work<'a> {
    fn lock(&self) -> MutexGuard<'_, &'a mut Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one worker: takes slices until none is left.
    async fn run(&self) -> Result<(), CrawlError> {
        loop {
            let changed = self.changed.notified();
            let Some(slice) = self.claim() else {
                if self.is_idle() {
                    return Ok(());
                }
                // Another worker may cut its slice in two.
                changed.await;
                continue;
            };
            let result = self.read(slice.clone()).await;
            self.settled(&slice, &result);
            match result {
                Err(error) if !error.is_of_one_page() => return Err(error),
                _ => {}
            }
        }
    }

    /// The oldest slice that no worker reads and that has not failed in this run.
    fn claim(&self) -> Option<Slice> {
        let archive = self.lock();
        let mut state = self.state();
        if state.is_over || self.source.is_stopping() {
            return None;
        }
        let is_free = |slice: &&Slice| {
            let is_taken = state.claimed.iter().any(|one| one.begins_like(slice));
            !is_taken && !state.failed.iter().any(|(one, _)| one.begins_like(slice))
        };
        let slice = archive.manifest().pending.iter().find(is_free).cloned()?;
        state.claimed.push(slice.clone());
        Some(slice)
    }

    /// True if no worker reads a slice that could leave work for others.
    fn is_idle(&self) -> bool {
        let state = self.state();
        state.is_over || state.claimed.is_empty() || self.source.is_stopping()
    }

    fn settled(&self, slice: &Slice, result: &Result<(), CrawlError>) {
        let mut state = self.state();
        state.claimed.retain(|one| !one.begins_like(slice));
        match result {
            Err(error) if error.is_of_one_page() => self.progress.trouble(&error.to_string()),
            Err(_) => state.is_over = true,
            Ok(()) => {}
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Reads a slice until its end, until its segment is full, or until something is wrong. The pages that were
    /// read are in the archive when this returns.
    async fn read(&self, taken: Slice) -> Result<(), CrawlError> {
        let mut writer = self.lock().begin(Content::Messages, Some(taken.clone()))?;
        let mut left = Some(taken.clone());
        let read = self.pages(&mut writer, &taken, &mut left).await;
        // An unfinished file after an error of the disk is taken over by the next run.
        if let Err(CrawlError::Archive(error)) = read {
            return Err(error.into());
        }
        self.mark_failed(&read, left.as_ref());
        self.lock().end(writer, Some(&taken), left)?;
        read
    }

    /// Keeps the rest of a slice that failed out of this run.
    fn mark_failed(&self, read: &Result<(), CrawlError>, left: Option<&Slice>) {
        if let (Err(error), Some(left)) = (read, left)
            && error.is_of_one_page()
        {
            self.state().failed.push((left.clone(), error.to_string()));
        }
    }

    async fn pages(
        &self,
        writer: &mut SegmentWriter,
        taken: &Slice,
        left: &mut Option<Slice>,
    ) -> Result<(), CrawlError> {
        while let Some(slice) = left.clone() {
            let Some(request) = slice.request() else {
                break;
            };
            let Some(fetched) = self.source.page(&request, page::summary).await? else {
                break;
            };
            let Fetched {
                page,
                read: summary,
            } = fetched;
            if !slice.is_brought_on_by(&summary) {
                return Err(CrawlError::Stuck {
                    what: request.target(),
                });
            }
            writer.append(page, &summary)?;
            self.progress.page(&slice, &summary);
            *left = slice.after(&summary);
            if writer.pages() >= PAGES_MAX || self.source.is_stopping() {
                break;
            }
            if let Some(rest) = left.as_mut() {
                self.share(taken, rest, &summary)?;
            }
        }
        Ok(())
    }

    /// Gives the older half of a slice with many rows to a worker that has nothing to do.
    fn share(&self, taken: &Slice, rest: &mut Slice, page: &Summary) -> Result<(), ArchiveError> {
        let is_full = page.rows >= PAGE_ROWS_MAX as usize;
        let is_wanted = || {
            let busy = self.state().claimed.len();
            let archive = self.lock();
            busy < self.workers && archive.manifest().pending.len() <= busy
        };
        if !is_full || !is_wanted() {
            return Ok(());
        }
        let Some((older, newer)) = rest.halves(SHORTEST_HALF_MS) else {
            return Ok(());
        };
        rest.older = newer.older;
        let kept = Slice {
            older: newer.older,
            ..taken.clone()
        };
        self.lock()
            .change(|manifest| manifest.settle(taken, [older, kept]))?;
        self.changed.notify_waiters();
        Ok(())
    }
}

//! The order of a run: tables, history, comparison, the kinds that the history leaves out, attachments, and
//! then following. Each step continues where the last run stopped.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::attachments::{self, FetchedFiles};
use super::error::CrawlError;
use super::options::CrawlOptions;
use super::progress::Progress;
use super::source::Source;
use super::{check, history, tables, tail};
use crate::archive::{Archive, CheckedKind, Manifest, PassKind, Recovered};
use crate::clock::wall_millis;
use crate::core::page;
use crate::core::slice::{self, DAY_MS, Request};
use crate::http::Server;

/// Services keep half a year unless more was bought; the time before that is one slice at first.
const LIKELY_KEPT_MS: i64 = 200 * DAY_MS;

/// So much before the end of the last run is read again: rows may become visible late.
const OVERLAP_MS: i64 = 60 * 1000;

/// The outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct CrawlReport {
    /// The things that the opening put in order.
    pub recovered: Recovered,
    /// Pages that were read.
    pub pages: u64,
    /// Messages on them.
    pub rows: u64,
    /// Answers that had to be asked for again.
    pub troubles: u64,
    /// Slices that are left for the next run, each with its reason.
    pub failed: Vec<String>,
    /// Slices that are left, failed or not.
    pub left: usize,
    /// Other notes for an operator.
    pub notes: Vec<String>,
    /// The findings of the comparison.
    pub checks: Vec<CheckedKind>,
    /// The counts of attachments.
    pub attachments: Option<FetchedFiles>,
    /// The time until which the history is read.
    pub covered_until: Option<i64>,
}

/// Crawls. When `stop` becomes true, the run ends soon, with everything that it read in the archive.
///
/// # Errors
///
/// [`CrawlError`] when the run cannot go on. The pages that were read are in the archive.
pub async fn run(
    server: Server,
    options: &CrawlOptions,
    progress: &Progress,
    stop: watch::Receiver<bool>,
) -> Result<CrawlReport, CrawlError> {
    let fresh = Manifest::new(
        server.app(),
        server.address(),
        wall_millis(),
        options.keeps_addresses,
    );
    let source = Source::new(server, options, progress.clone(), stop);
    // A wrong key, app or address leaves no empty archive behind, which would be the wrong app's.
    let asked = match Archive::is_absent(&options.archive)? {
        true => Some(now(&source, progress).await?),
        false => None,
    };
    let (mut archive, recovered) = Archive::open(&options.archive, &fresh)?;
    let mut report = CrawlReport {
        recovered,
        ..CrawlReport::default()
    };
    let now = match asked {
        Some(now) => now,
        None => now(&source, progress).await?,
    };
    if let Some(now) = now {
        let mut run = Run {
            archive: &mut archive,
            source: &source,
            options,
            progress,
            report: &mut report,
        };
        let done = run.steps(now).await;
        progress.end();
        done?;
    }
    report.pages = progress.pages();
    report.rows = progress.rows();
    report.troubles = progress.troubles();
    report.left = archive.manifest().pending.len();
    report.covered_until = archive.manifest().covered_until();
    Ok(report)
}

/// The service's clock; none when the run is asked to end meanwhile. Asking for it shows at once whether the address
/// and the key are good.
async fn now(source: &Source, progress: &Progress) -> Result<Option<i64>, CrawlError> {
    progress.step("asking the service");
    let request = Request {
        path: "/1.2/rtm/messages".to_owned(),
        query: vec![("limit".to_owned(), "1".to_owned())],
    };
    let asked = source.page(&request, page::summary).await;
    if asked.is_err() {
        progress.end();
    }
    match asked {
        Ok(fetched) => Ok(fetched.map(|fetched| fetched.page.as_of())),
        Err(CrawlError::GivenUp { reason, tries, .. }) => {
            let address = source.server().address().to_owned();
            Err(CrawlError::NoAnswer {
                address,
                reason,
                tries,
            })
        }
        Err(error) => Err(error),
    }
}

struct Run<'a> {
    archive: &'a mut Archive,
    source: &'a Source,
    options: &'a CrawlOptions,
    progress: &'a Progress,
    report: &'a mut CrawlReport,
}

impl Run<'_> {
    async fn steps(&mut self, now: i64) -> Result<(), CrawlError> {
        let (source, progress) = (self.source, self.progress);
        // A conversation that the service gives up takes its history along: the list comes first.
        let classes = &self.options.tables;
        let notes =
            tables::read_tables(self.archive, source, progress, classes, self.options.again)
                .await?;
        self.report.notes.extend(notes);
        self.history(now).await?;
        if self.is_whole() && self.options.check_percent > 0.0 {
            self.check(now).await?;
        }
        if let Some(bytes_max) = self.options.attachments.filter(|_| !source.is_stopping()) {
            let fetched = attachments::fetch(self.archive, source, progress, bytes_max).await?;
            self.report.attachments = Some(fetched);
        }
        if let Some(every) = self.options.follow.filter(|_| !source.is_stopping()) {
            tail::follow(
                self.archive,
                source,
                progress,
                every,
                self.options.settle,
                now,
            )
            .await?;
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.archive.manifest().pending.is_empty() && !self.source.is_stopping()
    }

    /// Reads the pending history, then the new history or, if asked, all of it again.
    async fn history(&mut self, now: i64) -> Result<(), CrawlError> {
        let is_going_again = self.is_pending(PassKind::Again);
        let is_first = self.archive.manifest().covered_until().is_none();
        self.read_pending().await?;
        if self.source.is_stopping() {
            return Ok(());
        }
        let settle = i64::try_from(self.options.settle.as_millis()).unwrap_or(i64::MAX);
        let newer = now.saturating_sub(settle);
        let covered = self.archive.manifest().covered_until();
        let (kind, older) = match covered {
            Some(_) if self.options.again && !is_going_again && !is_first => {
                (PassKind::Again, self.options.since)
            }
            Some(covered) => (PassKind::History, covered - OVERLAP_MS),
            None => (PassKind::History, self.options.since),
        };
        if covered.is_some_and(|covered| covered >= newer) && kind == PassKind::History {
            return Ok(());
        }
        let step = self.options.slice_ms;
        self.archive.change(|manifest| {
            let number = manifest.begin(kind, older, newer, now);
            manifest.pending.extend(slice::cut(
                number,
                older,
                newer - LIKELY_KEPT_MS,
                newer,
                step,
            ));
        })?;
        self.read_pending().await
    }

    fn is_pending(&self, kind: PassKind) -> bool {
        let manifest = self.archive.manifest();
        let open: BTreeSet<u32> = manifest.pending.iter().map(|slice| slice.pass).collect();
        manifest
            .passes
            .iter()
            .any(|pass| pass.kind == kind && open.contains(&pass.number))
    }

    async fn read_pending(&mut self) -> Result<(), CrawlError> {
        if self.archive.manifest().pending.is_empty() {
            return Ok(());
        }
        let failed = history::read_pending(
            self.archive,
            self.source,
            self.progress,
            self.options.workers,
        )
        .await?;
        self.report.failed = failed;
        Ok(())
    }

    /// Compares some conversations with the whole history, once for each run, and reads the conversations that
    /// it lacks.
    async fn check(&mut self, now: i64) -> Result<(), CrawlError> {
        let (source, progress, percent) = (self.source, self.progress, self.options.check_percent);
        if !check::begin_check(self.archive, source, progress, percent, now).await? {
            self.report.notes.push(
                "no table of conversations, so nothing to compare the history with".to_owned(),
            );
            return Ok(());
        }
        self.read_pending().await?;
        if self.is_whole() {
            self.report.checks = check::finish_check(self.archive, source, progress, now).await?;
            self.read_pending().await?;
        }
        Ok(())
    }
}

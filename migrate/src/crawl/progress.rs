//! Bars for people who watch, counts for the report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::core::page::Summary;
use crate::core::slice::Slice;

/// The progress of a crawl.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    bar: ProgressBar,
    pages: AtomicU64,
    rows: AtomicU64,
    troubles: AtomicU64,
}

impl Progress {
    /// Shows a bar if somebody looks at a terminal.
    #[must_use]
    pub fn shown() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    /// Shows nothing.
    #[must_use]
    pub fn hidden() -> Self {
        Self::on(ProgressDrawTarget::hidden())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self(Arc::new(Inner {
            bar: ProgressBar::with_draw_target(None, target),
            pages: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            troubles: AtomicU64::new(0),
        }))
    }

    /// Pages that were read.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.0.pages.load(Ordering::Relaxed)
    }

    /// Rows on them.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::Relaxed)
    }

    /// Answers that had to be asked for again.
    #[must_use]
    pub fn troubles(&self) -> u64 {
        self.0.troubles.load(Ordering::Relaxed)
    }

    /// Adds the work of some slices; the bar measures their time in minutes, and one for each history.
    pub(super) fn begin(&self, slices: &[Slice]) {
        let bar = &self.0.bar;
        let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}  about {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.reset();
        bar.set_length(slices.iter().map(weight).sum());
        self.tell();
    }

    /// A page of a slice was read.
    pub(super) fn page(&self, before: &Slice, page: &Summary) {
        self.0.pages.fetch_add(1, Ordering::Relaxed);
        self.0.rows.fetch_add(page.rows as u64, Ordering::Relaxed);
        let after = before.clone().after(page);
        let done = weight(before).saturating_sub(after.as_ref().map_or(0, weight));
        self.0.bar.inc(done);
        self.tell();
    }

    /// Something else than a slice is being done.
    pub(super) fn step(&self, what: &str) {
        self.0.bar.set_message(what.to_owned());
        self.0.bar.tick();
    }

    /// A row of a table or a file was read.
    pub(super) fn other_page(&self) {
        self.0.pages.fetch_add(1, Ordering::Relaxed);
        self.0.bar.tick();
    }

    /// Reports an answer of a wrong kind.
    pub(super) fn trouble(&self, reason: &str) {
        self.0.troubles.fetch_add(1, Ordering::Relaxed);
        // Nothing is printed when nobody looks.
        self.0.bar.println(reason);
    }

    /// Notes the pace of now.
    pub(super) fn pace(&self, per_minute: f64) {
        self.0.bar.set_prefix(format!("{per_minute:.0}"));
    }

    pub(super) fn end(&self) {
        self.0.bar.finish_and_clear();
    }

    fn tell(&self) {
        let (rows, pace) = (self.rows(), self.0.bar.prefix());
        self.0
            .bar
            .set_message(format!("{rows} messages, up to {pace} requests a minute,"));
    }
}

/// The work in a slice: its minutes that are not read yet, and one for each history.
fn weight(slice: &Slice) -> u64 {
    let until = slice.cursor.as_ref().map_or(slice.newer, |place| place.at);
    // The time before 2010 holds nothing and would make the bar jump.
    let from = slice.older.max(1_262_304_000_000);
    let minutes = until.saturating_sub(from).max(0) / 60_000;
    u64::try_from(minutes).unwrap_or(0) + slice.scopes.len() as u64
}

//! Follows new messages: the youngest stretch of history is asked for again and again, and a page is kept when
//! it has a new row.

use std::collections::BTreeSet;
use std::time::Duration;

use super::error::CrawlError;
use super::progress::Progress;
use super::source::{Fetched, Source};
use crate::archive::{Archive, Content, PAGES_MAX, Page, PassKind};
use crate::clock::wall_millis;
use crate::core::page::{self, PageError, Summary};
use crate::core::slice::Slice;

/// So much of the past is read again each time: rows may become visible late.
const OVERLAP_MS: i64 = 60 * 1000;

/// A file of new pages is ended after this time, so that a power cut costs no more.
const FILE_MS: i64 = 10 * 60 * 1000;

/// A page's summary, with the place of each row.
type Read = (Summary, Vec<(i64, String)>);

/// Follows until the run is asked to end.
pub(super) async fn follow(
    archive: &mut Archive,
    source: &Source,
    progress: &Progress,
    every: Duration,
    settle: Duration,
    now: i64,
) -> Result<(), CrawlError> {
    let mut tail = Tail {
        until: archive.manifest().covered_until().unwrap_or(now),
        ahead: now - wall_millis(),
        seen: BTreeSet::new(),
    };
    let until = tail.until;
    let number = archive.change(|manifest| manifest.begin(PassKind::Tail, until, until, now))?;
    while !source.is_stopping() {
        let begun = wall_millis();
        let slice = Slice::of_app(number, tail.until - OVERLAP_MS, tail.until);
        let mut writer = archive.begin(Content::Messages, Some(slice))?;
        while !source.is_stopping() && writer.pages() < PAGES_MAX && wall_millis() - begun < FILE_MS
        {
            progress.step(&format!("following: {} messages so far", progress.rows()));
            source.rest(every).await;
            for (page, summary) in tail.poll(source, progress, number, settle).await? {
                writer.append(page, &summary)?;
            }
        }
        archive.end(writer, None, None)?;
        archive.change(|manifest| {
            for pass in manifest
                .passes
                .iter_mut()
                .filter(|pass| pass.number == number)
            {
                pass.newer = tail.until;
                pass.is_done = true;
            }
        })?;
    }
    Ok(())
}

struct Tail {
    /// The time until which everything was read, but for rows that come late.
    until: i64,
    /// The lead of the service's clock over this machine's.
    ahead: i64,
    /// The rows of the last stretch.
    seen: BTreeSet<(i64, String)>,
}

impl Tail {
    /// Reads the new messages; pages without a new row are left out.
    async fn poll(
        &mut self,
        source: &Source,
        progress: &Progress,
        pass: u32,
        settle: Duration,
    ) -> Result<Vec<(Page, Summary)>, CrawlError> {
        let settle = i64::try_from(settle.as_millis()).unwrap_or(i64::MAX);
        let newer = (wall_millis() + self.ahead).saturating_sub(settle);
        let mut left = Some(Slice::of_app(pass, self.until - OVERLAP_MS, newer));
        let mut pages = Vec::new();
        while let Some(slice) = left {
            let Some(request) = slice.request() else {
                break;
            };
            let fetched = match source.page(&request, read).await {
                Ok(Some(fetched)) => fetched,
                Ok(None) => return Ok(pages),
                Err(error) if error.is_of_one_page() => {
                    // The next poll asks for the same stretch.
                    progress.trouble(&error.to_string());
                    return Ok(pages);
                }
                Err(error) => return Err(error),
            };
            let Fetched {
                page,
                read: (summary, places),
            } = fetched;
            if !slice.is_brought_on_by(&summary) {
                break;
            }
            if let Some(answered) = page.answered_at {
                self.ahead = answered - wall_millis();
            }
            let before = self.seen.len();
            self.seen.extend(places);
            if self.seen.len() > before {
                progress.page(
                    &slice,
                    &Summary {
                        rows: self.seen.len() - before,
                        ..Summary::default()
                    },
                );
                pages.push((page, summary.clone()));
            }
            left = slice.after(&summary);
        }
        self.until = self.until.max(newer);
        let border = self.until - 2 * OVERLAP_MS;
        self.seen.retain(|(at, _)| *at >= border);
        Ok(pages)
    }
}

fn read(body: &str) -> Result<Read, PageError> {
    Ok((page::summary(body)?, page::places(body)?))
}

//! Reading an archive: the rows of tables, and all readings of all messages in the order of time.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::error::ArchiveError;
use super::manifest::{Content, Manifest, Segment};
use super::segment::read_segment;
use crate::core::page;
use crate::core::row::{Row, RowError};

/// One row of one page.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The time that it stands at among the others.
    pub at: i64,
    /// The message, or the reason why the row is none, with its text.
    pub row: Result<Row, (RowError, String)>,
    /// The pass that read it.
    pub pass: u32,
    /// The time of the answer that the reading is from.
    pub as_of: i64,
    /// The file that the reading is in.
    pub segment: u32,
}

/// All readings of one millisecond.
pub type Group = Vec<Reading>;

/// Goes through all readings of messages, from the newest time to the oldest, a millisecond at a
/// time. Only the segments around that time are in memory.
pub struct Readings {
    root: PathBuf,
    /// The segments that are not opened yet; the one with the newest row last.
    closed: Vec<Segment>,
    /// The readings of each open segment, the newest last.
    open: Vec<Vec<Reading>>,
}

impl Readings {
    /// The readings of an archive, of the segments that `wanted` chooses.
    #[must_use]
    pub fn new(root: &Path, manifest: &Manifest, wanted: impl Fn(&Segment) -> bool) -> Self {
        let messages = manifest
            .segments
            .iter()
            .filter(|one| one.content == Content::Messages);
        let mut closed: Vec<Segment> = messages.filter(|one| wanted(one)).cloned().collect();
        closed.sort_by_key(|one| one.newest);
        Self {
            root: root.to_owned(),
            closed,
            open: Vec::new(),
        }
    }

    /// The next millisecond.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when a segment is damaged or cannot be read.
    pub fn next_group(&mut self) -> Result<Option<Group>, ArchiveError> {
        let newest = loop {
            let newest = self
                .open
                .iter()
                .filter_map(|stream| Some(stream.last()?.at))
                .max();
            let next = self
                .closed
                .pop_if(|next| newest.is_none() || next.newest >= newest);
            let Some(next) = next else { break newest };
            self.open.push(self.stream(&next)?);
        };
        let Some(newest) = newest else {
            return Ok(None);
        };
        let mut group = Group::new();
        for stream in &mut self.open {
            while let Some(reading) = stream.pop_if(|reading| reading.at == newest) {
                group.push(reading);
            }
        }
        self.open.retain(|stream| !stream.is_empty());
        Ok(Some(group))
    }

    fn stream(&self, segment: &Segment) -> Result<Vec<Reading>, ArchiveError> {
        let mut readings = segment_readings(&self.root, segment)?;
        // Stable: rows of one time keep the order that the service gave them.
        readings.sort_by_key(|reading| std::cmp::Reverse(reading.at));
        readings.reverse();
        Ok(readings)
    }
}

/// The readings of one segment, in the order of the file.
///
/// # Errors
///
/// [`ArchiveError`] when the segment is damaged or cannot be read.
pub fn segment_readings(root: &Path, segment: &Segment) -> Result<Vec<Reading>, ArchiveError> {
    let pass = segment.slice.as_ref().map_or(0, |slice| slice.pass);
    let mut readings = Vec::new();
    for page in read_segment(root, segment)? {
        if page.status != 200 {
            continue;
        }
        let rows = page::rows(&page.body).unwrap_or_default();
        let view = page.request.subscriber();
        let mut at = i64::MIN;
        for raw in rows {
            let row = Row::read(raw.get()).map(|row| match view.clone() {
                Some((service, client)) => row.seen_by(service, client),
                None => row,
            });
            let row = row.map_err(|error| (error, raw.get().to_owned()));
            at = row.as_ref().map_or(at, |row| row.at);
            readings.push(Reading {
                at,
                row,
                pass,
                as_of: page.as_of(),
                segment: segment.number,
            });
        }
    }
    Ok(readings)
}

/// Calls `each` with every kept row of a table and the time that it is as of. A row that several
/// readings of the table have comes several times.
///
/// # Errors
///
/// [`ArchiveError`] when a segment is damaged or cannot be read.
pub fn table_rows(
    root: &Path,
    manifest: &Manifest,
    class: &str,
    mut each: impl FnMut(&str, i64),
) -> Result<(), ArchiveError> {
    table_rows_while(root, manifest, class, |row, as_of| {
        each(row, as_of);
        ControlFlow::Continue(())
    })
}

/// The same, until `each` breaks off.
///
/// # Errors
///
/// As [`table_rows`].
pub fn table_rows_while(
    root: &Path,
    manifest: &Manifest,
    class: &str,
    mut each: impl FnMut(&str, i64) -> ControlFlow<()>,
) -> Result<(), ArchiveError> {
    let of_class = |one: &&Segment| matches!(&one.content, Content::Table { class: name, .. } if name == class);
    for segment in manifest.segments.iter().filter(of_class) {
        for page in read_segment(root, segment)? {
            for row in page::rows(&page.body).unwrap_or_default() {
                if each(row.get(), page.as_of()).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

//! Files of pages. Each line of JSON is a zstd frame of its own. A file that a killed process left is therefore
//! good up to its last complete frame, and a sequence of frames is a zstd file that any tool reads.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use super::digest::{Digest, hex};
use super::error::{ArchiveError, Damage};
use super::manifest::{Content, Segment, VERSION};
use crate::core::page::{self, PageError, Summary};
use crate::core::slice::{Request, Slice};

/// The pages of a segment: a bound on what is read at once.
pub const PAGES_MAX: u32 = 64;

/// The bytes of a line. A page of a thousand rows of the longest messages is far below.
const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The first line of a segment: enough to take the file over when the manifest does not name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub version: u32,
    /// The app.
    pub app: String,
    /// The number of the segment.
    pub number: u32,
    /// The kind of its pages.
    pub content: Content,
    /// The slice that the segment begins with; none for a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<Slice>,
}

/// Every other line: one answer of the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The request that was sent.
    pub request: Request,
    /// The time of the request, by the clock of the machine that asked: milliseconds since 1970.
    pub asked_at: i64,
    /// The time of the answer by the service's clock, if the answer had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<i64>,
    /// The status of the answer: 200, or 404 for a conversation that is gone.
    pub status: u16,
    /// The body as it was received.
    pub received: Digest,
    /// The body as it is kept, if it differs: addresses of senders were taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Digest>,
    /// The body.
    pub body: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
enum Line {
    Segment(Header),
    Page(Page),
}

impl Page {
    /// Reads how to go on after the page.
    ///
    /// # Errors
    ///
    /// [`PageError`] when the body is no page.
    pub fn summary(&self) -> Result<Summary, PageError> {
        match self.status {
            404 => Ok(Summary::default()),
            _ => page::summary(&self.body),
        }
    }

    /// The time that the page is "as of": the service's clock if it is known.
    #[must_use]
    pub fn as_of(&self) -> i64 {
        self.answered_at.unwrap_or(self.asked_at)
    }
}

/// A segment that is being written, as `NUMBER.part`.
pub struct SegmentWriter {
    file: File,
    path: PathBuf,
    compressor: Compressor<'static>,
    hash: Sha256,
    segment: Segment,
}

impl SegmentWriter {
    /// Makes the file with its first line.
    pub(super) fn create(folder: &Path, header: Header) -> Result<Self, ArchiveError> {
        let path = folder.join(format!("{:06}.part", header.number));
        let fail = || ArchiveError::io(&path);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let mut compressor = Compressor::new(3).map_err(fail())?;
        compressor
            .set_parameter(CParameter::ChecksumFlag(true))
            .map_err(fail())?;
        let mut writer = Self {
            file: file.map_err(fail())?,
            compressor,
            hash: Sha256::new(),
            segment: Segment {
                number: header.number,
                content: header.content.clone(),
                slice: header.slice.clone(),
                pages: 0,
                rows: 0,
                newest: None,
                oldest: None,
                is_sorted: true,
                file: Digest {
                    bytes: 0,
                    sha256: String::new(),
                },
            },
            path,
        };
        writer.line(&Line::Segment(header))?;
        Ok(writer)
    }

    /// Adds a page. If that fails, the file is as it was.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`] when the file cannot be written.
    pub fn append(&mut self, page: Page, summary: &Summary) -> Result<(), ArchiveError> {
        self.line(&Line::Page(page))?;
        note(&mut self.segment, summary);
        Ok(())
    }

    fn line(&mut self, line: &Line) -> Result<(), ArchiveError> {
        let text = serde_json::to_vec(line).map_err(std::io::Error::other);
        let frame = text.and_then(|mut text| {
            text.push(b'\n');
            self.compressor.compress(&text)
        });
        let frame = frame.map_err(ArchiveError::io(&self.path))?;
        if let Err(error) = self.file.write_all(&frame) {
            // The written part of the frame goes; if that fails too, the next opening cuts it off.
            let _ = self.file.set_len(self.segment.file.bytes);
            let end = std::io::SeekFrom::Start(self.segment.file.bytes);
            let _ = std::io::Seek::seek(&mut self.file, end);
            return Err(ArchiveError::io(&self.path)(error));
        }
        self.hash.update(&frame);
        self.segment.file.bytes += frame.len() as u64;
        Ok(())
    }

    /// The pages so far.
    #[must_use]
    pub fn pages(&self) -> u32 {
        self.segment.pages
    }

    /// Makes the file durable and gives it its name. The manifest does not name it yet.
    pub(super) fn finish(mut self) -> Result<Segment, ArchiveError> {
        self.file.sync_all().map_err(ArchiveError::io(&self.path))?;
        self.segment.file.sha256 = hex(&self.hash.finalize());
        let name = self.path.with_extension("jsonl.zst");
        std::fs::rename(&self.path, &name).map_err(ArchiveError::io(&name))?;
        Ok(self.segment)
    }

    /// Removes the file: it holds no page.
    pub(super) fn discard(self) -> Result<(), ArchiveError> {
        std::fs::remove_file(&self.path).map_err(ArchiveError::io(&self.path))
    }
}

fn note(segment: &mut Segment, page: &Summary) {
    let follows = match (segment.oldest, page.newest) {
        (Some(oldest), Some(newest)) => newest <= oldest,
        _ => true,
    };
    segment.is_sorted &= page.is_sorted && follows;
    segment.pages += 1;
    segment.rows += page.rows as u64;
    segment.newest = segment.newest.max(page.newest);
    segment.oldest = match (segment.oldest, page.oldest) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
}

/// The readable content of a file.
pub(super) struct Found {
    pub(super) header: Option<Header>,
    pub(super) pages: Vec<Page>,
    /// The bytes of the frames up to the first damage.
    pub(super) good_bytes: usize,
    /// The first damage.
    pub(super) damage: Option<Damage>,
}

/// Reads frames until the end or the first damage.
pub(super) fn read_frames(bytes: &[u8]) -> Found {
    let mut found = Found {
        header: None,
        pages: Vec::new(),
        good_bytes: 0,
        damage: None,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let index = found.pages.len() + usize::from(found.header.is_some());
        match frame(rest, index) {
            Ok((length, Line::Segment(header))) if index == 0 => {
                found.header = Some(header);
                found.good_bytes += length;
            }
            Ok((length, Line::Page(page))) if index > 0 => {
                found.pages.push(page);
                found.good_bytes += length;
            }
            Ok(_) => found.damage = Some(Damage::Line(index)),
            Err(damage) => found.damage = Some(damage),
        }
        if found.damage.is_some() {
            return found;
        }
        rest = bytes.get(found.good_bytes..).unwrap_or_default();
    }
    if found.header.is_none() {
        found.damage = Some(Damage::Line(0));
    }
    found
}

fn frame(bytes: &[u8], index: usize) -> Result<(usize, Line), Damage> {
    let damaged = Damage::Frame(index);
    let length = zstd_safe::find_frame_compressed_size(bytes).map_err(|_| damaged.clone())?;
    let frame = bytes.get(..length).ok_or_else(|| damaged.clone())?;
    let size = zstd_safe::get_frame_content_size(frame).ok().flatten();
    // The length is looked at before anything is allocated for it.
    let size = size.and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| *size <= LINE_BYTES_MAX);
    let size = size.ok_or_else(|| damaged.clone())?;
    let text = zstd::bulk::decompress(frame, size).map_err(|_| damaged)?;
    let line: Line = serde_json::from_slice(&text).map_err(|_| Damage::Line(index))?;
    if let Line::Page(page) = &line
        && *page.kept.as_ref().unwrap_or(&page.received) != Digest::of(page.body.as_bytes())
    {
        return Err(Damage::Body(index));
    }
    Ok((length, line))
}

/// The pages of a segment, after its lengths and hashes were checked.
///
/// # Errors
///
/// [`ArchiveError::Damaged`] when the file differs from its written form, [`ArchiveError::Io`] when it cannot
/// be read.
pub fn read_segment(archive: &Path, segment: &Segment) -> Result<Vec<Page>, ArchiveError> {
    let path = archive.join(Segment::path_of(segment.number));
    let damaged = |damage| ArchiveError::Damaged {
        path: path.clone(),
        damage,
    };
    let length = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(Damage::Missing));
        }
        Err(error) => return Err(ArchiveError::io(&path)(error)),
    };
    if length != segment.file.bytes {
        return Err(damaged(Damage::File));
    }
    let bytes = std::fs::read(&path).map_err(ArchiveError::io(&path))?;
    if Digest::of(&bytes) != segment.file {
        return Err(damaged(Damage::File));
    }
    let found = read_frames(&bytes);
    match found.damage {
        Some(damage) => Err(damaged(damage)),
        None => Ok(found.pages),
    }
}

/// The ledger's entry for pages that were found in a file.
pub(super) fn entry_of(header: &Header, pages: &[Page], file: Digest) -> Segment {
    let mut segment = Segment {
        number: header.number,
        content: header.content.clone(),
        slice: header.slice.clone(),
        pages: 0,
        rows: 0,
        newest: None,
        oldest: None,
        is_sorted: true,
        file,
    };
    for page in pages {
        note(&mut segment, &page.summary().unwrap_or_default());
    }
    segment
}

/// A header of this version.
pub(super) fn header(app: &str, number: u32, content: Content, slice: Option<Slice>) -> Header {
    Header {
        version: VERSION,
        app: app.to_owned(),
        number,
        content,
        slice,
    }
}

//! The check of the embedded database's file before the database opens it, because an opening destroys
//! evidence.
//!
//! Where its log is torn, the database takes the tear for the end, goes back to the state before the tear and
//! overwrites the rest with zeros. After a kill this is right; after damage it destroys whole records. The
//! store therefore checks the file first. A segment with a damaged header means that the file must not be
//! opened. The segments that an opening may overwrite are kept in memory until the database is known to be in
//! its old state.
//!
//! A page that is too large for a segment has a file of its own in `blobs`, named by its place in the log.
//! The file begins with a CRC32 of its rest. An opening removes such files behind a tear, so they are checked
//! and kept in the same way.
//!
//! The file is a sequence of segments of 512 KiB. A segment's header has 20 bytes: a CRC32 of the other
//! sixteen (inverted), its place in the log, and the place up to which the log was durable when the segment
//! was begun (both 8 bytes, little-endian, xor `0x7FFF_FFFF_FFFF_FFFF`).

use std::fs::File;
use std::path::Path;
use std::{io, thread};

use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::recovery::scan::scan_bytes;
use crate::store::tree::sled::io_or_damage;

/// The size of a segment, in bytes; the database's default, which its own configuration pins.
const SEGMENT: u64 = 512 * 1024;

/// The size of a segment's header, in bytes.
const HEADER: usize = 20;

/// A file of so many segments is read by some threads at once: an app's store is mostly opened with
/// nothing of it in memory, and a device answers many reads as quickly as one.
const MANY: u64 = 64;
const READERS: u64 = 8;

/// The most segments that are kept: those at the log's end, 2 MiB.
const KEPT_MAX: usize = 4;

/// Bytes of the file that opening may overwrite.
#[derive(Debug, Default)]
pub(crate) struct LogEnd {
    /// Their places in the file, and their bytes.
    pub(crate) segments: Vec<(u64, Vec<u8>)>,
    /// Pages with files of their own: their names, and their bytes.
    pub(crate) blobs: Vec<(i64, Vec<u8>)>,
}

/// The most bytes of pages with files of their own that are kept.
const BLOBS_MAX: usize = 4 * 1024 * 1024;

/// The content of a segment's header.
enum Header {
    /// The place of the segment in the log, and the place up to which the log was durable.
    Whole { place: i64, durable: i64 },
    /// Nothing was written there, or it was wiped.
    Blank,
    /// The header was written, and is not as it was written.
    Damaged,
}

/// Checks the data file, and keeps the segments that an opening may overwrite.
///
/// # Errors
///
/// [`StoreError::Damaged`] when a header is damaged: the file must not be opened. [`StoreError::Io`].
pub(crate) fn look(data_file: &Path) -> Result<LogEnd, StoreError> {
    let failed = |error: io::Error| io_or_damage("looking at the database", &error);
    let file = match File::open(data_file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return refuse_remains(data_file);
        }
        Err(error) => return Err(failed(error)),
    };
    let length = file.metadata().map_err(failed)?.len();
    let mut whole = Vec::new();
    for (offset, header) in headers(&file, length).map_err(failed)? {
        match header {
            Header::Whole { place, durable } => whole.push((place, durable, offset)),
            Header::Blank => {}
            Header::Damaged => return Err(StoreError::damaged("a segment of the database")),
        }
    }
    if whole.is_empty() {
        return refuse_remains(data_file);
    }
    let durable = whole
        .iter()
        .map(|(_, durable, _)| *durable)
        .max()
        .unwrap_or(0);
    let size = i64::try_from(SEGMENT).unwrap_or(i64::MAX);
    // A tear that is older than the database's own snapshot is not met by opening.
    let open_to_tears = durable.min(snapshot_place(data_file));
    let from = open_to_tears.div_euclid(size).saturating_mul(size);
    let mut at_end: Vec<_> = whole
        .into_iter()
        .filter(|(place, ..)| *place >= from)
        .collect();
    at_end.sort_unstable();
    let over = at_end.len().saturating_sub(KEPT_MAX);
    let mut tail = LogEnd::default();
    for (_, _, offset) in at_end.into_iter().skip(over) {
        let size = SEGMENT.min(length.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        read_at(&file, offset, &mut bytes).map_err(failed)?;
        tail.segments.push((offset, bytes));
    }
    if let Some(folder) = data_file.parent() {
        tail.blobs = look_at_blobs(&folder.join("blobs"), durable)?;
    }
    Ok(tail)
}

/// The place in the log of the database's newest snapshot, which its name tells; 0 without one.
fn snapshot_place(data_file: &Path) -> i64 {
    let entries = data_file
        .parent()
        .and_then(|folder| std::fs::read_dir(folder).ok());
    let places = entries.into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name();
        i64::from_str_radix(name.to_str()?.strip_prefix("snap.")?, 16).ok()
    });
    places.max().unwrap_or(0)
}

/// Refuses a log that is gone, or empty, beside pages: opening would remove these pages.
///
/// # Errors
///
/// [`StoreError::Damaged`] when there are any pages.
fn refuse_remains(data_file: &Path) -> Result<LogEnd, StoreError> {
    let pages = data_file.parent().map(|folder| folder.join("blobs"));
    let mut pages = pages
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok());
    if pages.any(|mut pages| pages.next().is_some()) {
        return Err(StoreError::damaged("the database has pages and no log"));
    }
    Ok(LogEnd::default())
}

/// Checks the pages with files of their own; answers those that an opening may remove.
///
/// # Errors
///
/// [`StoreError::Damaged`] when a durable page is not whole: the log then counts as torn there, and an opening
/// would destroy the bytes behind it.
fn look_at_blobs(folder: &Path, durable: i64) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if let Some(place) = name.to_str().and_then(|name| name.parse::<i64>().ok()) {
            found.push((place, entry.path()));
        }
    }
    found.sort();
    let mut kept = Vec::new();
    let mut size = 0_usize;
    for (place, path) in found.into_iter().rev() {
        let bytes = std::fs::read(path);
        let bytes = bytes.map_err(|error| io_or_damage("looking at the database", &error))?;
        let whole = bytes
            .split_first_chunk::<4>()
            .is_some_and(|(crc, rest)| crc32fast::hash(rest) == u32::from_le_bytes(*crc));
        if !whole && place < durable {
            return Err(StoreError::damaged("a page of the database"));
        }
        size += bytes.len();
        if whole && size <= BLOBS_MAX {
            kept.push((place, bytes));
        }
    }
    Ok(kept)
}

/// The headers of a file of so many bytes, each with its place in the file.
fn headers(file: &File, length: u64) -> io::Result<Vec<(u64, Header)>> {
    let count = match length.checked_sub(HEADER as u64) {
        Some(rest) => rest / SEGMENT + 1,
        None => 0,
    };
    let read = |from: u64, to: u64| -> io::Result<Vec<(u64, Header)>> {
        let offsets = (from..to).map(|index| index.saturating_mul(SEGMENT));
        offsets
            .map(|offset| Ok((offset, header(file, offset)?)))
            .collect()
    };
    if count < MANY || !cfg!(unix) {
        return read(0, count);
    }
    let share = count.div_ceil(READERS);
    thread::scope(|scope| {
        let shares = (0..READERS).map(|reader| {
            let from = share.saturating_mul(reader).min(count);
            let to = from.saturating_add(share).min(count);
            let named = thread::Builder::new().name("sampan-store-look".to_owned());
            named.spawn_scoped(scope, move || read(from, to))
        });
        let mut found = Vec::new();
        for reading in shares.collect::<Vec<_>>() {
            let read = reading?.join();
            found.extend(read.map_err(|_| io::Error::other("a reader gave up"))??);
        }
        Ok(found)
    })
}

fn header(file: &File, offset: u64) -> io::Result<Header> {
    // A large store has thousands: each is one read into memory that is there already.
    let mut bytes = [0; HEADER];
    read_at(file, offset, &mut bytes)?;
    let Some((crc, fields)) = bytes.split_first_chunk::<4>() else {
        return Ok(Header::Blank);
    };
    let mut numbers = fields
        .chunks_exact(8)
        .filter_map(|bytes| bytes.first_chunk::<8>());
    let mut number = || {
        numbers
            .next()
            .map(|bytes| i64::from_le_bytes(*bytes) ^ i64::MAX)
    };
    let (Some(place), Some(durable)) = (number(), number()) else {
        return Ok(Header::Blank);
    };
    if !crc32fast::hash(fields) == u32::from_le_bytes(*crc) {
        return Ok(Header::Whole { place, durable });
    }
    let first = bytes.first();
    let blank = bytes.iter().all(|byte| Some(byte) == first);
    Ok(if blank {
        Header::Blank
    } else {
        Header::Damaged
    })
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, offset)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, offset: u64, into: &mut [u8]) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    io::Read::read_exact(&mut file, into)
}

impl LogEnd {
    /// The newest commit of which there is a whole frame; 0 for none.
    pub(crate) fn newest_commit(&self, codec: &Codec) -> u64 {
        let mut newest = 0_u64;
        for (_, bytes) in &self.segments {
            let scanned = scan_bytes(bytes, codec, &mut |opened, _| {
                newest = newest.max(opened.seq);
                Ok(())
            });
            // Nothing fails here: the frames found are only looked at.
            debug_assert!(scanned.is_ok());
        }
        newest
    }

    /// Puts the bytes beside the damaged file, so that a scan of the folder finds them.
    pub(crate) fn keep(&self, folder: &Path) -> io::Result<()> {
        for (offset, bytes) in &self.segments {
            std::fs::write(folder.join(format!("segment-{offset}")), bytes)?;
        }
        for (place, bytes) in &self.blobs {
            std::fs::write(folder.join(format!("page-{place}")), bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of whole segments with nothing but their headers.
    fn file_of(segments: u64) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let file = File::create(&path).unwrap();
        file.set_len(segments * SEGMENT).unwrap();
        for index in 0..segments {
            let place = i64::try_from(index * SEGMENT).unwrap();
            let fields = [place, 0].map(|number| (number ^ i64::MAX).to_le_bytes());
            let fields = fields.concat();
            let crc = !crc32fast::hash(&fields);
            overwrite(&path, index, &[&crc.to_le_bytes()[..], &fields].concat());
        }
        (folder, path)
    }

    fn overwrite(path: &Path, segment: u64, bytes: &[u8]) {
        let mut file = File::options().write(true).open(path).unwrap();
        io::Seek::seek(&mut file, io::SeekFrom::Start(segment * SEGMENT)).unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
    }

    #[test]
    fn a_damaged_header_is_seen_wherever_it_is_in_a_small_or_a_large_file() {
        for segments in [1, MANY - 1, MANY, 2 * MANY + 1] {
            let (_folder, path) = file_of(segments);
            let kept = look(&path).unwrap().segments;
            assert_eq!(kept.len(), usize::try_from(segments.min(4)).unwrap());
            for damaged in [0, segments / 2, segments - 1] {
                let (_folder, path) = file_of(segments);
                overwrite(&path, damaged, b"no header");
                let found = look(&path);
                assert!(
                    matches!(found, Err(StoreError::Damaged { .. })),
                    "{damaged}"
                );
            }
        }
    }

    #[test]
    fn the_segments_at_the_end_of_the_log_are_kept_wherever_they_lie() {
        let (_folder, path) = file_of(2 * MANY);
        let kept = look(&path).unwrap().segments.into_iter();
        let first = (2 * MANY - 4) * SEGMENT;
        let expected = (0..4).map(|n| first + n * SEGMENT);
        assert!(kept.map(|(offset, _)| offset).eq(expected));
    }
}

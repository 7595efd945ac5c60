//! A raw scan of files for whole frames.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::store::disk::is_absent;
use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::frame::{self, BadFrame, HEADER, OpenedFrame, VALUE_MAX};
use crate::store::format::key::KEY_MAX;

/// No frame is longer.
const FRAME_MAX: usize = HEADER + KEY_MAX + VALUE_MAX;

/// How much of a file is read at a time.
const CHUNK: usize = 1024 * 1024;

/// A visitor of each whole frame that a scan finds: the frame opened, and its bytes as they lay there.
pub(crate) type FrameVisitor<'a> = &'a mut dyn FnMut(&OpenedFrame, &[u8]) -> Result<(), StoreError>;

/// The findings of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// Whole frames, old versions of records included.
    pub(crate) frames: u64,
    /// Places that begin like a frame and are none any more.
    pub(crate) broken: u64,
    /// Files that could not be read to their end.
    pub(crate) unreadable: u64,
}

/// Scans every file of a folder, and of the folders in it, for frames of this store.
pub(crate) fn scan_folder(
    folder: &Path,
    codec: &Codec,
    found: FrameVisitor<'_>,
) -> Result<Scanned, StoreError> {
    let mut scanned = Scanned::default();
    for path in files(folder).map_err(unread)? {
        // A file that can't be opened now may be whole: it must not count as one without records.
        let mut file = match File::open(&path) {
            Err(error) if is_absent(&error) => continue,
            opened => opened.map_err(unread)?,
        };
        scan(&mut file, codec, &mut scanned, found)?;
    }
    Ok(scanned)
}

/// Scans bytes for frames of this store.
pub(crate) fn scan_bytes(
    mut bytes: &[u8],
    codec: &Codec,
    found: FrameVisitor<'_>,
) -> Result<Scanned, StoreError> {
    let mut scanned = Scanned::default();
    scan(&mut bytes, codec, &mut scanned, found)?;
    Ok(scanned)
}

/// The store's number as most whole frames of a folder tell it, for a store whose identity is lost.
pub(crate) fn store_of_folder(folder: &Path) -> io::Result<Option<u64>> {
    let mut votes: BTreeMap<u64, u64> = BTreeMap::new();
    for path in files(folder)? {
        // The head of a file is enough to know whose it is.
        let mut head = Vec::new();
        let file = match File::open(path) {
            Err(error) if is_absent(&error) => continue,
            opened => opened?,
        };
        let _ = file.take(4 * CHUNK as u64).read_to_end(&mut head);
        let mut rest = head.as_slice();
        while let Some(start) = frame::find_magic(rest) {
            rest = rest.get(start..).unwrap_or_default();
            if let Some(store) = frame::store_of(rest) {
                let votes = votes.entry(store).or_default();
                *votes += 1;
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
    Ok(most.map(|(store, _)| store))
}

fn unread(error: io::Error) -> StoreError {
    StoreError::io("reading the files of the tree", &error)
}

/// Every file of a folder, and of the folders in it, in order.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    // A file may stand where a folder belongs.
    if folder.is_file() {
        return Ok(vec![folder.to_path_buf()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(folder) {
            Err(error) if is_absent(&error) => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found.sort();
    Ok(found)
}

fn scan(
    file: &mut dyn Read,
    codec: &Codec,
    scanned: &mut Scanned,
    found: FrameVisitor<'_>,
) -> Result<(), StoreError> {
    let mut unreadable = 0;
    let walked = walk(file, &mut unreadable, &mut |rest| {
        take(rest, codec, scanned, found)
    });
    scanned.unreadable += unreadable;
    walked
}

/// Goes through one file, a window at a time, from one place that begins like a frame to the next.
/// The visitor sees all bytes that a frame there may have, and says how far to go on.
pub(crate) fn walk(
    file: &mut dyn Read,
    unreadable: &mut u64,
    visit: &mut dyn FnMut(&[u8]) -> Result<usize, StoreError>,
) -> Result<(), StoreError> {
    let mut window: Vec<u8> = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match file.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                *unreadable += 1;
                0
            }
        };
        window.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let ended = read == 0;
        let mut from = 0_usize;
        loop {
            let rest = window.get(from..).unwrap_or_default();
            let Some(start) = frame::find_magic(rest) else {
                // The magic itself may be cut in two by the window's end.
                from = window
                    .len()
                    .saturating_sub(frame::MAGIC.len().saturating_sub(1))
                    .max(from);
                break;
            };
            from += start;
            let rest = window.get(from..).unwrap_or_default();
            if rest.len() < FRAME_MAX && !ended {
                break;
            }
            from += visit(rest)?;
        }
        window.drain(..from.min(window.len()));
        if ended {
            return Ok(());
        }
    }
}

/// Takes the frame at the start of `rest`, if it is whole; gives how far to go on.
fn take(
    rest: &[u8],
    codec: &Codec,
    scanned: &mut Scanned,
    found: FrameVisitor<'_>,
) -> Result<usize, StoreError> {
    match frame::open_first(rest, codec.frame_context()) {
        Ok((opened, length)) => {
            scanned.frames += 1;
            found(&opened, rest.get(..length).unwrap_or_default())?;
            Ok(length)
        }
        Err(BadFrame::Damaged | BadFrame::Foreign | BadFrame::Locked) => {
            scanned.broken += 1;
            Ok(frame::MAGIC.len())
        }
    }
}

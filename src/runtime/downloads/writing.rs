//! The writing of a download: bytes are added to the unfinished file until it is whole.

use std::io;
use std::path::{Path, PathBuf};

use hyper::body::Bytes;
use md5::{Digest, Md5};
use tokio::sync::mpsc;

use crate::model::{Count, MediaFile};
use crate::runtime::store_handle::ReadAccess;
use crate::store::{CacheEntry, FileKey, FileReader, FileWriter};
use crate::views::DownloadFailure;

/// Bytes on their way to the disk; `None` marks the end of the answer. A queue that ends without this mark was cut off.
pub(super) type Piece = Option<Bytes>;

/// A file that is being written, on a thread for it.
pub(super) struct Writing {
    /// Counts the store as used, so that a caller that waits until the files are free waits for the writing too.
    pub(super) _access: ReadAccess,
    pub(super) entry: CacheEntry,
    pub(super) key: Option<FileKey>,
    pub(super) version: Option<String>,
    pub(super) from: u64,
    /// The length of the file, as the host says.
    pub(super) size: Option<u64>,
    /// The length of the file, as the message says.
    pub(super) stated: Option<u64>,
    pub(super) checksum: Option<String>,
    pub(super) limit: u64,
}

/// The outcome of writing.
pub(super) enum Written {
    Whole(PathBuf),
    /// The file is not whole; true if bytes came in this try.
    Part(bool),
    Failed(DownloadFailure),
}

impl Writing {
    pub(super) fn write(self, mut pieces: mpsc::Receiver<Piece>) -> Written {
        let written = match self.receive(&mut pieces) {
            // The unfinished file is encrypted with another key or damaged, so the next try begins anew.
            Err(error) if is_damage(&error) => self.entry.discard().map(|()| Written::Part(false)),
            written => written,
        };
        written.unwrap_or_else(|error| Written::Failed(disk(&error.to_string())))
    }

    fn receive(&self, pieces: &mut mpsc::Receiver<Piece>) -> io::Result<Written> {
        let mut writer = if self.from == 0 {
            self.entry.begin(self.version.as_deref())?;
            FileWriter::create(&self.entry.part(), self.key.as_ref())?
        } else {
            let writer = FileWriter::append(&self.entry.part(), self.key.as_ref())?;
            if writer.bytes() != self.from {
                self.entry.discard()?;
                return Ok(Written::Part(false));
            }
            writer
        };
        let mut has_ended = false;
        while let Some(piece) = pieces.blocking_recv() {
            let Some(piece) = piece else {
                has_ended = true;
                break;
            };
            writer.write(&piece)?;
            if writer.bytes() > self.limit {
                self.entry.discard()?;
                let (limit, actual) = (Count(self.limit), Count(writer.bytes()));
                return Ok(Written::Failed(DownloadFailure::TooLarge { limit, actual }));
            }
        }
        let bytes = writer.bytes();
        // If neither the host nor the message tells the length, only the end of the answer tells that the file is whole.
        if self.size.map_or(!has_ended, |size| bytes < size) {
            return Ok(Written::Part(bytes > self.from));
        }
        writer.finish()?;
        if self.stated.is_some_and(|stated| bytes != stated) {
            self.entry.discard()?;
            let reason = format!("it has {bytes} bytes");
            return Ok(Written::Failed(DownloadFailure::AnotherFile { reason }));
        }
        if let Some(checksum) = &self.checksum
            && !sum_of(&self.entry.part(), self.key.as_ref())?.eq_ignore_ascii_case(checksum)
        {
            self.entry.discard()?;
            let reason = "its checksum is another".to_owned();
            return Ok(Written::Failed(DownloadFailure::AnotherFile { reason }));
        }
        Ok(Written::Whole(self.entry.complete()?))
    }
}

/// The checksum of a file.
pub(super) fn sum_of(path: &Path, key: Option<&FileKey>) -> io::Result<String> {
    let mut reader = FileReader::open(path, key)?;
    let mut sum = Md5::new();
    while let Some(bytes) = reader.read_next()? {
        sum.update(&bytes);
    }
    Ok(hex(&sum.finalize()))
}

/// Bytes as a checksum is written.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn disk(reason: &str) -> DownloadFailure {
    let reason = reason.to_owned();
    DownloadFailure::Disk { reason }
}

/// True if the bytes on this device are encrypted with another key or damaged.
pub(super) fn is_damage(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// The checksum that a file's sender wrote beside its size.
pub(super) fn checksum_of(file: &MediaFile) -> Option<String> {
    let extra = file.extra.as_ref()?.to_value();
    let sum = extra.get("metaData")?.get("_checksum")?.as_str()?;
    let is_sum = sum.len() == 32 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sum.then(|| sum.to_owned())
}

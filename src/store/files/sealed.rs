//! A file on disk: plain bytes, or chunks that are encrypted under a key.
//!
//! An encrypted file is a header (magic, salt) and chunks of 64 KiB, each with its authenticator. The last
//! chunk may be shorter and is marked as the last, so a file that was cut does not count as whole.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use chacha20poly1305::aead::{Aead, AeadCore, KeyInit, OsRng};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// The bytes of a chunk before it is sealed.
const CHUNK: usize = 64 * 1024;

const MAGIC: &[u8; 8] = b"SMPNFIL1";
const SALT: usize = 16;
const HEADER: usize = MAGIC.len() + SALT;
const AUTHENTICATOR: usize = 16;

/// The key of the files beside a store.
#[derive(Clone, PartialEq, Eq)]
pub struct FileKey([u8; 32]);

impl FileKey {
    /// Takes the key's bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(..)")
    }
}

/// The sealer of one file's chunks.
struct Sealer {
    aead: XChaCha20Poly1305,
    salt: [u8; SALT],
}

impl Sealer {
    fn new(key: &FileKey, salt: [u8; SALT]) -> Self {
        let aead = XChaCha20Poly1305::new(&key.0.into());
        Self { aead, salt }
    }

    /// Each chunk has its own nonce; the last one has another than if more followed.
    fn nonce(&self, index: u64, is_last: bool) -> XNonce {
        let number = (index << 1) | u64::from(is_last);
        let mut nonce = [0; 24];
        let (salt, count) = nonce.split_at_mut(SALT);
        salt.copy_from_slice(&self.salt);
        count.copy_from_slice(&number.to_be_bytes());
        nonce.into()
    }

    fn seal(&self, chunk: &[u8], index: u64, is_last: bool) -> io::Result<Vec<u8>> {
        let sealed = self.aead.encrypt(&self.nonce(index, is_last), chunk);
        sealed.map_err(|_| io::Error::other("a chunk can't be sealed"))
    }

    fn open(&self, chunk: &[u8], index: u64, is_last: bool) -> io::Result<Vec<u8>> {
        let opened = self.aead.decrypt(&self.nonce(index, is_last), chunk);
        opened.map_err(|_| damaged())
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is damaged")
}

/// Writes a file from its beginning to its end.
pub struct FileWriter {
    file: File,
    sealer: Option<Sealer>,
    /// The bytes that are not sealed yet: the last chunk is known at the end only.
    pending: Vec<u8>,
    index: u64,
    bytes: u64,
}

impl fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl FileWriter {
    /// Begins a file, and replaces an existing one.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn create(path: &Path, key: Option<&FileKey>) -> io::Result<Self> {
        let mut file = File::create(path)?;
        let sealer = match key {
            Some(key) => {
                let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
                let salt = *nonce.first_chunk::<SALT>().ok_or_else(damaged)?;
                file.write_all(MAGIC)?;
                file.write_all(&salt)?;
                Some(Sealer::new(key, salt))
            }
            None => None,
        };
        Ok(Self {
            file,
            sealer,
            pending: Vec::new(),
            index: 0,
            bytes: 0,
        })
    }

    /// Continues an unfinished file. Bytes that do not fill a chunk are lost; `bytes` is the number of the
    /// remaining ones.
    ///
    /// # Errors
    ///
    /// Those of the operating system; `InvalidData` for a file of another format.
    pub fn append(path: &Path, key: Option<&FileKey>) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let bytes = Self::bytes_of_part(path, key)?;
        let (sealer, index, end) = match key {
            None => (None, 0, bytes),
            Some(key) => {
                let mut header = [0; HEADER];
                file.read_exact(&mut header).map_err(|_| damaged())?;
                let (magic, salt) = header.split_at(MAGIC.len());
                if magic != MAGIC {
                    return Err(damaged());
                }
                let salt: [u8; SALT] = salt.try_into().map_err(|_| damaged())?;
                let index = bytes / as_u64(CHUNK);
                let end = as_u64(HEADER) + index * as_u64(CHUNK + AUTHENTICATOR);
                (Some(Sealer::new(key, salt)), index, end)
            }
        };
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(Self {
            file,
            sealer,
            pending: Vec::new(),
            index,
            bytes,
        })
    }

    /// The size of an unfinished file after which [`FileWriter::append`] goes on, in bytes; none where there is
    /// no file.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn bytes_of_part(path: &Path, key: Option<&FileKey>) -> io::Result<u64> {
        let length = match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            found => found?.len(),
        };
        if key.is_none() {
            return Ok(length);
        }
        let chunks = length.saturating_sub(as_u64(HEADER)) / as_u64(CHUNK + AUTHENTICATOR);
        Ok(chunks * as_u64(CHUNK))
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
        self.bytes += length;
        let Some(sealer) = &self.sealer else {
            return self.file.write_all(bytes);
        };
        self.pending.extend_from_slice(bytes);
        while self.pending.len() > CHUNK {
            let rest = self.pending.split_off(CHUNK);
            let sealed = sealer.seal(&self.pending, self.index, false)?;
            self.file.write_all(&sealed)?;
            self.index += 1;
            self.pending = rest;
        }
        Ok(())
    }

    /// The number of bytes that were written.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the file; on return it is on disk.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn finish(mut self) -> io::Result<u64> {
        if let Some(sealer) = &self.sealer {
            let sealed = sealer.seal(&self.pending, self.index, true)?;
            self.file.write_all(&sealed)?;
        }
        self.file.sync_all()?;
        Ok(self.bytes)
    }
}

/// Reads a file from any place on.
pub struct FileReader {
    file: File,
    sealer: Option<Sealer>,
    bytes: u64,
    /// The offset of the next byte.
    at: u64,
}

impl fmt::Debug for FileReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader")
            .field("bytes", &self.bytes)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl FileReader {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of the operating system; `InvalidData` for a file that is none of ours.
    pub fn open(path: &Path, key: Option<&FileKey>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let Some(key) = key else {
            return Ok(Self {
                file,
                sealer: None,
                bytes: length,
                at: 0,
            });
        };
        let mut header = [0; HEADER];
        file.read_exact(&mut header).map_err(|_| damaged())?;
        let (magic, salt) = header.split_at(MAGIC.len());
        let salt: [u8; SALT] = salt.try_into().map_err(|_| damaged())?;
        if magic != MAGIC {
            return Err(damaged());
        }
        let sealed = length.saturating_sub(as_u64(HEADER));
        let chunks = sealed.div_ceil(as_u64(CHUNK + AUTHENTICATOR));
        let overhead = chunks.saturating_mul(as_u64(AUTHENTICATOR));
        Ok(Self {
            file,
            sealer: Some(Sealer::new(key, salt)),
            bytes: sealed.checked_sub(overhead).ok_or_else(damaged)?,
            at: 0,
        })
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Goes to a place. A place behind the end is the end.
    pub fn seek(&mut self, at: u64) {
        self.at = at.min(self.bytes);
    }

    /// The next bytes, at most 64 KiB; none at the end.
    ///
    /// # Errors
    ///
    /// Those of the operating system; `InvalidData` for a chunk that is damaged.
    pub fn read_next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let chunk_bytes = as_u64(CHUNK);
        // The end of a sealed file is authentic only if its last chunk says so: an empty file has one too.
        let is_checked = self.sealer.is_none() || self.bytes > 0 || self.at > 0;
        if self.at >= self.bytes && is_checked {
            return Ok(None);
        }
        let index = self.at / chunk_bytes;
        let begin = index * chunk_bytes;
        let length =
            usize::try_from((self.bytes - begin).min(chunk_bytes)).map_err(io::Error::other)?;
        let chunk = match &self.sealer {
            None => {
                self.file.seek(SeekFrom::Start(begin))?;
                let mut chunk = vec![0; length];
                self.file.read_exact(&mut chunk)?;
                chunk
            }
            Some(sealer) => {
                let place = as_u64(HEADER) + index * as_u64(CHUNK + AUTHENTICATOR);
                self.file.seek(SeekFrom::Start(place))?;
                let mut chunk = vec![0; length + AUTHENTICATOR];
                self.file.read_exact(&mut chunk).map_err(|_| damaged())?;
                let is_last = begin + as_u64(length) >= self.bytes;
                sealer.open(&chunk, index, is_last)?
            }
        };
        let skip = usize::try_from(self.at - begin).map_err(io::Error::other)?;
        let rest = chunk.get(skip..).unwrap_or_default().to_vec();
        self.at = begin + as_u64(chunk.len());
        Ok((!rest.is_empty()).then_some(rest))
    }
}

const fn as_u64(length: usize) -> u64 {
    length as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reader: &mut FileReader) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = reader.read_next()? {
            all.extend(bytes);
        }
        Ok(all)
    }

    #[test]
    fn a_file_comes_back_from_any_place_sealed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let key = FileKey::new([7; 32]);
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5] {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            for key in [None, Some(&key)] {
                let mut writer = FileWriter::create(&path, key).unwrap();
                for piece in content.chunks(1000) {
                    writer.write(piece).unwrap();
                }
                assert_eq!(writer.finish().unwrap(), length as u64);
                let mut reader = FileReader::open(&path, key).unwrap();
                assert_eq!(reader.bytes(), length as u64);
                assert_eq!(all(&mut reader).unwrap(), content);
                for place in [0, 1, length / 2, length.saturating_sub(1)] {
                    let place = place.min(length);
                    reader.seek(place as u64);
                    assert_eq!(all(&mut reader).unwrap(), content[place..]);
                }
            }
        }
    }

    #[test]
    fn a_file_that_was_not_ended_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let key = FileKey::new([7; 32]);
        let content: Vec<u8> = (0..3 * CHUNK + 5).map(|at| (at % 251) as u8).collect();
        for key in [None, Some(&key)] {
            for stop in [0, 10, CHUNK, CHUNK + 1, 2 * CHUNK + 9] {
                let mut writer = FileWriter::create(&path, key).unwrap();
                writer.write(&content[..stop]).unwrap();
                drop(writer);
                let mut writer = FileWriter::append(&path, key).unwrap();
                let have = usize::try_from(writer.bytes()).unwrap();
                assert!(have <= stop && have + CHUNK >= stop, "{have} of {stop}");
                writer.write(&content[have..]).unwrap();
                writer.finish().unwrap();
                let mut reader = FileReader::open(&path, key).unwrap();
                assert_eq!(all(&mut reader).unwrap(), content);
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(FileWriter::bytes_of_part(&path, None).unwrap(), 0);
    }

    #[test]
    fn a_sealed_file_shows_nothing_and_neither_a_cut_nor_a_changed_byte_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let key = FileKey::new([7; 32]);
        let content = b"meet me at noon ".repeat(10_000);
        let mut writer = FileWriter::create(&path, Some(&key)).unwrap();
        writer.write(&content).unwrap();
        writer.finish().unwrap();
        let sealed = std::fs::read(&path).unwrap();
        assert!(!sealed.windows(12).any(|part| part == b"meet me at n"));
        let cut = HEADER + CHUNK + AUTHENTICATOR;
        std::fs::write(&path, &sealed[..cut]).unwrap();
        let mut reader = FileReader::open(&path, Some(&key)).unwrap();
        assert_eq!(
            all(&mut reader).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        let mut changed = sealed.clone();
        changed[cut + 9] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let mut reader = FileReader::open(&path, Some(&key)).unwrap();
        assert!(all(&mut reader).is_err());
        std::fs::write(&path, &sealed).unwrap();
        let stranger = FileKey::new([8; 32]);
        let mut reader = FileReader::open(&path, Some(&stranger)).unwrap();
        assert!(all(&mut reader).is_err());
        std::fs::write(&path, &sealed[..5]).unwrap();
        assert!(FileReader::open(&path, Some(&key)).is_err());
    }
}

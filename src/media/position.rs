//! The place where a picture or film was taken: found in a file, and erased without moving a byte.
//!
//! Cameras write the place as EXIF (a TIFF inside JPEG, PNG, WebP, HEIC), as XMP (text), or as a box of a film. Erasing
//! overwrites bytes in place, so the file keeps its length and its picture. A file of another kind is not changed.

use std::io::{self, Read, Seek, SeekFrom};

/// The most bytes of one piece that are read.
const PIECE_MAX: u64 = 4 * 1024 * 1024;

/// The most pieces of a file that are read.
const PIECES_MAX: usize = 10_000;

/// The most entries of a directory that are read, and the most matches of a search through bytes that are not parsed.
const ENTRIES_MAX: usize = 512;

/// The most bytes of a name, and of a value, in XMP.
const WORD_MAX: usize = 512;

/// The most bytes that are erased from a file. A file of a camera needs some hundred.
const ERASED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most pieces that are erased.
const ERASURES_MAX: usize = 10_000;

/// The tag of the directory of positions in EXIF.
const GPS_DIRECTORY: u16 = 0x8825;

/// The beginning of EXIF in most containers.
const EXIF: &[u8] = b"Exif\0\0";

/// The beginning of XMP in a JPEG.
const XMP: &[u8] = concat!("http:", "//ns.adobe.com/xap/1.0/\0").as_bytes();

/// The key of the position in films of some phones.
const FILM_KEY: &[u8] = b"com.apple.quicktime.location.ISO6709";

/// New bytes for a place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Erasure {
    /// The place in the file.
    pub(crate) at: u64,
    /// The new bytes.
    pub(crate) bytes: Vec<u8>,
}

/// The bytes to overwrite so that a file names no position. The source is at its beginning afterwards.
pub(crate) fn erasures<S: Read + Seek>(source: &mut S) -> io::Result<Vec<Erasure>> {
    let mut file = Pieces {
        length: source.seek(SeekFrom::End(0))?,
        source,
        found: Vec::new(),
        erased: 0,
    };
    let start = file.read(0, 12)?;
    match start.as_slice() {
        [0xFF, 0xD8, ..] => file.jpeg()?,
        [0x89, b'P', b'N', b'G', ..] => file.png()?,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => file.webp()?,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => file.boxes(0, file.length, 0)?,
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => {
            let whole = file.read(0, file.length)?;
            file.tiff(0, &whole)?;
        }
        _ => {}
    }
    let found = file.found;
    source.seek(SeekFrom::Start(0))?;
    Ok(found)
}

/// Overwrites the bytes of `erasures` that lie in a piece of a file; the piece begins at `at`.
pub(crate) fn erase(erasures: &[Erasure], at: u64, piece: &mut [u8]) {
    let end = at.saturating_add(as_u64(piece.len()));
    for erasure in erasures {
        let stop = erasure.at.saturating_add(as_u64(erasure.bytes.len()));
        let (from, to) = (erasure.at.max(at), stop.min(end));
        if from >= to {
            continue;
        }
        let target = piece.get_mut(index(from - at)..index(to - at));
        let bytes = &erasure.bytes;
        let bytes = bytes.get(index(from - erasure.at)..index(to - erasure.at));
        if let Some((target, bytes)) = target.zip(bytes) {
            target.copy_from_slice(bytes);
        }
    }
}

struct Pieces<'a, S> {
    source: &'a mut S,
    length: u64,
    found: Vec<Erasure>,
    /// The bytes in `found`.
    erased: usize,
}

impl<S: Read + Seek> Pieces<'_, S> {
    /// At most so many bytes; fewer at the end.
    fn read(&mut self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        self.source.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::new();
        let limit = length.min(PIECE_MAX);
        self.source.by_ref().take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Notes bytes to overwrite. A file with more positions than any camera writes was made to waste memory, and is refused.
    fn erase(&mut self, at: u64, bytes: Vec<u8>) -> io::Result<()> {
        self.erased += bytes.len();
        if self.erased > ERASED_BYTES_MAX || self.found.len() >= ERASURES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it names too many positions to erase them; `keeps_position` sends it as it is",
            ));
        }
        self.found.push(Erasure { at, bytes });
        Ok(())
    }

    fn jpeg(&mut self) -> io::Result<()> {
        let mut at = 2;
        for _ in 0..PIECES_MAX {
            let head = self.read(at, 4)?;
            let &[0xFF, marker, high, low] = head.as_slice() else {
                return Ok(());
            };
            // The picture itself begins, or the file ends.
            if matches!(marker, 0xDA | 0xD9) {
                return Ok(());
            }
            let length = u64::from(u16::from_be_bytes([high, low]));
            if length < 2 {
                return Ok(());
            }
            if marker == 0xE1 {
                let body = self.read(at + 4, length - 2)?;
                self.exif_or_xmp(at + 4, &body)?;
            }
            at += 2 + length;
        }
        Ok(())
    }

    fn exif_or_xmp(&mut self, at: u64, body: &[u8]) -> io::Result<()> {
        if let Some(tiff) = body.strip_prefix(EXIF) {
            self.tiff(at + as_u64(EXIF.len()), tiff)?;
        } else if let Some(text) = body.strip_prefix(XMP) {
            self.xmp(at + as_u64(XMP.len()), text)?;
        }
        Ok(())
    }

    fn png(&mut self) -> io::Result<()> {
        let mut at = 8;
        for _ in 0..PIECES_MAX {
            let head = self.read(at, 8)?;
            let &[a, b, c, d, ref kind @ ..] = head.as_slice() else {
                return Ok(());
            };
            let length = u64::from(u32::from_be_bytes([a, b, c, d]));
            if kind == b"eXIf" || kind == b"iTXt" || kind == b"tEXt" {
                let mut body = self.read(at + 8, length)?;
                let before = self.found.len();
                if kind == b"eXIf" {
                    self.tiff(at + 8, &body)?;
                } else {
                    self.xmp(at + 8, &body)?;
                }
                if self.found.len() > before && as_u64(body.len()) == length {
                    // A chunk carries the checksum of its bytes.
                    erase(
                        self.found.get(before..).unwrap_or_default(),
                        at + 8,
                        &mut body,
                    );
                    let sum = crc32fast::hash(&[kind, &body].concat());
                    self.erase(at + 8 + length, sum.to_be_bytes().to_vec())?;
                }
            }
            if kind == b"IEND" {
                return Ok(());
            }
            at += 12 + length;
        }
        Ok(())
    }

    fn webp(&mut self) -> io::Result<()> {
        let mut at = 12;
        for _ in 0..PIECES_MAX {
            let head = self.read(at, 8)?;
            let &[ref kind @ .., a, b, c, d] = head.as_slice() else {
                return Ok(());
            };
            if kind.len() != 4 {
                return Ok(());
            }
            let length = u64::from(u32::from_le_bytes([a, b, c, d]));
            if kind == b"EXIF" {
                let body = self.read(at + 8, length)?;
                if body.starts_with(EXIF) {
                    self.exif_or_xmp(at + 8, &body)?;
                } else {
                    self.tiff(at + 8, &body)?;
                }
            } else if kind == b"XMP " {
                let body = self.read(at + 8, length)?;
                self.xmp(at + 8, &body)?;
            }
            at += 8 + length + length % 2;
        }
        Ok(())
    }

    /// The boxes of a HEIC picture or a film.
    fn boxes(&mut self, from: u64, to: u64, depth: u8) -> io::Result<()> {
        let mut at = from;
        for _ in 0..PIECES_MAX {
            if at + 8 > to {
                return Ok(());
            }
            let head = self.read(at, 16)?;
            let Some((size, rest)) = head.split_first_chunk::<4>() else {
                return Ok(());
            };
            let Some((kind, large)) = rest.split_first_chunk::<4>() else {
                return Ok(());
            };
            let (begin, length) = match u32::from_be_bytes(*size) {
                0 => (8, to - at),
                1 => (
                    16,
                    large
                        .first_chunk::<8>()
                        .map_or(0, |it| u64::from_be_bytes(*it)),
                ),
                size => (8, u64::from(size)),
            };
            if length < begin || length > to - at {
                return Ok(());
            }
            let (body, end) = (at + begin, at + length);
            match kind {
                b"moov" | b"trak" | b"udta" if depth < 4 => self.boxes(body, end, depth + 1)?,
                b"\xa9xyz" | b"loci" => self.erase(at + 4, b"free".to_vec())?,
                b"meta" | b"mdat" | b"idat" | b"uuid" => self.search(body, end)?,
                _ => {}
            }
            at = end;
        }
        Ok(())
    }

    /// Looks for EXIF, XMP and the position of a film in bytes that are not parsed further.
    fn search(&mut self, from: u64, to: u64) -> io::Result<()> {
        // Pieces overlap, so that nothing lies across their border.
        let step = PIECE_MAX - 128 * 1024;
        let mut at = from;
        // A HEIC picture has its EXIF right before or right after the picture. The middle of a long film has none.
        for _ in 0..16 {
            if at >= to {
                return Ok(());
            }
            let piece = self.read(at, to - at)?;
            for place in places(&piece, EXIF).take(ENTRIES_MAX) {
                let tiff = piece.get(place + EXIF.len()..).unwrap_or_default();
                self.tiff(at + as_u64(place + EXIF.len()), tiff)?;
            }
            if places(&piece, b"exif:GPS").next().is_some() {
                self.xmp(at, &piece)?;
            }
            if places(&piece, FILM_KEY).next().is_some() {
                self.film_position(at, &piece)?;
            }
            at += step;
        }
        Ok(())
    }

    /// Erases the directory of positions in a TIFF that begins at `at`: its entries and their values become
    /// zero.
    fn tiff(&mut self, at: u64, tiff: &[u8]) -> io::Result<()> {
        let is_little = match tiff.get(..4) {
            Some([b'I', b'I', b'*', 0]) => true,
            Some([b'M', b'M', 0, b'*']) => false,
            _ => return Ok(()),
        };
        let tiff = Tiff {
            bytes: tiff,
            is_little,
        };
        let Some(first) = tiff.long(4) else {
            return Ok(());
        };
        let Some(gps) = tiff
            .entry(first, GPS_DIRECTORY)
            .and_then(|entry| tiff.long(entry + 8))
        else {
            return Ok(());
        };
        let Some(count) = tiff.short(gps).map(usize::from) else {
            return Ok(());
        };
        for number in 0..count.min(ENTRIES_MAX) {
            let entry = gps + 2 + number * 12;
            let sizes: [usize; 13] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];
            let kind = tiff.short(entry + 2).map_or(0, usize::from);
            let values = tiff.long(entry + 4).unwrap_or_default();
            let length = sizes.get(kind).copied().unwrap_or(1).saturating_mul(values);
            if length > 4
                && let Some(value) = tiff.long(entry + 8)
                && value
                    .checked_add(length)
                    .is_some_and(|end| end <= tiff.bytes.len())
            {
                self.erase(at + as_u64(value), vec![0; length])?;
            }
        }
        let end = (gps + 2 + count * 12).min(tiff.bytes.len());
        // A directory of no entries.
        self.erase(at + as_u64(gps), vec![0; end.saturating_sub(gps)])
    }

    /// Replaces the values of positions in XMP by blanks.
    fn xmp(&mut self, at: u64, text: &[u8]) -> io::Result<()> {
        for name in places(text, b"exif:GPS") {
            let rest = text.get(name..).unwrap_or_default();
            let Some(end) = rest
                .iter()
                .take(WORD_MAX)
                .position(|byte| matches!(byte, b'=' | b'>' | b'/'))
            else {
                continue;
            };
            let (begin, stop): (usize, &[u8]) = match (rest.get(end), rest.get(end + 1)) {
                (Some(b'='), Some(b'"')) => (end + 2, b"\""),
                (Some(b'='), Some(b'\'')) => (end + 2, b"'"),
                (Some(b'>'), _) => (end + 1, b"<"),
                _ => continue,
            };
            let value = rest.get(begin..).unwrap_or_default();
            let length = value
                .iter()
                .take(WORD_MAX)
                .position(|byte| stop.contains(byte))
                .unwrap_or(0);
            if length > 0 {
                self.erase(at + as_u64(name + begin), vec![b' '; length])?;
            }
        }
        Ok(())
    }

    /// Replaces the digits of a film's position by zeros. The position is text, such as `+48.8577+002.2950+035.0/`.
    fn film_position(&mut self, at: u64, piece: &[u8]) -> io::Result<()> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
        let mut place = 0;
        while let Some(rest) = piece.get(place..).filter(|rest| !rest.is_empty()) {
            let length = rest.iter().take_while(|byte| is_part(byte)).count();
            let text = rest.get(..length).unwrap_or_default();
            let signs = text
                .iter()
                .filter(|byte| matches!(byte, b'+' | b'-'))
                .count();
            if length >= 8 && signs >= 2 && matches!(text.first(), Some(b'+' | b'-')) {
                let zeros = text
                    .iter()
                    .map(|byte| if byte.is_ascii_digit() { b'0' } else { *byte });
                self.erase(at + as_u64(place), zeros.collect())?;
            }
            place += length.max(1);
        }
        Ok(())
    }
}

/// Reads the numbers of a TIFF. A place beyond the end gives none.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

impl Tiff<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk::<2>()?;
        Some(if self.is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = *self.bytes.get(at..)?.first_chunk::<4>()?;
        let number = if self.is_little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        };
        // A larger place is beyond every picture. Sums of smaller ones never overflow.
        usize::try_from(number)
            .ok()
            .filter(|number| *number < 1 << 31)
    }

    /// The place of the entry with a tag, in the directory at `at`.
    fn entry(&self, directory: usize, tag: u16) -> Option<usize> {
        let count = usize::from(self.short(directory)?);
        let mut entries = (0..count.min(ENTRIES_MAX)).map(|number| directory + 2 + number * 12);
        entries.find(|entry| self.short(*entry) == Some(tag))
    }
}

/// The places at which a text occurs.
fn places<'a>(bytes: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = text.first().copied();
    let starts = bytes
        .iter()
        .enumerate()
        .filter(move |(_, byte)| Some(**byte) == first);
    let starts = starts.map(|(at, _)| at);
    starts.filter(move |at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(text)))
}

const fn as_u64(length: usize) -> u64 {
    length as u64
}

/// A place within bytes that are in memory.
fn index(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;

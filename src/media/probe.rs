//! The facts in a file's first bytes: format, dimensions of a picture, duration of a sound or film.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use imagesize::ImageType;

/// The most boxes of a film that are read.
const BOXES_MAX: usize = 1000;

/// The most bytes that are read for a duration.
const PIECE_MAX: u64 = 256 * 1024;

/// The facts that were found in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Probed {
    /// The MIME type and the usual ending, of a format that is known.
    pub(crate) format: Option<(&'static str, &'static str)>,
    /// Pixels across and down, of a picture.
    pub(crate) size: Option<(u32, u32)>,
    /// Seconds, of a sound or film.
    pub(crate) duration: Option<f64>,
}

/// Looks into a file. Parts that are not understood are left out; the source is at its beginning afterwards.
pub(crate) fn probe<S: Read + Seek>(source: &mut S) -> Probed {
    // A file with any defect can still be sent.
    let found = catch_unwind(AssertUnwindSafe(|| look(source)));
    let found = found.ok().flatten().unwrap_or_default();
    // If the source can't go back to its beginning, copying it fails later.
    let _ = source.seek(SeekFrom::Start(0));
    found
}

fn look<S: Read + Seek>(source: &mut S) -> Option<Probed> {
    let start = read(source, 0, 64)?;
    if let Some(format) = picture(&start) {
        source.seek(SeekFrom::Start(0)).ok()?;
        let size = imagesize::reader_size(BufReader::new(&mut *source)).ok();
        let size =
            size.and_then(|it| Some((it.width.try_into().ok()?, it.height.try_into().ok()?)));
        return Some(Probed {
            format: Some(format),
            size,
            duration: None,
        });
    }
    let (format, duration) = match start.as_slice() {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => (film(brand), film_duration(source)),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ] => (("audio/wav", "wav"), wave_duration(source)),
        [b'#', b'!', b'A', b'M', b'R', b'\n', ..] => (("audio/amr", "amr"), amr_duration(source)),
        [b'O', b'g', b'g', b'S', ..] => (("audio/ogg", "ogg"), None),
        [b'f', b'L', b'a', b'C', ..] => (("audio/flac", "flac"), flac_duration(&start)),
        [b'I', b'D', b'3', ..] => (("audio/mpeg", "mp3"), None),
        [0xFF, second, ..] if second & 0xE6 == 0xE2 => (("audio/mpeg", "mp3"), None),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => (("video/webm", "webm"), None),
        [b'%', b'P', b'D', b'F', ..] => (("application/pdf", "pdf"), None),
        _ => return None,
    };
    Some(Probed {
        format: Some(format),
        size: None,
        duration: duration.filter(|it| it.is_finite() && *it >= 0.0),
    })
}

fn picture(start: &[u8]) -> Option<(&'static str, &'static str)> {
    Some(match imagesize::image_type(start).ok()? {
        ImageType::Png => ("image/png", "png"),
        ImageType::Jpeg => ("image/jpeg", "jpg"),
        ImageType::Gif => ("image/gif", "gif"),
        ImageType::Webp => ("image/webp", "webp"),
        ImageType::Bmp => ("image/bmp", "bmp"),
        ImageType::Tiff => ("image/tiff", "tiff"),
        // HEIC pictures and films begin in the same way, and differ in the brand.
        ImageType::Heif(_) => match start.get(8..12)? {
            b"avif" | b"avis" => ("image/avif", "avif"),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1" => {
                ("image/heic", "heic")
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn film(brand: &[u8]) -> (&'static str, &'static str) {
    match brand.get(..4) {
        Some(b"M4A " | b"M4B ") => ("audio/mp4", "m4a"),
        Some(b"qt  ") => ("video/quicktime", "mov"),
        Some([b'3', b'g', ..]) => ("video/3gpp", "3gp"),
        _ => ("video/mp4", "mp4"),
    }
}

/// Reads at most so many bytes from a place on; gives none if they can't be read.
fn read<S: Read + Seek>(source: &mut S, at: u64, length: u64) -> Option<Vec<u8>> {
    source.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::new();
    source
        .by_ref()
        .take(length.min(PIECE_MAX))
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// The duration in the header of a film: `mvhd` in `moov`.
fn film_duration<S: Read + Seek>(source: &mut S) -> Option<f64> {
    let (begin, end) = find_box(source, 0, u64::MAX, b"moov")?;
    let (begin, _) = find_box(source, begin, end, b"mvhd")?;
    let head = read(source, begin, 32)?;
    let long = |at: usize| Some(u32::from_be_bytes(*head.get(at..)?.first_chunk::<4>()?));
    let (scale, duration) = match head.first()? {
        1 => {
            let duration = u64::from_be_bytes(*head.get(24..)?.first_chunk::<8>()?);
            (long(20)?, duration)
        }
        _ => (long(12)?, u64::from(long(16)?)),
    };
    (scale > 0).then(|| duration as f64 / f64::from(scale))
}

/// The place where the inside of a box begins and ends.
fn find_box<S: Read + Seek>(
    source: &mut S,
    from: u64,
    to: u64,
    kind: &[u8; 4],
) -> Option<(u64, u64)> {
    let mut at = from;
    for _ in 0..BOXES_MAX {
        let head = read(source, at, 16)?;
        let size = u32::from_be_bytes(*head.first_chunk::<4>()?);
        let found = head.get(4..8)?;
        let (begin, length) = match size {
            0 => (8, to.saturating_sub(at)),
            1 => (16, u64::from_be_bytes(*head.get(8..)?.first_chunk::<8>()?)),
            size => (8, u64::from(size)),
        };
        let end = at.checked_add(length)?;
        if length < begin || end > to {
            return None;
        }
        if found == kind {
            return Some((at + begin, end));
        }
        at = end;
    }
    None
}

/// The duration of a WAV file: the bytes of sound divided by the bytes a second.
fn wave_duration<S: Read + Seek>(source: &mut S) -> Option<f64> {
    let mut at = 12;
    let mut rate = None;
    for _ in 0..BOXES_MAX {
        let head = read(source, at, 20)?;
        let length = u32::from_le_bytes(*head.get(4..)?.first_chunk::<4>()?);
        match head.get(..4)? {
            b"fmt " => rate = Some(u32::from_le_bytes(*head.get(16..)?.first_chunk::<4>()?)),
            b"data" => {
                let rate = rate.filter(|rate| *rate > 0)?;
                return Some(f64::from(length) / f64::from(rate));
            }
            _ => {}
        }
        at += 8 + u64::from(length) + u64::from(length % 2);
    }
    None
}

/// The duration of an AMR file: its frames are 20 ms each, and the mode of a frame tells how many bytes it has.
fn amr_duration<S: Read + Seek>(source: &mut S) -> Option<f64> {
    const LENGTHS: [usize; 16] = [13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1];
    let length = source.seek(SeekFrom::End(0)).ok()?;
    let bytes = read(source, 6, PIECE_MAX)?;
    let (mut at, mut frames) = (0, 0_u32);
    while let Some(head) = bytes.get(at) {
        at += LENGTHS.get(usize::from(head >> 3 & 15))?;
        frames += 1;
    }
    // The rest of a long recording is taken to be like its beginning.
    let whole = length.saturating_sub(6) as f64 / bytes.len().max(1) as f64;
    Some(f64::from(frames) * 0.02 * whole.max(1.0))
}

/// The duration of a FLAC file: the samples divided by the samples a second, from the first block.
fn flac_duration(start: &[u8]) -> Option<f64> {
    let numbers = u64::from_be_bytes(*start.get(18..)?.first_chunk::<8>()?);
    let rate = numbers >> 44;
    let samples = numbers & ((1 << 36) - 1);
    (rate > 0 && samples > 0).then(|| samples as f64 / rate as f64)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::splitmix;

    fn of(bytes: &[u8]) -> Probed {
        probe(&mut Cursor::new(bytes))
    }

    fn iso_box(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes()[..], kind, body].concat()
    }

    #[test]
    fn a_picture_tells_its_format_and_its_size() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08\x02\0\0\0";
        let found = of(png);
        assert_eq!(found.format, Some(("image/png", "png")));
        assert_eq!(found.size, Some((640, 480)));
        let gif = of(b"GIF89a\x0a\0\x14\0\0\0\0");
        assert_eq!(
            (gif.format, gif.size),
            (Some(("image/gif", "gif")), Some((10, 20)))
        );
    }

    #[test]
    fn sounds_and_films_tell_how_long_they_are() {
        let mut header = vec![0; 100];
        header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
        header[16..20].copy_from_slice(&12_300_u32.to_be_bytes());
        let moov = iso_box(
            b"moov",
            &[iso_box(b"free", b"x"), iso_box(b"mvhd", &header)].concat(),
        );
        let film = [
            iso_box(b"ftyp", b"isom0000"),
            iso_box(b"mdat", &[7; 5000]),
            moov.clone(),
        ]
        .concat();
        assert_eq!(of(&film).format, Some(("video/mp4", "mp4")));
        assert_eq!(of(&film).duration, Some(12.3));
        let sound = [iso_box(b"ftyp", b"M4A 0000"), moov].concat();
        assert_eq!(of(&sound).format, Some(("audio/mp4", "m4a")));
        let mut wave = b"RIFF0000WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wave.extend(8000_u32.to_le_bytes());
        wave.extend(16_000_u32.to_le_bytes());
        wave.extend(b"\x02\0\x10\0data\0\x7d\0\0");
        assert_eq!(of(&wave).duration, Some(2.0));
        let amr = [
            b"#!AMR\n".to_vec(),
            [&[0x3C][..], &[0; 31]].concat().repeat(50),
        ]
        .concat();
        assert_eq!(of(&amr).duration, Some(1.0));
    }

    #[test]
    fn what_is_not_known_tells_nothing_and_no_bytes_make_it_panic() {
        assert_eq!(of(b""), Probed::default());
        assert_eq!(of(b"just words"), Probed::default());
        let starts: [&[u8]; 5] = [
            b"\x89PNG\r\n\x1a\n",
            b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x20moov",
            b"RIFF0000WAVEfmt ",
            b"#!AMR\n",
            b"\xff\xd8\xff\xe0",
        ];
        for seed in 0..2000 {
            let mut file = starts[usize::try_from(seed % 5).unwrap()].to_vec();
            file.extend((0..64).map(|at| splitmix::nth(seed, at).to_le_bytes()[0]));
            let found = of(&file);
            assert!(found.duration.is_none_or(|it| it.is_finite() && it >= 0.0));
        }
    }
}

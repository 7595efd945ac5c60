//! Positions are found in every container, and erased without moving a byte.

use std::io::Cursor;

use super::*;
use crate::splitmix;

/// A TIFF with a directory of a camera's name and one of a position: 48 degrees, and a reference.
fn tiff(is_little: bool) -> Vec<u8> {
    let short = |it: u16| {
        if is_little {
            it.to_le_bytes()
        } else {
            it.to_be_bytes()
        }
    };
    let long = |it: u32| {
        if is_little {
            it.to_le_bytes()
        } else {
            it.to_be_bytes()
        }
    };
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&short(tag)[..], &short(kind), &long(count), &value].concat()
    };
    let mut tiff = if is_little {
        b"II*\0".to_vec()
    } else {
        b"MM\0*".to_vec()
    };
    tiff.extend(long(8));
    tiff.extend(short(2));
    tiff.extend(entry(0x010F, 2, 4, *b"Cam\0"));
    tiff.extend(entry(GPS_DIRECTORY, 4, 1, long(38)));
    tiff.extend(long(0));
    tiff.extend(short(2));
    tiff.extend(entry(1, 2, 2, *b"N\0\0\0"));
    tiff.extend(entry(2, 5, 3, long(68)));
    tiff.extend(long(0));
    tiff.extend(b"SECRETPLACE-48-DEGREES!!");
    tiff
}

fn erased(mut file: Vec<u8>) -> Vec<u8> {
    let found = erasures(&mut Cursor::new(&file)).unwrap();
    erase(&found, 0, &mut file);
    file
}

fn has(file: &[u8], text: &[u8]) -> bool {
    places(file, text).next().is_some()
}

fn jpeg(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [
        &[0xFF, 0xD8, 0xFF, 0xE1][..],
        &length,
        body,
        &[0xFF, 0xDA],
        b"picture",
    ]
    .concat()
}

fn png_chunk(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let sum = crc32fast::hash(&[kind, body].concat());
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], kind, body, &sum.to_be_bytes()].concat()
}

fn iso_box(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], kind, body].concat()
}

#[test]
fn a_position_is_erased_from_every_kind_of_picture_and_the_rest_stays() {
    for is_little in [true, false] {
        let tiff = tiff(is_little);
        let exif = [EXIF, &tiff].concat();
        let png = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            png_chunk(b"eXIf", &tiff),
            png_chunk(b"IEND", b""),
        ];
        let length = u32::try_from(tiff.len()).unwrap().to_le_bytes();
        let webp = [b"RIFF\0\0\0\0WEBPEXIF", &length[..], &tiff].concat();
        let heic = [iso_box(b"ftyp", b"heic"), iso_box(b"mdat", &exif)].concat();
        for file in [jpeg(&exif), png.concat(), webp, heic, tiff.clone()] {
            let after = erased(file.clone());
            assert_eq!(after.len(), file.len());
            assert!(has(&file, b"SECRETPLACE") && !has(&after, b"SECRETPLACE"));
            assert!(has(&after, b"Cam\0"), "the camera's name stays");
            let changed = file.iter().zip(&after).filter(|(a, b)| a != b).count();
            assert!(changed <= 24 + 26 + 4, "{changed}");
        }
    }
}

#[test]
fn a_checksum_of_a_png_fits_its_new_bytes() {
    let file = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        png_chunk(b"eXIf", &tiff(true)),
    ]
    .concat();
    let after = erased(file);
    let body = &after[16..after.len() - 4];
    assert_eq!(
        after,
        [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"eXIf", body)].concat()
    );
}

#[test]
fn words_and_films_lose_their_positions_too() {
    let xmp =
        br#"<x exif:GPSLatitude="48,51.5N" a="1"><exif:GPSLongitude>2,17E</exif:GPSLongitude>"#;
    let after = erased(jpeg(&[XMP, xmp].concat()));
    assert!(!has(&after, b"48,51") && !has(&after, b"2,17E") && has(&after, b"a=\"1\""));
    let xyz = iso_box(b"\xa9xyz", b"\0\x12\x15\xc7+48.8577+002.2950/");
    let keys = [FILM_KEY, b"....data+48.8577+002.2950+035.0/"].concat();
    let moov = iso_box(
        b"moov",
        &[iso_box(b"udta", &xyz), iso_box(b"meta", &keys)].concat(),
    );
    let film = [iso_box(b"ftyp", b"qt  "), moov].concat();
    let after = erased(film);
    assert!(has(&after, b"free") && !has(&after, b"\xa9xyz"));
    assert!(has(&after, b"data+00.0000+000.0000+000.0/"));
}

#[test]
fn files_of_other_kinds_are_left_alone_and_no_bytes_make_it_panic() {
    assert_eq!(
        erased(b"words of a note, exif:GPS=\"1\"".to_vec()),
        b"words of a note, exif:GPS=\"1\""
    );
    assert_eq!(erased(Vec::new()), b"");
    let exif = [EXIF, &tiff(true)].concat();
    let starts: [&[u8]; 4] = [
        &jpeg(&exif),
        b"\x89PNG\r\n\x1a\n",
        b"RIFF0000WEBPEXIF",
        b"\0\0\0\x0cftypheic",
    ];
    for seed in 0..2000 {
        let start = starts[usize::try_from(seed % 4).unwrap()];
        let mut file = start.to_vec();
        file.extend((0..64).map(|at| splitmix::nth(seed, at).to_le_bytes()[0]));
        let place = usize::try_from(splitmix::nth(seed, 99)).unwrap() % file.len();
        file[place] = splitmix::nth(seed, 100).to_le_bytes()[0];
        let length = file.len();
        assert_eq!(erased(file).len(), length);
    }
}

#[test]
fn a_file_made_to_waste_memory_or_time_is_refused_or_read_soon() {
    // A directory of positions whose every entry points to the same two megabytes.
    let mut tiff = b"II*\0\x08\0\0\0\x01\0".to_vec();
    tiff.extend(GPS_DIRECTORY.to_le_bytes());
    tiff.extend(b"\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\xff\xff");
    for _ in 0..65_535 {
        tiff.extend(b"\x02\0\x01\0\0\0\x20\0\x08\0\0\0");
    }
    tiff.resize(3 * 1024 * 1024, 7);
    let refused = erasures(&mut Cursor::new(&tiff)).unwrap_err();
    assert!(refused.to_string().contains("keeps_position"), "{refused}");
    // Names of positions without end, and values without end.
    for words in [&b"exif:GPS"[..], b"exif:GPS>"] {
        let text = words.repeat(100_000);
        let file = [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(b"tEXt", &text)].concat();
        assert!(erasures(&mut Cursor::new(&file)).is_ok_and(|found| found.is_empty()));
    }
}

#[test]
fn pieces_of_a_file_are_erased_as_the_whole_is() {
    let file = jpeg(&[EXIF, &tiff(true)].concat());
    let found = erasures(&mut Cursor::new(&file)).unwrap();
    let mut pieces = file.clone();
    let mut at = 0;
    for piece in pieces.chunks_mut(7) {
        erase(&found, at, piece);
        at += 7;
    }
    assert_eq!(pieces, erased(file));
}

//! MIME types by the endings of names: the kinds that people send.

use crate::model::MediaKind;

/// The MIME type of a file of unknown content.
const UNKNOWN: &str = "application/octet-stream";

/// The endings of names, each with its MIME type.
const TYPES: [(&str, &str); 44] = [
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("svg", "image/svg+xml"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("amr", "audio/amr"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/opus"),
    ("wav", "audio/wav"),
    ("flac", "audio/flac"),
    ("caf", "audio/x-caf"),
    ("mp4", "video/mp4"),
    ("m4v", "video/x-m4v"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("3gp", "video/3gpp"),
    ("avi", "video/x-msvideo"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("7z", "application/x-7z-compressed"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("apk", "application/vnd.android.package-archive"),
];

/// The MIME type that belongs to the ending of a name.
pub(crate) fn mime_of(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let found = TYPES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(ending));
    found.map_or(UNKNOWN, |(_, mime)| mime)
}

/// True if a text may be sent as a MIME type in an HTTP header.
pub(crate) fn is_mime(text: &str) -> bool {
    let graphic = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    graphic
        && text.len() <= 200
        && text
            .split_once('/')
            .is_some_and(|(class, kind)| !class.is_empty() && !kind.is_empty())
}

/// The kind of message that a MIME type makes.
pub(crate) fn kind_of(mime: &str) -> MediaKind {
    match mime.split_once('/').map(|(class, _)| class) {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_says_the_type_and_the_type_the_kind() {
        assert_eq!(mime_of("Cat.JPG"), "image/jpeg");
        assert_eq!(kind_of(mime_of("song.m4a")), MediaKind::Audio);
        assert_eq!(kind_of(mime_of("film.mov")), MediaKind::Video);
        assert_eq!(kind_of(mime_of("paper.pdf")), MediaKind::File);
        assert!(TYPES.iter().all(|(_, mime)| is_mime(mime)));
        assert!(!["", "png", "/", "a/b\r\nX: 1"].into_iter().any(is_mime));
        for name in ["", "noending", "odd.", "x.unheard"] {
            assert_eq!(mime_of(name), UNKNOWN);
            assert_eq!(kind_of(UNKNOWN), MediaKind::File);
        }
    }
}

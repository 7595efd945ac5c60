//! Content types: guessed from names, and made harmless before a browser sees them.

/// Endings of names and their content types.
const BY_ENDING: [(&str, &str); 29] = [
    ("aac", "audio/aac"),
    ("amr", "audio/amr"),
    ("avi", "video/x-msvideo"),
    ("bmp", "image/bmp"),
    ("doc", "application/msword"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("m4a", "audio/mp4"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("zip", "application/zip"),
];

/// Kinds that a browser shows and in which nothing runs. SVG, HTML, XML and PDF are not among them.
const SHOWN: [&str; 7] = [
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/plain",
];

/// A kind of which nothing is known.
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// The content type of a file: its sender's, if that is a content type, else the type that the name's ending
/// says.
pub(super) fn kind_of(named: Option<&str>, name: &str) -> String {
    if let Some(named) = named.filter(|it| is_kind(it)) {
        return named.to_ascii_lowercase();
    }
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase());
    let known = BY_ENDING
        .iter()
        .find(|(it, _)| Some(*it) == ending.as_deref());
    known.map_or(UNKNOWN, |(_, kind)| kind).to_owned()
}

/// True if a text is a content type without parameters.
fn is_kind(text: &str) -> bool {
    let is_word = |word: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        !word.is_empty() && word.len() <= 127 && word.bytes().all(allowed)
    };
    text.split_once('/')
        .is_some_and(|(kind, subkind)| is_word(kind) && is_word(subkind))
}

/// The way in which a file is given to a browser: its content type, and true if the browser may show it. A file
/// that could run a script is only ever saved.
pub(super) fn harmless(kind: &str) -> (&str, bool) {
    let is_media = ["audio/", "video/"].iter().any(|it| kind.starts_with(it));
    match SHOWN.contains(&kind) || is_media && is_kind(kind) && !kind.contains("xml") {
        true => (kind, true),
        false => (UNKNOWN, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_run_a_script_is_never_shown() {
        let kinds = [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "application/pdf",
            "text/javascript",
            "application/x-shockwave-flash",
            "multipart/x-mixed-replace",
            "video/xml",
            "",
            "text/plain; charset=x",
        ];
        for kind in kinds {
            assert_eq!(harmless(kind), (UNKNOWN, false), "{kind}");
        }
        for kind in ["image/png", "video/mp4", "audio/x-anything", "text/plain"] {
            assert_eq!(harmless(kind), (kind, true));
        }
    }

    #[test]
    fn a_kind_is_what_the_sender_says_or_what_the_name_ends_in() {
        assert_eq!(kind_of(Some("Image/PNG"), "a.txt"), "image/png");
        assert_eq!(kind_of(None, "holiday.JPG"), "image/jpeg");
        assert_eq!(kind_of(Some("no kind\r\nX-Bad: 1"), "a.b"), UNKNOWN);
        assert_eq!(kind_of(None, "jpg"), UNKNOWN);
        assert!(BY_ENDING.iter().all(|(_, kind)| is_kind(kind)) && BY_ENDING.is_sorted());
    }
}

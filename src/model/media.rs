//! Files to send: the source of their bytes, and the other parts of their messages.

use std::fmt;
use std::path::PathBuf;

use super::{Details, Json, Mentions, SendOptions};

/// A file to send, with the other parts of its message.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct NewMedia {
    /// The source of the bytes.
    pub source: MediaSource,
    /// The kind of the message. None: the kind that the bytes show, and `File` where they show none.
    #[uniffi(default)]
    pub kind: Option<MediaKind>,
    /// The file's name. None: the last part of the path or the URL.
    #[uniffi(default)]
    pub name: Option<String>,
    /// The MIME type, such as `image/png`. None: the type that the bytes show, or else the type of the name's
    /// ending.
    #[uniffi(default)]
    pub mime: Option<String>,
    /// The width of a picture or film, in pixels. None: the width in the bytes of a picture.
    #[uniffi(default)]
    pub width: Option<u32>,
    /// The height in pixels. None: the height in the bytes of a picture.
    #[uniffi(default)]
    pub height: Option<u32>,
    /// The duration of a sound or film, in seconds. None: the duration in the bytes, for MP4, QuickTime, WAV,
    /// AMR and FLAC.
    #[uniffi(default)]
    pub duration: Option<f64>,
    /// A caption.
    #[uniffi(default)]
    pub caption: Option<String>,
    /// The app's attributes and extra keys of the message.
    #[uniffi(default)]
    pub details: Details,
    /// The clients that are mentioned by name.
    #[uniffi(default)]
    pub mentions: Mentions,
    /// The push for members that are offline: a JSON object, or none for the service's default.
    #[uniffi(default)]
    pub push: Option<Json>,
    /// The options of the sending. A file can be neither transient nor a will.
    #[uniffi(default)]
    pub options: SendOptions,
    /// True to keep the place where a picture or film was taken. Default: false; then the place is erased from
    /// the sent copy: from EXIF and XMP of JPEG, PNG, WebP, HEIC and TIFF, and from the boxes of MP4 and
    /// QuickTime.
    #[uniffi(default)]
    pub keeps_position: bool,
}

impl NewMedia {
    /// A file with no other parts.
    #[must_use]
    pub fn new(source: MediaSource) -> Self {
        Self {
            source,
            kind: None,
            name: None,
            mime: None,
            width: None,
            height: None,
            duration: None,
            caption: None,
            details: Details::default(),
            mentions: Mentions::default(),
            push: None,
            options: SendOptions::default(),
            keeps_position: false,
        }
    }
}

/// The source of a file's bytes.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum MediaSource {
    /// In memory.
    Bytes {
        /// The bytes.
        data: Vec<u8>,
    },
    /// A file on this device. The call copies it, so the original may change or be removed after the call has
    /// returned.
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A file on the web: nothing is uploaded, and the message names the URL.
    Url {
        /// The URL.
        url: String,
    },
}

impl fmt::Debug for MediaSource {
    /// People's files never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Bytes { .. } => "Bytes",
            Self::Path { .. } => "Path",
            Self::Url { .. } => "Url",
        };
        write!(f, "MediaSource::{kind}(..)")
    }
}

/// The kind of a message that carries a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A sound.
    Audio,
    /// A film.
    Video,
    /// Any other file.
    File,
}

//! Files to send: where their bytes are, and what stands beside them.

use std::fmt;
use std::path::PathBuf;

use super::{Details, Json, Mentions, SendOptions};

/// A file to send, and what stands beside it.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct NewMedia {
    /// Where the bytes are.
    pub source: MediaSource,
    /// The kind of the message. None: what the bytes are, and `File` where that is not known.
    #[uniffi(default)]
    pub kind: Option<MediaKind>,
    /// The file's name. None: the last part of the path or the URL.
    #[uniffi(default)]
    pub name: Option<String>,
    /// The MIME type, such as `image/png`. None: what the bytes are, then what the name says.
    #[uniffi(default)]
    pub mime: Option<String>,
    /// Pixels across, of a picture or film. None: what the bytes of a picture tell.
    #[uniffi(default)]
    pub width: Option<u32>,
    /// Pixels down. None: what the bytes of a picture tell.
    #[uniffi(default)]
    pub height: Option<u32>,
    /// Seconds, of a sound or film. None: what the bytes tell, where the format is MP4, QuickTime, WAV, AMR or FLAC.
    #[uniffi(default)]
    pub duration: Option<f64>,
    /// Words beside it.
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
    /// How it is sent. A file is neither transient nor a will.
    #[uniffi(default)]
    pub options: SendOptions,
    /// True if the place where a picture or film was taken stays in it. Default: false, and it is erased from the
    /// copy that is sent: EXIF and XMP of JPEG, PNG, WebP, HEIC and TIFF, and the boxes of MP4 and QuickTime.
    #[uniffi(default)]
    pub keeps_position: bool,
}

impl NewMedia {
    /// A file with nothing beside it.
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

/// Where the bytes of a file to send are.
#[derive(Clone, PartialEq, Eq, uniffi::Enum)]
pub enum MediaSource {
    /// In memory.
    Bytes {
        /// The bytes.
        data: Vec<u8>,
    },
    /// In a file of this device. It is copied: the original may change or go once the call has returned.
    Path {
        /// The path.
        path: PathBuf,
    },
    /// On the web already: nothing is uploaded, and the message names the URL.
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

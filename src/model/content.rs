//! The content of a message: its kinds and their parts.

use std::fmt;

use super::Json;

/// What a message says.
///
/// The typed kinds travel as a JSON envelope with a type number (`docs/wire.md`); `Plain` is any
/// other text and `Binary` any bytes. A kind that Sampan does not know arrives as `Custom`, whole.
#[derive(Clone, PartialEq, uniffi::Enum)]
pub enum MessageContent {
    /// Words.
    Text {
        /// The words.
        text: String,
        /// What the app attached.
        details: Details,
    },
    /// A picture.
    Image {
        /// Where its bytes are.
        attachment: Attachment,
        /// Words beside it.
        caption: Option<String>,
        /// What the app attached.
        details: Details,
    },
    /// A sound; its attachment states the duration.
    Audio {
        /// Where its bytes are.
        attachment: Attachment,
        /// Words beside it.
        caption: Option<String>,
        /// What the app attached.
        details: Details,
    },
    /// A film; its attachment states the duration.
    Video {
        /// Where its bytes are.
        attachment: Attachment,
        /// Words beside it.
        caption: Option<String>,
        /// What the app attached.
        details: Details,
    },
    /// A place on Earth.
    Location {
        /// Degrees north of the equator, -90 to 90.
        latitude: f64,
        /// Degrees east of Greenwich, -180 to 180.
        longitude: f64,
        /// Words beside it.
        caption: Option<String>,
        /// What the app attached.
        details: Details,
    },
    /// Any other file.
    File {
        /// Where its bytes are.
        attachment: Attachment,
        /// Words beside it.
        caption: Option<String>,
        /// What the app attached.
        details: Details,
    },
    /// The sender took the message back.
    Recalled {
        /// Words left in its place; usually none.
        caption: Option<String>,
        /// What the app attached.
        details: Details,
    },
    /// A type of the app's own (positive), or one that this build does not know (negative).
    Custom {
        /// The type number of the envelope.
        kind: i32,
        /// The whole envelope, with every key as it was sent.
        envelope: Json,
    },
    /// Text without an envelope.
    Plain {
        /// The text.
        text: String,
    },
    /// Bytes without an envelope.
    Binary {
        /// The bytes.
        data: Vec<u8>,
    },
}

impl MessageContent {
    /// Text with nothing attached: the commonest content.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            details: Details::default(),
        }
    }

    /// Whether the sender took the message back.
    #[must_use]
    pub const fn is_recalled(&self) -> bool {
        matches!(self, Self::Recalled { .. })
    }

    /// The words that a list of conversations would show: text, caption or plain text.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } | Self::Plain { text } => Some(text),
            Self::Image { caption, .. }
            | Self::Audio { caption, .. }
            | Self::Video { caption, .. }
            | Self::Location { caption, .. }
            | Self::File { caption, .. }
            | Self::Recalled { caption, .. } => caption.as_deref(),
            Self::Custom { .. } | Self::Binary { .. } => None,
        }
    }

    /// The name of the kind, for logs; never the content itself.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::Audio { .. } => "audio",
            Self::Video { .. } => "video",
            Self::Location { .. } => "location",
            Self::File { .. } => "file",
            Self::Recalled { .. } => "recalled",
            Self::Custom { .. } => "custom",
            Self::Plain { .. } => "plain",
            Self::Binary { .. } => "binary",
        }
    }
}

impl fmt::Debug for MessageContent {
    /// Names the kind only: what people write never reaches logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageContent::{}(..)", self.kind_name())
    }
}

/// What an app attached to a typed message.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Details {
    /// The message's attributes: a JSON object of the app's own.
    #[uniffi(default)]
    pub attributes: Option<Json>,
    /// Envelope keys beside the reserved ones: a JSON object, kept as it came.
    #[uniffi(default)]
    pub extra: Option<Json>,
}

/// A file in the file service, or anywhere else on the web.
#[derive(Clone, Default, PartialEq, uniffi::Record)]
pub struct Attachment {
    /// The file service's id; none for a file that exists only by its URL.
    #[uniffi(default)]
    pub object_id: Option<String>,
    /// Where to download the bytes.
    pub url: String,
    /// The file's name.
    #[uniffi(default)]
    pub name: Option<String>,
    /// The format, such as `png` or `mp3`.
    #[uniffi(default)]
    pub format: Option<String>,
    /// How many bytes it has.
    #[uniffi(default)]
    pub size: Option<u64>,
    /// Pixels across, of a picture or film.
    #[uniffi(default)]
    pub width: Option<u32>,
    /// Pixels down, of a picture or film.
    #[uniffi(default)]
    pub height: Option<u32>,
    /// Seconds, of a sound or film.
    #[uniffi(default)]
    pub duration: Option<f64>,
    /// Keys of the file that nobody here knows: a JSON object, kept as it came.
    #[uniffi(default)]
    pub extra: Option<Json>,
}

impl fmt::Debug for Attachment {
    /// Shows whether there is a URL, never the URL: it may carry an access token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_names_the_kind_and_hides_the_words() {
        assert_eq!(
            format!("{:?}", MessageContent::text("meet me at noon")),
            "MessageContent::text(..)"
        );
    }
}

//! The content of a message: its kinds and their parts.

use std::fmt;

use super::Json;

/// The content of a message.
///
/// The typed kinds travel as a JSON envelope with a type number (`docs/wire.md`). `Plain` is any other text and
/// `Binary` any bytes. A kind that Sampan does not know arrives as `Custom`, whole.
#[derive(Clone, PartialEq, uniffi::Enum)]
pub enum MessageContent {
    /// A text.
    Text {
        /// The text.
        text: String,
        /// The app's attributes and extra keys.
        details: Details,
    },
    /// A picture.
    Image {
        /// The picture's file.
        file: MediaFile,
        /// A caption.
        caption: Option<String>,
        /// The app's attributes and extra keys.
        details: Details,
    },
    /// A sound; its file states the duration.
    Audio {
        /// The sound's file.
        file: MediaFile,
        /// A caption.
        caption: Option<String>,
        /// The app's attributes and extra keys.
        details: Details,
    },
    /// A film; its file states the duration.
    Video {
        /// The film's file.
        file: MediaFile,
        /// A caption.
        caption: Option<String>,
        /// The app's attributes and extra keys.
        details: Details,
    },
    /// A place on Earth.
    Location {
        /// Degrees north of the equator, -90 to 90.
        latitude: f64,
        /// Degrees east of Greenwich, -180 to 180.
        longitude: f64,
        /// A caption.
        caption: Option<String>,
        /// The app's attributes and extra keys.
        details: Details,
    },
    /// Any other file.
    File {
        /// The file.
        file: MediaFile,
        /// A caption.
        caption: Option<String>,
        /// The app's attributes and extra keys.
        details: Details,
    },
    /// The sender recalled the message.
    Recalled {
        /// A text in place of the message; usually none.
        caption: Option<String>,
        /// The app's attributes and extra keys.
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

/// The details of a content, borrowed as the content is; none for the kinds without details.
macro_rules! details_of {
    ($content:expr) => {
        match $content {
            Self::Text { details, .. }
            | Self::Image { details, .. }
            | Self::Audio { details, .. }
            | Self::Video { details, .. }
            | Self::Location { details, .. }
            | Self::File { details, .. }
            | Self::Recalled { details, .. } => Some(details),
            Self::Custom { .. } | Self::Plain { .. } | Self::Binary { .. } => None,
        }
    };
}

impl MessageContent {
    /// A text with nothing attached: the commonest content.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            details: Details::default(),
        }
    }

    /// A picture without a caption.
    #[must_use]
    pub fn image(file: MediaFile) -> Self {
        Self::Image {
            file,
            caption: None,
            details: Details::default(),
        }
    }

    /// A sound without a caption.
    #[must_use]
    pub fn audio(file: MediaFile) -> Self {
        Self::Audio {
            file,
            caption: None,
            details: Details::default(),
        }
    }

    /// A film without a caption.
    #[must_use]
    pub fn video(file: MediaFile) -> Self {
        Self::Video {
            file,
            caption: None,
            details: Details::default(),
        }
    }

    /// A file without a caption.
    #[must_use]
    pub fn file(file: MediaFile) -> Self {
        Self::File {
            file,
            caption: None,
            details: Details::default(),
        }
    }

    /// A place without a caption.
    ///
    /// # Errors
    ///
    /// [`ContentFault::Latitude`] and [`ContentFault::Longitude`] for a number outside the range of a place on
    /// Earth.
    pub fn location(latitude: f64, longitude: f64) -> Result<Self, ContentFault> {
        let location = Self::Location {
            latitude,
            longitude,
            caption: None,
            details: Details::default(),
        };
        location.check().map(|()| location)
    }

    /// A type of the app's own: its number, which is positive, and the envelope's other keys.
    ///
    /// # Errors
    ///
    /// [`ContentFault::Kind`] for a number that is not positive, [`ContentFault::Envelope`] for JSON that is no
    /// object.
    pub fn custom(kind: i32, envelope: Json) -> Result<Self, ContentFault> {
        if kind <= 0 {
            return Err(ContentFault::Kind);
        }
        let custom = Self::Custom { kind, envelope };
        custom.check().map(|()| custom)
    }

    /// The content with a caption; for a text, the content with this text. Custom, plain and binary content has
    /// no caption and stays as it is.
    #[must_use]
    pub fn with_caption(mut self, words: impl Into<String>) -> Self {
        match &mut self {
            Self::Text { text, .. } => *text = words.into(),
            Self::Image { caption, .. }
            | Self::Audio { caption, .. }
            | Self::Video { caption, .. }
            | Self::Location { caption, .. }
            | Self::File { caption, .. }
            | Self::Recalled { caption, .. } => *caption = Some(words.into()),
            Self::Custom { .. } | Self::Plain { .. } | Self::Binary { .. } => {}
        }
        self
    }

    /// The content with attributes of the app's own. Custom, plain and binary content has none and stays as it is.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Json) -> Self {
        if let Some(details) = self.details_mut() {
            details.attributes = Some(attributes);
        }
        self
    }

    /// The app's attributes and extra keys; none for custom, plain and binary content.
    #[must_use]
    pub const fn details(&self) -> Option<&Details> {
        details_of!(self)
    }

    /// The app's attributes and extra keys, to be changed.
    pub const fn details_mut(&mut self) -> Option<&mut Details> {
        details_of!(self)
    }

    /// The file of a picture, sound, film or file.
    #[must_use]
    pub const fn media(&self) -> Option<&MediaFile> {
        match self {
            Self::Image { file, .. }
            | Self::Audio { file, .. }
            | Self::Video { file, .. }
            | Self::File { file, .. } => Some(file),
            _ => None,
        }
    }

    /// The same file, to be changed.
    pub const fn media_mut(&mut self) -> Option<&mut MediaFile> {
        match self {
            Self::Image { file, .. }
            | Self::Audio { file, .. }
            | Self::Video { file, .. }
            | Self::File { file, .. } => Some(file),
            _ => None,
        }
    }

    /// Checks that the content can be sent and that all readers read it alike.
    ///
    /// # Errors
    ///
    /// The first [`ContentFault`].
    pub fn check(&self) -> Result<(), ContentFault> {
        if let Some(details) = self.details() {
            details.check()?;
        }
        if let Some(file) = self.media() {
            file.check()?;
        }
        match self {
            Self::Location {
                latitude,
                longitude,
                ..
            } => check_place(*latitude, *longitude),
            Self::Custom { envelope, .. } if !envelope.is_object() => Err(ContentFault::Envelope),
            Self::Custom { kind: 0, .. } => Err(ContentFault::Kind),
            Self::Recalled { .. } => Err(ContentFault::Recalled),
            _ => Ok(()),
        }
    }

    /// True if the sender recalled the message.
    #[must_use]
    pub const fn is_recalled(&self) -> bool {
        matches!(self, Self::Recalled { .. })
    }

    /// The text that a list of conversations shows: the text, the caption or the plain text.
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
    /// Names the kind only: people's words never reach logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageContent::{}(..)", self.kind_name())
    }
}

/// The app's attributes and extra keys of a typed message.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Details {
    /// The message's attributes: a JSON object of the app's own.
    #[uniffi(default)]
    pub attributes: Option<Json>,
    /// Envelope keys beside the reserved ones: a JSON object, kept as it came.
    #[uniffi(default)]
    pub extra: Option<Json>,
}

impl Details {
    fn check(&self) -> Result<(), ContentFault> {
        let no_object = |json: &Option<Json>| json.as_ref().is_some_and(|json| !json.is_object());
        if no_object(&self.attributes) {
            return Err(ContentFault::Attributes);
        }
        if no_object(&self.extra) {
            return Err(ContentFault::Extra);
        }
        Ok(())
    }
}

/// A file in the file service, or anywhere else on the web.
#[derive(Clone, Default, PartialEq, uniffi::Record)]
pub struct MediaFile {
    /// The file service's id; none for a file that exists only by its URL.
    #[uniffi(default)]
    pub object_id: Option<String>,
    /// The URL of the bytes.
    pub url: String,
    /// The file's name.
    #[uniffi(default)]
    pub name: Option<String>,
    /// The format, such as `png` or `mp3`.
    #[uniffi(default)]
    pub format: Option<String>,
    /// The MIME type, such as `image/png`; other SDKs neither write nor show it.
    #[uniffi(default)]
    pub mime: Option<String>,
    /// The size in bytes.
    #[uniffi(default)]
    pub size: Option<u64>,
    /// The width of a picture or film, in pixels.
    #[uniffi(default)]
    pub width: Option<u32>,
    /// The height of a picture or film, in pixels.
    #[uniffi(default)]
    pub height: Option<u32>,
    /// The duration of a sound or film, in seconds.
    #[uniffi(default)]
    pub duration: Option<f64>,
    /// Unknown keys of the file: a JSON object, kept as it came.
    #[uniffi(default)]
    pub extra: Option<Json>,
}

impl MediaFile {
    /// A file with only a URL.
    #[must_use]
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), ContentFault> {
        if self.url.is_empty() {
            return Err(ContentFault::Url);
        }
        if self.duration.is_some_and(|it| !it.is_finite() || it < 0.0) {
            return Err(ContentFault::Duration);
        }
        if self.size.is_some_and(|it| it > SIZE_MAX) {
            return Err(ContentFault::Size);
        }
        if self.extra.as_ref().is_some_and(|it| !it.is_object()) {
            return Err(ContentFault::Extra);
        }
        Ok(())
    }
}

/// The most bytes of a file that every reader can count, because many readers hold JSON numbers as doubles.
const SIZE_MAX: u64 = (1 << 53) - 1;

fn check_place(latitude: f64, longitude: f64) -> Result<(), ContentFault> {
    // NaN is in no range.
    if !(-90.0..=90.0).contains(&latitude) {
        return Err(ContentFault::Latitude);
    }
    if !(-180.0..=180.0).contains(&longitude) {
        return Err(ContentFault::Longitude);
    }
    Ok(())
}

/// The reason why a content can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentFault {
    /// The latitude is not a number from -90 to 90.
    #[error("latitude: not a number from -90 to 90")]
    Latitude,
    /// The longitude is not a number from -180 to 180.
    #[error("longitude: not a number from -180 to 180")]
    Longitude,
    /// A file has no address.
    #[error("file: it has no address")]
    Url,
    /// A duration is negative or not finite.
    #[error("file: its duration is negative or not finite")]
    Duration,
    /// A size is one that many readers round.
    #[error("file: its size is above 2^53 - 1")]
    Size,
    /// The attributes are JSON, but no object.
    #[error("attributes: no JSON object")]
    Attributes,
    /// The extra keys are JSON, but no object.
    #[error("extra: no JSON object")]
    Extra,
    /// A custom type has the number 0, which means no type; for a new custom type also a negative number.
    #[error("kind: the numbers of an app's own types begin with 1")]
    Kind,
    /// The envelope of a custom type is JSON, but no object.
    #[error("envelope: no JSON object")]
    Envelope,
    /// A recalled message cannot be sent; `Conversation.recall` makes one.
    #[error("content: a recalled message is made by a recall")]
    Recalled,
}

impl fmt::Debug for MediaFile {
    /// Shows that there is a URL, never the URL itself: a URL may contain an access token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaFile")
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
    #[test]
    fn each_fault_of_a_content_is_named_and_its_sound_twin_passes() {
        let json = |text: &str| Json::parse(text).unwrap();
        let list = || json("[1]");
        let file = |change: fn(&mut MediaFile)| {
            let mut file = MediaFile::at("https://files.example/x");
            change(&mut file);
            MessageContent::image(file)
        };
        let extra = MessageContent::Text {
            text: String::new(),
            details: Details {
                attributes: None,
                extra: Some(list()),
            },
        };
        let custom = |kind, envelope| MessageContent::Custom { kind, envelope };
        let recalled = MessageContent::Recalled {
            caption: None,
            details: Details::default(),
        };
        let attributes = MessageContent::text("x").with_attributes(list());
        for (content, fault) in [
            (file(|it| it.url.clear()), ContentFault::Url),
            (
                file(|it| it.duration = Some(f64::NAN)),
                ContentFault::Duration,
            ),
            (file(|it| it.duration = Some(-0.1)), ContentFault::Duration),
            (file(|it| it.size = Some(1 << 53)), ContentFault::Size),
            (
                file(|it| it.extra = Json::parse("5").ok()),
                ContentFault::Extra,
            ),
            (attributes, ContentFault::Attributes),
            (extra, ContentFault::Extra),
            (custom(0, json("{}")), ContentFault::Kind),
            (custom(7, list()), ContentFault::Envelope),
            (recalled, ContentFault::Recalled),
        ] {
            assert_eq!(content.check(), Err(fault), "{fault}");
        }
        for kind in [i32::MIN, -1, 0] {
            let made = MessageContent::custom(kind, json("{}"));
            assert_eq!(made, Err(ContentFault::Kind));
        }
        assert!(MessageContent::custom(1, json(" {}")).is_ok());
        assert!(file(|it| it.size = Some((1 << 53) - 1)).check().is_ok());
    }

    #[test]
    fn a_place_is_one_on_earth() {
        for (latitude, longitude, fault) in [
            (90.1, 0.0, Some(ContentFault::Latitude)),
            (f64::NAN, 0.0, Some(ContentFault::Latitude)),
            (0.0, -180.1, Some(ContentFault::Longitude)),
            (0.0, f64::INFINITY, Some(ContentFault::Longitude)),
            (90.0, -180.0, None),
            (-90.0, 180.0, None),
        ] {
            let made = MessageContent::location(latitude, longitude);
            assert_eq!(made.err(), fault, "{latitude} {longitude}");
        }
    }
}

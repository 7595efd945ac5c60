//! The stored form of messages and their content: arrays, because there are many messages.
//!
//! Fields are only ever added at the end, each with `#[serde(default)]`. A field with a new meaning needs a
//! new record version in the frame (`format/frame.rs`) and a step in `recovery/migrate.rs`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_bytes::Bytes;

use crate::model::{
    ClientId, Details, Json, LocalId, MediaFile, Mentions, MessageContent, Timestamp,
};
use crate::store::format::messagepack::{BadRecord, clients, decode, json, millis, time};
use crate::store::types::link::Older;
use crate::store::types::message::StoredMessage;
use crate::store::types::origin::{Origin, Teller, Word};

/// A message that the service knows; its time and id are in its pack (`format/pack.rs`). Its texts are
/// borrowed: from the message that is written, or from the bytes read.
#[derive(Serialize, Deserialize)]
pub(crate) struct MessageRecord<'a> {
    pub(crate) sender: &'a str,
    #[serde(borrow)]
    pub(crate) local_id: Option<&'a str>,
    pub(crate) content: ContentRecord<'a>,
    pub(crate) mention_all: bool,
    #[serde(borrow)]
    pub(crate) mentions: Vec<&'a str>,
    pub(crate) delivered_at_ms: Option<i64>,
    pub(crate) read_at_ms: Option<i64>,
    pub(crate) edited_at_ms: Option<i64>,
    /// Only for an imported message; every other one saves the byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<OriginRecord>,
}

/// The word of the content, the word of the mentions, and whether the sender is known.
type OriginRecord = (WordRecord, Option<WordRecord>, bool);

/// The time of a fact, and the number of its source.
type WordRecord = (i64, u8);

fn origin_record(origin: &Origin) -> OriginRecord {
    let word = |word: Word| (word.as_of.as_millis(), word.by.number());
    (
        word(origin.content),
        origin.mentions.map(word),
        origin.has_sender,
    )
}

fn origin((content, mentions, has_sender): OriginRecord) -> Result<Origin, BadRecord> {
    let word = |(as_of, by): WordRecord| -> Result<Word, BadRecord> {
        Ok(Word {
            as_of: Timestamp::from_millis(as_of),
            by: Teller::from_number(by).ok_or(BadRecord)?,
        })
    };
    Ok(Origin {
        content: word(content)?,
        mentions: mentions.map(word).transpose()?,
        has_sender,
    })
}

/// The content of a message; which fields are used depends on the kind. Borrowed from the content that is
/// written; a record that is read has texts of its own, which become the content's.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContentRecord<'a> {
    kind: u8,
    words: Option<Cow<'a, str>>,
    attributes: Option<Cow<'a, str>>,
    extra: Option<Cow<'a, str>>,
    #[serde(rename = "attachment")]
    file: Option<FileRecord<'a>>,
    place: Option<(f64, f64)>,
    custom: Option<i32>,
    data: Option<Cow<'a, Bytes>>,
}

impl std::fmt::Debug for ContentRecord<'_> {
    /// Names the kind only: texts of people never reach logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentRecord(kind {})", self.kind)
    }
}

/// A file that a message points to.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct FileRecord<'a> {
    object_id: Option<Cow<'a, str>>,
    url: Cow<'a, str>,
    name: Option<Cow<'a, str>>,
    format: Option<Cow<'a, str>>,
    size: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    duration: Option<f64>,
    extra: Option<Cow<'a, str>>,
    #[serde(default)]
    mime: Option<Cow<'a, str>>,
}

// The numbers of the kinds on disk; never given another meaning.
const TEXT: u8 = 1;
const IMAGE: u8 = 2;
const AUDIO: u8 = 3;
const VIDEO: u8 = 4;
const LOCATION: u8 = 5;
const FILE: u8 = 6;
const RECALLED: u8 = 7;
const CUSTOM: u8 = 8;
const PLAIN: u8 = 9;
const BINARY: u8 = 10;

impl<'a> MessageRecord<'a> {
    /// The stored form of a message.
    pub(crate) fn of(message: &'a StoredMessage) -> Self {
        Self {
            sender: message.sender.as_str(),
            local_id: message.local_id.as_ref().map(LocalId::as_str),
            content: ContentRecord::of(&message.content),
            mention_all: message.mentions.all,
            mentions: message
                .mentions
                .clients
                .iter()
                .map(ClientId::as_str)
                .collect(),
            delivered_at_ms: millis(message.delivered_at),
            read_at_ms: millis(message.read_at),
            edited_at_ms: millis(message.edited_at),
            origin: message.origin.as_deref().map(origin_record),
        }
    }

    /// Reads a message out of its bytes. `known` may have its sender already: few write many messages,
    /// and an id costs an allocation.
    pub(crate) fn decode(
        bytes: &'a [u8],
        known: impl FnOnce(&str) -> Option<ClientId>,
    ) -> Result<StoredMessage, BadRecord> {
        let record: Self = decode(bytes)?;
        Ok(StoredMessage {
            sender: match known(record.sender) {
                Some(sender) => sender,
                None => ClientId::new(record.sender)?,
            },
            local_id: record.local_id.map(LocalId::new).transpose()?,
            content: record.content.content()?,
            mentions: Mentions {
                all: record.mention_all,
                clients: clients(&record.mentions)?,
            },
            delivered_at: time(record.delivered_at_ms),
            read_at: time(record.read_at_ms),
            edited_at: time(record.edited_at_ms),
            older: Older::None,
            origin: record.origin.map(origin).transpose()?.map(Box::new),
        })
    }
}

/// The text of some JSON, borrowed.
fn text_of(json: Option<&Json>) -> Option<Cow<'_, str>> {
    json.map(|json| json.as_str().into())
}

/// A text, borrowed.
fn lent(text: Option<&String>) -> Option<Cow<'_, str>> {
    text.map(|text| text.as_str().into())
}

/// A text of its own.
fn own(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}

impl<'a> ContentRecord<'a> {
    const fn bare(kind: u8) -> Self {
        Self {
            kind,
            words: None,
            attributes: None,
            extra: None,
            file: None,
            place: None,
            custom: None,
            data: None,
        }
    }

    fn typed(kind: u8, words: Option<&'a String>, details: &'a Details) -> Self {
        Self {
            words: lent(words),
            attributes: text_of(details.attributes.as_ref()),
            extra: text_of(details.extra.as_ref()),
            ..Self::bare(kind)
        }
    }

    fn file(kind: u8, at: &'a MediaFile, words: Option<&'a String>, details: &'a Details) -> Self {
        Self {
            file: Some(FileRecord::of(at)),
            ..Self::typed(kind, words, details)
        }
    }

    /// The stored form of a content.
    pub(crate) fn of(content: &'a MessageContent) -> Self {
        match content {
            MessageContent::Text { text, details } => Self::typed(TEXT, Some(text), details),
            MessageContent::Image {
                file,
                caption,
                details,
            } => Self::file(IMAGE, file, caption.as_ref(), details),
            MessageContent::Audio {
                file,
                caption,
                details,
            } => Self::file(AUDIO, file, caption.as_ref(), details),
            MessageContent::Video {
                file,
                caption,
                details,
            } => Self::file(VIDEO, file, caption.as_ref(), details),
            MessageContent::File {
                file,
                caption,
                details,
            } => Self::file(FILE, file, caption.as_ref(), details),
            MessageContent::Location {
                latitude,
                longitude,
                caption,
                details,
            } => Self {
                place: Some((*latitude, *longitude)),
                ..Self::typed(LOCATION, caption.as_ref(), details)
            },
            MessageContent::Recalled { caption, details } => {
                Self::typed(RECALLED, caption.as_ref(), details)
            }
            MessageContent::Custom { kind, envelope } => Self {
                custom: Some(*kind),
                extra: text_of(Some(envelope)),
                ..Self::bare(CUSTOM)
            },
            MessageContent::Plain { text } => Self {
                words: lent(Some(text)),
                ..Self::bare(PLAIN)
            },
            MessageContent::Binary { data } => Self {
                data: Some(Cow::Borrowed(Bytes::new(data))),
                ..Self::bare(BINARY)
            },
        }
    }

    /// The content.
    pub(crate) fn content(self) -> Result<MessageContent, BadRecord> {
        let words = own(self.words);
        let (attributes, extra) = (json(self.attributes)?, json(self.extra)?);
        let details = Details { attributes, extra };
        Ok(match self.kind {
            TEXT => MessageContent::Text {
                text: words.ok_or(BadRecord)?,
                details,
            },
            IMAGE | AUDIO | VIDEO | FILE => {
                let file = self.file.ok_or(BadRecord)?.file()?;
                with_file(self.kind, file, words, details)
            }
            LOCATION => {
                let (latitude, longitude) = self.place.ok_or(BadRecord)?;
                MessageContent::Location {
                    latitude,
                    longitude,
                    caption: words,
                    details,
                }
            }
            RECALLED => MessageContent::Recalled {
                caption: words,
                details,
            },
            CUSTOM => MessageContent::Custom {
                kind: self.custom.ok_or(BadRecord)?,
                envelope: details.extra.ok_or(BadRecord)?,
            },
            PLAIN => MessageContent::Plain {
                text: words.ok_or(BadRecord)?,
            },
            BINARY => MessageContent::Binary {
                data: self.data.ok_or(BadRecord)?.into_owned().into_vec(),
            },
            _ => return Err(BadRecord),
        })
    }
}

/// The content of a kind that has a file.
fn with_file(
    kind: u8,
    file: MediaFile,
    caption: Option<String>,
    details: Details,
) -> MessageContent {
    match kind {
        IMAGE => MessageContent::Image {
            file,
            caption,
            details,
        },
        AUDIO => MessageContent::Audio {
            file,
            caption,
            details,
        },
        VIDEO => MessageContent::Video {
            file,
            caption,
            details,
        },
        _ => MessageContent::File {
            file,
            caption,
            details,
        },
    }
}

impl<'a> FileRecord<'a> {
    fn of(file: &'a MediaFile) -> Self {
        Self {
            object_id: lent(file.object_id.as_ref()),
            url: file.url.as_str().into(),
            name: lent(file.name.as_ref()),
            format: lent(file.format.as_ref()),
            size: file.size,
            width: file.width,
            height: file.height,
            duration: file.duration,
            extra: text_of(file.extra.as_ref()),
            mime: lent(file.mime.as_ref()),
        }
    }

    fn file(self) -> Result<MediaFile, BadRecord> {
        Ok(MediaFile {
            object_id: own(self.object_id),
            url: self.url.into_owned(),
            name: own(self.name),
            format: own(self.format),
            size: self.size,
            width: self.width,
            height: self.height,
            duration: self.duration,
            extra: json(self.extra)?,
            mime: own(self.mime),
        })
    }
}

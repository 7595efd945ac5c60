//! The stored form of messages and their content: arrays, for they are many.
//!
//! Fields are only ever added at the end, each with `#[serde(default)]`; a field that changes its
//! meaning needs a new record version in the frame (`frame.rs`) and a step in `migrate.rs`.

use serde::{Deserialize, Serialize};

use crate::model::{
    Attachment, ClientId, Content, ConversationId, Details, Json, LocalId, Mentions, Message,
    MessageState, Receipt, Timestamp,
};

use super::Position;
use super::record::BadRecord;

/// A message that the service knows. Its time and id are in its pack (`pack.rs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MessageRecord {
    pub(super) sender: String,
    pub(super) local_id: Option<String>,
    pub(super) content: ContentRecord,
    pub(super) mention_all: bool,
    pub(super) mentions: Vec<String>,
    pub(super) delivered_at_ms: Option<i64>,
    pub(super) read_at_ms: Option<i64>,
    pub(super) edited_at_ms: Option<i64>,
    /// The link to the older neighbour (`links.rs`), as the pack tells it.
    #[serde(skip)]
    pub(super) older: Option<u32>,
}

/// What a message says; which fields are used depends on the kind.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ContentRecord {
    kind: u8,
    words: Option<String>,
    attributes: Option<String>,
    extra: Option<String>,
    attachment: Option<AttachmentRecord>,
    place: Option<(f64, f64)>,
    custom: Option<i32>,
    #[serde(with = "serde_bytes")]
    data: Option<Vec<u8>>,
}

impl std::fmt::Debug for ContentRecord {
    /// Names the kind only: what people write never reaches logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContentRecord(kind {})", self.kind)
    }
}

/// A file that a message points to.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct AttachmentRecord {
    object_id: Option<String>,
    url: String,
    name: Option<String>,
    format: Option<String>,
    size: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    duration: Option<f64>,
    extra: Option<String>,
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

impl MessageRecord {
    /// The stored form of a message.
    pub(super) fn of(message: &Message) -> Self {
        let (delivered_at, read_at) = match &message.state {
            MessageState::Delivered { at } => (Some(at.as_millis()), None),
            MessageState::Read { at } => (None, Some(at.as_millis())),
            MessageState::Pending | MessageState::Sent | MessageState::Failed { .. } => {
                (None, None)
            }
        };
        Self {
            sender: message.sender.as_str().to_owned(),
            local_id: message.local_id.as_ref().map(|id| id.as_str().to_owned()),
            content: ContentRecord::of(&message.content),
            mention_all: message.mentions.all,
            mentions: message
                .mentions
                .clients
                .iter()
                .map(|id| id.as_str().to_owned())
                .collect(),
            delivered_at_ms: delivered_at,
            read_at_ms: read_at,
            edited_at_ms: message.edited_at.map(Timestamp::as_millis),
            older: None,
        }
    }

    /// The message, as the receipts of its conversation make it look.
    pub(super) fn message(
        &self,
        conversation: &ConversationId,
        position: &Position,
        owner: &ClientId,
        receipt: Receipt,
    ) -> Result<Message, BadRecord> {
        let sender = ClientId::new(&self.sender)?;
        let state = if sender == *owner {
            self.state(position.sent_at, receipt)
        } else {
            MessageState::Sent
        };
        Ok(Message {
            conversation: conversation.clone(),
            id: Some(position.id.clone()),
            local_id: self.local_id.as_ref().map(LocalId::new).transpose()?,
            sender,
            sent_at: position.sent_at,
            content: self.content.content()?,
            mentions: Mentions {
                all: self.mention_all,
                clients: clients(&self.mentions)?,
            },
            state,
            edited_at: self.edited_at_ms.map(Timestamp::from_millis),
            transient: false,
        })
    }

    /// How far an own message got: by its own marks, or by its conversation's, whichever is more.
    ///
    /// A conversation's mark moves on with every receipt and says nothing about when an earlier
    /// message arrived: there the message's own time stands, which moves no more.
    fn state(&self, sent_at: Timestamp, receipt: Receipt) -> MessageState {
        let own = |ms: Option<i64>| ms.map(Timestamp::from_millis);
        let covering = |mark: Option<Timestamp>| mark.filter(|it| *it >= sent_at).map(|_| sent_at);
        let read = own(self.read_at_ms).or_else(|| covering(receipt.read_until));
        let delivered = own(self.delivered_at_ms).or_else(|| covering(receipt.delivered_until));
        match (read, delivered) {
            (Some(at), _) => MessageState::Read { at },
            (None, Some(at)) => MessageState::Delivered { at },
            (None, None) => MessageState::Sent,
        }
    }

    /// Whether a reader sees the same: the link is nobody's but the store's.
    pub(super) fn shows_same(&self, other: &Self) -> bool {
        let unlinked = |record: &Self| Self {
            older: None,
            ..record.clone()
        };
        unlinked(self) == unlinked(other)
    }

    /// Whether it counts as unread for `owner`: others' messages that were not recalled do.
    pub(super) fn counts_for(&self, owner: &ClientId) -> bool {
        self.sender != owner.as_str() && self.content.kind != RECALLED
    }

    /// Whether it mentions `owner`.
    pub(super) fn mentions(&self, owner: &ClientId) -> bool {
        self.mention_all || self.mentions.iter().any(|id| id == owner.as_str())
    }
}

/// Client ids out of a record.
pub(super) fn clients(texts: &[String]) -> Result<Vec<ClientId>, BadRecord> {
    texts.iter().map(|text| Ok(ClientId::new(text)?)).collect()
}

/// JSON out of a record.
pub(super) fn json(text: Option<&String>) -> Result<Option<Json>, BadRecord> {
    Ok(text.map(|text| Json::parse(text.as_str())).transpose()?)
}

/// The text of some JSON.
pub(super) fn json_text(json: Option<&Json>) -> Option<String> {
    json.map(|json| json.as_str().to_owned())
}

impl ContentRecord {
    const fn bare(kind: u8) -> Self {
        Self {
            kind,
            words: None,
            attributes: None,
            extra: None,
            attachment: None,
            place: None,
            custom: None,
            data: None,
        }
    }

    fn typed(kind: u8, words: Option<&String>, details: &Details) -> Self {
        Self {
            words: words.cloned(),
            attributes: json_text(details.attributes.as_ref()),
            extra: json_text(details.extra.as_ref()),
            ..Self::bare(kind)
        }
    }

    fn file(kind: u8, at: &Attachment, words: Option<&String>, details: &Details) -> Self {
        Self {
            attachment: Some(AttachmentRecord::of(at)),
            ..Self::typed(kind, words, details)
        }
    }

    /// The stored form of a content.
    pub(super) fn of(content: &Content) -> Self {
        match content {
            Content::Text { text, details } => Self::typed(TEXT, Some(text), details),
            Content::Image {
                attachment,
                caption,
                details,
            } => Self::file(IMAGE, attachment, caption.as_ref(), details),
            Content::Audio {
                attachment,
                caption,
                details,
            } => Self::file(AUDIO, attachment, caption.as_ref(), details),
            Content::Video {
                attachment,
                caption,
                details,
            } => Self::file(VIDEO, attachment, caption.as_ref(), details),
            Content::File {
                attachment,
                caption,
                details,
            } => Self::file(FILE, attachment, caption.as_ref(), details),
            Content::Location {
                latitude,
                longitude,
                caption,
                details,
            } => Self {
                place: Some((*latitude, *longitude)),
                ..Self::typed(LOCATION, caption.as_ref(), details)
            },
            Content::Recalled { caption, details } => {
                Self::typed(RECALLED, caption.as_ref(), details)
            }
            Content::Custom { kind, envelope } => Self {
                custom: Some(*kind),
                extra: json_text(Some(envelope)),
                ..Self::bare(CUSTOM)
            },
            Content::Plain { text } => Self {
                words: Some(text.clone()),
                ..Self::bare(PLAIN)
            },
            Content::Binary { data } => Self {
                data: Some(data.clone()),
                ..Self::bare(BINARY)
            },
        }
    }

    fn details(&self) -> Result<Details, BadRecord> {
        Ok(Details {
            attributes: json(self.attributes.as_ref())?,
            extra: json(self.extra.as_ref())?,
        })
    }

    fn file_parts(&self) -> Result<(Attachment, Option<String>, Details), BadRecord> {
        let attachment = self.attachment.as_ref().ok_or(BadRecord)?.attachment()?;
        Ok((attachment, self.words.clone(), self.details()?))
    }

    /// The content.
    pub(super) fn content(&self) -> Result<Content, BadRecord> {
        Ok(match self.kind {
            TEXT => Content::Text {
                text: self.words.clone().ok_or(BadRecord)?,
                details: self.details()?,
            },
            IMAGE | AUDIO | VIDEO | FILE => {
                let (attachment, caption, details) = self.file_parts()?;
                match self.kind {
                    IMAGE => Content::Image {
                        attachment,
                        caption,
                        details,
                    },
                    AUDIO => Content::Audio {
                        attachment,
                        caption,
                        details,
                    },
                    VIDEO => Content::Video {
                        attachment,
                        caption,
                        details,
                    },
                    _ => Content::File {
                        attachment,
                        caption,
                        details,
                    },
                }
            }
            LOCATION => {
                let (latitude, longitude) = self.place.ok_or(BadRecord)?;
                let (caption, details) = (self.words.clone(), self.details()?);
                Content::Location {
                    latitude,
                    longitude,
                    caption,
                    details,
                }
            }
            RECALLED => Content::Recalled {
                caption: self.words.clone(),
                details: self.details()?,
            },
            CUSTOM => Content::Custom {
                kind: self.custom.ok_or(BadRecord)?,
                envelope: json(self.extra.as_ref())?.ok_or(BadRecord)?,
            },
            PLAIN => Content::Plain {
                text: self.words.clone().ok_or(BadRecord)?,
            },
            BINARY => Content::Binary {
                data: self.data.clone().ok_or(BadRecord)?,
            },
            _ => return Err(BadRecord),
        })
    }
}

impl AttachmentRecord {
    fn of(attachment: &Attachment) -> Self {
        Self {
            object_id: attachment.object_id.clone(),
            url: attachment.url.clone(),
            name: attachment.name.clone(),
            format: attachment.format.clone(),
            size: attachment.size,
            width: attachment.width,
            height: attachment.height,
            duration: attachment.duration,
            extra: json_text(attachment.extra.as_ref()),
        }
    }

    fn attachment(&self) -> Result<Attachment, BadRecord> {
        Ok(Attachment {
            object_id: self.object_id.clone(),
            url: self.url.clone(),
            name: self.name.clone(),
            format: self.format.clone(),
            size: self.size,
            width: self.width,
            height: self.height,
            duration: self.duration,
            extra: json(self.extra.as_ref())?,
        })
    }
}

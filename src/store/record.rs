//! The stored form of rare things: MessagePack maps with named fields.
//!
//! Written by name, an older build reads a record on when a newer one added a field. Fields are
//! only ever added, always with `#[serde(default)]`; the model's types are not serializable on
//! purpose, for disk, wire and app change for different reasons.

use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::model::{
    ClientId, ConversationId, ConversationKind, ConversationState, InvalidId, InvalidJson, Json,
    MessageId, Receipt, SendFailure, Timestamp, Unread,
};

use super::links::Held;
use super::list::Print;
use super::place::{HistoryEnd, HistoryStart};
use super::record_message::{clients, json};
use super::row::{Freshness, UnreadTold};
use super::{ConversationRow, History, Position, SessionRow, Span, StoreError};

/// The bytes of a record are whole, yet they spell no value: a bug, or damage that the checksum
/// missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadRecord;

impl From<InvalidId> for BadRecord {
    fn from(_: InvalidId) -> Self {
        Self
    }
}

impl From<InvalidJson> for BadRecord {
    fn from(_: InvalidJson) -> Self {
        Self
    }
}

/// Encodes a rare record: by name.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(record).map_err(|_| StoreError::damaged("a record cannot be encoded"))
}

/// Encodes a frequent record: as an array.
pub(super) fn encode_compact<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    // Most have a few hundred bytes: room for them at once spares growing from nothing.
    let mut bytes = Vec::with_capacity(512);
    encode_onto(record, &mut bytes)?;
    Ok(bytes)
}

/// Encodes a frequent record behind what is there already.
pub(super) fn encode_onto<T: Serialize>(record: &T, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
    rmp_serde::encode::write(bytes, record)
        .map_err(|_| StoreError::damaged("a record cannot be encoded"))
}

/// Decodes either form. A record may borrow its texts from the bytes.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, BadRecord> {
    rmp_serde::from_slice(bytes).map_err(|_| BadRecord)
}

/// The counters of the store, written with each commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MetaRecord {
    pub(super) schema: u32,
    pub(super) seq: u64,
    pub(super) next_number: u32,
    pub(super) next_entry: u64,
    /// How many messages commits brought or changed: what is done for so many is due by it.
    #[serde(default)]
    pub(super) arrived: u64,
    /// What the list of conversations comes to; none when it is to be made from the rows.
    #[serde(default)]
    pub(super) list: Option<Print>,
}

/// The totals of unread counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TotalsRecord {
    pub(super) all: (u64, u32, u32, u32),
    pub(super) unmuted: (u64, u32, u32, u32),
}

/// How much of the tree is alive, as it was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CensusRecord {
    /// The bytes of keys and values.
    pub(super) live: u64,
    /// The bytes that the tree took on disk then.
    pub(super) file: u64,
    /// What a compacted tree takes on disk, in thousandths of what is alive; zero: not known yet.
    pub(super) spread: u64,
    /// How many messages had come when quiet conversations were sealed last.
    pub(super) quieted: u64,
}

/// A conversation id and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdRecord {
    pub(super) id: String,
    pub(super) number: u32,
}

/// Where a message is that an index names by its own id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PointerRecord {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) sent_at_ms: i64,
    pub(super) id: String,
}

impl PointerRecord {
    pub(super) fn position(&self) -> Result<Position, BadRecord> {
        Ok(Position {
            sent_at: Timestamp::from_millis(self.sent_at_ms),
            id: MessageId::new(&self.id)?,
        })
    }
}

/// A session between connections.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SessionRecord {
    token: Option<String>,
    token_expires_at_ms: Option<i64>,
    device_id: Option<String>,
    last_unread_notif_ms: Option<i64>,
    last_patch_ms: Option<i64>,
    missed_until_ms: Option<i64>,
    settled_until_ms: Option<i64>,
}

impl SessionRecord {
    pub(super) fn of(row: &SessionRow) -> Self {
        Self {
            token: row.token.as_ref().map(|token| token.reveal().to_owned()),
            token_expires_at_ms: millis(row.token_expires_at),
            device_id: row.device_id.clone(),
            last_unread_notif_ms: millis(row.last_unread_notif_at),
            last_patch_ms: millis(row.last_patch_at),
            missed_until_ms: millis(row.missed_until),
            settled_until_ms: millis(row.settled_until),
        }
    }

    pub(super) fn row(self) -> SessionRow {
        SessionRow {
            token: self.token.map(Secret::new),
            token_expires_at: time(self.token_expires_at_ms),
            device_id: self.device_id,
            last_unread_notif_at: time(self.last_unread_notif_ms),
            last_patch_at: time(self.last_patch_ms),
            missed_until: time(self.missed_until_ms),
            settled_until: time(self.settled_until_ms),
        }
    }
}

/// A conversation. Its texts are borrowed: from the row that is written, or from the bytes read.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ConversationRecord<'a> {
    id: &'a str,
    #[serde(borrow)]
    local_id: Option<&'a str>,
    kind: i32,
    #[serde(borrow)]
    name: Option<&'a str>,
    #[serde(borrow)]
    creator: Option<&'a str>,
    #[serde(borrow)]
    members: Vec<&'a str>,
    #[serde(borrow)]
    attributes: Option<&'a str>,
    #[serde(borrow)]
    columns: Option<&'a str>,
    unique: bool,
    muted: bool,
    created_at_ms: Option<i64>,
    updated_at_ms: Option<i64>,
    last_message_at_ms: Option<i64>,
    unread: (u32, bool, bool),
    delivered_until_ms: Option<i64>,
    read_until_ms: Option<i64>,
    state: StateRecord,
    read_until_self_ms: Option<i64>,
    unread_told: Option<(u32, bool, Option<i64>, i64)>,
    #[serde(borrow)]
    spans: Vec<SpanRecord<'a>>,
    history_start_reached: bool,
    history_behind: bool,
    stale: bool,
    activity_ms: i64,
    held_count: u32,
    #[serde(borrow)]
    newest: Option<(i64, &'a str)>,
    hot_count: u32,
}

/// From time, from id, to time, to id.
type SpanRecord<'a> = (i64, &'a str, i64, &'a str);

/// How far the service knows a conversation.
#[derive(Default, Serialize, Deserialize)]
enum StateRecord {
    #[default]
    Live,
    Creating,
    CreationFailed(FailureRecord),
    Left,
}

/// Why something failed for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum FailureRecord {
    Refused { code: u16, reason: String },
    TriesExhausted { tries: u32 },
    Ambiguous,
    Unsendable { reason: String },
}

impl FailureRecord {
    pub(super) fn of(failure: &SendFailure) -> Self {
        match failure.clone() {
            SendFailure::Refused { code, reason } => Self::Refused { code, reason },
            SendFailure::TriesExhausted { tries } => Self::TriesExhausted { tries },
            SendFailure::Ambiguous => Self::Ambiguous,
            SendFailure::Unsendable { reason } => Self::Unsendable { reason },
        }
    }

    pub(super) fn failure(self) -> SendFailure {
        match self {
            Self::Refused { code, reason } => SendFailure::Refused { code, reason },
            Self::TriesExhausted { tries } => SendFailure::TriesExhausted { tries },
            Self::Ambiguous => SendFailure::Ambiguous,
            Self::Unsendable { reason } => SendFailure::Unsendable { reason },
        }
    }
}

/// Milliseconds of a time that may be unknown.
pub(super) fn millis(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::as_millis)
}

/// A time that may be unknown, out of milliseconds.
pub(super) fn time(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// The texts of client ids.
pub(super) fn texts(ids: &[ClientId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}

impl<'a> ConversationRecord<'a> {
    /// The stored form of a row.
    pub(super) fn of(row: &'a ConversationRow) -> Self {
        Self {
            id: row.id.as_str(),
            local_id: row.local_id.as_ref().map(ConversationId::as_str),
            kind: row.kind.number(),
            name: row.name.as_deref(),
            creator: row.creator.as_ref().map(ClientId::as_str),
            members: row.members.iter().map(ClientId::as_str).collect(),
            attributes: row.attributes.as_ref().map(Json::as_str),
            columns: row.columns.as_ref().map(Json::as_str),
            unique: row.unique,
            muted: row.muted,
            created_at_ms: millis(row.created_at),
            updated_at_ms: millis(row.updated_at),
            last_message_at_ms: millis(row.last_message_at),
            unread: (row.unread.count, row.unread.at_least, row.unread.mentioned),
            delivered_until_ms: millis(row.receipt.delivered_until),
            read_until_ms: millis(row.receipt.read_until),
            state: StateRecord::of(&row.state),
            read_until_self_ms: millis(row.read_until_self),
            unread_told: row.unread_told.map(|told| {
                (
                    told.count,
                    told.mentioned,
                    millis(told.newest),
                    told.told_at.as_millis(),
                )
            }),
            spans: row.history.spans().iter().map(span_record).collect(),
            history_start_reached: row.history.start() == HistoryStart::Reached,
            history_behind: row.history.end() == HistoryEnd::Behind,
            stale: row.freshness == Freshness::Stale,
            activity_ms: row.activity.as_millis(),
            held_count: row.held.count,
            hot_count: row.held.hot,
            newest: row
                .held
                .newest
                .as_ref()
                .map(|newest| (newest.sent_at.as_millis(), newest.id.as_str())),
        }
    }

    /// The row.
    pub(super) fn row(self) -> Result<ConversationRow, BadRecord> {
        let (count, at_least, mentioned) = self.unread;
        Ok(ConversationRow {
            id: ConversationId::new(self.id)?,
            local_id: self.local_id.map(ConversationId::new).transpose()?,
            kind: ConversationKind::from_number(self.kind).ok_or(BadRecord)?,
            name: self.name.map(str::to_owned),
            creator: self.creator.map(ClientId::new).transpose()?,
            members: clients(&self.members)?,
            attributes: json(self.attributes)?,
            columns: json(self.columns)?,
            unique: self.unique,
            muted: self.muted,
            created_at: time(self.created_at_ms),
            updated_at: time(self.updated_at_ms),
            last_message_at: time(self.last_message_at_ms),
            unread: Unread {
                count,
                at_least,
                mentioned,
            },
            receipt: Receipt {
                delivered_until: time(self.delivered_until_ms),
                read_until: time(self.read_until_ms),
            },
            state: self.state.state(),
            read_until_self: time(self.read_until_self_ms),
            unread_told: self
                .unread_told
                .map(|(count, mentioned, newest, told_at)| UnreadTold {
                    count,
                    mentioned,
                    newest: time(newest),
                    told_at: Timestamp::from_millis(told_at),
                }),
            history: history(&self.spans, self.history_start_reached, self.history_behind)?,
            freshness: if self.stale {
                Freshness::Stale
            } else {
                Freshness::Fresh
            },
            activity: Timestamp::from_millis(self.activity_ms),
            held: Held {
                count: self.held_count,
                hot: self.hot_count,
                newest: self.newest.map(|(ms, id)| position(ms, id)).transpose()?,
            },
        })
    }
}

fn span_record(span: &Span) -> SpanRecord<'_> {
    (
        span.from.sent_at.as_millis(),
        span.from.id.as_str(),
        span.to.sent_at.as_millis(),
        span.to.id.as_str(),
    )
}

fn position(ms: i64, id: &str) -> Result<Position, BadRecord> {
    Ok(Position {
        sent_at: Timestamp::from_millis(ms),
        id: MessageId::new(id)?,
    })
}

fn history(
    spans: &[SpanRecord<'_>],
    start_reached: bool,
    behind: bool,
) -> Result<History, BadRecord> {
    let spans = spans
        .iter()
        .map(|(from_ms, from_id, to_ms, to_id)| {
            Ok(Span {
                from: position(*from_ms, from_id)?,
                to: position(*to_ms, to_id)?,
            })
        })
        .collect::<Result<Vec<_>, BadRecord>>()?;
    let start = if start_reached {
        HistoryStart::Reached
    } else {
        HistoryStart::Unknown
    };
    let end = if behind {
        HistoryEnd::Behind
    } else {
        HistoryEnd::Current
    };
    Ok(History::new(spans, start, end))
}

impl StateRecord {
    fn of(state: &ConversationState) -> Self {
        match state {
            ConversationState::Live => Self::Live,
            ConversationState::Creating => Self::Creating,
            ConversationState::CreationFailed { failure } => {
                Self::CreationFailed(FailureRecord::of(failure))
            }
            ConversationState::Left => Self::Left,
        }
    }

    fn state(self) -> ConversationState {
        match self {
            Self::Live => ConversationState::Live,
            Self::Creating => ConversationState::Creating,
            Self::CreationFailed(failure) => ConversationState::CreationFailed {
                failure: failure.failure(),
            },
            Self::Left => ConversationState::Left,
        }
    }
}

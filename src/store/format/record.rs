//! The stored form of rare values: MessagePack maps with named fields.
//!
//! An older build reads a record with named fields when a newer build added a field. Fields are only ever
//! added, always with `#[serde(default)]`. The model's types are not serializable on purpose, because disk,
//! wire and app change for different reasons.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::Secret;
use crate::model::{
    ClientId, ConversationId, ConversationKind, ConversationState, Draft, Json, Mentions,
    MessageId, MessageKey, Receipt, RefusedMember, SendFailure, Timestamp, Unread,
};
use crate::store::format::messagepack::{BadRecord, clients, json, millis, time};
use crate::store::format::record_upload::UploadFailureRecord;
use crate::store::types::conversation::{
    ConversationRow, Freshness, Held, SessionRow, UnreadTold, UnreadTotal, UnreadTotals,
};
use crate::store::types::members::MemberLists;
use crate::store::types::origin::Teller;
use crate::store::types::position::{
    ConversationNumber, History, HistoryEnd, HistoryStart, Position, Span,
};

/// The counters of the store, written with each commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetaRecord {
    pub(crate) schema: u32,
    pub(crate) seq: u64,
    pub(crate) next_number: u32,
    pub(crate) next_entry: u64,
    /// The number of messages that commits brought or changed: work that is done every so many is due by it.
    #[serde(default)]
    pub(crate) arrived: u64,
    /// The print of the list of conversations; none when the list is to be made from the rows.
    #[serde(default)]
    pub(crate) list: Option<Print>,
}

/// The totals of unread counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TotalsRecord {
    pub(crate) all: (u64, u32, u32, u32),
    pub(crate) unmuted: (u64, u32, u32, u32),
    #[serde(default)]
    pub(crate) placed: u32,
}

/// The live size of the tree, as it was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CensusRecord {
    /// The bytes of keys and values.
    pub(crate) live: u64,
    /// The bytes that the tree took on disk then.
    pub(crate) file: u64,
    /// The bytes of a compacted tree on disk, in thousandths of its live bytes; zero: not known yet.
    pub(crate) spread: u64,
    /// The number of messages that had come when quiet conversations were sealed last.
    pub(crate) idle_sealed_at: u64,
}

/// A conversation id and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IdRecord {
    pub(crate) id: String,
    pub(crate) number: u32,
}

/// The place of a message that an index names by its own id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PointerRecord {
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) sent_at_ms: i64,
    pub(crate) id: String,
}

impl PointerRecord {
    pub(crate) fn position(&self) -> Result<Position, BadRecord> {
        Ok(Position {
            sent_at: Timestamp::from_millis(self.sent_at_ms),
            id: MessageId::new(&self.id)?,
        })
    }
}

/// A session between connections.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionRecord {
    token: Option<String>,
    token_expires_at_ms: Option<i64>,
    device_id: Option<String>,
    last_unread_notif_ms: Option<i64>,
    last_patch_ms: Option<i64>,
    missed_until_ms: Option<i64>,
    settled_until_ms: Option<i64>,
    imports: u64,
    room: Option<u32>,
    watched: Vec<String>,
}

impl SessionRecord {
    pub(crate) fn of(row: &SessionRow) -> Self {
        Self {
            token: row.token.as_ref().map(|token| token.reveal().to_owned()),
            token_expires_at_ms: millis(row.token_expires_at),
            device_id: row.device_id.clone(),
            last_unread_notif_ms: millis(row.last_unread_notif_at),
            last_patch_ms: millis(row.last_patch_at),
            missed_until_ms: millis(row.missed_until),
            settled_until_ms: millis(row.settled_until),
            imports: row.imports,
            room: row.room.map(|number| number.0),
            watched: row.watched.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn row(self) -> SessionRow {
        SessionRow {
            token: self.token.map(Secret::new),
            token_expires_at: time(self.token_expires_at_ms),
            device_id: self.device_id,
            last_unread_notif_at: time(self.last_unread_notif_ms),
            last_patch_at: time(self.last_patch_ms),
            missed_until: time(self.missed_until_ms),
            settled_until: time(self.settled_until_ms),
            imports: self.imports,
            room: self.room.map(ConversationNumber),
            watched: (self.watched.iter())
                .filter_map(|id| ClientId::new(id).ok())
                .collect(),
        }
    }
}

/// A conversation. Its texts are borrowed: from the row that is written, or from the bytes read.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ConversationRecord<'a> {
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
    pinned: bool,
    hidden_until_ms: Option<i64>,
    #[serde(borrow)]
    draft: Option<DraftRecord<'a>>,
    expires_at_ms: Option<i64>,
    // The last field, because it is left out when empty, and fields are identified by their places.
    /// The fields that few conversations have; every other one is spared the byte.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    rare: Option<RareRecord<'a>>,
}

/// The record of a draft.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct DraftRecord<'a> {
    text: &'a str,
    reply_to: Option<String>,
    edits: Option<String>,
    mention_all: bool,
    #[serde(borrow)]
    mentions: Vec<&'a str>,
}

impl<'a> DraftRecord<'a> {
    fn of(draft: &'a Draft) -> Self {
        Self {
            text: &draft.text,
            reply_to: draft.reply_to.as_ref().map(MessageKey::to_string),
            edits: draft.edits.as_ref().map(MessageKey::to_string),
            mention_all: draft.mentions.all,
            mentions: draft
                .mentions
                .clients
                .iter()
                .map(ClientId::as_str)
                .collect(),
        }
    }

    fn draft(self) -> Result<Draft, BadRecord> {
        let key = |text: Option<String>| text.map(|text| MessageKey::parse(&text)).transpose();
        Ok(Draft {
            text: self.text.to_owned(),
            reply_to: key(self.reply_to)?,
            edits: key(self.edits)?,
            mentions: Mentions {
                all: self.mention_all,
                clients: clients(&self.mentions)?,
            },
        })
    }
}

/// The fields that few conversations have. Fields are told apart by their places: new ones come last.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct RareRecord<'a> {
    /// The number of the cache of an older SDK that told of it.
    told_by: Option<u8>,
    /// The stretches that such caches claim.
    #[serde(borrow)]
    claimed: Vec<SpanRecord<'a>>,
    #[serde(borrow)]
    managers: Vec<&'a str>,
    #[serde(borrow)]
    silenced: Vec<&'a str>,
    #[serde(borrow)]
    blocked: Vec<&'a str>,
    /// The newest message that was held when the history fell behind.
    #[serde(borrow)]
    behind_since: Option<(i64, &'a str)>,
    /// The newest held message that may have been changed while nobody told this device.
    #[serde(borrow)]
    unchecked: Option<(i64, &'a str)>,
}

impl<'a> RareRecord<'a> {
    fn of(row: &'a ConversationRow) -> Option<Self> {
        let claimed = row.history.claimed();
        let told_by = row.told_by.map(Teller::number);
        let at = |at: Option<&'a Position>| at.map(|at| (at.sent_at.as_millis(), at.id.as_str()));
        let behind_since = at(row.history.behind_since());
        let unchecked = at(row.history.unchecked());
        let is_usual = told_by.is_none() && claimed.is_empty() && row.lists.is_empty();
        if is_usual && behind_since.is_none() && unchecked.is_none() {
            return None;
        }
        let names = |list: &'a BTreeSet<ClientId>| list.iter().map(ClientId::as_str).collect();
        Some(Self {
            told_by,
            claimed: claimed.iter().map(span_record).collect(),
            managers: names(&row.lists.managers),
            silenced: names(&row.lists.silenced),
            blocked: names(&row.lists.blocked),
            behind_since,
            unchecked,
        })
    }

    fn lists(&self) -> Result<MemberLists, BadRecord> {
        let list = |names: &[&str]| -> Result<BTreeSet<ClientId>, BadRecord> {
            Ok(clients(names)?.into_iter().collect())
        };
        Ok(MemberLists {
            managers: list(&self.managers)?,
            silenced: list(&self.silenced)?,
            blocked: list(&self.blocked)?,
        })
    }
}

/// From time, from id, to time, to id.
type SpanRecord<'a> = (i64, &'a str, i64, &'a str);

/// The service's knowledge of a conversation.
#[derive(Default, Serialize, Deserialize)]
enum StateRecord {
    #[default]
    Live,
    Creating,
    CreationFailed(FailureRecord),
    Left,
}

/// The reason of a failure for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FailureRecord {
    Refused {
        code: i32,
        reason: String,
    },
    TriesExhausted {
        tries: u32,
    },
    Ambiguous,
    /// The members, the code, its name.
    MembersRefused {
        refused: Vec<(String, i32, String)>,
    },
    Unsendable {
        reason: String,
    },
    NotUploaded(UploadFailureRecord),
}

/// One that names nobody is left out.
fn refused_member((client, code, reason): (String, i32, String)) -> Option<RefusedMember> {
    let client = ClientId::new(&client).ok()?;
    Some(RefusedMember {
        client,
        code,
        reason,
    })
}

impl FailureRecord {
    pub(crate) fn of(failure: &SendFailure) -> Self {
        match failure.clone() {
            SendFailure::Refused { code, reason, .. } => Self::Refused { code, reason },
            SendFailure::TriesExhausted { tries } => Self::TriesExhausted { tries },
            SendFailure::Ambiguous => Self::Ambiguous,
            SendFailure::MembersRefused { refused } => Self::MembersRefused {
                refused: refused
                    .into_iter()
                    .map(|it| (it.client.to_string(), it.code, it.reason))
                    .collect(),
            },
            SendFailure::Unsendable { reason } => Self::Unsendable { reason },
            SendFailure::NotUploaded { failure } => {
                Self::NotUploaded(UploadFailureRecord::of(failure))
            }
        }
    }

    pub(crate) fn failure(self) -> SendFailure {
        match self {
            Self::Refused { code, reason } => SendFailure::refused(code, reason),
            Self::TriesExhausted { tries } => SendFailure::TriesExhausted { tries },
            Self::Ambiguous => SendFailure::Ambiguous,
            Self::MembersRefused { refused } => SendFailure::MembersRefused {
                refused: refused.into_iter().filter_map(refused_member).collect(),
            },
            Self::Unsendable { reason } => SendFailure::Unsendable { reason },
            Self::NotUploaded(failure) => SendFailure::NotUploaded {
                failure: failure.failure(),
            },
        }
    }
}

impl<'a> ConversationRecord<'a> {
    /// The stored form of a row.
    pub(crate) fn of(row: &'a ConversationRow) -> Self {
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
            rare: RareRecord::of(row),
            newest: row
                .held
                .newest
                .as_ref()
                .map(|newest| (newest.sent_at.as_millis(), newest.id.as_str())),
            pinned: row.pinned,
            hidden_until_ms: millis(row.hidden_until),
            expires_at_ms: millis(row.expires_at),
            draft: row.draft.as_ref().map(DraftRecord::of),
        }
    }

    /// The row.
    pub(crate) fn row(self) -> Result<ConversationRow, BadRecord> {
        let (count, at_least, mentioned) = self.unread;
        let rare = self.rare.unwrap_or_default();
        let lists = rare.lists()?;
        let at = |at: Option<(i64, &str)>| at.map(|(ms, id)| position(ms, id)).transpose();
        let (behind_since, unchecked) = (at(rare.behind_since)?, at(rare.unchecked)?);
        Ok(ConversationRow {
            id: ConversationId::new(self.id)?,
            local_id: self.local_id.map(ConversationId::new).transpose()?,
            kind: ConversationKind::from_number(self.kind).ok_or(BadRecord)?,
            name: self.name.map(str::to_owned),
            creator: self.creator.map(ClientId::new).transpose()?,
            members: clients(&self.members)?,
            lists,
            attributes: json(self.attributes)?,
            columns: json(self.columns)?,
            unique: self.unique,
            muted: self.muted,
            pinned: self.pinned,
            hidden_until: time(self.hidden_until_ms),
            expires_at: time(self.expires_at_ms),
            draft: self.draft.map(DraftRecord::draft).transpose()?,
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
            history: history(
                (&self.spans, rare.claimed),
                self.history_start_reached,
                self.history_behind,
            )?
            .with_behind_since(behind_since)
            .with_unchecked(unchecked),
            freshness: if self.stale {
                Freshness::Stale
            } else {
                Freshness::Fresh
            },
            told_by: rare.told_by.and_then(Teller::from_number),
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
    (spans, claimed): (&[SpanRecord<'_>], Vec<SpanRecord<'_>>),
    start_reached: bool,
    behind: bool,
) -> Result<History, BadRecord> {
    let spans = spans.iter().map(span).collect::<Result<_, _>>()?;
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
    let mut history = History::new(spans, start, end);
    for claim in &claimed {
        let Span { from, to } = span(claim)?;
        history.claim(from, to);
    }
    Ok(history)
}

fn span((from_ms, from_id, to_ms, to_id): &SpanRecord<'_>) -> Result<Span, BadRecord> {
    Ok(Span {
        from: position(*from_ms, from_id)?,
        to: position(*to_ms, to_id)?,
    })
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

/// The schema that this version writes.
pub(crate) const SCHEMA: u32 = 1;

/// The print that tells one list from another. It stands in the store's counters, so that a list which is put
/// together from the tree is known to be the right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Print {
    /// The number of conversations in the list.
    pub(crate) count: u32,
    /// The sum of SipHash-2-4, under a key of zeros, of each one's number and activity (four and
    /// eight bytes, little-endian), modulo 2^64.
    pub(crate) sum: u64,
}

/// The record of the totals.
pub(crate) fn totals_record(totals: UnreadTotals) -> TotalsRecord {
    let each = |t: UnreadTotal| (t.messages, t.conversations, t.mentioning, t.at_least);
    TotalsRecord {
        all: each(totals.all),
        unmuted: each(totals.unmuted),
        placed: totals.placed,
    }
}

/// The totals out of their record.
pub(crate) fn totals_of(record: TotalsRecord) -> UnreadTotals {
    let each = |(messages, conversations, mentioning, at_least)| UnreadTotal {
        messages,
        conversations,
        mentioning,
        at_least,
    };
    UnreadTotals {
        all: each(record.all),
        unmuted: each(record.unmuted),
        placed: record.placed,
    }
}

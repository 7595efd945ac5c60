//! The beginning of a window: the newest messages, the first unread one, a message, a time.

use crate::model::{
    ClientId, Count, ItemKey, LocalId, Message, MessageKey, MessageRef, Named, Timestamp, Unread,
};
use crate::store::{
    ConversationNumber, ConversationRow, HistoryStart, Place, Position, Snapshot, StoreError,
    TimelineItem,
};

use super::TimelineStart;
use super::reading::{Bounds, Lower, after_time};

/// How many messages are looked through for the first unread one, if the mark does not tell.
const SEARCHED_MAX: usize = 500;

/// The result of looking a start up in a store.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// The newest messages.
    Newest,
    /// An item to begin at.
    At(Aim),
    /// The store does not have it: the service is asked for history from here backwards.
    Missing {
        before: Position,
        /// The beginning if the service has nothing more; none where the message itself is missing.
        otherwise: Option<Aim>,
    },
    /// There is no such message.
    Absent,
}

/// The item at which a window begins.
#[derive(Debug, PartialEq)]
pub(super) struct Aim {
    pub(super) place: Place,
    pub(super) key: ItemKey,
    /// The mark that stands before it.
    pub(super) mark: Option<Mark>,
}

/// The mark before the first unread message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) before: Position,
    pub(super) count: Count,
    pub(super) at_least: bool,
}

/// Looks a start up in a conversation.
///
/// # Errors
///
/// Those of reading.
pub(super) fn find(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    row: &ConversationRow,
    start: &TimelineStart,
) -> Result<Found, StoreError> {
    match start {
        TimelineStart::Newest => Ok(Found::Newest),
        TimelineStart::FirstUnread => first_unread(snapshot, number, row),
        TimelineStart::Message { message } => match message.named() {
            Named::Local(id) => own(snapshot, number, id, message),
            Named::Service { sent_at, id } => at(
                snapshot,
                number,
                Position {
                    sent_at: *sent_at,
                    id: id.clone(),
                },
            ),
        },
        TimelineStart::Reference { reference } => at(snapshot, number, position_of(reference)),
        TimelineStart::Time { at } => from_time(snapshot, number, *at),
    }
}

fn position_of(reference: &MessageRef) -> Position {
    Position {
        sent_at: reference.sent_at,
        id: reference.id.clone(),
    }
}

fn at(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    position: Position,
) -> Result<Found, StoreError> {
    let Some(message) = snapshot.message(number, &position)? else {
        return Ok(Found::Missing {
            before: position,
            otherwise: None,
        });
    };
    let aim = Aim::of(position, &message, None);
    Ok(aim.map_or(Found::Absent, Found::At))
}

/// A message that this device made: in the outbox, or where it was acknowledged.
fn own(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    id: &LocalId,
    key: &MessageKey,
) -> Result<Found, StoreError> {
    let entries = snapshot.outbox_of(number);
    let echo = entries
        .iter()
        .find(|it| it.has_echo() && it.local_id() == Some(id));
    let place = match echo {
        Some(entry) => Some(Place::Echo(entry.id)),
        None => match snapshot.position_by_local_id(id)? {
            Some((home, position)) if home == number => Some(Place::Message(position)),
            _ => None,
        },
    };
    Ok(place.map_or(Found::Absent, |place| {
        Found::At(Aim {
            place,
            key: key.clone().into(),
            mark: None,
        })
    }))
}

/// The first held message of a time or later.
fn from_time(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    at: Timestamp,
) -> Result<Found, StoreError> {
    let before = Timestamp::from_millis(at.as_millis().saturating_sub(1));
    let first = messages_after(snapshot, number, before, 1)?
        .into_iter()
        .next();
    let aim = first.and_then(|(position, message)| Aim::of(position, &message, None));
    Ok(aim.map_or(Found::Newest, Found::At))
}

fn first_unread(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    row: &ConversationRow,
) -> Result<Found, StoreError> {
    if row.unread.is_none() {
        return Ok(Found::Newest);
    }
    let candidates = match row.read_until_self {
        Some(mark) => messages_after(snapshot, number, mark, SEARCHED_MAX)?,
        None => counted_back(snapshot, number, row)?,
    };
    let me = snapshot.owner();
    let mut unread = candidates.into_iter();
    let Some((position, message)) = unread.find(|(_, message)| counts(message, me)) else {
        return Ok(Found::Newest);
    };
    let Some(aim) = Aim::of(position.clone(), &message, Some(row.unread)) else {
        return Ok(Found::Newest);
    };
    if is_missing_before(row, &position) {
        return Ok(Found::Missing {
            before: position,
            otherwise: Some(aim),
        });
    }
    Ok(Found::At(aim))
}

/// True if a message counts as unread for a client.
fn counts(message: &Message, me: &ClientId) -> bool {
    message.sender != *me && !message.content.is_recalled()
}

/// True if unread messages older than a stored one may be missing; messages that were already read do not
/// matter.
fn is_missing_before(row: &ConversationRow, first: &Position) -> bool {
    let Some(span) = row.history.span_of(first) else {
        return true;
    };
    let is_read = row.read_until_self >= Some(span.from.sent_at);
    let is_beginning = row.history.start() == HistoryStart::Reached
        && row.history.spans().first().is_some_and(|it| it == span);
    !is_read && !is_beginning
}

/// The first unread message when nothing was ever read: the unread messages are the newest of others, as many
/// as the count says.
fn counted_back(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    row: &ConversationRow,
) -> Result<Vec<(Position, Message)>, StoreError> {
    let page = snapshot.page_before(number, None, SEARCHED_MAX)?;
    let messages = page.items.into_iter().rev().filter_map(sent);
    let unread = messages.filter(|(_, message)| counts(message, snapshot.owner()));
    let count = usize::try_from(row.unread.count).unwrap_or(usize::MAX);
    let mut newest: Vec<_> = unread.take(count).collect();
    newest.reverse();
    Ok(newest)
}

/// The held messages after a time, oldest first.
fn messages_after(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    after: Timestamp,
    limit: usize,
) -> Result<Vec<(Position, Message)>, StoreError> {
    let page = snapshot.page_after(number, after_time(after).as_ref(), limit)?;
    Ok(page.items.into_iter().filter_map(sent).collect())
}

fn sent(item: TimelineItem) -> Option<(Position, Message)> {
    match item {
        TimelineItem::Message { position, message } => Some((position, message)),
        TimelineItem::Echo { .. } | TimelineItem::Gap(_) => None,
    }
}

impl Aim {
    fn of(position: Position, message: &Message, unread: Option<Unread>) -> Option<Self> {
        let key = MessageKey::of(message)?;
        Some(Self {
            key: key.into(),
            mark: unread.map(|unread| Mark {
                before: position.clone(),
                count: Count::from(unread.count),
                at_least: unread.at_least,
            }),
            place: Place::Message(position),
        })
    }
}

/// The window around a place, with this number of messages on each side.
///
/// # Errors
///
/// Those of reading.
pub(super) fn around(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    place: &Place,
    half: usize,
) -> Result<Bounds, StoreError> {
    let older = snapshot.page_before(number, Some(place), half)?;
    // Missing history beside the place comes first: the window ends there.
    let beside = older
        .items
        .into_iter()
        .rev()
        .take_while(|item| !matches!(item, TimelineItem::Gap(_)));
    let oldest = beside.filter_map(sent).last().map(|(at, _)| at);
    let itself = match place {
        Place::Message(position) => Some(position.clone()),
        Place::Echo(_) => None,
    };
    let from = oldest.or(itself).map(|position| Lower {
        position,
        with_gap: false,
    });
    let to = newer_end(snapshot, number, place, half, AtGap::End)?;
    Ok(Bounds { from, to })
}

/// The treatment of missing history at the end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtGap {
    /// The window ends there: missing history comes first.
    End,
    /// The window goes on with the messages held behind the missing history.
    GoOn,
}

/// The newest message of the so many after a place; none where that is the live end.
///
/// # Errors
///
/// Those of reading.
pub(super) fn newer_end(
    snapshot: &Snapshot<'_>,
    number: ConversationNumber,
    place: &Place,
    limit: usize,
    at_gap: AtGap,
) -> Result<Option<Position>, StoreError> {
    let newer = snapshot.page_after(number, Some(place), limit)?;
    let gap = newer
        .items
        .iter()
        .position(|item| matches!(item, TimelineItem::Gap(_)));
    if let (Some(gap), AtGap::End, Place::Message(itself)) = (gap, at_gap, place) {
        let before = newer.items.into_iter().take(gap);
        let newest = before.filter_map(sent).last();
        return Ok(Some(newest.map_or_else(|| itself.clone(), |(at, _)| at)));
    }
    let is_live = !newer.more || matches!(newer.items.last(), Some(TimelineItem::Echo { .. }));
    if is_live {
        return Ok(None);
    }
    let newest = newer.items.into_iter().rev().find_map(sent);
    Ok(newest.map(|(at, _)| at))
}

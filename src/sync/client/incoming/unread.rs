//! Unread counts: the service's count, plus the messages that were counted here since.
//!
//! The service tells a count at sign-in and whenever a device of the client reads. The count covers messages up
//! to its newest one. Every newer message of another member is counted once, when the store adds it, whichever
//! way it comes. At its cap the service stops counting: then the messages on this device decide, and the count
//! is a lower bound while history is missing.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{
    ClientId, ConversationId, ConversationKind, Message, OutboxState, Timestamp, Unread,
};
use crate::store::{
    ConversationNumber, ConversationRow, Entry, HistoryEnd, HistoryStart, Intent, OthersCount,
    StoreError, UnreadTold,
};
use crate::sync::client::{CatchUpProgress, Client, Turn};
use crate::wire::generated::{UnreadCommand, UnreadTuple};

/// So many conversations the service names in one notification, newest first, and no more: a
/// notification with so many does not tell of the others.
const TOLD_MAX: usize = 50;

/// The most messages that are counted one by one; beyond that a count is a lower bound anyway.
const COUNT_MAX: u32 = 10_000;

/// The way on which a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::client) enum Source {
    /// Delivered on the open session.
    Live,
    /// Found in history, or as the last message of a conversation's row: the service counted it, if
    /// it is older than the session.
    History {
        /// The time at which the session opened, by the service's clock.
        opened_at: Option<Timestamp>,
    },
    /// The same, where the service had no room to tell the count of the conversation: the messages held here are
    /// counted, and the count is a lower bound until nothing behind the own mark is missing.
    Untold,
}

/// The conversations whose counts the service has told in this session.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Told {
    conversations: BTreeSet<ConversationNumber>,
    /// True if a notification was full, so that it may have left conversations out.
    cut_short: bool,
    /// The time until which the service has told counts, as far as the store does not note it yet.
    heard_until: Option<Timestamp>,
}

impl Told {
    pub(in crate::sync::client) fn forget_connection(&mut self) {
        *self = Self::default();
    }

    /// The service has told the counts that changed until this time.
    pub(in crate::sync::client) fn hear(&mut self, until: Option<Timestamp>) {
        self.heard_until = self.heard_until.max(until);
    }

    /// True if the service may have left a conversation out that has unread messages.
    fn leaves_out(&self, number: ConversationNumber) -> bool {
        self.cut_short && !self.conversations.contains(&number)
    }
}

/// Counts a message that was not in the store before.
pub(in crate::sync::client) fn count(
    row: &mut ConversationRow,
    message: &Message,
    me: &ClientId,
    source: Source,
) {
    if !counts(row, message, me) {
        return;
    }
    let told = row.unread_told.and_then(|told| told.newest);
    let counted_until = match source {
        Source::Live | Source::Untold => told,
        Source::History { opened_at } => told.max(opened_at),
    };
    if Some(message.sent_at) > counted_until {
        row.unread.count = row.unread.count.saturating_add(1);
        row.unread.mentioned |= message.mentions.include(me);
        row.unread.at_least |= source == Source::Untold;
    } else if Some(message.sent_at) > told {
        // The service knew the message at sign-in: the count that it told, or did not tell, covers the message.
        // The message was not counted here, so it must not be taken out of the count either.
        let covering = row.unread_told.get_or_insert_default();
        covering.newest = Some(message.sent_at);
    }
}

/// Takes a message out of the count that was recalled after it was counted here.
pub(in crate::sync::client) fn discount(
    row: &mut ConversationRow,
    before: &Message,
    me: &ClientId,
) {
    let told = row.unread_told.and_then(|told| told.newest);
    if !counts(row, before, me) || Some(before.sent_at) <= told {
        return;
    }
    row.unread.count = row.unread.count.saturating_sub(1);
    if row.unread.count == 0 && !row.unread.at_least {
        row.unread = Unread::NONE;
    }
}

fn counts(row: &ConversationRow, message: &Message, me: &ClientId) -> bool {
    row.kind.counts_unread()
        && &message.sender != me
        && !message.transient
        && !message.content.is_recalled()
        && Some(message.sent_at) > row.read_until_self
}

/// Clears the count up to a time; the mark never goes back.
pub(in crate::sync::client) fn read_until(
    turn: &mut Turn<'_, '_>,
    number: ConversationNumber,
    until: Timestamp,
) -> Result<(), StoreError> {
    let snapshot = turn.overlay.snapshot();
    let Some(row) = snapshot.conversation(number)? else {
        return Ok(());
    };
    let mark = row.read_until_self.max(Some(until));
    let local = snapshot.count_unread(number, mark, COUNT_MAX)?;
    let told = row.unread_told.unwrap_or_default();
    let newest = told.newest.max(mark);
    let as_told = snapshot.count_of_others(number, mark, newest, COUNT_MAX)?;
    drop(snapshot);
    // Messages that the service counted and that are not here cannot be told from read ones: the service will say,
    // after it has read the mark.
    let missing = told.newest > mark && row.history.end() == HistoryEnd::Behind;
    let unread = Unread {
        count: local.count,
        at_least: local.limited || missing || (local.count > 0 && !covers(&row, mark)),
        mentioned: local.mentioned,
    };
    let told = UnreadTold {
        count: as_told.all,
        mentioned: unread.mentioned,
        newest,
        told_at: told.told_at,
    };
    turn.overlay.update_conversation(number, |row| {
        row.read_until_self = mark;
        row.unread = unread;
        row.unread_told = Some(told);
    })
}

/// True if nothing newer than the mark is missing here.
fn covers(row: &ConversationRow, mark: Option<Timestamp>) -> bool {
    let spans = row.history.spans();
    let from_start = row.history.start() == HistoryStart::Reached && spans.len() <= 1;
    let reaches = row
        .history
        .newest()
        .is_some_and(|span| Some(span.from.sent_at) <= mark);
    row.history.end() == HistoryEnd::Current && (from_start || reaches)
}

impl Client {
    pub(in crate::sync::client) fn unread_told(
        &mut self,
        turn: &mut Turn<'_, '_>,
        body: UnreadCommand,
    ) -> Result<(), StoreError> {
        let told_at = body.notif_time.map(Timestamp::from_millis);
        self.told.cut_short |= body.convs.len() >= TOLD_MAX;
        for tuple in body.convs {
            self.apply_tuple(turn, tuple, told_at)?;
        }
        self.told.hear(told_at);
        Ok(())
    }

    /// Notes the time up to which the service has told counts: at the next sign-in it tells the counts that
    /// changed since. This client counts the conversations that a full notification left out, from history, so
    /// the time is noted only when that history is complete. A client whose connection or process ends before
    /// that is told the same counts again, and again that some are missing.
    pub(in crate::sync::client) fn note_what_was_told(&mut self, turn: &mut Turn<'_, '_>) {
        if self.told.cut_short && self.progress() != CatchUpProgress::Current {
            return;
        }
        if let Some(until) = self.told.heard_until.take() {
            turn.overlay.update_session(|row| {
                row.last_unread_notif_at = row.last_unread_notif_at.max(Some(until));
            });
        }
    }

    fn apply_tuple(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tuple: UnreadTuple,
        told_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let Ok(id) = ConversationId::new(&tuple.cid) else {
            return Ok(());
        };
        let kind = tuple.conv_type.and_then(ConversationKind::from_number);
        let number = self.known_or_asked_for(turn, &id, kind)?;
        self.told.conversations.insert(number);
        let told = UnreadTold {
            count: u32::try_from(tuple.unread).unwrap_or(0),
            mentioned: tuple.mentioned.unwrap_or(false),
            newest: tuple.timestamp.map(Timestamp::from_millis),
            told_at: told_at.unwrap_or_else(|| self.clock.now(turn.now)),
        };
        self.tail_reaches(turn, number, told.newest)?;
        self.apply_told(turn, number, told)
    }

    fn apply_told(
        &self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        told: UnreadTold,
    ) -> Result<(), StoreError> {
        let snapshot = turn.overlay.snapshot();
        let Some(row) = snapshot.conversation(number)? else {
            return Ok(());
        };
        if row.unread_told.is_some_and(|it| it.told_at > told.told_at) {
            return Ok(());
        }
        // Messages that came after this count was told are not covered by it, also if the service tells the count
        // twice: a second telling covers the same messages as the first.
        let again = row
            .unread_told
            .filter(|it| (it.told_at, it.count) == (told.told_at, told.count));
        let newest = told.newest.or_else(|| match again {
            Some(first) => first.newest,
            None => row.last_message_at.min(Some(told.told_at)),
        });
        let read_elsewhere = if told.count == 0 { newest } else { None };
        let marked = marked_until(turn, number);
        let mark = row.read_until_self.max(read_elsewhere).max(marked);
        drop(snapshot);
        let told = if marked.is_some() && newest <= marked {
            // All that it counted is read, and it has not heard that yet.
            UnreadTold {
                count: 0,
                mentioned: false,
                newest: marked,
                ..told
            }
        } else {
            UnreadTold { newest, ..told }
        };
        turn.overlay.update_conversation(number, |row| {
            row.read_until_self = mark;
            row.unread_told = Some(told);
            row.last_message_at = row.last_message_at.max(newest);
        })?;
        self.recount(turn, number)
    }

    /// The way of counting messages that are found in a conversation's history.
    pub(in crate::sync::client) fn history_source(&self, number: ConversationNumber) -> Source {
        if self.told.leaves_out(number) {
            Source::Untold
        } else {
            self.receiver.history_source()
        }
    }

    /// Makes a lower bound exact once all unread messages are here, or the service has said more. The service
    /// counts recalled messages too: the messages held here decide once nothing is missing.
    pub(in crate::sync::client) fn make_count_exact(
        &self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        let row = turn.overlay.snapshot().conversation(number)?;
        let is_open = |row: &ConversationRow| {
            row.unread.at_least || (row.unread.count > 0 && covers(row, row.read_until_self))
        };
        if row.is_some_and(|row| is_open(&row)) {
            self.recount(turn, number)?;
        }
        Ok(())
    }

    /// Counts anew from the service's count and from the messages here. The service counts from its mark and
    /// this client from its own. The mark that is further is right, and so is the smaller count.
    fn recount(
        &self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        let marked = marked_until(turn, number).is_some();
        let snapshot = turn.overlay.snapshot();
        let Some(row) = snapshot.conversation(number)? else {
            return Ok(());
        };
        let told = row.unread_told.unwrap_or_default();
        let local = snapshot.count_unread(number, row.read_until_self, COUNT_MAX)?;
        let since = snapshot.count_unread(number, told.newest, COUNT_MAX)?;
        let exact = covers(&row, row.read_until_self) && !local.limited;
        // The service counts recalled messages. Those that it counted are the newest.
        let told_here = match exact && told.count > 0 {
            true => snapshot.count_of_others(number, None, told.newest, told.count)?,
            false => OthersCount::default(),
        };
        drop(snapshot);
        let untold = self.told.leaves_out(number) && !exact;
        let by_service = Unread {
            count: told
                .count
                .saturating_sub(told_here.recalled)
                .saturating_add(since.count),
            at_least: since.limited || untold,
            mentioned: told.mentioned || since.mentioned,
        };
        let at_cap = told.count >= self.settings.limits.unread_cap;
        let unread = if at_cap {
            let least = if exact { 0 } else { by_service.count };
            Unread {
                count: local.count.max(least),
                at_least: !exact,
                mentioned: told.mentioned || local.mentioned,
            }
        } else if exact && local.count < by_service.count {
            Unread {
                count: local.count,
                at_least: false,
                mentioned: local.mentioned,
            }
        } else if marked && !exact && told.count > 0 {
            // The service may have counted messages that the waiting mark covers, but not only those.
            Unread {
                count: local.count.clamp(1, by_service.count),
                at_least: true,
                mentioned: local.mentioned,
            }
        } else {
            by_service
        };
        turn.overlay
            .update_conversation(number, |row| row.unread = unread)
    }
}

/// The time of the mark that waits for the service to read it.
fn marked_until(turn: &Turn<'_, '_>, number: ConversationNumber) -> Option<Timestamp> {
    let entry = waiting_mark(turn, number)?;
    match &entry.intent {
        Intent::Read(mark) => Some(mark.until),
        _ => None,
    }
}

/// The unsent mark of a conversation.
pub(in crate::sync::client) fn waiting_mark(
    turn: &Turn<'_, '_>,
    number: ConversationNumber,
) -> Option<Arc<Entry>> {
    let entries = turn.overlay.snapshot().outbox_of(number);
    entries.into_iter().find(|entry| {
        let waits = !matches!(entry.state, OutboxState::Failed { .. });
        waits && matches!(entry.intent, Intent::Read(_))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mentions, MessageContent, MessageState};

    fn message(from: &str, at: i64) -> Message {
        Message {
            conversation: ConversationId::new("c").unwrap(),
            id: None,
            local_id: None,
            sender: ClientId::new(from).unwrap(),
            sent_at: Timestamp::from_millis(at),
            content: MessageContent::text("hi"),
            mentions: Mentions::default(),
            state: MessageState::Sent,
            edited_at: None,
            transient: false,
            change: None,
        }
    }

    fn counted(row: &mut ConversationRow, message: &Message, source: Source) -> u32 {
        let me = ClientId::new("me").unwrap();
        count(row, message, &me, source);
        row.unread.count
    }

    #[test]
    fn a_recall_of_what_was_never_counted_takes_nothing_from_the_count() {
        let (mut row, me) = (row(), ClientId::new("me").unwrap());
        let opened_at = Some(Timestamp::from_millis(50));
        let old = message("ann", 10);
        assert_eq!(counted(&mut row, &old, Source::History { opened_at }), 0);
        assert_eq!(counted(&mut row, &message("ben", 60), Source::Live), 1);
        discount(&mut row, &old, &me);
        assert_eq!(row.unread.count, 1);
    }

    fn row() -> ConversationRow {
        ConversationRow::unknown(ConversationId::new("c").unwrap())
    }

    #[test]
    fn own_transient_recalled_and_read_messages_do_not_count() {
        let mut row = row();
        row.read_until_self = Some(Timestamp::from_millis(10));
        assert_eq!(counted(&mut row, &message("me", 20), Source::Live), 0);
        assert_eq!(counted(&mut row, &message("ben", 10), Source::Live), 0);
        let mut other = message("ben", 20);
        other.transient = true;
        assert_eq!(counted(&mut row, &other, Source::Live), 0);
        other.transient = false;
        other.content = MessageContent::Recalled {
            caption: None,
            details: crate::model::Details::default(),
        };
        assert_eq!(counted(&mut row, &other, Source::Live), 0);
        assert_eq!(counted(&mut row, &message("ben", 11), Source::Live), 1);
    }

    #[test]
    fn what_the_service_has_counted_is_not_counted_again() {
        let mut row = row();
        row.unread_told = Some(UnreadTold {
            newest: Some(Timestamp::from_millis(30)),
            ..UnreadTold::default()
        });
        assert_eq!(counted(&mut row, &message("ben", 30), Source::Live), 0);
        assert_eq!(counted(&mut row, &message("ben", 31), Source::Live), 1);
        let opened_at = Some(Timestamp::from_millis(50));
        let history = Source::History { opened_at };
        assert_eq!(counted(&mut row, &message("ben", 50), history), 1);
        assert_eq!(counted(&mut row, &message("ben", 51), history), 2);
    }

    #[test]
    fn a_chat_room_never_counts() {
        let mut row = row();
        row.kind = ConversationKind::ChatRoom;
        assert_eq!(counted(&mut row, &message("ben", 1), Source::Live), 0);
    }
}

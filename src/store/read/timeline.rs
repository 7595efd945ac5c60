//! Pages of a conversation: messages, local echoes, and the gaps where history is missing.

use std::sync::Arc;

use crate::model::{Message, OutboxEntryId};
use crate::store::error::StoreError;
use crate::store::read::items::{Gap, Page, TimelineItem};
use crate::store::read::snapshot::Snapshot;
use crate::store::tree::Direction;
use crate::store::types::conversation::ConversationRow;
use crate::store::types::entry::Entry;
use crate::store::types::link::Older;
use crate::store::types::message::StoredMessage;
use crate::store::types::position::{
    ConversationNumber, HistoryEnd, HistoryStart, Place, Position,
};

impl Snapshot<'_> {
    /// The items before a place, or the newest when there is none; at most `limit` messages and
    /// echoes, and the gaps between them, before them and behind them.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchConversation`]; [`StoreError::Io`] or [`StoreError::Damaged`] when the
    /// store cannot be read.
    pub fn page_before(
        &self,
        number: ConversationNumber,
        before: Option<&Place>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, Self::PAGE_MAX);
        let row = self.row(number)?.ok_or(StoreError::NoSuchConversation)?;
        let mut echoes = self.echoes(number, &row);
        let anchor = match before {
            None => None,
            Some(Place::Echo(entry)) => {
                echoes.retain(|(id, _)| id < entry);
                None
            }
            Some(Place::Message(position)) => {
                echoes.clear();
                Some(position)
            }
        };
        let over = echoes.len().saturating_sub(limit);
        echoes.drain(..over);
        let room = limit.saturating_sub(echoes.len());
        if room == 0 {
            return Ok(Page {
                items: echo_items(echoes),
                more: true,
            });
        }
        let mut held =
            self.messages(number, anchor, Direction::Backward, room.saturating_add(1))?;
        let more = held.len() > room;
        let neighbour = if more { held.pop() } else { None };
        let mut weave = Weave::new(self, (number, &row), neighbour);
        weave.extend(held.into_iter().rev());
        if anchor.is_none() {
            weave.close();
        }
        weave.items.extend(echo_items(echoes));
        Ok(Page {
            items: weave.items,
            more,
        })
    }

    /// The items after a place, or the oldest when there is none; at most `limit` messages and
    /// echoes, and the gaps between them, before them and behind them.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoSuchConversation`]; [`StoreError::Io`] or [`StoreError::Damaged`] when the
    /// store cannot be read.
    pub fn page_after(
        &self,
        number: ConversationNumber,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        let limit = limit.clamp(1, Self::PAGE_MAX);
        let row = self.row(number)?.ok_or(StoreError::NoSuchConversation)?;
        let mut echoes = self.echoes(number, &row);
        let anchor = match after {
            None => None,
            Some(Place::Message(position)) => Some(position),
            Some(Place::Echo(entry)) => {
                echoes.retain(|(id, _)| id > entry);
                let more = echoes.len() > limit;
                echoes.truncate(limit);
                return Ok(Page {
                    items: echo_items(echoes),
                    more,
                });
            }
        };
        let mut held =
            self.messages(number, anchor, Direction::Forward, limit.saturating_add(1))?;
        let more = held.len() > limit;
        held.truncate(limit);
        let room = limit.saturating_sub(held.len());
        let neighbour = match anchor {
            Some(position) => {
                let stored = self.message_record(number, position)?;
                Some((position.clone(), stored.map(Arc::unwrap_or_clone)))
            }
            None => None,
        };
        let mut weave = Weave::new(self, (number, &row), neighbour);
        weave.extend(held);
        if more {
            return Ok(Page {
                items: weave.items,
                more,
            });
        }
        weave.close();
        let more = echoes.len() > room;
        echoes.truncate(room);
        weave.items.extend(echo_items(echoes));
        Ok(Page {
            items: weave.items,
            more,
        })
    }

    fn echoes(
        &self,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Vec<(OutboxEntryId, Message)> {
        let entries = self.outbox_of(number).into_iter();
        entries
            .filter_map(|entry| Some((entry.id, self.shown_echo(&entry, &row.id)?)))
            .collect()
    }
}

fn echo_items(echoes: Vec<(OutboxEntryId, Message)>) -> Vec<TimelineItem> {
    echoes
        .into_iter()
        .map(|(entry, message)| TimelineItem::Echo { entry, message })
        .collect()
}

/// Turns held messages, oldest first, into items with the gaps between them. The gap at the older edge of a
/// page is the page's; a reader that pages backwards from the oldest item is not shown that gap again.
struct Weave<'a, 's> {
    snapshot: &'a Snapshot<'s>,
    row: &'a ConversationRow,
    /// The unsent edits and recalls of the conversation's messages.
    patches: Vec<Arc<Entry>>,
    /// The last held message.
    last: Option<Position>,
    /// True if a message behind `last` is lost, for its record is damaged.
    broken: bool,
    /// True if links are to be compared: those of uncommitted messages are not made yet.
    linked: bool,
    items: Vec<TimelineItem>,
}

impl<'a, 's> Weave<'a, 's> {
    /// Begins after a neighbour outside the page; none at the start of the stored history.
    fn new(
        snapshot: &'a Snapshot<'s>,
        (number, row): (ConversationNumber, &'a ConversationRow),
        neighbour: Option<(Position, Option<StoredMessage>)>,
    ) -> Self {
        let broken = matches!(&neighbour, Some((_, None)));
        let last = neighbour.filter(|_| !broken).map(|(position, _)| position);
        Self {
            snapshot,
            row,
            patches: snapshot.patches_of(number),
            last,
            broken,
            linked: snapshot
                .batch
                .is_none_or(|batch| !batch.messages.contains_key(&number)),
            items: Vec::new(),
        }
    }

    fn extend(&mut self, held: impl IntoIterator<Item = (Position, Option<StoredMessage>)>) {
        let held = held.into_iter();
        // Items are large, and moved when there are more of them than there is room for.
        self.items.reserve(held.size_hint().0.saturating_add(2));
        for (position, stored) in held {
            let Some(stored) = stored else {
                self.broken = true;
                continue;
            };
            if self.broken || !self.joins(&position, &stored.older) {
                let older = self.last.take();
                self.items.push(TimelineItem::Gap(Gap {
                    older,
                    newer: Some(position.clone()),
                }));
            }
            self.broken = false;
            self.last = Some(position.clone());
            let message = self.snapshot.message_of(self.row, &position, stored);
            let patches = self.patches.iter();
            let message = patches.fold(message, |message, entry| entry.shown_on(message));
            self.items.push(TimelineItem::Message { position, message });
        }
    }

    /// True if nothing is missing before a message: its span and its link must agree.
    fn joins(&self, position: &Position, older: &Older) -> bool {
        let history = &self.row.history;
        let is_held = match &self.last {
            Some(last) => history.joins(last, position) || history.claims(last, position),
            None => history.start() == HistoryStart::Reached,
        };
        is_held && (!self.linked || older.is(self.last.as_ref()))
    }

    /// Ends at the newest that is held.
    fn close(&mut self) {
        let start = self.row.history.start();
        let empty = self.last.is_none() && start == HistoryStart::Unknown;
        let behind = self.row.history.end() == HistoryEnd::Behind;
        let lost = self.linked && self.last < self.row.held.newest;
        if self.broken || empty || behind || lost {
            let gap = Gap {
                older: self.last.clone(),
                newer: None,
            };
            self.items.push(TimelineItem::Gap(gap));
        }
    }
}

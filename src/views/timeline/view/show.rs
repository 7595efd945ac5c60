//! The items of a view's window, with their separators and marks.

use std::sync::Arc;

use crate::model::{Count, ItemKey};
use crate::store::{ConversationRow, Snapshot, TimelineItem as Stored};
use crate::views::Version;
use crate::views::message::Message;

use super::super::loads::Side;
use super::super::reading::{Beyond, Reading};
use super::super::start::Mark;
use super::super::{Anchor, FillState, TimelineEdge, TimelineItem, TimelineItemKind};
use super::{Phase, Shown, TimelineView, position};

impl TimelineView {
    /// The items of a window.
    pub(super) fn items(
        &mut self,
        snapshot: &Snapshot<'_>,
        row: &ConversationRow,
        reading: &Reading,
    ) -> Vec<Arc<TimelineItem>> {
        let gaps = reading.items.iter().filter_map(|item| match item {
            Stored::Gap(gap) => Some(gap.clone()),
            Stored::Message { .. } | Stored::Echo { .. } => None,
        });
        let keys = self.gaps.assign(gaps.collect());
        let (gaps, loads) = (&self.gaps, &mut self.loads);
        loads.keep_gaps(|key| gaps.gap(key).is_some());
        if let Phase::Search { gap: Some(key), .. } = self.phase {
            let state = self.loads.state(Side::Start, self.is_online());
            return vec![gap_item(key, state)];
        }
        let mut keys = keys.into_iter();
        let mut mark = self.mark.as_ref().filter(|mark| {
            let from = self.bounds.from.as_ref();
            from.is_some_and(|from| from.position <= mark.before)
        });
        let mut items = Vec::with_capacity(reading.items.len().saturating_add(1));
        for stored in &reading.items {
            if let Some(at) = position(stored)
                && let Some(due) = mark.take_if(|mark| *at >= mark.before)
            {
                items.push(first_unread_item(due));
            }
            let item = match stored {
                Stored::Gap(_) => keys.next().map(|key| {
                    let state = self.loads.state(Side::Gap(key), self.is_online());
                    gap_item(key, state)
                }),
                stored => self.message_item(snapshot, row, stored),
            };
            items.extend(item);
        }
        self.windows.shared(items)
    }

    fn message_item(
        &self,
        snapshot: &Snapshot<'_>,
        row: &ConversationRow,
        stored: &Stored,
    ) -> Option<Arc<TimelineItem>> {
        let mut message = Message::of_item(snapshot, row, stored.clone(), self.reach)?;
        if let Some(entry) = message.entry {
            let delivery = message.delivery.take();
            message.delivery = delivery.map(|it| it.with_uploads(entry, &self.uploads));
        }
        if self.options.hide_recalled && message.content.is_recalled() {
            return None;
        }
        Some(Arc::new(TimelineItem {
            key: message.key.clone().into(),
            kind: TimelineItemKind::Message { message },
        }))
    }

    /// Shows a window and the edges beyond it, if they are different.
    pub(super) fn show(&mut self, items: Vec<Arc<TimelineItem>>, reading: Reading) {
        let Reading {
            older,
            newer,
            behind,
            ..
        } = reading;
        self.older = older;
        self.newer = newer;
        self.behind = behind;
        let shown = self.beside(&items);
        let is_new = self.windows.version() == Version::NONE;
        if is_new || shown != self.shown || !self.windows.is_newest(&items) {
            self.shown = shown;
            self.windows.push(items);
        }
    }

    /// Shows that the conversation is not on this device: one that never was is asked for, one that was removed
    /// has nothing to show.
    pub(super) fn show_no_conversation(&mut self) {
        if self.number.is_some() {
            self.phase = Phase::Open;
            self.show(Vec::new(), Reading::default());
            return;
        }
        if let Phase::Begin(start) = &self.phase {
            self.phase = Phase::Unknown(start.clone());
            self.anchor = Anchor::Searching;
            self.loads.begin(Side::Start, self.page());
        }
        let is_absent = self.anchor == Anchor::Absent;
        let missing = Beyond::Missing {
            before: None,
            held_behind: false,
        };
        let older = if is_absent { Beyond::End } else { missing };
        let reading = Reading {
            older,
            ..Reading::default()
        };
        self.show(Vec::new(), reading);
    }

    /// The parts that are shown beside these items.
    fn beside(&self, items: &[Arc<TimelineItem>]) -> Shown {
        let oldest = match self.phase {
            Phase::Unknown(_) => Side::Start,
            _ => Side::Older,
        };
        Shown {
            older: self.edge_of(oldest, &self.older),
            newer: self.edge_of(Side::Newer, &self.newer),
            anchor: self.anchor.clone(),
            below: Count::from(self.below(items).saturating_add(self.behind)),
            typing: self.typing.clone(),
        }
    }

    /// The number of messages of the window that are newer than the newest that was seen.
    fn below(&self, items: &[Arc<TimelineItem>]) -> usize {
        let Some((_, last)) = &self.seen else {
            return 0;
        };
        let seen = items.iter().position(|item| item.key == *last);
        let newer = items
            .iter()
            .skip(seen.map_or(items.len(), |at| at.saturating_add(1)));
        newer.filter(|item| item.message().is_some()).count()
    }

    pub(super) fn edge_of(&self, side: Side, beyond: &Beyond) -> TimelineEdge {
        match beyond {
            Beyond::End => TimelineEdge::End,
            Beyond::Held => TimelineEdge::More,
            Beyond::Missing { .. } => TimelineEdge::Missing {
                state: self.loads.state(side, self.is_online()),
            },
        }
    }

    /// Shows again the parts that may have changed without a commit: states of loads, items that were seen. A window
    /// that is still to be read shows them then.
    pub(super) fn show_again(&mut self) {
        if self.windows.is_blank() {
            return;
        }
        let items: Vec<_> = self
            .windows
            .newest()
            .iter()
            .map(|item| {
                let (ItemKey::Gap(key), TimelineItemKind::Gap { state }) = (&item.key, &item.kind)
                else {
                    return Arc::clone(item);
                };
                let side = match self.phase {
                    Phase::Search { gap: Some(own), .. } if own == *key => Side::Start,
                    _ => Side::Gap(*key),
                };
                let now = self.loads.state(side, self.is_online());
                if now == *state {
                    Arc::clone(item)
                } else {
                    gap_item(*key, now)
                }
            })
            .collect();
        let shown = self.beside(&items);
        if shown != self.shown || !self.windows.is_newest(&items) {
            self.shown = shown;
            self.windows.push(items);
        }
    }
}

fn gap_item(key: u64, state: FillState) -> Arc<TimelineItem> {
    Arc::new(TimelineItem {
        key: ItemKey::Gap(key),
        kind: TimelineItemKind::Gap { state },
    })
}

fn first_unread_item(mark: &Mark) -> Arc<TimelineItem> {
    Arc::new(TimelineItem {
        key: ItemKey::FirstUnread,
        kind: TimelineItemKind::FirstUnread {
            count: mark.count,
            at_least: mark.at_least,
        },
    })
}

//! The steps of loads: messages that the store holds come at once, others are asked for.

use crate::model::{ConversationId, Count, Message};
use crate::store::{ConversationNumber, Gap, Place, Position, Snapshot, StoreError, TimelineItem};
use crate::views::delivery::Reach;
use crate::views::edits::narrow;

use super::super::loads::Side;
use super::super::reading::Beyond;
use super::super::{Anchor, FillFailure, start};
use super::{Next, Phase, TimelineView, lower};

/// The most messages of one question for history.
const FETCH_MAX: usize = 100;

impl TimelineView {
    /// Goes on with a load as far as the store goes.
    ///
    /// # Errors
    ///
    /// Those of reading: the load has failed.
    pub fn advance(
        &mut self,
        side: Side,
        snapshot: &Snapshot<'_>,
        id: &ConversationId,
        reach: Reach,
    ) -> Result<Next, StoreError> {
        self.refresh(snapshot, id, reach)?;
        if self.number.is_none() && side != Side::Start {
            // The conversation itself is asked for; nothing can be loaded into it before.
            self.loads.end(side);
        }
        let next = match side {
            Side::Older => self.advance_older(snapshot, id)?,
            Side::Newer => self.advance_newer(snapshot, id)?,
            Side::Gap(key) => self.advance_gap(key),
            Side::Start => self.advance_start(snapshot)?,
        };
        if let Next::Done = next {
            self.refresh(snapshot, id, reach)?;
        }
        self.show_again();
        Ok(next)
    }

    /// Notes the outcome of a question for history.
    pub fn answered(&mut self, side: Side, outcome: Result<u32, FillFailure>) {
        match outcome {
            Ok(added) => self.loads.answered(side, added),
            Err(failure) => self.loads.fail(side, failure),
        }
        self.show_again();
    }

    /// Notes that the session ended before the service answered: the load waits for the next one.
    pub fn interrupted(&mut self, side: Side) {
        self.loads.postpone(side);
        self.show_again();
    }

    fn fetch(&mut self, side: Side, before: Option<Position>) -> Next {
        match self.ask(side) {
            Some(limit) => Next::Fetch { before, limit },
            None => Next::Done,
        }
    }

    fn fetch_newer(&mut self, side: Side, after: Position) -> Next {
        match self.ask(side) {
            Some(limit) => Next::FetchNewer { after, limit },
            None => Next::Done,
        }
    }

    /// The number of messages that the service is to be asked for; none where it is not to be asked now.
    fn ask(&mut self, side: Side) -> Option<u32> {
        if !self.is_online() {
            self.loads.postpone(side);
            return None;
        }
        if self.loads.is_dry(side) || !self.loads.ask(side) {
            self.loads.exhaust(side);
            return None;
        }
        let limit = self.loads.limit(side).unwrap_or(FETCH_MAX).min(FETCH_MAX);
        Some(narrow(limit))
    }

    fn advance_older(
        &mut self,
        snapshot: &Snapshot<'_>,
        id: &ConversationId,
    ) -> Result<Next, StoreError> {
        loop {
            let limit = self.loads.limit(Side::Older);
            let (Some(limit), Some(number)) = (limit, self.number) else {
                return Ok(Next::Done);
            };
            match self.older.clone() {
                Beyond::End => {
                    self.loads.end(Side::Older);
                    return Ok(Next::Done);
                }
                Beyond::Held => {
                    if self.extend_older(snapshot, number, limit)? {
                        self.loads.end(Side::Older);
                        return Ok(Next::Done);
                    }
                    self.refresh(snapshot, id, self.reach)?;
                }
                Beyond::Missing { held_behind, .. } if !self.is_online() && held_behind => {
                    if let Some(from) = &mut self.bounds.from {
                        from.with_gap = true;
                    }
                    self.loads.end(Side::Older);
                    self.refresh(snapshot, id, self.reach)?;
                    return Ok(Next::Done);
                }
                Beyond::Missing { before, .. } => return Ok(self.fetch(Side::Older, before)),
            }
        }
    }

    /// Takes older messages into the window. True when visible ones came, or there are none.
    fn extend_older(
        &mut self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
        limit: usize,
    ) -> Result<bool, StoreError> {
        let from = self.bounds.from.as_ref();
        let before = from.map(|from| Place::Message(from.position.clone()));
        let page = snapshot.page_before(number, before.as_ref(), limit)?;
        let Some(oldest) = lower(page.items.iter()) else {
            return Ok(true);
        };
        self.bounds.from = Some(oldest);
        self.grown = Some(Side::Older);
        let added = self.loads.add(Side::Older, self.visible(page.items.iter()));
        Ok(added > Count(0))
    }

    fn visible<'a>(&self, items: impl Iterator<Item = &'a TimelineItem>) -> usize {
        let messages = items.filter_map(TimelineItem::message);
        let is_hidden = |it: &&Message| self.options.hide_recalled && it.content.is_recalled();
        messages.filter(|it| !is_hidden(it)).count()
    }

    fn advance_newer(
        &mut self,
        snapshot: &Snapshot<'_>,
        id: &ConversationId,
    ) -> Result<Next, StoreError> {
        loop {
            let limit = self.loads.limit(Side::Newer);
            let to = self.bounds.to.clone();
            let (Some(limit), Some(number), Some(to)) = (limit, self.number, to) else {
                self.loads.end(Side::Newer);
                return Ok(Next::Done);
            };
            let mut at_gap = start::AtGap::End;
            match self.newer.clone() {
                // The newest messages come first: they tell how far the missing ones reach.
                Beyond::Missing { before: None, .. } if self.is_online() => {
                    return Ok(self.fetch(Side::Newer, None));
                }
                Beyond::Missing { .. } if self.is_online() => {
                    return Ok(self.fetch_newer(Side::Newer, to));
                }
                // Offline the window goes on behind the missing history.
                Beyond::Missing { .. } => at_gap = start::AtGap::GoOn,
                Beyond::End | Beyond::Held => {}
            }
            let place = Place::Message(to);
            let page = snapshot.page_after(number, Some(&place), limit)?;
            self.bounds.to = start::newer_end(snapshot, number, &place, limit, at_gap)?;
            let to = self.bounds.to.as_ref();
            let came = page
                .items
                .iter()
                .filter(|item| to.is_none_or(|to| is_until(item, to)));
            let added = self.loads.add(Side::Newer, self.visible(came));
            self.grown = Some(Side::Newer);
            if added > Count(0) || self.bounds.to.is_none() {
                self.loads.end(Side::Newer);
                return Ok(Next::Done);
            }
            self.refresh(snapshot, id, self.reach)?;
        }
    }

    fn advance_gap(&mut self, key: u64) -> Next {
        let side = Side::Gap(key);
        let gap: Option<Gap> = self.gaps.gap(key).cloned();
        let Some(gap) = gap.filter(|_| !self.loads.has_asked(side) || self.loads.is_dry(side))
        else {
            self.loads.end(side);
            return Next::Done;
        };
        match gap.older {
            Some(after) if self.fills_forward(key) => self.fetch_newer(side, after),
            _ => self.fetch(side, gap.newer),
        }
    }

    /// The conversation is not on this device.
    fn advance_unknown(&mut self) -> Next {
        if !self.is_online() {
            self.loads.postpone(Side::Start);
        } else if !self.loads.has_asked(Side::Start) && self.loads.ask(Side::Start) {
            return Next::FetchConversation;
        } else {
            // The service does not know it either.
            self.anchor = Anchor::Absent;
            self.loads.end(Side::Start);
        }
        Next::Done
    }

    fn advance_start(&mut self, snapshot: &Snapshot<'_>) -> Result<Next, StoreError> {
        let side = Side::Start;
        if let Phase::Unknown(_) = &self.phase {
            return Ok(self.advance_unknown());
        }
        let Phase::Search {
            before, otherwise, ..
        } = &mut self.phase
        else {
            self.loads.end(side);
            return Ok(Next::Done);
        };
        let is_message = otherwise.is_none();
        let has_answer = self.loads.has_asked(side) && (is_message || self.loads.is_dry(side));
        if !has_answer {
            let before = before.clone();
            return Ok(self.fetch(side, Some(before)));
        }
        // The service has no more history than this device by now.
        match (otherwise.take(), self.number) {
            (Some(aim), Some(number)) => self.open_at(snapshot, number, aim)?,
            _ => self.open_newest(Anchor::Absent),
        }
        self.windows.forget_all();
        Ok(Next::Done)
    }
}

/// True if an item stands at a message or before it.
fn is_until(item: &TimelineItem, to: &Position) -> bool {
    matches!(item, TimelineItem::Message { position, .. } if position <= to)
}

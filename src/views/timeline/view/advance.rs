//! The steps of loads: what the store holds comes at once, what it lacks is asked for.

use crate::model::{ConversationId, Count, Message};
use crate::store::{ConversationNumber, Gap, Place, Position, Snapshot, StoreError, TimelineItem};
use crate::views::delivery::Reach;
use crate::views::edits::narrow;

use super::super::loads::Side;
use super::super::reading::Beyond;
use super::super::{FillFailure, TimelineAnchor, start};
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

    /// Notes what came of a question for history.
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
        if !self.is_online() {
            self.loads.postpone(side);
            return Next::Done;
        }
        if self.loads.is_dry(side) || !self.loads.ask(side) {
            self.loads.exhaust(side);
            return Next::Done;
        }
        let limit = self.loads.limit(side).unwrap_or(FETCH_MAX).min(FETCH_MAX);
        Next::Fetch {
            before,
            limit: narrow(limit),
        }
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
        let added = self.loads.add(Side::Older, self.visible(&page.items));
        Ok(added > Count(0))
    }

    fn visible(&self, items: &[TimelineItem]) -> usize {
        let messages = items.iter().filter_map(TimelineItem::message);
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
            let missing = match self.newer.clone() {
                Beyond::Missing { before, .. } => Some(before),
                Beyond::End | Beyond::Held => None,
            };
            if let Some(before) = missing
                && self.is_online()
                && !self.loads.has_asked(Side::Newer)
            {
                return Ok(self.fetch(Side::Newer, before));
            }
            let place = Place::Message(to);
            let page = snapshot.page_after(number, Some(&place), limit)?;
            let added = self.loads.add(Side::Newer, self.visible(&page.items));
            self.bounds.to = start::newer_end(snapshot, number, &place, limit)?;
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
        self.fetch(side, gap.newer)
    }

    fn advance_start(&mut self, snapshot: &Snapshot<'_>) -> Result<Next, StoreError> {
        let side = Side::Start;
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
        // The service has no more of it than what is here by now.
        match (otherwise.take(), self.number) {
            (Some(aim), Some(number)) => self.open_at(snapshot, number, aim)?,
            _ => self.open_newest(TimelineAnchor::Absent),
        }
        self.windows.forget_all();
        Ok(Next::Done)
    }
}

//! The view: its items, the pages that it wants loaded, the messages that were seen.
//!
//! The driver of a view hands in snapshots and the outcomes of fetching, and asks for updates and for the next wish.
//! A view keeps no message but those of its last windows.

mod advance;
mod seen;
mod show;

use std::sync::Arc;

use crate::model::{ClientId, CommitSeq, ConversationId, Count, ItemKey, Timestamp};
use crate::store::{
    ConversationNumber, ConversationRow, Position, Snapshot, StoreError, TimelineItem as Stored,
};

use super::gaps::GapKeys;
use super::loads::{Loads, Side};
use super::reading::{self, Beyond, Bounds, Lower, Reading, Sizes};
use super::start::{self, Aim, Found, Mark};
use super::{
    Anchor, FillFailure, Loaded, TimelineEdge, TimelineItem, TimelineOptions, TimelineStart,
    TimelineUpdate,
};
use crate::views::delivery::Reach;
use crate::views::edits::widen;
use crate::views::{Typing, Uploads, Version, Windows};

/// The most items of a first window.
const PAGE_MAX: u32 = 500;

/// A view of one conversation's timeline.
#[derive(Debug)]
pub struct TimelineView {
    options: TimelineOptions,
    phase: Phase,
    bounds: Bounds,
    number: Option<ConversationNumber>,
    windows: Windows<Arc<TimelineItem>>,
    shown: Shown,
    anchor: Anchor,
    seq: CommitSeq,
    reach: Reach,
    /// The reach when the window was read.
    read_at: Reach,
    older: Beyond,
    newer: Beyond,
    /// The number of messages that stand behind the window.
    behind: usize,
    gaps: GapKeys,
    mark: Option<Mark>,
    jumps: Count,
    loads: Loads,
    seen: Option<(ItemKey, ItemKey)>,
    read: Read,
    /// The place where the window was made larger since it was read.
    grown: Option<Side>,
    typing: Vec<ClientId>,
    uploads: Arc<Uploads>,
    /// True if files of this conversation got further since the window was read.
    is_upload_new: bool,
}

/// The state of the view's start.
#[derive(Debug)]
enum Phase {
    /// It is looked up with the next snapshot.
    Begin(TimelineStart),
    /// The conversation is not on this device: the service is asked for it, then the start is looked up.
    Unknown(TimelineStart),
    /// The service is asked for it.
    Search {
        start: TimelineStart,
        before: Position,
        otherwise: Option<Aim>,
        /// The key of the missing history, where nothing else is shown.
        gap: Option<u64>,
    },
    Open,
}

/// The parts that are shown beside the items.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    older: TimelineEdge,
    newer: TimelineEdge,
    anchor: Anchor,
    below: Count,
    typing: Vec<ClientId>,
}

/// The read marks of the conversation.
#[derive(Debug, Default)]
struct Read {
    /// The mark of the store, or the one that the store was asked for.
    until: Option<Timestamp>,
    /// The wanted mark.
    wanted: Option<Timestamp>,
}

/// A wish of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Something is to be loaded: [`TimelineView::advance`].
    Load(Side),
    /// The conversation is to be marked read.
    MarkRead {
        /// Up to and including a message of this time.
        until: Timestamp,
    },
}

/// The next step of a load.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It ended, or waits for a session.
    Done,
    /// The service is to be asked for the conversation: one found counts as one message that came.
    FetchConversation,
    /// The service is to be asked for history; the outcome is handed to [`TimelineView::answered`].
    Fetch {
        /// Older than this message and itself; none for the newest.
        before: Option<Position>,
        /// The number of messages.
        limit: u32,
    },
    /// The service is to be asked for history forward in time; the outcome is handed to [`TimelineView::answered`].
    FetchNewer {
        /// Newer than this message.
        after: Position,
        /// The number of messages.
        limit: u32,
    },
}

impl TimelineView {
    /// A view without a window.
    #[must_use]
    pub fn new(options: TimelineOptions) -> Self {
        let page = options.page.clamp(1, PAGE_MAX);
        let start = options.start.clone().unwrap_or_default();
        Self {
            options: TimelineOptions {
                page,
                window_max: options.window_max.max(page.saturating_mul(2)),
                ..options
            },
            phase: Phase::Begin(start),
            bounds: Bounds::default(),
            number: None,
            windows: Windows::default(),
            shown: Shown::default(),
            anchor: Anchor::None,
            seq: CommitSeq::default(),
            reach: Reach::Offline,
            read_at: Reach::Offline,
            older: Beyond::End,
            newer: Beyond::End,
            behind: 0,
            gaps: GapKeys::default(),
            mark: None,
            jumps: Count(0),
            loads: Loads::default(),
            seen: None,
            read: Read::default(),
            grown: None,
            typing: Vec::new(),
            uploads: Arc::default(),
            is_upload_new: false,
        }
    }

    /// The newest version.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.windows.version()
    }

    /// True if it shows what the store holds, and whether the client is online, as given.
    #[must_use]
    pub fn is_fresh(&self, seq: CommitSeq, reach: Reach) -> bool {
        let has_begun = !matches!(self.phase, Phase::Begin(_));
        has_begun && self.seq == seq && self.read_at == reach && !self.is_upload_new
    }

    /// The conversation's number, as it was read last: those who wait watch for its commits.
    #[must_use]
    pub const fn number(&self) -> Option<ConversationNumber> {
        self.number
    }

    /// The changes since a version; none when that version is the newest.
    #[must_use]
    pub fn update(&self, have: Version) -> Option<TimelineUpdate> {
        let (version, edits) = self.windows.news(have)?;
        let Shown {
            older,
            newer,
            anchor,
            below,
            typing,
        } = self.shown.clone();
        Some(TimelineUpdate {
            version,
            seq: self.seq,
            edits,
            older,
            newer,
            anchor,
            below,
            typing,
        })
    }

    /// Notes who writes.
    pub fn set_typing(&mut self, typing: &Typing) {
        let who = self.number.and_then(|number| typing.get(&number));
        let who = who.map(Vec::as_slice).unwrap_or_default();
        if self.typing != who {
            self.typing = who.to_vec();
            self.show_again();
        }
    }

    /// Notes which files are being uploaded, and how far they are.
    pub fn set_uploads(&mut self, uploads: &Arc<Uploads>) {
        if self.uploads != *uploads {
            self.uploads = Arc::clone(uploads);
            self.is_upload_new = true;
        }
    }

    /// Begins anew somewhere else: a reset follows.
    pub fn jump(&mut self, to: TimelineStart) {
        self.phase = Phase::Begin(to);
        self.loads.forget();
        self.mark = None;
        self.seen = None;
    }

    /// Reads the window as a snapshot has it.
    ///
    /// # Errors
    ///
    /// Those of reading: the view shows what it showed.
    pub fn refresh(
        &mut self,
        snapshot: &Snapshot<'_>,
        id: &ConversationId,
        reach: Reach,
    ) -> Result<(), StoreError> {
        let number = snapshot.number(id)?;
        let row = match number {
            Some(number) => snapshot.conversation(number)?,
            None => None,
        };
        self.reached(reach);
        self.read_at = reach;
        self.is_upload_new = false;
        self.seq = snapshot.seq();
        let (Some(number), Some(row)) = (number, row) else {
            self.show_no_conversation();
            return Ok(());
        };
        if let Phase::Unknown(start) = &self.phase {
            self.phase = Phase::Begin(start.clone());
            self.loads.end(Side::Start);
        }
        let is_merged = self.number.is_some_and(|before| before != number);
        self.number = Some(number);
        if is_merged {
            self.jump(TimelineStart::Newest);
        }
        self.read.until = self.read.until.max(row.read_until_self);
        let is_anew = self.find_start(snapshot, number, &row)?;
        let reading = self.read_window(snapshot, number)?;
        let items = self.items(snapshot, &row, &reading);
        self.show(items, reading);
        if is_anew {
            self.windows.forget_older();
        }
        self.want_seen();
        Ok(())
    }

    /// Notes whether the client can reach the service: with a session, loads that waited for one go on, and failed
    /// loads are tried again while they are seen. True when something else is shown.
    pub fn reached(&mut self, reach: Reach) -> bool {
        if reach == self.reach {
            return false;
        }
        let before = self.version();
        self.reach = reach;
        if reach == Reach::Online {
            self.loads.forget_failures();
            self.want_seen();
        }
        self.show_again();
        self.version() != before
    }

    /// Looks the start up, if it is not found yet. True when the window is another one.
    fn find_start(
        &mut self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
        row: &ConversationRow,
    ) -> Result<bool, StoreError> {
        let (start, is_first) = match &self.phase {
            Phase::Begin(start) => (start.clone(), true),
            Phase::Search { start, .. } => (start.clone(), false),
            Phase::Unknown(_) | Phase::Open => return Ok(false),
        };
        match start::find(snapshot, number, row, &start)? {
            Found::Newest => self.open_newest(Anchor::None),
            Found::Absent => self.open_newest(Anchor::Absent),
            Found::At(aim) => {
                self.open_at(snapshot, number, aim)?;
                // The screen shows the items behind the message too.
                if !is_first {
                    self.loads.begin(Side::Newer, self.page().div_ceil(2));
                }
            }
            Found::Missing { before, otherwise } => {
                self.search(start, before, otherwise);
                return Ok(is_first);
            }
        }
        Ok(true)
    }

    fn open_newest(&mut self, anchor: Anchor) {
        self.bounds = Bounds::default();
        self.anchor = anchor;
        self.open();
    }

    fn open_at(
        &mut self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
        aim: Aim,
    ) -> Result<(), StoreError> {
        let half = self.page().div_ceil(2);
        self.bounds = start::around(snapshot, number, &aim.place, half)?;
        self.jumps = self.jumps.next();
        self.anchor = Anchor::At {
            key: aim.key,
            jump: self.jumps,
        };
        self.mark = aim.mark;
        self.open();
        Ok(())
    }

    fn open(&mut self) {
        self.loads.end(Side::Start);
        self.phase = Phase::Open;
    }

    fn search(&mut self, start: TimelineStart, before: Position, otherwise: Option<Aim>) {
        let known = match &self.phase {
            Phase::Search { gap, .. } => *gap,
            Phase::Begin(_) | Phase::Unknown(_) | Phase::Open => None,
        };
        let gap = match (known, &otherwise) {
            (None, None) => Some(self.gaps.fresh()),
            (known, _) => known,
        };
        if matches!(self.phase, Phase::Begin(_)) {
            self.bounds = Bounds::default();
            self.loads.begin(Side::Start, self.page());
        }
        self.anchor = Anchor::Searching;
        self.phase = Phase::Search {
            start,
            before,
            otherwise,
            gap,
        };
    }

    const fn page(&self) -> usize {
        widen(self.options.page)
    }

    const fn window_max(&self) -> usize {
        widen(self.options.window_max)
    }

    fn is_online(&self) -> bool {
        self.reach == Reach::Online
    }

    /// Reads the window that the bounds name, and moves them where too much came.
    fn read_window(
        &mut self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
    ) -> Result<Reading, StoreError> {
        if let Phase::Search { gap: Some(_), .. } = &self.phase {
            return Ok(Reading::default());
        }
        let mut reading = self.read_bounds(snapshot, number)?;
        let keeps_older = match self.grown.take() {
            Some(side) => side == Side::Older,
            None => self.looks_at_older(),
        };
        if reading.is_cut && keeps_older {
            // So much came that the present window would be lost: it stays, and the new messages are behind it.
            self.bounds.to = self.newest_position();
            reading = self.read_bounds(snapshot, number)?;
        }
        if reading.items.len() > self.window_max() {
            self.cut(&reading, keeps_older);
            reading = self.read_bounds(snapshot, number)?;
        } else if reading.is_cut {
            self.bounds.from = lower(reading.items.iter());
            reading = self.read_bounds(snapshot, number)?;
        }
        if self.bounds.from.is_none() {
            self.bounds.from = lower(reading.items.iter());
        }
        if reading.newer == Beyond::End && self.bounds.to.take().is_some() {
            reading = self.read_bounds(snapshot, number)?;
        }
        Ok(reading)
    }

    fn read_bounds(
        &self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
    ) -> Result<Reading, StoreError> {
        let held = self.windows.newest().len();
        let expected = match self.bounds.from {
            Some(_) => held.max(self.page()),
            None => self.page(),
        };
        let most = self.window_max().saturating_add(widen(PAGE_MAX));
        let sizes = Sizes { expected, most };
        reading::read(snapshot, number, &self.bounds, sizes)
    }

    /// The newest message of the window that is shown.
    fn newest_position(&self) -> Option<Position> {
        let messages = self.windows.newest().iter().rev();
        messages.filter_map(|item| item.message()).find_map(|it| {
            let reference = it.reference.as_ref()?;
            Some(Position {
                sent_at: reference.sent_at,
                id: reference.id.clone(),
            })
        })
    }

    /// Moves an end, so that the window is a little smaller than it may be.
    fn cut(&mut self, reading: &Reading, keeps_older: bool) {
        let kept = self.window_max().saturating_sub(self.page() / 2).max(1);
        let over = reading.items.len().saturating_sub(kept);
        if keeps_older {
            let kept = reading.items.iter().take(kept).rev();
            let newest = kept.filter_map(position).next();
            self.bounds.to = newest.cloned().or_else(|| self.bounds.to.take());
        } else {
            let from = lower(reading.items.iter().skip(over));
            self.bounds.from = from.or_else(|| self.bounds.from.take());
        }
    }

    /// Begins to load, or joins the load that is under way; answers its number.
    pub fn begin(&mut self, side: Side, limit: u32) -> u64 {
        let limit = widen(limit.clamp(1, PAGE_MAX));
        let number = self.loads.begin(side, limit);
        self.show_again();
        number
    }

    /// The outcome of a load; none while the load is under way.
    #[must_use]
    pub fn outcome(&self, side: Side, number: u64) -> Option<Result<Loaded, FillFailure>> {
        let outcome = self.loads.outcome(side, number)?;
        Some(outcome.map(|added| Loaded {
            added,
            edge: self.edge(side),
        }))
    }

    /// The edge at a side.
    #[must_use]
    pub fn edge(&self, side: Side) -> TimelineEdge {
        match side {
            Side::Older => self.edge_of(side, &self.older),
            Side::Newer | Side::Start => self.edge_of(side, &self.newer),
            Side::Gap(key) if self.gaps.gap(key).is_some() => TimelineEdge::Missing {
                state: self.loads.state(side, self.is_online()),
            },
            Side::Gap(_) => TimelineEdge::End,
        }
    }

    /// The side of a gap in the window; none for any other key.
    #[must_use]
    pub fn gap_of(&self, key: &ItemKey) -> Option<Side> {
        match key {
            ItemKey::Gap(key) if self.gaps.gap(*key).is_some() => Some(Side::Gap(*key)),
            _ => None,
        }
    }

    /// The next wish.
    #[must_use]
    pub fn wish(&self) -> Option<Wish> {
        let due = self.loads.due(self.is_online());
        let load = due.min_by_key(|side| self.distance(*side)).map(Wish::Load);
        let read = self.read.wanted.map(|until| Wish::MarkRead { until });
        load.or(read)
    }

    /// The time up to which the conversation is to be marked read; none if it is not.
    #[must_use]
    pub const fn wants_read(&self) -> Option<Timestamp> {
        self.read.wanted
    }

    /// Notes that the conversation was asked to be marked read.
    pub fn marked_read(&mut self, until: Timestamp) {
        self.read.until = self.read.until.max(Some(until));
        self.read.wanted.take_if(|wanted| *wanted <= until);
    }
}

/// The place of a message that the service has.
fn position(item: &Stored) -> Option<&Position> {
    match item {
        Stored::Message { position, .. } => Some(position),
        Stored::Echo { .. } | Stored::Gap(_) => None,
    }
}

/// The beginning of a window with these items.
fn lower<'a>(mut items: impl Iterator<Item = &'a Stored>) -> Option<Lower> {
    let oldest = items.find_map(position)?;
    Some(Lower {
        position: oldest.clone(),
        with_gap: false,
    })
}

#[cfg(test)]
mod tests;

//! An open conversation on a screen: a window that pages, jumps and scrolls.

use std::collections::BTreeSet;

use sampan::model::{ConversationId, ItemKey};
use sampan::store::{Snapshot, StoreError};
use sampan::views::{
    Anchor, Dirty, Message, Next, Reach, Side, TimelineEdge, TimelineItem, TimelineItemKind,
    TimelineOptions, TimelineStart, TimelineState, TimelineView, Wish,
};

use crate::dice::{Dice, nth};

/// The items of a first window: fewer than a conversation has.
const PAGE: u32 = 6;

/// The most items of a window, so that it is cut at times.
const WINDOW_MAX: u32 = 30;

/// The most steps of one load, far more than any takes.
const STEPS_MAX: u32 = 10_000;

/// The window of a conversation, and the copy of its collector.
#[derive(Debug)]
pub(super) struct OpenTimeline {
    view: TimelineView,
    state: TimelineState,
    /// True if the view has to read, because its conversation was touched.
    is_dirty: bool,
}

impl Default for OpenTimeline {
    fn default() -> Self {
        Self {
            view: TimelineView::new(TimelineOptions {
                page: PAGE,
                window_max: WINDOW_MAX,
                ..TimelineOptions::default()
            }),
            state: TimelineState::default(),
            is_dirty: true,
        }
    }
}

impl OpenTimeline {
    /// Notes which conversations were touched. A view that knows its conversation waits for that one alone, as in
    /// an engine.
    pub(super) fn mark(&mut self, dirty: &Dirty) {
        self.is_dirty |= match (dirty, self.view.number()) {
            (Dirty::These(touched), Some(number)) => touched.contains(&number),
            (Dirty::Everything, _) | (_, None) => true,
        };
    }

    /// Takes the changes, as a collector does.
    pub(super) fn look(
        &mut self,
        snapshot: &Snapshot<'_>,
        id: &ConversationId,
    ) -> Result<(), StoreError> {
        if self.is_dirty {
            self.view.refresh(snapshot, id, Reach::Offline)?;
            self.is_dirty = false;
        }
        take(&self.view, &mut self.state);
        Ok(())
    }

    /// Does an action of a user. There is no service here: history stays missing until the device has fetched
    /// it.
    pub(super) fn act(
        &mut self,
        dice: &mut Dice,
        snapshot: &Snapshot<'_>,
        id: &ConversationId,
    ) -> Result<(), StoreError> {
        let limit = u32::try_from(dice.between(1, 12)).unwrap_or(1);
        match dice.below(8) {
            0..3 => {
                self.view.begin(Side::Older, limit);
            }
            3 => {
                self.view.begin(Side::Newer, limit);
            }
            4 => self.view.jump(TimelineStart::Newest),
            5 => self.view.jump(TimelineStart::FirstUnread),
            6 => self.jump_to_a_message(dice.number()),
            _ => {
                let first = nth(&self.state.items, dice.number());
                let last = nth(&self.state.items, dice.number());
                if let (Some(first), Some(last)) = (first, last) {
                    self.view.see(&first.key, &last.key);
                }
            }
        }
        load(&mut self.view, snapshot, id)
    }

    fn jump_to_a_message(&mut self, pick: u64) {
        let shown = self.state.items.iter().filter_map(TimelineItem::message);
        let shown: Vec<_> = shown.collect();
        if let Some(message) = nth(&shown, pick) {
            let message = message.key.clone();
            self.view.jump(TimelineStart::Message { message });
        }
    }

    /// The difference between the window and the same part of the whole conversation, read anew; none if they are
    /// equal.
    pub(super) fn difference(
        &self,
        snapshot: &Snapshot<'_>,
        id: &ConversationId,
    ) -> Result<Option<String>, StoreError> {
        let state = &self.state;
        let keys: BTreeSet<&ItemKey> = state.items.iter().map(|item| &item.key).collect();
        if keys.len() < state.items.len() {
            return Ok(Some(format!("{:?}, with a key twice", state.items)));
        }
        let shows_none = messages(state).iter().all(Option::is_none);
        if state.anchor == Anchor::Searching && shows_none {
            // A message that is not here is looked for, and nothing is shown meanwhile.
            return Ok(None);
        }
        let whole = whole(snapshot, id)?;
        let (shown, held) = (messages(state), messages(&whole));
        let mut places = 0..=held.len().saturating_sub(shown.len());
        let is_at_end = state.newer == TimelineEdge::End;
        let is_at_start = state.older == TimelineEdge::End;
        let found = shown.len() <= held.len()
            && places.any(|at| {
                let end = at.saturating_add(shown.len());
                held.get(at..end) == Some(shown.as_slice())
                    && (!is_at_end || end == held.len())
                    && (!is_at_start || at == 0)
            });
        Ok((!found).then(|| format!("{state:?}, which is no part of {held:?}")))
    }
}

/// Carries out a view's wishes, as far as the store has the messages.
fn load(
    view: &mut TimelineView,
    snapshot: &Snapshot<'_>,
    id: &ConversationId,
) -> Result<(), StoreError> {
    view.refresh(snapshot, id, Reach::Offline)?;
    for _ in 0..STEPS_MAX {
        match view.wish() {
            Some(Wish::Load(side)) => {
                let next = view.advance(side, snapshot, id, Reach::Offline)?;
                debug_assert_eq!(next, Next::Done, "nobody is asked without a session");
            }
            Some(Wish::MarkRead { until }) => view.marked_read(until),
            None => break,
        }
    }
    Ok(())
}

/// Everything of a conversation that is on the device.
fn whole(snapshot: &Snapshot<'_>, id: &ConversationId) -> Result<TimelineState, StoreError> {
    let mut view = TimelineView::new(TimelineOptions {
        page: 500,
        window_max: u32::MAX,
        ..TimelineOptions::default()
    });
    let mut state = TimelineState::default();
    load(&mut view, snapshot, id)?;
    take(&view, &mut state);
    for side in [Side::Older, Side::Newer] {
        let mut before = usize::MAX;
        // An edge at an end of the conversation says that nothing is behind it.
        while before != state.items.len() && *edge(&state, side) != TimelineEdge::End {
            before = state.items.len();
            view.begin(side, 500);
            load(&mut view, snapshot, id)?;
            take(&view, &mut state);
        }
    }
    Ok(state)
}

fn take(view: &TimelineView, state: &mut TimelineState) {
    if let Some(update) = view.update(state.version) {
        state.apply(update);
    }
}

const fn edge(state: &TimelineState, side: Side) -> &TimelineEdge {
    match side {
        Side::Older => &state.older,
        _ => &state.newer,
    }
}

/// The items of a timeline: a message, or none where history is missing. The keys of gaps are each view's own.
fn messages(state: &TimelineState) -> Vec<Option<&Message>> {
    let mut out = Vec::new();
    for item in &state.items {
        match &item.kind {
            TimelineItemKind::Message { message } => out.push(Some(message)),
            TimelineItemKind::Gap { .. } => out.push(None),
            TimelineItemKind::FirstUnread { .. } => {}
        }
    }
    out
}

//! The screens of an app that follows live views: they must equal a fresh view.

use std::collections::BTreeMap;
use std::sync::Arc;

use sampan::model::{CommitSeq, ConversationId};
use sampan::runtime::Touched;
use sampan::store::{Snapshot, Store, StoreError};
use sampan::views::{
    Dirty, Holds, ListOptions, ListState, ListView, Message, OutboxListState, OutboxView, Reach,
    TimelineItemKind, TimelineOptions, TimelineState, TimelineView,
};

/// The most conversations that are on a screen at a time.
const OPEN_MAX: usize = 4;

/// The views of one device, and the copy that a collector of each view made by the edits that it was given.
#[derive(Debug)]
pub(crate) struct Screens {
    list: (ListView, ListState),
    outbox: (OutboxView, OutboxListState),
    timelines: BTreeMap<ConversationId, (TimelineView, TimelineState)>,
    /// The changes that the list has not read yet.
    dirty: Dirty,
    /// The newest commit that the list was told of.
    told: CommitSeq,
}

impl Default for Screens {
    fn default() -> Self {
        Self {
            list: (ListView::new(ListOptions::default()), ListState::default()),
            outbox: Default::default(),
            timelines: BTreeMap::new(),
            dirty: Dirty::Everything,
            told: CommitSeq::default(),
        }
    }
}

impl Screens {
    /// Notes that a commit touched conversations.
    pub(crate) fn touched(&mut self, seq: CommitSeq, touched: &Touched) {
        self.told = self.told.max(seq);
        match (&mut self.dirty, touched) {
            (Dirty::These(all), Touched::These(more)) => all.extend(more),
            (dirty, Touched::Everything) => *dirty = Dirty::Everything,
            (Dirty::Everything, Touched::These(_)) | (_, Touched::Nothing) => {}
        }
    }

    /// The difference between the screens and a fresh view; none if they are equal.
    pub(crate) fn difference(&mut self, store: &Store) -> Option<String> {
        let snapshot = store.snapshot();
        let compared = self.look(&snapshot).and_then(|()| self.compare(&snapshot));
        // A store that can't be read shows nothing.
        compared.unwrap_or_default()
    }

    /// Takes the changes, as a collector does.
    fn look(&mut self, snapshot: &Snapshot<'_>) -> Result<(), StoreError> {
        let nothing = Dirty::These(std::collections::BTreeSet::new());
        let mut dirty = std::mem::replace(&mut self.dirty, nothing);
        if self.told < snapshot.seq() {
            // A commit that was not told of yet may have touched anything.
            dirty = Dirty::Everything;
        }
        let (view, rows) = &mut self.list;
        if let Err(error) = view.refresh(snapshot, &dirty, Reach::Offline) {
            self.dirty = Dirty::Everything;
            return Err(error);
        }
        if let Some(update) = view.update(rows.version) {
            rows.apply(update);
        }
        for row in &rows.rows {
            if self.timelines.len() < OPEN_MAX {
                self.timelines
                    .entry(row.conversation.clone())
                    .or_insert_with(|| {
                        let view = TimelineView::new(TimelineOptions::default());
                        (view, TimelineState::default())
                    });
            }
        }
        let (view, entries) = &mut self.outbox;
        view.refresh(snapshot, Reach::Offline, &Holds::default(), &Arc::default())?;
        if let Some(update) = view.update(entries.version) {
            entries.apply(update);
        }
        for (id, (view, state)) in &mut self.timelines {
            view.refresh(snapshot, id, Reach::Offline)?;
            if let Some(update) = view.update(state.version) {
                state.apply(update);
            }
        }
        Ok(())
    }

    fn compare(&self, snapshot: &Snapshot<'_>) -> Result<Option<String>, StoreError> {
        let mut fresh = Self::default();
        fresh.look(snapshot)?;
        let (shown, held) = (&self.list.1, &fresh.list.1);
        if (&shown.rows, shown.total) != (&held.rows, held.total) {
            return Ok(Some(format!(
                "the list {:?}, not {:?}",
                shown.rows, held.rows
            )));
        }
        let (shown, held) = (&self.outbox.1.rows, &fresh.outbox.1.rows);
        if shown != held {
            return Ok(Some(format!("the outbox {shown:?}, not {held:?}")));
        }
        for (id, (_, state)) in &self.timelines {
            let mut view = TimelineView::new(TimelineOptions::default());
            view.refresh(snapshot, id, Reach::Offline)?;
            let mut fresh = TimelineState::default();
            if let Some(update) = view.update(fresh.version) {
                fresh.apply(update);
            }
            let (shown, held) = (items(state), items(&fresh));
            // The one window may reach further back than the other.
            let both = shown.len().min(held.len());
            let (shown, held) = (newest(&shown, both), newest(&held, both));
            if shown != held {
                return Ok(Some(format!("{id} as {shown:?}, not {held:?}")));
            }
        }
        Ok(None)
    }
}

/// The items of a timeline: a message, or none where history is missing. The keys of gaps are each view's own.
fn items(state: &TimelineState) -> Vec<Option<&Message>> {
    let items = state.items.iter().map(|item| match &item.kind {
        TimelineItemKind::Message { message } => Some(message),
        TimelineItemKind::Gap { .. } | TimelineItemKind::FirstUnread { .. } => None,
    });
    items.collect()
}

fn newest<T>(items: &[T], count: usize) -> &[T] {
    items
        .get(items.len().saturating_sub(count)..)
        .unwrap_or_default()
}

//! The screens of an app that follows live views: they must equal fresh views.
//!
//! The app uses its screens as people do: it pages back and forth in conversations, jumps to messages, scrolls,
//! makes the list longer and changes its order. Windows of every kind are therefore followed through all events
//! of a device.

mod open;

use std::collections::BTreeMap;
use std::sync::Arc;

use sampan::model::{CommitSeq, ConversationId};
use sampan::runtime::Touched;
use sampan::store::{Snapshot, Store, StoreError};
use sampan::views::{
    ConversationFilter, ConversationOrder, Dirty, Holds, ListOptions, ListState, ListView,
    OutboxListState, OutboxView, Reach,
};

use self::open::OpenTimeline;
use crate::dice::Dice;

/// The most conversations that are on a screen at a time.
const OPEN_MAX: usize = 4;

/// The rows of the list at first: fewer than a device has.
const ROWS: u32 = 3;

/// The number of commits between two things that the user does.
const ACT_EVERY: u64 = 8;

/// The views of one device, and the copy that a collector of each view made by the edits that it was given.
#[derive(Debug)]
pub(crate) struct Screens {
    list: (ListView, ListState),
    options: ListOptions,
    outbox: (OutboxView, OutboxListState),
    timelines: BTreeMap<ConversationId, OpenTimeline>,
    /// The changes that the list has not read yet.
    dirty: Dirty,
    /// The newest commit that the list was told of.
    told: CommitSeq,
    /// The user's mind.
    dice: Dice,
    commits: u64,
}

impl Default for Screens {
    fn default() -> Self {
        let options = ListOptions {
            page: ROWS,
            ..ListOptions::default()
        };
        Self {
            list: (ListView::new(options.clone()), ListState::default()),
            options,
            outbox: Default::default(),
            timelines: BTreeMap::new(),
            dirty: Dirty::Everything,
            told: CommitSeq::default(),
            dice: Dice::stream(0, "screens"),
            commits: 0,
        }
    }
}

impl Screens {
    /// Notes that a commit touched conversations; now and then the user does something.
    pub(crate) fn touched(&mut self, seq: CommitSeq, touched: &Touched, store: Option<&Store>) {
        self.told = self.told.max(seq);
        match (&mut self.dirty, touched) {
            (Dirty::These(all), Touched::These(more)) => all.extend(more),
            (dirty, Touched::Everything) => *dirty = Dirty::Everything,
            (Dirty::Everything, Touched::These(_)) | (_, Touched::Nothing) => {}
        }
        self.commits = self.commits.wrapping_add(1);
        let acts = self.commits.is_multiple_of(ACT_EVERY);
        if let Some(store) = store.filter(|_| acts) {
            // A store that can't be read shows nothing.
            let _ = self.act(&store.snapshot());
        }
    }

    /// The difference between the screens and fresh views; none if they are equal.
    pub(crate) fn difference(&mut self, store: &Store) -> Option<String> {
        let snapshot = store.snapshot();
        let compared = self.look(&snapshot).and_then(|()| self.compare(&snapshot));
        // A store that can't be read shows nothing.
        compared.unwrap_or_default()
    }

    /// Does an action of a user, on the list or on an open conversation.
    fn act(&mut self, snapshot: &Snapshot<'_>) -> Result<(), StoreError> {
        self.look(snapshot)?;
        let chosen = usize::try_from(self.dice.below(6)).unwrap_or_default();
        match self.timelines.iter_mut().nth(chosen) {
            Some((id, open)) => open.act(&mut self.dice, snapshot, id)?,
            None if self.dice.chance(700) => {
                let more = u32::try_from(self.dice.between(1, 4)).unwrap_or(1);
                self.list.0.grow(more);
            }
            None => self.show_others(),
        }
        self.look(snapshot)
    }

    /// Another filter, or another order.
    fn show_others(&mut self) {
        let filter = match self.dice.below(4) {
            0 => Some(ConversationFilter::Unread),
            1 => Some(ConversationFilter::Muted),
            _ => None,
        };
        let order = match self.dice.below(4) {
            0 => ConversationOrder::UnreadFirst,
            1 => ConversationOrder::Name,
            2 => ConversationOrder::Created,
            _ => ConversationOrder::Activity,
        };
        self.options = ListOptions {
            filter,
            order: Some(order),
            page: ROWS,
        };
        self.list.0.show(self.options.clone());
        self.dirty = Dirty::Everything;
    }

    /// Takes the changes, as a collector does.
    fn look(&mut self, snapshot: &Snapshot<'_>) -> Result<(), StoreError> {
        let nothing = Dirty::These(std::collections::BTreeSet::new());
        let mut dirty = std::mem::replace(&mut self.dirty, nothing);
        if self.told < snapshot.seq() {
            // A commit that was not told of yet may have touched anything.
            dirty = Dirty::Everything;
        }
        for open in self.timelines.values_mut() {
            open.mark(&dirty);
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
                let id = row.conversation.clone();
                self.timelines.entry(id).or_default();
            }
        }
        let (view, entries) = &mut self.outbox;
        view.refresh(snapshot, Reach::Offline, &Holds::default(), &Arc::default())?;
        if let Some(update) = view.update(entries.version) {
            entries.apply(update);
        }
        for (id, open) in &mut self.timelines {
            open.look(snapshot, id)?;
        }
        Ok(())
    }

    fn compare(&self, snapshot: &Snapshot<'_>) -> Result<Option<String>, StoreError> {
        let shown = &self.list.1;
        let held = self.fresh_list(snapshot)?;
        let count = shown.rows.len();
        let is_whole = Some(shown.rows.as_slice()) == held.rows.get(..count)
            && shown.total == held.total
            && shown.more == (count < held.rows.len());
        if !is_whole {
            return Ok(Some(format!("the list {shown:?}, not {:?}", held.rows)));
        }
        let mut fresh = OutboxView::new();
        fresh.refresh(snapshot, Reach::Offline, &Holds::default(), &Arc::default())?;
        let mut held = OutboxListState::default();
        if let Some(update) = fresh.update(held.version) {
            held.apply(update);
        }
        let (shown, held) = (&self.outbox.1.rows, &held.rows);
        if shown != held {
            return Ok(Some(format!("the outbox {shown:?}, not {held:?}")));
        }
        for (id, open) in &self.timelines {
            if let Some(difference) = open.difference(snapshot, id)? {
                return Ok(Some(format!("{id} as {difference}")));
            }
        }
        Ok(None)
    }

    /// All that the list can show, read anew.
    fn fresh_list(&self, snapshot: &Snapshot<'_>) -> Result<ListState, StoreError> {
        let mut view = ListView::new(ListOptions {
            page: 500,
            ..self.options.clone()
        });
        view.refresh(snapshot, &Dirty::Everything, Reach::Offline)?;
        let mut state = ListState::default();
        if let Some(update) = view.update(state.version) {
            state.apply(update);
        }
        Ok(state)
    }
}

//! The loads of a view: calls in one direction share one load, and a wanted page waits for a session.

use std::collections::BTreeMap;

use crate::model::Count;

use super::{FillFailure, FillState};

/// The part of a conversation that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The part of the conversation before the window.
    Older,
    /// The part of the conversation behind the window.
    Newer,
    /// Missing history inside it, by its key.
    Gap(u64),
    /// The item that the window is to begin at.
    Start,
}

/// How many pages one load may bring that hold nothing visible.
const PAGES_MAX: u32 = 50;

/// The loads of one side, one after the other.
#[derive(Debug, Default)]
struct Loading {
    /// The load that is in progress, or waits for a session.
    wanted: Option<Wanted>,
    /// The number of loads that have ended.
    ended: u64,
    /// The failure of the last load, if it failed.
    failure: Option<FillFailure>,
    added: Count,
    /// True if the service had nothing more to give in this session.
    is_exhausted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    limit: usize,
    added: Count,
    pages: u32,
    is_asked: bool,
    /// True if the last page brought nothing new.
    is_dry: bool,
    /// True if nothing can be done without a session.
    is_postponed: bool,
}

impl Wanted {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            added: Count(0),
            pages: 0,
            is_asked: false,
            is_dry: false,
            is_postponed: false,
        }
    }
}

/// All loads of a view.
#[derive(Debug, Default)]
pub(super) struct Loads(BTreeMap<Side, Loading>);

impl Loads {
    /// Begins to load, or joins the load in progress; answers its number.
    pub(super) fn begin(&mut self, side: Side, limit: usize) -> u64 {
        let loading = self.0.entry(side).or_default();
        let wanted = loading.wanted.get_or_insert_with(|| Wanted::new(limit));
        wanted.is_postponed = false;
        loading.failure = None;
        loading.is_exhausted = false;
        loading.ended.saturating_add(1)
    }

    /// Begins to load a visible side, unless such a load failed or brought nothing in this session.
    pub(super) fn begin_seen(&mut self, side: Side, limit: usize) -> bool {
        let known = self.0.get(&side);
        let is_hopeless = known.is_some_and(|it| it.failure.is_some() || it.is_exhausted);
        let is_new = known.is_none_or(|it| it.wanted.is_none());
        if is_hopeless || !is_new {
            return false;
        }
        self.begin(side, limit);
        true
    }

    /// The sides whose loads can make progress.
    pub(super) fn due(&self, is_online: bool) -> impl Iterator<Item = Side> {
        let is_due = move |it: &Loading| {
            let wanted = it.wanted.as_ref();
            wanted.is_some_and(|it| is_online || !it.is_postponed)
        };
        let due = self.0.iter().filter(move |(_, it)| is_due(it));
        due.map(|(side, _)| *side)
    }

    /// The number of messages that a load is to bring.
    pub(super) fn limit(&self, side: Side) -> Option<usize> {
        Some(self.0.get(&side)?.wanted?.limit)
    }

    /// The outcome of the load with this number; none while it is in progress.
    pub(super) fn outcome(&self, side: Side, number: u64) -> Option<Result<Count, FillFailure>> {
        let loading = self.0.get(&side)?;
        if loading.ended < number {
            return None;
        }
        Some(match &loading.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(loading.added),
        })
    }

    /// Notes a request to the service for a page. False if the load has used up its requests.
    pub(super) fn ask(&mut self, side: Side) -> bool {
        let Some(wanted) = self.0.get_mut(&side).and_then(|it| it.wanted.as_mut()) else {
            return false;
        };
        wanted.pages += 1;
        wanted.is_asked = wanted.pages <= PAGES_MAX;
        wanted.is_asked
    }

    /// True if a load has asked the service already.
    pub(super) fn has_asked(&self, side: Side) -> bool {
        let wanted = self.0.get(&side).and_then(|it| it.wanted.as_ref());
        wanted.is_some_and(|wanted| wanted.pages > 0)
    }

    /// True if the last page brought nothing new.
    pub(super) fn is_dry(&self, side: Side) -> bool {
        let wanted = self.0.get(&side).and_then(|it| it.wanted.as_ref());
        wanted.is_some_and(|wanted| wanted.is_dry)
    }

    /// Notes that the page has come, and the number of its new messages.
    pub(super) fn answered(&mut self, side: Side, added: u32) {
        if let Some(wanted) = self.0.get_mut(&side).and_then(|it| it.wanted.as_mut()) {
            wanted.is_asked = false;
            wanted.is_dry = added == 0;
        }
    }

    /// Postpones a load until there is a session; its callers get the messages so far.
    pub(super) fn postpone(&mut self, side: Side) {
        if let Some(loading) = self.0.get_mut(&side)
            && let Some(wanted) = &mut loading.wanted
        {
            loading.ended += 1;
            loading.added = wanted.added;
            *wanted = Wanted {
                is_postponed: true,
                ..Wanted::new(wanted.limit)
            };
        }
    }

    /// Notes visible messages that came into the window; answers their number in this load.
    pub(super) fn add(&mut self, side: Side, count: usize) -> Count {
        let wanted = self.0.get_mut(&side).and_then(|it| it.wanted.as_mut());
        wanted.map_or(Count(0), |wanted| {
            let more = u64::try_from(count).unwrap_or(u64::MAX);
            wanted.added = Count(wanted.added.0.saturating_add(more));
            wanted.added
        })
    }

    /// Ends a load with success.
    pub(super) fn end(&mut self, side: Side) {
        self.end_with(side, None);
    }

    /// Ends a load because the service has nothing more to give now.
    pub(super) fn exhaust(&mut self, side: Side) {
        self.end_with(side, None);
        if let Some(loading) = self.0.get_mut(&side) {
            loading.is_exhausted = true;
        }
    }

    /// Ends a load because it failed.
    pub(super) fn fail(&mut self, side: Side, failure: FillFailure) {
        self.end_with(side, Some(failure));
    }

    fn end_with(&mut self, side: Side, failure: Option<FillFailure>) {
        if let Some(loading) = self.0.get_mut(&side)
            && let Some(wanted) = loading.wanted.take()
        {
            loading.ended += 1;
            loading.added = wanted.added;
            loading.failure = failure;
        }
    }

    /// A session opened: failed loads may be tried again.
    pub(super) fn forget_failures(&mut self) {
        for loading in self.0.values_mut() {
            loading.failure = None;
            loading.is_exhausted = false;
        }
    }

    /// The state of one side, as a screen shows it.
    pub(super) fn state(&self, side: Side, is_online: bool) -> FillState {
        let Some(loading) = self.0.get(&side) else {
            return FillState::Idle;
        };
        match (&loading.wanted, &loading.failure) {
            (Some(wanted), _) if is_online || wanted.is_asked => FillState::Loading,
            (Some(_), _) => FillState::Waiting,
            (None, Some(cause)) => FillState::Failed {
                cause: cause.clone(),
            },
            (None, None) => FillState::Idle,
        }
    }

    /// Forgets all loads, because the window is another one.
    pub(super) fn forget(&mut self) {
        for side in self.0.keys().copied().collect::<Vec<_>>() {
            self.end(side);
        }
        self.forget_failures();
    }

    /// Forgets gaps that no longer exist.
    pub(super) fn keep_gaps(&mut self, is_there: impl Fn(u64) -> bool) {
        for (side, loading) in &mut self.0 {
            let is_gone = matches!(side, Side::Gap(key) if !is_there(*key));
            if is_gone && let Some(wanted) = loading.wanted.take() {
                loading.ended += 1;
                loading.added = wanted.added;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_at_the_same_time_in_one_direction_are_one() {
        let mut loads = Loads::default();
        let one = loads.begin(Side::Older, 20);
        assert_eq!(loads.begin(Side::Older, 50), one);
        assert!(loads.due(true).eq([Side::Older]));
        loads.add(Side::Older, 20);
        assert_eq!(loads.outcome(Side::Older, one), None);
        loads.end(Side::Older);
        assert_eq!(loads.outcome(Side::Older, one), Some(Ok(Count(20))));
        assert_eq!(
            loads.due(true).count(),
            0,
            "the second call asked for nothing more"
        );
        assert_ne!(
            loads.begin(Side::Older, 20),
            one,
            "the next one is another load"
        );
    }

    #[test]
    fn what_is_postponed_goes_on_with_a_session_and_not_before() {
        let mut loads = Loads::default();
        let number = loads.begin(Side::Gap(1), 20);
        loads.postpone(Side::Gap(1));
        assert_eq!(loads.outcome(Side::Gap(1), number), Some(Ok(Count(0))));
        assert_eq!(loads.state(Side::Gap(1), false), FillState::Waiting);
        assert_eq!(loads.due(false).count(), 0);
        assert!(loads.due(true).eq([Side::Gap(1)]));
    }
}

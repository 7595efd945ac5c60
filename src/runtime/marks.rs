//! What those wait for who watch a store: a flag that each commit raises.
//!
//! A commit costs the loop a flag for each conversation in it that somebody watches, however slow they
//! are. Whoever is woken reads the store again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::store::ConversationNumber;

/// What a change of the store concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Touched {
    /// There was none.
    #[default]
    Nothing,
    /// These conversations, and what is summed up over all.
    These(BTreeSet<ConversationNumber>),
    /// Any of them.
    Everything,
}

/// The flags of one client's store.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    any: Flag,
    conversations: Mutex<BTreeMap<ConversationNumber, Flag>>,
}

/// A count of changes, to be waited for.
type Flag = watch::Sender<u64>;

impl Marks {
    /// Raises the flags of what was touched.
    pub(super) fn raise(&self, touched: &Touched) {
        let mut flags = self.flags();
        // Nobody watches these any more.
        flags.retain(|_, flag| flag.receiver_count() > 0);
        match touched {
            Touched::Nothing => return,
            Touched::These(numbers) => {
                let watched = numbers.iter().filter_map(|number| flags.get(number));
                watched.for_each(raise);
            }
            Touched::Everything => flags.values().for_each(raise),
        }
        drop(flags);
        raise(&self.any);
    }

    /// All changes from now on, and the end.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.any.subscribe()
    }

    /// Changes of one conversation from now on, and the end.
    pub(super) fn watch_conversation(&self, number: ConversationNumber) -> watch::Receiver<u64> {
        self.flags().entry(number).or_default().subscribe()
    }

    fn flags(&self) -> MutexGuard<'_, BTreeMap<ConversationNumber, Flag>> {
        // The sections under this lock run no code of the app.
        let flags = self.conversations.lock();
        flags.unwrap_or_else(PoisonError::into_inner)
    }
}

fn raise(flag: &Flag) {
    flag.send_modify(|count| *count = count.wrapping_add(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_raises_the_flags_of_its_conversations_and_no_others() {
        let marks = Marks::default();
        let [one, two] = [1, 2].map(ConversationNumber);
        let (mut first, mut second) =
            (marks.watch_conversation(one), marks.watch_conversation(two));
        let mut any = marks.watch();
        marks.raise(&Touched::These([one].into()));
        assert!(first.has_changed().unwrap() && any.has_changed().unwrap());
        assert!(!second.has_changed().unwrap());
        first.mark_unchanged();
        any.mark_unchanged();
        marks.raise(&Touched::Nothing);
        assert!(!first.has_changed().unwrap() && !any.has_changed().unwrap());
        marks.raise(&Touched::Everything);
        assert!(first.has_changed().unwrap() && second.has_changed().unwrap());
        second.mark_unchanged();
        drop(second);
        marks.raise(&Touched::Nothing);
        assert_eq!(marks.flags().len(), 1, "what nobody watches is forgotten");
    }
}

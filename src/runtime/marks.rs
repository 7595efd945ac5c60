//! [`Marks`]: flags that each commit sets for the watchers of a store.
//!
//! A commit costs the loop one flag for each watched conversation in it, however slow the watchers are. A
//! watcher that is woken reads the store again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::watch;

use crate::model::CommitSeq;
use crate::store::ConversationNumber;
use crate::views::Dirty;

/// The conversations that a change of the store concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Touched {
    /// None: the store did not change.
    #[default]
    Nothing,
    /// The conversations that changed, and the sums over all.
    These(BTreeSet<ConversationNumber>),
    /// Any of them.
    Everything,
}

/// The flags of one client's store.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    any: Flag,
    conversations: Mutex<BTreeMap<ConversationNumber, Flag>>,
    lists: Mutex<Vec<Weak<Unread>>>,
}

/// The conversations that a list has not read yet, however many commits touched them.
#[derive(Debug, Default)]
pub(super) struct Unread(Mutex<(Dirty, CommitSeq)>);

/// A count of changes, to be waited for.
type Flag = watch::Sender<u64>;

impl Marks {
    /// Raises the flags of the touched conversations.
    pub(super) fn raise(&self, seq: CommitSeq, touched: &Touched) {
        locked(&self.lists).retain(|list| {
            let list = list.upgrade();
            list.is_some_and(|list| list.note(seq, touched))
        });
        let mut flags = self.flags();
        // These views were dropped.
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

    /// Collects touched conversations from now on.
    pub(super) fn collect(&self) -> Arc<Unread> {
        let unread = Arc::default();
        locked(&self.lists).push(Arc::downgrade(&unread));
        unread
    }

    fn flags(&self) -> MutexGuard<'_, BTreeMap<ConversationNumber, Flag>> {
        locked(&self.conversations)
    }
}

impl Unread {
    /// Notes a commit. Always true: it is still collected.
    fn note(&self, seq: CommitSeq, touched: &Touched) -> bool {
        let mut unread = locked(&self.0);
        unread.1 = unread.1.max(seq);
        match (&mut unread.0, touched) {
            (Dirty::These(all), Touched::These(more)) => all.extend(more),
            (dirty, Touched::Everything) => *dirty = Dirty::Everything,
            (Dirty::Everything, Touched::These(_)) | (_, Touched::Nothing) => {}
        }
        true
    }

    /// Takes the conversations that were touched up to the commit of a snapshot. A commit that was not reported
    /// yet may have touched any.
    pub(super) fn take(&self, seq: CommitSeq) -> Dirty {
        let mut unread = locked(&self.0);
        let dirty = std::mem::replace(&mut unread.0, Dirty::These(BTreeSet::new()));
        if unread.1 < seq {
            Dirty::Everything
        } else {
            dirty
        }
    }

    /// The changes that were taken could not be read: the list reads everything next time.
    pub(super) fn forget(&self) {
        locked(&self.0).0 = Dirty::Everything;
    }
}

/// The sections under these locks run no code of the app.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        marks.raise(CommitSeq(1), &Touched::These([one].into()));
        assert!(first.has_changed().unwrap() && any.has_changed().unwrap());
        assert!(!second.has_changed().unwrap());
        first.mark_unchanged();
        any.mark_unchanged();
        marks.raise(CommitSeq(1), &Touched::Nothing);
        assert!(!first.has_changed().unwrap() && !any.has_changed().unwrap());
        marks.raise(CommitSeq(1), &Touched::Everything);
        assert!(first.has_changed().unwrap() && second.has_changed().unwrap());
        second.mark_unchanged();
        drop(second);
        marks.raise(CommitSeq(1), &Touched::Nothing);
        assert_eq!(marks.flags().len(), 1, "what nobody watches is forgotten");
    }

    #[test]
    fn a_list_reads_what_was_touched_and_everything_after_a_commit_that_was_not_told_of() {
        let marks = Marks::default();
        let unread = marks.collect();
        assert_eq!(
            unread.take(CommitSeq(0)),
            Dirty::Everything,
            "it has read nothing"
        );
        let [one, two] = [1, 2].map(ConversationNumber);
        marks.raise(CommitSeq(1), &Touched::These([one].into()));
        marks.raise(CommitSeq(2), &Touched::These([two].into()));
        assert_eq!(unread.take(CommitSeq(2)), Dirty::These([one, two].into()));
        assert_eq!(unread.take(CommitSeq(2)), Dirty::These(BTreeSet::new()));
        assert_eq!(unread.take(CommitSeq(3)), Dirty::Everything);
        drop(unread);
        marks.raise(CommitSeq(3), &Touched::Everything);
        assert!(locked(&marks.lists).is_empty(), "nobody reads it any more");
    }
}

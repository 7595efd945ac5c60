//! The numbers of commits.

/// The number of a commit in one client's store: it grows by one with each commit.
///
/// Events name their commit. A read with the same or a later number shows the effect of the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitSeq(pub u64);

//! The numbers of commits.

/// The number of a commit in one client's store: it grows by one with each commit.
///
/// Events name the commit they come from; a read that shows a later number shows their effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitSeq(pub u64);

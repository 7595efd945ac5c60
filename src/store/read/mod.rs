//! Reads: a store as its last commit left it.

pub(super) mod items;
pub(super) mod messages;
pub(super) mod packs;
pub(super) mod read_ahead;
pub(super) mod snapshot;
pub(super) mod store;
pub(super) mod tail;
pub(super) mod timeline;

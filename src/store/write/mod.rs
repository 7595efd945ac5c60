//! Writes: from the requests of machines to the bytes of a commit.

pub(super) mod change;
pub(super) mod commit;
pub(super) mod durability;
pub(super) mod encode;
pub(super) mod join;
pub(super) mod links;
pub(super) mod overlay;
pub(super) mod pack_changes;
pub(super) mod packs_of_batch;
pub(super) mod packs_of_conversation;
pub(super) mod seal;

//! The store's content as plain values: positions, conversations, messages, outbox entries, batches.

pub(super) mod batch;
pub(super) mod conversation;
pub(super) mod entry;
pub(super) mod link;
pub(super) mod members;
pub(super) mod message;
pub(super) mod origin;
pub(super) mod position;

//! The packs that were read or written last, in memory.

use std::sync::Arc;

use crate::store::format::conversation_value::Tail;
use crate::store::format::pack::Pack;
use crate::store::state::cache::Cache;
use crate::store::state::read_ahead::ReadAhead;
use crate::store::types::position::ConversationNumber;

/// How much of packs is kept in memory, in parts of the tree's cache: of tails 4 MiB beside 16 MiB,
/// those of a thousand conversations that messages come to; of sealed ones 2 MiB; and 512 KiB ahead of
/// whoever pages back. Hot packs are as quick to read as to look up.
const TAIL_SHARE: u64 = 8;

const SEALED_SHARE: u64 = 4;

const AHEAD_SHARE: u64 = 1;

/// Packs as they were read or written last.
#[derive(Debug)]
pub(crate) struct PackCache {
    /// The tails, which grow and are read first; none for a conversation that has no tail.
    tails: Cache<ConversationNumber, Option<Tail>>,
    /// Sealed packs, expanded, by key.
    pub(crate) sealed: Cache<Vec<u8>, Arc<Pack>>,
    /// Sealed packs in their form in the tree, for a reader that pages back.
    pub(crate) ahead: ReadAhead,
}

impl PackCache {
    /// A cache with its shares of a cache of this many bytes.
    pub(crate) fn new(cache_bytes: u64) -> Self {
        Self {
            tails: Cache::sharing(cache_bytes, TAIL_SHARE),
            sealed: Cache::sharing(cache_bytes, SEALED_SHARE),
            ahead: ReadAhead::sharing(cache_bytes, AHEAD_SHARE),
        }
    }

    /// A conversation's tail, if it is known whether there is one.
    pub(crate) fn tail(&self, number: ConversationNumber) -> Option<Option<Tail>> {
        self.tails.value(&number)
    }

    /// Takes note of a tail, or that there is none.
    pub(crate) fn put_tail(&self, number: ConversationNumber, tail: Option<Tail>) {
        let cost = tail.as_ref().map_or(100, Tail::cost);
        self.tails.put(number, tail, cost);
    }

    /// Takes note of a change: the pack of a key was written, or removed.
    pub(crate) fn forget(&self, key: &[u8]) {
        self.sealed.remove(key);
        self.ahead.forget(key);
    }

    /// Takes note that nothing is known of a tail any more.
    #[cfg(test)]
    pub(crate) fn forget_tail(&self, number: ConversationNumber) {
        self.tails.remove(&number);
    }
}

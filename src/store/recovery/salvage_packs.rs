//! Packs out of damaged files: each message comes from the newest whole pack that covers it.
//!
//! A raw scan finds packs of many commits, because the files keep old versions for a while: packs that grew
//! later, were split or were sealed. The found packs are put on a shelf of the new tree, of each key the
//! newest. They are processed in order. Where packs overlap, the newest decides about every message between
//! its first and its last. A message in that range that the newest pack does not have was removed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use crate::store::error::StoreError;
use crate::store::format::codec::Codec;
use crate::store::format::frame::{self, OpenedFrame};
use crate::store::format::key;
use crate::store::format::pack::Pack;
use crate::store::format::pack_layout::{Linked, lay};
use crate::store::tree::{Direction, Kv, KvBatch, apply, remove_all};
use crate::store::types::conversation::Held;
use crate::store::types::position::{ConversationNumber, Position};

/// The tag of the shelf; no store that opened has it.
const SHELF: u8 = b'y';

/// How many messages are gathered before they are put into packs.
const AT_ONCE: usize = 256;

/// The key on the shelf for a found pack of a key.
pub(crate) fn staged(key: &[u8]) -> Vec<u8> {
    let mut staged = key.to_vec();
    if let Some(tag) = staged.first_mut() {
        *tag = SHELF;
    }
    staged
}

/// The content of the packs now.
#[derive(Debug, Default)]
pub(crate) struct Repacked {
    pub(crate) held: BTreeMap<ConversationNumber, Held>,
    /// Messages whose conversation nobody knows; they are dropped.
    pub(crate) orphans: u64,
}

/// Empties the shelf into packs.
pub(crate) fn repack(
    tree: &dyn Kv,
    codec: &Codec,
    seq: u64,
    known: &BTreeSet<ConversationNumber>,
) -> Result<Repacked, StoreError> {
    let mut shelf = Shelf {
        tree,
        codec,
        seq,
        known,
        repacked: Repacked::default(),
        window: Window::default(),
    };
    let mut taken = vec![SHELF];
    while let Some((key, opened)) = next_staged(tree, codec, &taken)? {
        taken = key;
        let Some(opened) = opened else { continue };
        let number = key::parse_pack(&opened.key);
        let pack = Pack::decode(opened.payload, &codec.compressor);
        if let (Ok(number), Ok(pack)) = (number, pack) {
            shelf.add(number, &opened.key, (opened.seq, pack))?;
        }
    }
    shelf.finish()?;
    remove_all(tree, &[SHELF])?;
    Ok(shelf.repacked)
}

/// A key of the shelf and its frame; none in its place if that does not open any more.
type Staged = (Vec<u8>, Option<OpenedFrame>);

/// The next frame behind a key on the shelf.
fn next_staged(tree: &dyn Kv, codec: &Codec, taken: &[u8]) -> Result<Option<Staged>, StoreError> {
    let end = key::after_prefix(&[SHELF]).unwrap_or_default();
    let range = (Bound::Excluded(taken), Bound::Excluded(&end[..]));
    let mut found = None;
    tree.scan(range, Direction::Forward, &mut |key, value| {
        let opened = frame::open_first(value, codec.frame_context());
        found = Some((key.to_vec(), opened.ok().map(|(opened, _)| opened)));
        ControlFlow::Break(())
    })?;
    Ok(found)
}

struct Shelf<'a> {
    tree: &'a dyn Kv,
    codec: &'a Codec,
    seq: u64,
    known: &'a BTreeSet<ConversationNumber>,
    repacked: Repacked,
    window: Window,
}

/// Packs of one conversation that overlap, and messages that wait for more.
#[derive(Default)]
struct Window {
    number: Option<ConversationNumber>,
    /// Each with its commit.
    packs: Vec<(u64, Pack)>,
    /// The last message of any of them.
    end: Option<Position>,
    waiting: Vec<Linked>,
    /// The last message that was put into a pack.
    laid: Option<Position>,
}

impl Shelf<'_> {
    /// Takes the next pack of the shelf, in the order of keys.
    fn add(
        &mut self,
        number: ConversationNumber,
        key: &[u8],
        pack: (u64, Pack),
    ) -> Result<(), StoreError> {
        if self.window.number != Some(number) {
            self.finish()?;
            self.window = Window::default();
            self.window.number = Some(number);
        }
        let end = self.window.end.as_ref();
        let end = end.map(|end| key::among_packs(number, end));
        if end.is_some_and(|end| key::range_of(&end) < key::range_of(key)) {
            self.close()?;
        }
        let last = pack.1.last().cloned();
        self.window.end = self.window.end.take().max(last);
        self.window.packs.push(pack);
        Ok(())
    }

    /// Decides the messages of the window's packs, because no later pack overlaps with them.
    fn close(&mut self) -> Result<(), StoreError> {
        let mut packs = std::mem::take(&mut self.window.packs);
        self.window.end = None;
        packs.sort_by_key(|(seq, pack)| std::cmp::Reverse((*seq, pack.form)));
        let mut settled: BTreeMap<Position, Linked> = BTreeMap::new();
        let mut spoken: Vec<(Position, Position)> = Vec::new();
        for (_, pack) in packs {
            let ends = pack.slots.first().zip(pack.slots.last());
            let ends = ends.map(|(first, last)| (first.position.clone(), last.position.clone()));
            let mut older = pack.older;
            for slot in pack.slots {
                let link = crate::store::types::link::link(&slot.position);
                let at = &slot.position;
                if !spoken.iter().any(|(first, last)| first <= at && at <= last) {
                    settled.insert(at.clone(), (slot, older));
                }
                older = Some(link);
            }
            spoken.extend(ends);
        }
        self.window.waiting.extend(settled.into_values());
        if self.window.waiting.len() >= AT_ONCE {
            self.lay()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), StoreError> {
        self.close()?;
        self.lay()
    }

    /// Puts the waiting messages into packs, if their conversation is known.
    fn lay(&mut self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.window.waiting);
        let (Some(number), Some((last, _))) = (self.window.number, waiting.last()) else {
            return Ok(());
        };
        let last = last.position.clone();
        let many = waiting.len();
        if !self.known.contains(&number) {
            let many = u64::try_from(many).unwrap_or(u64::MAX);
            self.repacked.orphans += many;
            return Ok(());
        }
        let held = self.repacked.held.entry(number).or_default();
        let many = u32::try_from(many).unwrap_or(u32::MAX);
        held.count = held.count.saturating_add(many);
        held.newest = Some(last.clone());
        let mut batch = KvBatch::default();
        let before = self.window.laid.replace(last);
        for (key, payload) in lay(number, before.as_ref(), waiting, &self.codec.compressor)? {
            let value = self.codec.frame(&key, &payload, self.seq)?;
            batch.put(key, value);
        }
        apply(self.tree, &batch)
    }
}

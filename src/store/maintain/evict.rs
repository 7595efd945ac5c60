//! Eviction: under a budget, the oldest sealed packs are removed, and a recorded gap takes their place.
//!
//! The oldest packs over all conversations go first. Some messages stay: those in hot packs and tails, so
//! everything of the outbox; the newest messages of each conversation, as many as a page shows; those of
//! conversations in view; unread ones that mention the client. An eviction is a commit with a number of its
//! own, but observers get no event for it: visible messages stay right, and a reader finds a gap, which the
//! service fills.
//!
//! The packs' keys alone tell their age. A *front* is the oldest pack of a conversation that may be evicted.
//! A walk over all conversations, some at a time, gathers the oldest fronts.

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use crate::model::{ConversationId, Timestamp};
use crate::store::error::StoreError;
use crate::store::format::key::{self, Tag};
use crate::store::format::pack::{Form, Pack};
use crate::store::read::packs::KeyedPack;
use crate::store::read::snapshot::Snapshot;
use crate::store::read::store::Store;
use crate::store::tree::Direction;
use crate::store::types::batch::Batch;
use crate::store::types::conversation::ConversationRow;
use crate::store::types::position::{ConversationNumber, Position};
use crate::store::write::overlay::Overlay;

/// The newest messages of a conversation that stay: more than a screen shows.
pub(crate) const KEPT: usize = 64;

/// How many fronts are remembered.
const FRONTS_MAX: usize = 1_024;

/// How many conversations a step of the walk looks at.
const WALK: u32 = 256;

/// How many packs a step evicts: a few milliseconds.
const PACKS_AT_ONCE: usize = 16;

/// How many packs a step looks at: a few milliseconds.
const LOOKS_AT_ONCE: usize = 48;

/// Finds the next packs to go.
#[derive(Debug, Default)]
pub(crate) struct Evictor {
    pass: Option<Pass>,
}

/// The outcome of a step of eviction.
#[derive(Debug)]
pub(crate) enum Eviction {
    /// Nothing yet.
    Looking,
    /// These writes take messages away, so many bytes of them.
    Evicted {
        /// The writes.
        batch: Box<Batch>,
        /// The bytes.
        bytes: u64,
    },
    /// Nothing is left that may go.
    Nothing,
}

/// One walk over all conversations, with its findings.
#[derive(Debug, Default)]
struct Pass {
    /// The conversation that the walk looks at next; none when it has seen all.
    walk: Option<ConversationNumber>,
    fronts: BTreeSet<Front>,
    /// Only fronts behind this are looked for: those before may not go.
    from: Option<Age>,
    /// The oldest front that there was no room for.
    beyond: Option<Age>,
    /// True if anything was found that may go.
    evicted: bool,
}

type Age = (Timestamp, ConversationNumber);

/// The oldest pack of a conversation that may still go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Front {
    age: Age,
    key: Vec<u8>,
    /// The message before it that stays.
    before: Option<Position>,
    /// True if the front was found by going on from another one, in the same step.
    fresh: bool,
}

impl Evictor {
    /// Looks a little further, or gives writes that evict some packs.
    pub(crate) fn step(
        &mut self,
        store: &Store,
        in_view: &[ConversationId],
    ) -> Result<Eviction, StoreError> {
        let pass = self.pass.get_or_insert_with(|| Pass::new(None));
        if let Some(number) = pass.walk {
            pass.walk = walk(&store.snapshot(), number, pass)?;
            return Ok(Eviction::Looking);
        }
        if pass.fronts.is_empty() {
            let next = match pass.beyond {
                None => None,
                Some(_) if pass.evicted => Some(Pass::new(None)),
                Some(beyond) => Some(Pass::new(Some(beyond))),
            };
            self.pass = next;
            return Ok(match self.pass {
                Some(_) => Eviction::Looking,
                None => Eviction::Nothing,
            });
        }
        let mut step = EvictionStep {
            in_view,
            overlay: Overlay::new(store),
            bytes: 0,
            packs: 0,
        };
        step.evict(pass)?;
        if step.packs == 0 {
            return Ok(Eviction::Looking);
        }
        pass.evicted = true;
        Ok(Eviction::Evicted {
            batch: Box::new(step.overlay.into_batch()),
            bytes: step.bytes,
        })
    }
}

impl Pass {
    fn new(from: Option<Age>) -> Self {
        Self {
            walk: Some(ConversationNumber(0)),
            from,
            ..Self::default()
        }
    }

    /// Remembers a front, unless there are enough that are older.
    fn add(&mut self, front: Front) {
        if self.from.is_some_and(|from| front.age < from) {
            return;
        }
        if self.beyond.is_some_and(|beyond| front.age >= beyond) {
            return;
        }
        self.fronts.insert(front);
        if self.fronts.len() > FRONTS_MAX
            && let Some(last) = self.fronts.pop_last()
        {
            self.beyond = Some(last.age);
        }
    }
}

/// Looks at some conversations; gives where to go on.
fn walk(
    stored: &Snapshot<'_>,
    first: ConversationNumber,
    pass: &mut Pass,
) -> Result<Option<ConversationNumber>, StoreError> {
    let mut number = first;
    for _ in 0..WALK {
        let from = key::packs_of(Form::Sealed, number);
        let mut keys: Vec<Vec<u8>> = Vec::new();
        stored.scan(
            Tag::Pack,
            Bound::Included(&from),
            Bound::Unbounded,
            Direction::Forward,
            &mut |key, _| {
                keys.push(key.to_vec());
                if keys.len() < 2 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )?;
        let mut keys = keys.into_iter();
        let Some(key) = keys.next() else {
            return Ok(None);
        };
        let Ok(found) = key::parse_pack(&key) else {
            return Ok(None);
        };
        // A conversation of one pack has its newest messages in it.
        let next = keys
            .next()
            .filter(|next| key::parse_pack(next) == Ok(found));
        if let Some(time) = next.as_deref().and_then(key::pack_time) {
            pass.add(Front {
                age: (time, found),
                key,
                before: None,
                fresh: false,
            });
        }
        match found.0.checked_add(1) {
            Some(next) => number = ConversationNumber(next),
            None => return Ok(None),
        }
    }
    Ok(Some(number))
}

/// A step that evicts.
struct EvictionStep<'a, 's> {
    in_view: &'a [ConversationId],
    overlay: Overlay<'s>,
    bytes: u64,
    packs: usize,
}

impl EvictionStep<'_, '_> {
    fn evict(&mut self, pass: &mut Pass) -> Result<(), StoreError> {
        for _ in 0..LOOKS_AT_ONCE {
            if self.packs >= PACKS_AT_ONCE {
                break;
            }
            let Some(front) = pass.fronts.pop_first() else {
                break;
            };
            if let Some(next) = self.consider(front)? {
                pass.add(next);
            }
        }
        // The writes of the step are committed before the next one: nothing is taken on trust then.
        let fronts = std::mem::take(&mut pass.fronts);
        let stale = |front| Front {
            fresh: false,
            ..front
        };
        pass.fronts = fronts.into_iter().map(stale).collect();
        Ok(())
    }

    /// Evicts a pack if it may go; gives the front behind it.
    fn consider(&mut self, front: Front) -> Result<Option<Front>, StoreError> {
        let number = front.age.1;
        let snapshot = self.overlay.snapshot();
        let Some(row) = snapshot.conversation(number)? else {
            return Ok(None);
        };
        let is_viewed = |id: &ConversationId| *id == row.id || Some(id) == row.local_id.as_ref();
        if self.in_view.iter().any(is_viewed) || !is_still_first(&snapshot, number, &front)? {
            return Ok(None);
        }
        let run = run(&snapshot, number, &front.key)?;
        let mut behind = run.iter().skip(1);
        let (Some(first), Some(second)) = (run.first(), behind.clone().next()) else {
            return Ok(None);
        };
        let newer: usize = behind.by_ref().map(count).sum();
        if first.key != front.key || newer < KEPT {
            return Ok(None);
        }
        let next = |before| {
            Some(Front {
                age: (key::pack_time(&second.key).unwrap_or(front.age.0), number),
                key: second.key.to_vec(),
                before,
                fresh: true,
            })
        };
        let Some(pack) = &first.pack else {
            // A damaged pack: its messages are missing anyway.
            return Ok(next(front.before));
        };
        if pack.form != Form::Sealed {
            return Ok(None);
        }
        if holds_unread_mention(&snapshot, &row, pack) {
            return Ok(next(pack.last().cloned()));
        }
        let value = snapshot.tables.value(&front.key)?;
        let value = value.map_or(0, |value| value.len().saturating_add(front.key.len()));
        let after = run.iter().skip(1).find_map(|keyed| keyed.pack.as_ref());
        let after = after.and_then(|pack| pack.slots.first());
        let after = after.map(|slot| slot.position.clone());
        drop(snapshot);
        for slot in &pack.slots {
            self.overlay.remove_message(number, &slot.position)?;
        }
        self.overlay.update_conversation(number, |row| {
            let end = row.history.end();
            row.history.forget(front.before.as_ref(), after.as_ref());
            row.history.set_end(end);
        })?;
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        self.bytes += value;
        self.packs += 1;
        Ok(next(front.before))
    }
}

/// True if nothing came before a front since it was found.
fn is_still_first(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
    front: &Front,
) -> Result<bool, StoreError> {
    if front.fresh {
        return Ok(true);
    }
    let from = Bound::Excluded(front.key.as_slice());
    let before = stored.first_pack(number, from, Direction::Backward)?;
    let last = before
        .as_ref()
        .and_then(|keyed| keyed.pack.as_ref()?.last());
    Ok(match &front.before {
        None => before.is_none(),
        Some(before) => last == Some(before),
    })
}

/// A pack and those behind it, as far as they matter.
fn run(
    stored: &Snapshot<'_>,
    number: ConversationNumber,
    key: &[u8],
) -> Result<Vec<KeyedPack>, StoreError> {
    let mut run: Vec<KeyedPack> = Vec::new();
    let mut newer = 0_usize;
    let from = Bound::Included(key);
    stored.visit_packs(number, from, Direction::Forward, &mut |keyed| {
        if !run.is_empty() {
            newer += count(&keyed);
        }
        run.push(keyed);
        if newer < KEPT {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(run)
}

fn count(keyed: &KeyedPack) -> usize {
    keyed.pack.as_ref().map_or(0, |pack| pack.slots.len())
}

fn holds_unread_mention(stored: &Snapshot<'_>, row: &ConversationRow, pack: &Pack) -> bool {
    if !row.unread.mentioned {
        return false;
    }
    let owner = stored.owner();
    let is_unread = |position: &Position| {
        let mark = row.read_until_self;
        mark.is_none_or(|mark| position.sent_at > mark)
    };
    let slots = pack.slots.iter().enumerate();
    let mut unread = slots.filter(|(_, slot)| is_unread(&slot.position));
    unread.any(|(index, _)| {
        let message = pack.message(index, &[]);
        message.is_ok_and(|message| message.counts_for(owner) && message.mentions(owner))
    })
}

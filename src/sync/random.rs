//! A seeded source of chance: jitter and ids come from this source, so a run can be repeated.

use std::fmt;

use crate::model::{ConversationId, LocalId};
use crate::splitmix;

/// A seeded source of chance (xoshiro256**).
///
/// It is for spreading load and for ids that must not meet by accident; it is not for secrets. The
/// runtime seeds it from the system's entropy, a test from a number.
#[derive(Clone)]
pub struct Randomness {
    state: [u64; 4],
}

impl Randomness {
    /// A source that starts from 32 bytes of entropy.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        let mut words = seed.chunks_exact(8).map(|chunk| {
            chunk
                .iter()
                .fold(0_u64, |word, byte| (word << 8) | u64::from(*byte))
        });
        let mut state = [0; 4];
        for place in &mut state {
            *place = words.next().unwrap_or_default();
        }
        Self::of_state(state)
    }

    /// A source that starts from one number, for tests and simulations.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        // SplitMix64 spreads the number over the whole state, as the generator's authors advise.
        let mut mixer = seed;
        Self::of_state(std::array::from_fn(|_| splitmix::next(&mut mixer)))
    }

    fn of_state(state: [u64; 4]) -> Self {
        // The generator cannot leave the all-zero state.
        let state = if state == [0; 4] { [1, 2, 3, 4] } else { state };
        Self { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number from 0 up to but not including `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of a product spreads evenly enough for jitter, without a division.
        let product = u128::from(self.next_u64()) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// A new idempotency token, which is the local id of the message it belongs to.
    pub fn local_id(&mut self) -> LocalId {
        let (high, low) = (self.next_u64(), self.next_u64());
        match LocalId::new(format!("{high:016x}{low:016x}")) {
            Ok(id) => id,
            // 32 digits are within 1..=64 characters for all numbers.
            Err(_) => self.local_id(),
        }
    }

    /// A new id for a conversation that exists on this device alone.
    pub fn local_conversation_id(&mut self) -> ConversationId {
        let (high, low) = (self.next_u64(), self.next_u64());
        let prefix = ConversationId::LOCAL_PREFIX;
        match ConversationId::new(format!("{prefix}{high:016x}{low:016x}")) {
            Ok(id) => id,
            // 38 characters are within 1..=64 for all numbers.
            Err(_) => self.local_conversation_id(),
        }
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_another_seed_gives_others() {
        let ids = |seed| {
            let mut source = Randomness::seeded(seed);
            (source.local_id(), source.local_conversation_id())
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        assert!(ids(7).1.is_local());
    }

    #[test]
    fn a_number_below_an_end_stays_below_it_and_reaches_the_whole_range() {
        let mut source = Randomness::new([9; 32]);
        let seen: std::collections::BTreeSet<u64> = (0..200).map(|_| source.below(6)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(source.below(0), 0);
    }
}

//! Seeded chance, with a stream for each purpose: the draws of one purpose change no other.

use std::time::Duration;

use sampan::sync::Randomness;

/// A stream of chance.
#[derive(Clone, Debug)]
pub struct Dice(Randomness);

impl Dice {
    /// The stream of a purpose under a seed. Streams of different purposes have nothing in common.
    #[must_use]
    pub fn stream(seed: u64, purpose: &str) -> Self {
        // FNV-1a over the purpose; the generator spreads the bits.
        let mixed = purpose
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(Randomness::seeded(mixed))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number from 0 up to but not including `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.below(end)
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from.saturating_add(self.below(to.saturating_sub(from).saturating_add(1)))
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, in_thousand: u64) -> bool {
        self.below(1000) < in_thousand
    }

    /// A time between two, in milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.between(from, to))
    }

    /// A machine's own source of chance.
    pub fn source(&mut self) -> Randomness {
        Randomness::seeded(self.number())
    }
}

/// The item that a drawn number means.
pub(crate) fn nth<T>(items: &[T], pick: u64) -> Option<&T> {
    let many = u64::try_from(items.len()).ok().filter(|many| *many > 0)?;
    items.get(usize::try_from(pick % many).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_under_its_seed_and_differs_by_purpose() {
        let first = |seed, purpose| Dice::stream(seed, purpose).number();
        assert_eq!(first(7, "faults"), first(7, "faults"));
        assert_ne!(first(7, "faults"), first(7, "actions"));
        assert_ne!(first(7, "faults"), first(8, "faults"));
    }

    #[test]
    fn a_pick_means_nothing_where_there_is_nothing() {
        assert_eq!(nth::<u8>(&[], 5), None);
        assert_eq!(nth(&[1, 2, 3], 5), Some(&3));
    }
}

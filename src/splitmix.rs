//! SplitMix64: pseudo-random numbers from a seed, for simulations and tests.

/// The distance between two states, as the generator's authors chose it.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The next number of the sequence; the seed moves on.
pub const fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(STEP);
    mix(*seed)
}

/// The number at a place of the sequence: 1 is the first that [`next`] gives for the same seed.
#[must_use]
pub const fn nth(seed: u64, place: u64) -> u64 {
    mix(seed.wrapping_add(place.wrapping_mul(STEP)))
}

const fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of seed 1234567, as the reference implementation gives them.
    #[test]
    fn the_sequence_is_the_one_of_the_reference() {
        let mut seed = 1_234_567;
        let first = [next(&mut seed), next(&mut seed), next(&mut seed)];
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(first, expected);
        assert_eq!([1, 2, 3].map(|place| nth(1_234_567, place)), expected);
    }
}

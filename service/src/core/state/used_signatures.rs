//! Signatures that were accepted: none is accepted twice.
//!
//! A signature is remembered until it is too old to be accepted. When there are too many, the signature that
//! ends first is forgotten, and from then on every signature that ends no later is refused as too old. Memory
//! is therefore bounded, and still no signature is accepted twice.

use std::collections::BTreeSet;

use sampan::model::Timestamp;

use crate::core::apps::signature::{Accepted, SignatureError};

/// Signatures that are remembered: some 10 MB of them.
const REMEMBERED_MAX: usize = 65_536;

/// The signatures that were accepted and could be accepted again.
#[derive(Debug, Default)]
pub(in crate::core) struct UsedSignatures {
    /// By the time at which each is too old.
    used: BTreeSet<(Timestamp, String)>,
    /// Signatures that end at or before this time were forgotten.
    forgotten: Option<Timestamp>,
}

impl UsedSignatures {
    /// Takes note of a signature; an error says that it cannot be accepted.
    pub(in crate::core) fn take(&mut self, accepted: Accepted) -> Result<(), SignatureError> {
        self.take_of(accepted, REMEMBERED_MAX)
    }

    fn take_of(&mut self, accepted: Accepted, most: usize) -> Result<(), SignatureError> {
        let Accepted { signature, until } = accepted;
        if self.forgotten.is_some_and(|forgotten| until <= forgotten) {
            return Err(SignatureError::Expired);
        }
        if !self.used.insert((until, signature)) {
            return Err(SignatureError::Used);
        }
        while self.used.len() > most
            && let Some((until, _)) = self.used.pop_first()
        {
            debug_assert!(self.forgotten.is_none_or(|forgotten| forgotten <= until));
            self.forgotten = Some(until);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(number: i64, until: i64) -> Accepted {
        Accepted {
            signature: format!("{number:040x}"),
            until: Timestamp::from_millis(until),
        }
    }

    #[test]
    fn no_signature_is_accepted_twice_however_many_come_between() {
        let mut used = UsedSignatures::default();
        let mut take = |number, until| used.take_of(accepted(number, until), 10);
        for number in 0..100 {
            assert_eq!(take(number, 1_000 + number), Ok(()));
        }
        for number in 0..100 {
            assert!(take(number, 1_000 + number).is_err(), "number {number}");
        }
        assert_eq!(take(99, 1_099), Err(SignatureError::Used));
        assert_eq!(take(0, 1_000), Err(SignatureError::Expired));
    }

    #[test]
    fn memory_is_bounded() {
        let mut used = UsedSignatures::default();
        for number in 0..1_000 {
            let _ = used.take_of(accepted(number, number), 10);
        }
        assert_eq!(used.used.len(), 10);
    }
}

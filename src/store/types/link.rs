//! Links between neighbours: the hash by which a message names the one before it.

use std::hash::Hasher;

use crate::store::types::position::Position;

/// The hash by which a message names its older neighbour; never zero.
pub(crate) fn link(position: &Position) -> u32 {
    // On disk: the hash must be the same in every build.
    let mut hasher = siphasher::sip::SipHasher24::new();
    hasher.write(&position.sent_at.as_millis().to_le_bytes());
    hasher.write(position.id.as_str().as_bytes());
    let [a, b, c, d, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// The neighbour before a message, as the message tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Older {
    /// There is none.
    #[default]
    None,
    /// The message before is in the same pack, at this position; no hash is needed.
    Beside(Position),
    /// The message before is or was in another pack; this is the link to it.
    Linked(u32),
}

impl Older {
    /// True if the message before is the one at a position, or none.
    pub(crate) fn is(&self, position: Option<&Position>) -> bool {
        match (self, position) {
            (Self::None, None) => true,
            (Self::Beside(beside), Some(position)) => beside == position,
            (Self::Linked(older), Some(position)) => *older == link(position),
            _ => false,
        }
    }
}

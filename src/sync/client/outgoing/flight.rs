//! The state of an entry that was sent: its request, its doubt, its result.

use crate::model::Timestamp;
use crate::sync::link::RequestTag;
use crate::sync::step::EffectId;

/// The one who was asked about an entry in flight.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sync::client) enum FlightStep {
    /// The app's signer was asked.
    Signing(EffectId),
    /// The service was asked.
    Asked(RequestTag),
}

/// The doubt about an entry: its possible arrival, and the service's memory of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::client) enum Doubt {
    /// The entry was never sent, or surely did not arrive.
    None,
    /// Sending it again does no harm.
    Remembered,
    /// Sending it again could make a second one.
    Forgotten {
        /// The time since which it is in doubt, by the service's clock.
        since: Timestamp,
    },
}

/// The origin of a conversation: made now, or there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync::client) enum Found {
    New,
    Existing,
}

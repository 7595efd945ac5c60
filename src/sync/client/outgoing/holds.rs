//! The work that the machine itself delays, and the end of the delay, for a caller that asks why an entry is
//! not sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{OutboxEntryId, ServiceRefusal};
use crate::store::ConversationNumber;
use crate::sync::client::Client;

/// The work that is kept back although there is a session. Times are elapsed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElapsedHolds {
    /// The time until which no message is sent: the service allows so many in a minute, or left one unanswered.
    pub sends: Option<Duration>,
    /// The same of all other commands.
    pub others: Option<Duration>,
    /// Conversations to which nothing is sent for now, because the service refused the last try.
    pub refused: BTreeMap<ConversationNumber, RefusedLane>,
    /// Entries that the app's server is asked to sign.
    pub signing: BTreeSet<OutboxEntryId>,
}

/// The content lane of a conversation, after the service refused for the time being.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLane {
    /// The time until which it rests.
    pub until: Duration,
    /// The service's refusal.
    pub refusal: ServiceRefusal,
}

impl Client {
    /// The work that is kept back now, as the last step left it; nothing where nothing waits.
    #[must_use]
    pub fn holds(&self, now: Duration) -> ElapsedHolds {
        if !self.session.is_open() || self.sender.is_empty() {
            return ElapsedHolds::default();
        }
        let later = |at: Duration| (at > now).then_some(at);
        ElapsedHolds {
            sends: later(self.paces.sends.ready_at()),
            others: later(self.paces.others.ready_at()),
            refused: self.sender.refused(now),
            signing: self.sender.unsigned(),
        }
    }
}

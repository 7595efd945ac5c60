//! Refuses commands over their rate, before anything is looked up for them.

use sampan::model::Now;

use super::access::Operation;
use super::apps::rates::Counted;
use super::exchange::decision::Caller;
use super::exchange::refusal::Refusal;
use super::machine::Core;
use crate::storage::Storage;

impl<S: Storage> Core<S> {
    /// Counts an operation that has a rate, and refuses it when it is over the rate.
    pub(super) fn keep_pace(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
    ) -> Result<(), Refusal> {
        let Some(counted) = counted(operation) else {
            return Ok(());
        };
        let Some(app) = self.apps.find(caller.app.as_str()) else {
            return Ok(());
        };
        let (rates, own) = (&app.settings.rates, &caller.app);
        let client = Some(caller.client());
        self.pace
            .count(rates, (own, client), counted, now.elapsed)?;
        match counted {
            Counted::Send => self
                .pace
                .count(rates, (own, None), Counted::AppSend, now.elapsed),
            _ => Ok(()),
        }
    }
}

/// The counter of a signed-in client's operation; none for an operation that does not count.
const fn counted(operation: Operation) -> Option<Counted> {
    match operation {
        Operation::Send | Operation::SendToPeers => Some(Counted::Send),
        Operation::ReadHistory => Some(Counted::Read),
        Operation::Heartbeat
        | Operation::AnnounceDevice
        | Operation::Acknowledge
        | Operation::MarkRead
        | Operation::CloseSession
        | Operation::RefreshSession => None,
        _ => Some(Counted::Other),
    }
}

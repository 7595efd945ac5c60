//! Commands over their rate are refused before anything is looked up for them.

use sampan::model::Now;

use super::access::Operation;
use super::apps::rates::Counted;
use super::exchange::decision::Caller;
use super::exchange::refusal::Refusal;
use super::machine::Core;
use super::state::pace;
use crate::storage::Storage;

impl<S: Storage> Core<S> {
    /// Counts what has a rate, and refuses what is over it.
    pub(super) fn keep_pace(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
    ) -> Result<(), Refusal> {
        let Some(counted) = pace::counted(operation) else {
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

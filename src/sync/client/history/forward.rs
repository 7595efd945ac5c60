//! Pages that go forward in time: from a message that the app jumped to, towards the present.

use crate::store::StoreError;
use crate::sync::client::{Client, Turn};
use crate::sync::{Caller, FetchNewer, HistoryFetched, RequestError};

use super::pages::{Goal, HistoryQuery};
use super::start::PageStart;

impl Client {
    pub(in crate::sync::client) fn fetch_newer(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<HistoryFetched>,
        call: FetchNewer,
    ) -> Result<(), StoreError> {
        let known = turn
            .overlay
            .snapshot()
            .conversation_by_id(&call.conversation)?;
        let error = match known {
            None => RequestError::UnknownConversation,
            Some(_) if call.limit == 0 => RequestError::InvalidArgument {
                reason: "limit: at least 1".to_owned(),
            },
            Some((_, row)) if !self.session.is_open() || row.id.is_local() => {
                RequestError::NotConnected
            }
            Some((number, row)) => {
                let goal = Goal::Page {
                    caller,
                    wanted: call.limit,
                    added: 0,
                };
                let start = PageStart::After(call.after);
                self.ask_page(turn, number, &row.id, start, goal);
                return Ok(());
            }
        };
        turn.step.reply(caller, Err(error));
        Ok(())
    }

    /// The service has nothing newer than the start of a page. Messages that the service forgot between that start
    /// and the next held ones cannot be had any more, so this is no gap.
    pub(super) fn nothing_newer(
        turn: &mut Turn<'_, '_>,
        query: &HistoryQuery,
    ) -> Result<(), StoreError> {
        let Some(start) = query.start.position() else {
            return Ok(());
        };
        turn.overlay.update_conversation(query.number, |row| {
            let mut spans = row.history.spans().iter();
            let next = spans.find(|span| span.from > *start);
            if let Some(from) = next.map(|span| span.from.clone()) {
                row.history.hold(start.clone(), from);
            }
        })
    }
}

//! Intents that another process of the app left: each is enqueued once, as if the app had made the call.
//!
//! The process that left the intent was told that it is safe, so no intent is dropped. A message that can never
//! be sent becomes a failed entry, which the app sees. An intent that the outbox has no room for stays in the
//! inbox.

use crate::store::{Dropped, Intent, SendIntent, StoreError};
use crate::sync::client::outgoing::requests::wants_receipt;
use crate::sync::client::{Answered, Client, Turn};
use crate::sync::{Import, Imported, MarkRead, RequestError};
use crate::wire::content;

/// The outcome of importing one intent.
pub(in crate::sync::client) enum ImportOutcome {
    /// The work is in the outbox, or done.
    Taken,
    /// The work was enqueued before.
    Known,
    /// The outbox is full.
    NoRoom,
}

impl Client {
    /// Enqueues work that another process left. The reply names the tokens of the work that the outbox has no
    /// room for.
    pub(in crate::sync::client) fn import(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: Import,
    ) -> Answered<Imported> {
        let mut imported = 0_u32;
        let mut left = Vec::new();
        for work in call.dropped {
            let token = work.token.clone();
            match self.import_one(turn, work)? {
                ImportOutcome::Taken => imported += 1,
                ImportOutcome::Known => {}
                ImportOutcome::NoRoom => left.push(token),
            }
        }
        Ok(Ok(Imported { imported, left }))
    }

    fn import_one(
        &mut self,
        turn: &mut Turn<'_, '_>,
        work: Dropped,
    ) -> Result<ImportOutcome, StoreError> {
        if turn.overlay.snapshot().knows_token(&work.token)? {
            return Ok(ImportOutcome::Known);
        }
        // A push may have told of a conversation that this device has not heard of otherwise.
        let number = turn.overlay.conversation_or_unknown(&work.conversation)?;
        match work.intent.clone() {
            Intent::Send(intent) => self.import_send(turn, number, &work, intent),
            Intent::Read(mark) => {
                // A push may have told of messages that this device has not received yet. None of
                // them is newer than the present.
                let present = self.clock.now(turn.now);
                let mark = MarkRead {
                    conversation: work.conversation.clone(),
                    until: Some(mark.until),
                };
                let marked = self.mark_read(turn, &mark, Some(present))?;
                Ok(match marked {
                    Err(RequestError::OutboxFull { .. }) => ImportOutcome::NoRoom,
                    Ok(_) | Err(_) => ImportOutcome::Taken,
                })
            }
            // An inbox holds none.
            Intent::Create(_)
            | Intent::Patch(_)
            | Intent::Members(_)
            | Intent::Details(_)
            | Intent::Mute(_) => Ok(ImportOutcome::Known),
        }
    }

    pub(in crate::sync::client) fn import_send(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: crate::store::ConversationNumber,
        work: &Dropped,
        intent: SendIntent,
    ) -> Result<ImportOutcome, StoreError> {
        if self.outbox_is_full(turn) {
            return Ok(ImportOutcome::NoRoom);
        }
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(ImportOutcome::NoRoom);
        };
        let unfit = intent.content.check().err();
        let intent = SendIntent {
            // The sender sees the content as others will read it.
            content: content::as_received(&intent.content),
            receipt: wants_receipt(&row),
            ..intent
        };
        let flaw = match self.measure_send(&row, &intent, &work.token) {
            _ if row.is_closed() => Some("the conversation was left".to_owned()),
            Err(error) => Some(error.to_string()),
            Ok(()) => unfit.map(|fault| fault.to_string()),
        };
        let (token, intent) = (work.token.clone(), Intent::Send(intent));
        let id = self.enqueue_as(turn, number, token, work.dropped_at, intent)?;
        let entry = turn.overlay.snapshot().entry(id);
        if let (Some(reason), Some(entry)) = (flaw, entry) {
            self.fail_unsendable(turn, &entry, reason)?;
        }
        Ok(ImportOutcome::Taken)
    }
}

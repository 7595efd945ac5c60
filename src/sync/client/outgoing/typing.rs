//! Tells others that the user types: seldom, and only where another client may see it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{ConversationKind, Mentions};
use crate::store::{ConversationNumber, StoreError};
use crate::sync::client::incoming::typing::{EXPIRES_AFTER, typing_content};
use crate::sync::client::{Answered, Client, Purpose, Turn};
use crate::sync::{Done, RequestError, SetTyping};
use crate::wire::{Command, convert};

/// At most one message in this time and conversation.
const PAUSE: Duration = Duration::from_secs(3);

/// The last state of the user's writing that the others were told, by conversation.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct OwnTyping(BTreeMap<ConversationNumber, TypingTold>);

#[derive(Debug)]
struct TypingTold {
    is_on: bool,
    at: Duration,
    /// The time at which it is to be told that the user stopped.
    off_at: Option<Duration>,
}

impl OwnTyping {
    pub(in crate::sync::client) fn wake(&self, wakes: &mut Vec<Duration>) {
        wakes.extend(self.0.values().filter_map(|told| told.off_at));
    }

    pub(in crate::sync::client) fn forget_connection(&mut self) {
        self.0.clear();
    }
}

impl Client {
    pub(in crate::sync::client) fn set_typing(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: SetTyping,
    ) -> Answered<Done> {
        let known = turn.overlay.snapshot().number(&call.conversation)?;
        let Some(number) = known else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let now = turn.elapsed();
        self.own_typing
            .0
            .retain(|_, told| told.off_at.is_some() || now < told.at.saturating_add(EXPIRES_AFTER));
        let told = self.own_typing.0.get_mut(&number);
        let is_free = told
            .as_ref()
            .is_none_or(|told| now >= told.at.saturating_add(PAUSE));
        match told {
            Some(told) if call.typing => told.off_at = None,
            Some(told) if told.is_on && !is_free => {
                told.off_at = Some(told.at.saturating_add(PAUSE));
            }
            _ => {}
        }
        let was_on = self
            .own_typing
            .0
            .get(&number)
            .is_some_and(|told| told.is_on);
        if is_free && (call.typing || was_on) {
            self.tell_typing(turn, number, call.typing)?;
        }
        Ok(Ok(Done))
    }

    /// Tells that the user stopped, where that had to wait.
    pub(in crate::sync::client) fn pump_typing(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        let now = turn.elapsed();
        let due = self.own_typing.0.iter();
        let due = due.filter(|(_, told)| told.off_at.is_some_and(|at| at <= now));
        for number in due.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.tell_typing(turn, number, false)?;
        }
        Ok(())
    }

    /// A message that has to be sent goes first: the commands that the service allows in a minute are left to it.
    fn tell_typing(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        is_on: bool,
    ) -> Result<(), StoreError> {
        let now = turn.elapsed();
        let (at, off_at) = (now, None);
        self.own_typing
            .0
            .insert(number, TypingTold { is_on, at, off_at });
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        let is_heard = matches!(
            row.kind,
            ConversationKind::Normal | ConversationKind::Temporary
        ) && !row.id.is_local();
        if !is_heard || !self.session.is_open() || !self.paces.sends.allows(now) {
            return Ok(());
        }
        if let Some(content) = typing_content(is_on) {
            let mut body = convert::direct(&row.id, &content, &Mentions::default());
            body.transient = Some(true);
            self.paces.sends.note(now);
            self.submit(turn, Command::direct(body), Purpose::Typing);
        }
        Ok(())
    }
}

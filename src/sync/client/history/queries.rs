//! Queries of the app for conversations, answered by the service.
//!
//! The app gets the found conversations as they came. The store takes the conversations that this device has,
//! and those that this client is a member of. It takes others only when the app asks for them by id.

use crate::model::query::{ConversationQuery, QuerySelection};
use crate::model::{ConversationKind, ConversationState};
use crate::store::StoreError;
use crate::sync::client::answer::Answer;
use crate::sync::client::history::told_row::without_token;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::{
    Caller, ConversationsFound, CountConversations, Counted, FindConversations, RequestError,
};
use crate::wire::request::{found, rows};
use crate::wire::{Envelope, convert};

/// How many conversations are asked for at once to count them.
const COUNTED_AT_ONCE: i32 = 100;

/// How many conversations are counted at most: as many as a query may pass over.
const COUNTED_MAX: u32 = 100_000;

/// A query that is on its way.
#[derive(Debug)]
pub(in crate::sync::client) enum Query {
    /// For a page of conversations.
    Find(Caller<ConversationsFound>),
    /// For a page, to count them; so many were counted before.
    Count {
        query: Box<ConversationQuery>,
        counted: u32,
        caller: Caller<Counted>,
    },
}

impl Client {
    pub(in crate::sync::client) fn find_conversations(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ConversationsFound>,
        call: &FindConversations,
    ) {
        match self.checked_page(&call.query) {
            Ok((skip, limit)) => {
                let command = found(&call.query, skip, limit);
                self.paces.others.note(turn.elapsed());
                self.submit(turn, command, Purpose::Query(Query::Find(caller)));
            }
            Err(error) => turn.step.reply(caller, Err(error)),
        }
    }

    pub(in crate::sync::client) fn count_conversations(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Counted>,
        call: CountConversations,
    ) {
        let query = ConversationQuery {
            // In this order nothing moves while it is counted.
            order: Vec::new(),
            compact: true,
            last_messages: false,
            skip: 0,
            limit: 1,
            ..call.query
        };
        match self.checked_page(&query) {
            Ok(_) => self.count_on(turn, Box::new(query), 0, caller),
            Err(error) => turn.step.reply(caller, Err(error)),
        }
    }

    /// Asks for the next page to count.
    fn count_on(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: Box<ConversationQuery>,
        counted: u32,
        caller: Caller<Counted>,
    ) {
        let skip = i32::try_from(counted).unwrap_or(i32::MAX);
        let command = found(&query, skip, COUNTED_AT_ONCE);
        self.paces.others.note(turn.elapsed());
        let query = Query::Count {
            query,
            counted,
            caller,
        };
        self.submit(turn, command, Purpose::Query(query));
    }

    /// The page of a query that can be asked now. A query that the service would refuse is refused here.
    fn checked_page(&self, query: &ConversationQuery) -> Result<(i32, i32), RequestError> {
        if !self.session.is_open() {
            return Err(RequestError::NotConnected);
        }
        let selection = QuerySelection::of(query, self.me());
        let selection = selection.map_err(|error| RequestError::InvalidArgument {
            reason: format!("query: {error}"),
        })?;
        let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        Ok((number(selection.skip), number(selection.limit)))
    }

    pub(in crate::sync::client) fn query_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: Query,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let Answer::Said(envelope) = answer else {
            match query {
                Query::Find(caller) => turn.step.reply(caller, Err(answer.into_error())),
                Query::Count { caller, .. } => turn.step.reply(caller, Err(answer.into_error())),
            }
            return Ok(());
        };
        self.paces.others.answered();
        match query {
            Query::Find(caller) => self.found(turn, caller, &envelope),
            Query::Count {
                query,
                counted,
                caller,
            } => {
                let page = u32::try_from(rows(&envelope).len()).unwrap_or(u32::MAX);
                let count = counted.saturating_add(page);
                // A service may answer with fewer than it was asked for: only nothing is the end.
                if page == 0 || count >= COUNTED_MAX {
                    turn.step.reply(caller, Ok(Counted { count }));
                } else {
                    self.count_on(turn, query, count, caller);
                }
                Ok(())
            }
        }
    }

    fn found(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ConversationsFound>,
        envelope: &Envelope,
    ) -> Result<(), StoreError> {
        let mut conversations = Vec::new();
        for row in rows(envelope) {
            let is_known = turn.overlay.snapshot().number(&row.id)?.is_some();
            let members = row.members.as_deref().unwrap_or_default();
            let is_own = row.kind == ConversationKind::Normal && members.contains(self.me());
            if is_known || is_own {
                self.apply_row(turn, row.clone(), false)?;
            }
            let is_out = row.kind == ConversationKind::Normal
                && row
                    .members
                    .as_ref()
                    .is_some_and(|it| !it.contains(self.me()));
            let mut info = convert::conversation_info(row, self.me());
            info.columns = info.columns.and_then(without_token);
            if is_out {
                info.state = ConversationState::Left;
            }
            conversations.push(info);
        }
        turn.step
            .reply(caller, Ok(ConversationsFound { conversations }));
        Ok(())
    }
}

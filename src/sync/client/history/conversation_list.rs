//! Requests for conversations: those that changed while this client was away, and unknown ones.
//!
//! When a session opens, the client lists its conversations, newest message first, down to the end of the last
//! complete list. Then it lists those whose attributes or members changed since. Conversations that the list
//! shows to be behind are caught up with (`pages.rs`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{ConversationId, ConversationKind, Timestamp};
use crate::store::{ConversationNumber, ConversationRow, Freshness, HistoryEnd, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::history::refusals::Refusals;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::link::Unanswered;
use crate::sync::{Caller, ConversationsFetched, FetchConversations, RequestError};
use crate::wire::Command;
use crate::wire::request::{self, ListOrder, rows};

/// Conversations per page of a list.
const PAGE: i32 = 50;

/// The most ids in one question: with them the command stays well below 5 KiB.
const IDS_MAX: usize = 50;

/// How much earlier than the last complete list a new one goes back: clocks of the service's nodes
/// may differ a little.
const OVERLAP: Duration = Duration::from_secs(60);

/// The most conversations with unfinished work that are taken up after a list.
const WORK_MAX: usize = 10_000;

/// The most conversations, newest first, among which temporary ones are looked for after a list.
const ACTIVE_MAX: usize = 100;

/// The progress of the list, and the conversations that have to be asked for.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Directory {
    listing: Listing,
    /// `Yes` while a page of the list is on its way.
    listing_asked: Asked,
    wanted: BTreeSet<ConversationNumber>,
    /// The temporary conversations of which the service told on this connection: the list names none.
    told: BTreeSet<ConversationNumber>,
    wanted_asked: Asked,
    refusals: Refusals,
    /// The number of times that the list was begun again: a page that was asked for before counts no more.
    restarts: u32,
    opened_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    No,
    Yes,
}

/// The progress of the list on this connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Listing {
    /// Not begun, or given up because the service refuses it.
    #[default]
    Unknown,
    /// By newest message; so many rows were seen.
    ByMessage { seen: i32 },
    /// By newest change; so many rows were seen.
    ByChange { seen: i32 },
    /// Every conversation that changed is known.
    Complete,
}

/// A question about conversations.
#[derive(Debug)]
pub(in crate::sync::client) enum DirectoryQuery {
    /// A page of the list.
    List {
        /// The session it was asked in.
        epoch: u64,
        /// The number of times that the list had been begun again then.
        restarts: u32,
    },
    /// Conversations by id.
    Ids {
        ids: Vec<ConversationId>,
        caller: Option<Caller<ConversationsFetched>>,
    },
}

impl Directory {
    pub(in crate::sync::client) fn opened(&mut self, at: Timestamp) {
        self.listing = Listing::ByMessage { seen: 0 };
        self.opened_at = Some(at);
    }

    pub(in crate::sync::client) fn forget_connection(&mut self) {
        *self = Self::default();
    }

    /// A conversation left the list that is being read: those behind it moved up by one, so that the
    /// next page would skip one.
    pub(in crate::sync::client) fn begin_again(&mut self) {
        if self.lists() {
            self.listing = Listing::ByMessage { seen: 0 };
            self.restarts = self.restarts.wrapping_add(1);
        }
    }

    /// Asks for a conversation as soon as the pace allows.
    pub(in crate::sync::client) fn want(&mut self, number: ConversationNumber) {
        self.wanted.insert(number);
    }

    /// True if every conversation that changed while this client was away is known.
    pub(in crate::sync::client) fn is_listed(&self) -> bool {
        self.listing == Listing::Complete
    }

    /// True if the service has told on this connection of whatever is new in a conversation.
    pub(in crate::sync::client) fn has_told(
        &self,
        number: ConversationNumber,
        id: &ConversationId,
    ) -> bool {
        self.is_listed() && (!id.is_temporary() || self.told.contains(&number))
    }

    /// True if the service refused to list the conversations that changed.
    pub(in crate::sync::client) fn is_given_up(&self) -> bool {
        self.listing == Listing::Unknown
    }

    /// The number of conversations that have to be asked for by their ids; those that are on their way count as
    /// one.
    pub(in crate::sync::client) fn unknown(&self) -> u32 {
        let asked = u32::from(self.wanted_asked == Asked::Yes);
        let wanted = u32::try_from(self.wanted.len()).unwrap_or(u32::MAX);
        wanted.saturating_add(asked)
    }

    fn lists(&self) -> bool {
        matches!(
            self.listing,
            Listing::ByMessage { .. } | Listing::ByChange { .. }
        )
    }
}

impl Client {
    pub(in crate::sync::client) fn pump_directory(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        if self.directory.refusals.hold(turn.elapsed()) {
            return Ok(());
        }
        if self.directory.lists()
            && self.directory.listing_asked == Asked::No
            && self.paces.others.allows(turn.elapsed())
        {
            self.ask_list(turn);
        }
        if self.directory.wanted_asked == Asked::No
            && !self.directory.wanted.is_empty()
            && self.paces.others.allows(turn.elapsed())
        {
            self.ask_wanted(turn)?;
        }
        Ok(())
    }

    pub(in crate::sync::client) fn directory_wake(&self, wakes: &mut Vec<Duration>) {
        let lists = self.directory.lists() && self.directory.listing_asked == Asked::No;
        let wants = !self.directory.wanted.is_empty() && self.directory.wanted_asked == Asked::No;
        if lists || wants {
            let pace = self.paces.others.ready_at();
            wakes.push(pace.max(self.directory.refusals.not_before()));
        }
    }

    fn ask_list(&mut self, turn: &mut Turn<'_, '_>) {
        let since = list_since(turn).unwrap_or(Timestamp::ZERO);
        let (order, seen) = match self.directory.listing {
            Listing::ByChange { seen } => (ListOrder::ByChange { since }, seen),
            Listing::ByMessage { seen } => (ListOrder::ByMessage, seen),
            Listing::Unknown | Listing::Complete => return,
        };
        let command = request::list(self.me().as_str(), order, seen, PAGE);
        let query = DirectoryQuery::List {
            epoch: self.epoch,
            restarts: self.directory.restarts,
        };
        self.directory.listing_asked = Asked::Yes;
        self.ask_directory(turn, command, query);
    }

    fn ask_directory(&mut self, turn: &mut Turn<'_, '_>, command: Command, query: DirectoryQuery) {
        self.paces.others.note(turn.elapsed());
        self.submit(turn, command, Purpose::Directory(query));
    }

    /// Asks for wanted conversations; temporary ones are asked for apart.
    fn ask_wanted(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let mut ids: Vec<ConversationId> = Vec::new();
        for number in self.directory.wanted.clone() {
            let row = turn.overlay.snapshot().conversation(number)?;
            let Some(row) = row.filter(|row| !row.id.is_local()) else {
                self.directory.wanted.remove(&number);
                continue;
            };
            let same = ids
                .first()
                .is_none_or(|first| first.is_temporary() == row.id.is_temporary());
            if same && ids.len() < IDS_MAX {
                ids.push(row.id);
                self.directory.wanted.remove(&number);
            }
        }
        if !ids.is_empty() {
            self.directory.wanted_asked = Asked::Yes;
            self.ask_ids(turn, ids, None);
        }
        Ok(())
    }

    fn ask_ids(
        &mut self,
        turn: &mut Turn<'_, '_>,
        ids: Vec<ConversationId>,
        caller: Option<Caller<ConversationsFetched>>,
    ) {
        let command = request::by_ids(&ids);
        self.ask_directory(turn, command, DirectoryQuery::Ids { ids, caller });
    }

    pub(in crate::sync::client) fn fetch_conversations(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ConversationsFetched>,
        call: FetchConversations,
    ) -> Result<(), StoreError> {
        let mut service_ids = Vec::with_capacity(call.conversations.len());
        for id in call.conversations {
            let known = turn.overlay.snapshot().conversation_by_id(&id)?;
            service_ids.push(known.map_or(id, |(_, row)| row.id));
        }
        service_ids.retain(|id| !id.is_local());
        let first = service_ids.first().map(ConversationId::is_temporary);
        let mixed = service_ids
            .iter()
            .any(|id| Some(id.is_temporary()) != first);
        let error = if !self.session.is_open() {
            RequestError::NotConnected
        } else if service_ids.is_empty() || service_ids.len() > IDS_MAX || mixed {
            let reason = "conversations: 1 to 50 that the service knows, \
                          temporary ones apart from others";
            RequestError::InvalidArgument {
                reason: reason.to_owned(),
            }
        } else {
            self.ask_ids(turn, service_ids, Some(caller));
            return Ok(());
        };
        turn.step.reply(caller, Err(error));
        Ok(())
    }

    pub(in crate::sync::client) fn directory_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: DirectoryQuery,
        answer: Answer,
    ) -> Result<(), StoreError> {
        match &answer {
            Answer::Said(_) => {
                self.paces.others.answered();
                self.directory.refusals = Refusals::default();
            }
            // A connection that broke, or that was not there, says nothing about the pace.
            Answer::Unanswered(Unanswered::ConnectionLost | Unanswered::NotConnected) => {}
            Answer::Unanswered(_) => self.paces.others.throttled(turn.elapsed()),
            Answer::Refused { code, .. } if code.is_rate_limit() => {
                self.paces.others.throttled(turn.elapsed());
            }
            Answer::Refused { .. } => {}
        }
        match query {
            DirectoryQuery::List { epoch, restarts } if epoch == self.epoch => {
                self.directory.listing_asked = Asked::No;
                if restarts == self.directory.restarts {
                    self.list_answered(turn, answer)
                } else {
                    Ok(())
                }
            }
            DirectoryQuery::List { .. } => Ok(()),
            DirectoryQuery::Ids { ids, caller } => self.ids_answered(turn, &ids, caller, answer),
        }
    }

    fn list_answered(&mut self, turn: &mut Turn<'_, '_>, answer: Answer) -> Result<(), StoreError> {
        let envelope = match answer {
            Answer::Said(envelope) => envelope,
            Answer::Refused { code, .. } => {
                if !self.directory.refusals.bear(turn.elapsed(), code) {
                    self.directory.listing = Listing::Unknown;
                }
                return Ok(());
            }
            // The same page is asked for again, at the pace that is left.
            Answer::Unanswered(_) => return Ok(()),
        };
        let since = list_since(turn);
        let rows = rows(&envelope);
        let count = i32::try_from(rows.len()).unwrap_or(i32::MAX);
        let mut reached_known = rows.is_empty();
        for row in rows {
            reached_known |= since.is_some_and(|since| row.last_message_at < Some(since));
            self.apply_row(turn, row, true)?;
        }
        match self.directory.listing {
            Listing::ByMessage { .. } if reached_known && since.is_some() => {
                self.directory.listing = Listing::ByChange { seen: 0 };
            }
            Listing::ByMessage { seen } if !reached_known => {
                let seen = seen.saturating_add(count);
                self.directory.listing = Listing::ByMessage { seen };
            }
            Listing::ByChange { seen } if count > 0 => {
                let seen = seen.saturating_add(count);
                self.directory.listing = Listing::ByChange { seen };
            }
            _ => self.listed(turn)?,
        }
        Ok(())
    }

    /// Everything that changed is known: work that is unfinished from earlier is taken up too.
    fn listed(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.directory.listing = Listing::Complete;
        let opened_at = self.directory.opened_at;
        if let Some(opened_at) = opened_at {
            self.list_is_complete(turn, opened_at);
        }
        // The unread counts that the service tells at sign-in come before the list.
        self.told.hear(opened_at);
        let unfinished = turn.overlay.snapshot().conversations_with_work(WORK_MAX)?;
        for number in unfinished {
            let Some(row) = turn.overlay.snapshot().conversation(number)? else {
                continue;
            };
            if row.freshness == Freshness::Stale {
                self.directory.want(number);
            }
            // The list does not name a conversation that this client is out of.
            if row.history.end() == HistoryEnd::Behind && !row.is_closed() {
                self.want_history(turn, number)?;
            }
            self.recheck_later(number, &row);
        }
        self.want_temporary(turn)
    }

    /// No list names temporary conversations. Those that are known and live are asked for, so that the words of
    /// another device of this client are not missed there.
    fn want_temporary(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        let now = self.clock.now(turn.now);
        let newest = turn.overlay.snapshot().conversations(None, ACTIVE_MAX)?;
        for (number, info) in newest.conversations {
            if info.kind != ConversationKind::Temporary || info.id.is_local() {
                continue;
            }
            let row = turn.overlay.snapshot().conversation(number)?;
            let lives = |row: &ConversationRow| row.expires_at.is_none_or(|ends| ends > now);
            if row.is_some_and(|row| lives(&row) && !row.is_closed()) {
                self.directory.want(number);
            }
        }
        Ok(())
    }

    fn ids_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        ids: &[ConversationId],
        caller: Option<Caller<ConversationsFetched>>,
        answer: Answer,
    ) -> Result<(), StoreError> {
        if caller.is_none() {
            self.directory.wanted_asked = Asked::No;
        }
        let envelope = match answer {
            Answer::Said(envelope) => envelope,
            other => {
                match caller {
                    Some(caller) => turn.step.reply(caller, Err(other.into_error())),
                    // They stay stale in the store, and are asked for again.
                    None => {
                        let again = match other {
                            Answer::Refused { code, .. } => {
                                self.directory.refusals.bear(turn.elapsed(), code)
                            }
                            _ => true,
                        };
                        if again {
                            self.want_ids(turn, ids)?;
                        }
                    }
                }
                return Ok(());
            }
        };
        let mut found = Vec::new();
        for row in rows(&envelope) {
            let id = row.id.clone();
            self.apply_row(turn, row, false)?;
            if id.is_temporary() {
                let number = turn.overlay.snapshot().number(&id)?;
                self.directory.told.extend(number);
            }
            found.push(id);
        }
        for id in ids.iter().filter(|id| !found.contains(id)) {
            // The service does not show it to us: asking again would not help.
            let known = turn.overlay.snapshot().number(id)?;
            if let Some(number) = known {
                turn.overlay
                    .update_conversation(number, |row| row.freshness = Freshness::Fresh)?;
            }
        }
        if let Some(caller) = caller {
            turn.step.reply(caller, Ok(ConversationsFetched { found }));
        }
        Ok(())
    }

    fn want_ids(&mut self, turn: &Turn<'_, '_>, ids: &[ConversationId]) -> Result<(), StoreError> {
        for id in ids {
            if let Some(number) = turn.overlay.snapshot().number(id)? {
                self.directory.want(number);
            }
        }
        Ok(())
    }
}

/// The time back to which a list must go; none for everything.
fn list_since(turn: &Turn<'_, '_>) -> Option<Timestamp> {
    let complete_until = turn.overlay.snapshot().session().missed_until?;
    let overlap = i64::try_from(OVERLAP.as_millis()).unwrap_or(0);
    let since = complete_until.as_millis().saturating_sub(overlap);
    Some(Timestamp::from_millis(since))
}

//! Requests for history: of an absence, and for the app's paging.
//!
//! A page includes its starting message, so messages of the same time on both sides of the border are neither
//! skipped nor repeated, in any order of the service. The span that a page covers is recorded as stored. A
//! short page is not the end; a page without anything older is.

use std::collections::BTreeSet;
use std::time::Duration;

use super::start::PageStart;
use crate::model::{
    ConversationId, ConversationKind, ConversationState, Message, MessageState, Receipt,
};
use crate::store::{
    ConversationNumber, History, HistoryEnd, HistoryStart, Position, Put, StoreError,
};
use crate::sync::client::answer::Answer;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::link::Unanswered;
use crate::sync::{Caller, Done, FetchHistory, Focus, HistoryFetched, RequestError};
use crate::wire::generated::LogsCommand;
use crate::wire::request;
use crate::wire::{Command, ServiceCode, convert};

/// The most messages the service puts into a page.
const PAGE_MAX: u32 = 100;

/// A question for a page of history.
#[derive(Debug)]
pub(in crate::sync::client) struct HistoryQuery {
    pub(super) number: ConversationNumber,
    conversation: ConversationId,
    pub(super) start: PageStart,
    goal: Goal,
    /// The session it was asked in.
    pub(super) epoch: u64,
    /// The number of times that the tail of the conversation had ended then.
    absences: u64,
}

/// The purpose of a page.
#[derive(Debug)]
pub(super) enum Goal {
    /// A catch-up, until it meets the stored history.
    CatchUp {
        fetched: u32,
        joins: Option<Position>,
    },
    /// To read unchecked messages again.
    Check { read: u32 },
    /// A page for the app.
    Page {
        caller: Caller<HistoryFetched>,
        wanted: u32,
        added: u32,
    },
}

/// The gain of a page.
pub(super) struct Gained {
    /// The message that is furthest from the start.
    furthest: Option<Position>,
    /// Messages beyond the start.
    pub(super) beyond: u32,
    /// Messages that were not in the store.
    added: u32,
    /// The number of items that the service sent.
    items: u32,
}

impl Client {
    /// Records that a conversation's newest history is missing, and asks for it when its turn comes.
    /// If this client is taken to be out of the conversation, the row is asked for instead: it tells
    /// whether it came back.
    pub(in crate::sync::client) fn want_history(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        let Some(row) = turn.overlay.snapshot().conversation(number)? else {
            return Ok(());
        };
        if row.kind == ConversationKind::ChatRoom || row.id.is_local() {
            return Ok(());
        }
        if row.history.end() != HistoryEnd::Behind {
            turn.overlay
                .update_conversation(number, |row| fall_behind(&mut row.history))?;
        }
        if !row.is_closed() {
            self.catch_up.want(number, row.last_message_at);
        } else if self.catch_up.is_within_reach(number) {
            self.directory.want(number);
        }
        Ok(())
    }

    pub(in crate::sync::client) fn focus(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Done>,
        call: Focus,
    ) -> Result<(), StoreError> {
        let focus = match call.conversation {
            Some(id) => turn.overlay.snapshot().number(&id)?,
            None => None,
        };
        self.catch_up.focus(focus);
        if let Some(number) = focus {
            self.recheck_in_view(turn, number)?;
        }
        turn.step.reply(caller, Ok(Done));
        Ok(())
    }

    pub(in crate::sync::client) fn pump_catch_up(
        &mut self,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), StoreError> {
        while self.catch_up.has_room() && self.paces.history.allows(turn.elapsed()) {
            // A message in doubt would appear beside its echo: its doubt is cleared first.
            let now = turn.elapsed();
            let may = |number| !self.sender.clears_doubt(number);
            let Some(number) = self.catch_up.next(now, may) else {
                break;
            };
            let Some(row) = turn.overlay.snapshot().conversation(number)? else {
                self.catch_up.end(number);
                continue;
            };
            self.catch_up.asked(number);
            let unchecked = row.history.unchecked();
            if let Some(newest) = unchecked.filter(|_| row.history.end() == HistoryEnd::Current) {
                self.ask_unchecked(turn, number, &row, newest.clone(), 0);
                continue;
            }
            let joins = self.sure_end(turn, number, &row)?;
            let goal = Goal::CatchUp { fetched: 0, joins };
            self.ask_page(turn, number, &row.id, PageStart::Newest, goal);
        }
        Ok(())
    }

    pub(in crate::sync::client) fn catch_up_wake(&self, wakes: &mut Vec<Duration>) {
        let pace = self.paces.history.ready_at();
        self.catch_up.wake(pace, wakes);
    }

    pub(in crate::sync::client) fn fetch_history(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<HistoryFetched>,
        call: FetchHistory,
    ) -> Result<(), StoreError> {
        let FetchHistory {
            conversation,
            before,
            limit,
        } = call;
        let known = turn.overlay.snapshot().conversation_by_id(&conversation)?;
        let error = match known {
            None => RequestError::UnknownConversation,
            Some(_) if limit == 0 => RequestError::InvalidArgument {
                reason: "limit: at least 1".to_owned(),
            },
            Some((_, row)) if !self.session.is_open() || row.id.is_local() => {
                RequestError::NotConnected
            }
            Some((number, row)) => {
                if before.is_none() {
                    self.sure_end(turn, number, &row)?;
                }
                let start = before.map_or(PageStart::Newest, PageStart::At);
                let goal = Goal::Page {
                    caller,
                    wanted: limit,
                    added: 0,
                };
                self.ask_page(turn, number, &row.id, start, goal);
                return Ok(());
            }
        };
        turn.step.reply(caller, Err(error));
        Ok(())
    }

    pub(super) fn ask_page(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
        conversation: &ConversationId,
        start: PageStart,
        goal: Goal,
    ) {
        let limit = i32::try_from(self.page_limit(&start, &goal)).unwrap_or(i32::MAX);
        let (from, direction) = start.asked();
        let command = request::history(conversation, from, direction, limit);
        self.paces.history.note(turn.elapsed());
        let query = HistoryQuery {
            number,
            conversation: conversation.clone(),
            start,
            goal,
            epoch: self.epoch,
            absences: self.tails.absences(number),
        };
        self.submit(turn, command, Purpose::History(query));
    }

    /// The number of messages to ask for; the starting message takes a place of its own.
    fn page_limit(&self, start: &PageStart, goal: &Goal) -> u32 {
        let wanted = match goal {
            Goal::CatchUp { fetched, .. } => {
                let most = self.settings.limits.catch_up_max;
                most.saturating_sub(*fetched)
            }
            Goal::Check { read } => match self.settings.limits.catch_up_max.checked_sub(*read) {
                None | Some(0) => PAGE_MAX,
                Some(left) => left,
            },
            Goal::Page { wanted, .. } => *wanted,
        };
        let own = u32::from(matches!(start, PageStart::At(_) | PageStart::After(_)));
        wanted.saturating_add(own).clamp(1, PAGE_MAX)
    }

    pub(in crate::sync::client) fn history_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: HistoryQuery,
        answer: Answer,
    ) -> Result<(), StoreError> {
        match answer {
            Answer::Said(envelope) => {
                self.paces.history.answered();
                match envelope.command {
                    Command::Logs(body) => self.page_came(turn, query, *body),
                    // An answer of another kind is a page without anything.
                    _ => self.page_came(turn, query, LogsCommand::default()),
                }
            }
            refusal => self.page_failed(turn, &query, refusal),
        }
    }

    fn page_failed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: &HistoryQuery,
        answer: Answer,
    ) -> Result<(), StoreError> {
        if let Answer::Unanswered(Unanswered::TimedOut) = answer {
            self.paces.history.throttled(turn.elapsed());
        }
        if let Goal::Page { caller, .. } = query.goal {
            turn.step.reply(caller, Err(answer.into_error()));
            return Ok(());
        }
        if query.epoch != self.epoch {
            return Ok(());
        }
        self.catch_up.answered(query.number);
        if !self.reaches_the_present(query) {
            return Ok(());
        }
        let Answer::Refused { code, .. } = answer else {
            return Ok(());
        };
        if is_out_of_reach(code) {
            return self.left_unread(turn, query.number);
        }
        if code.is_rate_limit() {
            self.paces.history.throttled(turn.elapsed());
        }
        // One that is given up stays behind, and the timeline says so, until the next session.
        self.catch_up.refused(query.number, turn.elapsed(), code);
        Ok(())
    }

    /// The history is not for this client any more: the messages that are here stay. The part that the service was
    /// known to have beyond them stays a gap.
    fn left_unread(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        self.went_out(number);
        self.catch_up.out_of_reach(number);
        turn.overlay
            .update_conversation(number, |row| row.state = ConversationState::Left)
    }

    /// True if a page that starts at the present started at the present of this session, and this client was in
    /// the conversation ever since.
    pub(super) fn reaches_the_present(&self, query: &HistoryQuery) -> bool {
        query.epoch == self.epoch && query.absences == self.tails.absences(query.number)
    }

    fn page_came(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: HistoryQuery,
        body: LogsCommand,
    ) -> Result<(), StoreError> {
        let known = turn.overlay.snapshot().conversation(query.number)?;
        if known.is_none() {
            return self.page_failed(turn, &query, Answer::Unanswered(Unanswered::NotConnected));
        }
        let gained = self.keep_page(turn, &query, body)?;
        let mut end = PageEnd::More;
        let limit = self.page_limit(&query.start, &query.goal);
        let is_full = gained.items >= limit && limit > 1;
        if let Some(start) = query.start.past_its_time().filter(|_| is_full)
            && gained.beyond == 0
        {
            // Every message of the page has the time of its start: a larger page may have more, else go on
            // beyond that time.
            let (mut start, mut goal) = (start, query.goal);
            if let Goal::Page { wanted, .. } = &mut goal
                && *wanted < PAGE_MAX
            {
                (*wanted, start) = (PAGE_MAX, query.start);
            }
            self.ask_page(turn, query.number, &query.conversation, start, goal);
            return Ok(());
        }
        let is_last = match &query.start {
            PageStart::Newest => gained.furthest.is_none(),
            _ => gained.beyond == 0,
        };
        if is_last && query.start.goes_forward() {
            end = PageEnd::Present;
            Self::nothing_newer(turn, &query)?;
        } else if is_last {
            end = PageEnd::Start;
            self.start_reached(turn, &query)?;
        }
        self.go_on(turn, query, &gained, end)
    }

    /// Stores a page and records its range.
    fn keep_page(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: &HistoryQuery,
        body: LogsCommand,
    ) -> Result<Gained, StoreError> {
        let items = u32::try_from(body.logs.len()).unwrap_or(u32::MAX);
        let mut positions = BTreeSet::new();
        let mut added: u32 = 0;
        for item in body.logs {
            let message = convert::message_from_history(&query.conversation, item, self.me());
            let Ok(message) = message else { continue };
            let source = self.history_source(query.number);
            let Some((position, put)) = self.keep(turn, query.number, &message, source)? else {
                continue;
            };
            added += u32::from(put == Put::Added);
            self.note_history(turn, query, &message, put)?;
            positions.insert(position);
        }
        let goes_forward = query.start.goes_forward();
        let is_beyond = |position: &&Position| match query.start.position() {
            None => true,
            Some(start) if goes_forward => *position > start,
            Some(start) => *position < start,
        };
        let beyond = positions.iter().filter(is_beyond).count();
        let beyond = u32::try_from(beyond).unwrap_or(u32::MAX);
        let (oldest, newest) = (positions.first(), positions.last());
        if let (Some(oldest), Some(newest)) = (oldest, newest) {
            self.hold_page(turn, query, oldest, newest)?;
        }
        let furthest = if goes_forward { newest } else { oldest };
        Ok(Gained {
            furthest: furthest.cloned(),
            beyond,
            added,
            items,
        })
    }

    /// Notes the other facts of a page's message: the delivery of own messages, and that this client has
    /// received those of others.
    fn note_history(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: &HistoryQuery,
        message: &Message,
        put: Put,
    ) -> Result<(), StoreError> {
        let at = Some(message.sent_at);
        let told = match message.state {
            MessageState::Read { .. } => Receipt {
                delivered_until: at,
                read_until: at,
            },
            MessageState::Delivered { .. } => Receipt {
                delivered_until: at,
                read_until: None,
            },
            _ => Receipt::default(),
        };
        Self::raise_receipt(turn, query.number, told)?;
        let caught_up = matches!(query.goal, Goal::CatchUp { .. }) && put == Put::Added;
        if caught_up && &message.sender != self.me() && self.session.is_open() {
            self.note_received(turn, message);
        }
        Ok(())
    }

    /// Records that nothing is missing within a page, between the page and its start, and, if it started at the
    /// present of this session, between the page and the messages since.
    fn hold_page(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: &HistoryQuery,
        oldest: &Position,
        newest: &Position,
    ) -> Result<(), StoreError> {
        let (mut from, mut until) = (oldest.clone(), newest.clone());
        let row = turn.overlay.snapshot().conversation(query.number)?;
        let out = row.is_none_or(|row| row.is_closed());
        let present = self.reaches_the_present(query) && !out;
        match &query.start {
            PageStart::At(start) | PageStart::Before(start) => until = until.max(start.clone()),
            PageStart::After(start) | PageStart::AfterTime(start) => from = from.min(start.clone()),
            PageStart::Newest if present => {
                let tail = self.tails.of(query.number).cloned();
                if let Some(tail) = &tail {
                    until = until.max(tail.clone());
                }
                let from = tail.map_or_else(|| oldest.clone(), |tail| tail.min(oldest.clone()));
                self.tails.begin(query.number, from);
            }
            PageStart::Newest => {}
        }
        if self.reaches_the_present(query) {
            Self::checked(turn, query.number, &from, &until)?;
        }
        turn.overlay
            .update_conversation(query.number, |row| row.history.hold(from, until))
    }

    /// The service has nothing older. The messages held from before stay; messages that the service forgot between
    /// them cannot be had any more, so this is no gap.
    fn start_reached(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: &HistoryQuery,
    ) -> Result<(), StoreError> {
        let start = query.start.position();
        let reaches_present = self.reaches_the_present(query);
        turn.overlay.update_conversation(query.number, |row| {
            let covers = start.is_none_or(|start| row.history.unchecked() <= Some(start));
            if reaches_present && covers {
                row.history.set_unchecked(None);
            }
            let first = row.history.spans().first().map(|span| span.from.clone());
            let newest = row.history.newest().map(|span| span.to.clone());
            // Without a start: the service has nothing at all.
            let last = query.start.position().cloned().or(newest);
            if let (Some(first), Some(last)) = (first, last) {
                row.history.hold(first.min(last.clone()), last);
            }
            row.history.set_start(HistoryStart::Reached);
        })?;
        Ok(())
    }

    fn go_on(
        &mut self,
        turn: &mut Turn<'_, '_>,
        query: HistoryQuery,
        gained: &Gained,
        end: PageEnd,
    ) -> Result<(), StoreError> {
        let present = self.reaches_the_present(&query);
        let from_newest = matches!(query.start, PageStart::Newest);
        let next = gained.furthest.clone().filter(|_| end == PageEnd::More);
        match query.goal {
            Goal::CatchUp { fetched, joins } => {
                let fetched = fetched.saturating_add(gained.beyond);
                let row = turn.overlay.snapshot().conversation(query.number)?;
                // An interrupted earlier catch-up may have read this part: its pages are not requested again.
                let next = next.map(|furthest| {
                    let span = row.as_ref().and_then(|row| row.history.span_of(&furthest));
                    query
                        .start
                        .next(span.map_or(furthest, |span| span.from.clone()))
                });
                let joined = match (&row, &joins, &gained.furthest) {
                    (Some(row), Some(joins), Some(oldest)) => row.history.joins(joins, oldest),
                    _ => false,
                };
                let enough = joined || fetched >= self.settings.limits.catch_up_max || !present;
                match next.filter(|_| !enough) {
                    Some(start) => {
                        let goal = Goal::CatchUp { fetched, joins };
                        self.ask_page(turn, query.number, &query.conversation, start, goal);
                        Ok(())
                    }
                    None if present => self.caught_up(turn, query.number),
                    None => {
                        // If this client came back meanwhile, the page is requested anew.
                        if query.epoch == self.epoch {
                            self.catch_up.answered(query.number);
                        }
                        Ok(())
                    }
                }
            }
            Goal::Check { read } => self.go_on_checking(turn, &query, gained, read),
            Goal::Page {
                caller,
                wanted,
                added,
            } => {
                let added = added.saturating_add(gained.added);
                let wanted = wanted.saturating_sub(gained.beyond);
                let next = next.map(|furthest| query.start.next(furthest));
                if let Some(start) = next.filter(|_| wanted > 0 && present) {
                    let goal = Goal::Page {
                        caller,
                        wanted,
                        added,
                    };
                    self.ask_page(turn, query.number, &query.conversation, start, goal);
                    return Ok(());
                }
                let start_reached = end == PageEnd::Start;
                let answer = HistoryFetched {
                    added,
                    start_reached,
                };
                turn.step.reply(caller, Ok(answer));
                if from_newest && present {
                    return self.caught_up(turn, query.number);
                }
                self.make_count_exact(turn, query.number)
            }
        }
    }

    /// Notes that the newest history is stored, up to the limit; the rest is a recorded gap.
    fn caught_up(
        &mut self,
        turn: &mut Turn<'_, '_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        self.catch_up.end(number);
        turn.overlay
            .update_conversation(number, |row| row.history.set_end(HistoryEnd::Current))?;
        if let Some(row) = turn.overlay.snapshot().conversation(number)? {
            self.recheck_later(number, &row);
        }
        self.make_count_exact(turn, number)
    }
}

/// Notes that the service has newer messages than the stored history. Where nothing is stored, the beginning is
/// missing too.
pub(in crate::sync::client) fn fall_behind(history: &mut History) {
    history.set_end(HistoryEnd::Behind);
    if history.spans().is_empty() {
        history.set_start(HistoryStart::Unknown);
    }
}

/// True if a refusal says that the client is not in the conversation, or that the conversation is over.
fn is_out_of_reach(code: ServiceCode) -> bool {
    matches!(
        code,
        ServiceCode::CONVERSATION_LOG_REJECTED
            | ServiceCode::CONVERSATION_NOT_FOUND
            | ServiceCode::TEMPORARY_CONVERSATION_EXPIRED
    )
}

/// The history beyond a page: more, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageEnd {
    More,
    /// The service has nothing older.
    Start,
    /// The service has nothing newer.
    Present,
}

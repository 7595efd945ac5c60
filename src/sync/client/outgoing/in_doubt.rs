//! Entries in doubt: the machine searches for them before it sends them again.
//!
//! A message is sent again with the same token while the service is trusted to remember the token. A
//! conversation that is one per set of members may be requested at any time. Every other entry is searched for
//! first. Exactly one match settles the entry, and no match means that it never arrived. With several matches
//! the app decides. The app also decides about an own message that the service accepted with other words,
//! because its original words are unknown.

use std::time::Duration;

use crate::model::{
    ConversationId, ConversationKind, Message, MessageId, OutboxEntryId, SendFailure, Timestamp,
};
use crate::store::{CreateIntent, Entry, Intent, Position, SendIntent, StoreError};
use crate::sync::client::answer::Answer;
use crate::sync::client::history::join::Taken;
use crate::sync::client::outgoing::flight::{Doubt, FlightStep, Found};
use crate::sync::client::outgoing::requests::is_one_per_members;
use crate::sync::client::{Client, Purpose, Turn, requeue};
use crate::sync::link::{RequestTag, Unanswered};
use crate::wire::request::{self, HistoryDirection, HistoryFrom, rows};
use crate::wire::{Command, Envelope, Payload, content, convert};

/// How much earlier than by our reckoning of the service's clock an entry may have arrived.
const MARGIN: Duration = Duration::from_secs(60);

/// A message that was edited so soon after it was sent was taken with other words.
const AT_ONCE: Duration = Duration::from_millis(5);

/// Messages per page of the search.
const PAGE: i32 = 100;

/// The most pages: a thousand messages of one conversation within the doubt are too many to judge.
const PAGES_MAX: u32 = 10;

/// Conversations that a search for a creation asks for: two are one too many already.
const CREATIONS_MAX: i32 = 2;

/// A search under way.
#[derive(Debug)]
pub(in crate::sync::client) enum Search {
    /// For a message, in the history of its conversation.
    Message(MessageSearch),
    /// For a conversation, by the token that it was made with.
    Conversation {
        /// The entry that is looked for.
        entry: OutboxEntryId,
    },
    /// For who is in a conversation.
    Members {
        /// The removal that may have happened.
        entry: OutboxEntryId,
    },
}

/// A search for a message, page by page from old to new.
#[derive(Debug)]
pub(in crate::sync::client) struct MessageSearch {
    entry: OutboxEntryId,
    conversation: ConversationId,
    /// The beginning of the next page.
    from: SearchPoint,
    pages: u32,
    matches: Vec<(MessageId, Timestamp)>,
    /// True if the service accepted an own message with other words, which may be the entry's.
    altered: bool,
}

#[derive(Debug)]
enum SearchPoint {
    /// A little before the doubt began.
    Time(Timestamp),
    /// The newest message that was looked at.
    Message(Position),
}

impl Client {
    pub(in crate::sync::client) fn doubt_of(&self, turn: &Turn<'_, '_>, entry: &Entry) -> Doubt {
        let inherited = matches!(&entry.intent, Intent::Create(intent)
            if !is_one_per_members(intent) && self.sender.is_inherited(entry.id));
        let since = entry.in_doubt_since;
        let Some(since) = since.or_else(|| inherited.then_some(entry.enqueued_at)) else {
            return Doubt::None;
        };
        let remembered = match &entry.intent {
            // A later will takes the place of an earlier one. Neither it nor a transient message is in history.
            Intent::Send(send) => {
                send.will || send.transient || self.token_is_remembered(turn, since)
            }
            Intent::Create(intent) => is_one_per_members(intent),
            // Leaving or removing may undo a later change of another client.
            Intent::Members(intent) => !intent.change.takes_out(),
            Intent::Patch(_) | Intent::Details(_) | Intent::Mute(_) | Intent::Read(_) => true,
        };
        if remembered {
            Doubt::Remembered
        } else {
            Doubt::Forgotten { since }
        }
    }

    fn token_is_remembered(&self, turn: &Turn<'_, '_>, since: Timestamp) -> bool {
        let Some(memory) = self.settings.limits.token_memory else {
            return true;
        };
        let now = self.clock.now(turn.now);
        let age = now.saturating_since(since);
        // A message that is sent now may arrive as late as its time-out. A clock that went back says nothing.
        let usable = memory.saturating_sub(self.settings.limits.request_timeout);
        since <= now && age <= usable
    }

    pub(in crate::sync::client) fn search_message(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        conversation: &ConversationId,
        since: Timestamp,
    ) {
        let margin = i64::try_from(MARGIN.as_millis()).unwrap_or(0);
        let begin = Timestamp::from_millis(since.as_millis().saturating_sub(margin));
        let search = MessageSearch {
            entry: entry.id,
            conversation: conversation.clone(),
            from: SearchPoint::Time(begin),
            pages: 0,
            matches: Vec::new(),
            altered: false,
        };
        self.ask_search(turn, entry, search);
    }

    fn ask_search(&mut self, turn: &mut Turn<'_, '_>, entry: &Entry, search: MessageSearch) {
        if !self.paces.history.allows(turn.elapsed()) {
            self.sender.release(entry);
            return;
        }
        let from = match &search.from {
            SearchPoint::Time(at) => HistoryFrom::Time(*at),
            SearchPoint::Message(position) => HistoryFrom::At(position.sent_at, &position.id),
        };
        let newer = HistoryDirection::Newer;
        let command = request::history(&search.conversation, from, newer, PAGE);
        self.paces.history.note(turn.elapsed());
        let purpose = Purpose::Search(Search::Message(search));
        let tag = self.submit(turn, command, purpose);
        self.sender.depart(entry, FlightStep::Asked(tag));
    }

    pub(in crate::sync::client) fn search_conversation(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &CreateIntent,
    ) {
        let chat_room = intent.kind == ConversationKind::ChatRoom;
        let token = entry.token.as_str();
        let command = request::by_token(token, self.me().as_str(), chat_room, CREATIONS_MAX);
        self.paces.others.note(turn.elapsed());
        let search = Search::Conversation { entry: entry.id };
        let tag = self.submit(turn, command, Purpose::Search(search));
        self.sender.depart(entry, FlightStep::Asked(tag));
    }

    pub(in crate::sync::client) fn search_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        search: Search,
        answer: Answer,
    ) -> Result<(), StoreError> {
        let id = search.entry();
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(());
        };
        if !self.sender.carries(tag, id) {
            return Ok(());
        }
        let envelope = match answer {
            Answer::Said(envelope) => envelope,
            Answer::Refused { code, reason } => {
                self.sender.release(&entry);
                return self.refused(turn, &entry, code, reason);
            }
            Answer::Unanswered(reason) => {
                if reason == Unanswered::TimedOut {
                    match search {
                        Search::Message(_) => self.paces.history.throttled(turn.elapsed()),
                        _ => self.paces.others.throttled(turn.elapsed()),
                    }
                }
                self.sender.release(&entry);
                requeue(turn, id);
                return Ok(());
            }
        };
        match (search, &entry.intent) {
            (Search::Message(search), Intent::Send(intent)) => {
                self.message_page(turn, &entry, intent, search, envelope)
            }
            (Search::Conversation { .. }, Intent::Create(_)) => {
                self.creation_page(turn, &entry, &envelope)
            }
            (Search::Members { .. }, Intent::Members(intent)) => {
                self.members_page(turn, &entry, intent, &envelope)
            }
            _ => Ok(()),
        }
    }

    fn message_page(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        intent: &SendIntent,
        mut search: MessageSearch,
        envelope: Envelope,
    ) -> Result<(), StoreError> {
        let Command::Logs(body) = envelope.command else {
            return self.judge(turn, entry, search);
        };
        self.paces.history.answered();
        let wanted = canonical(&intent.content);
        let mut newest = None;
        for item in body.logs {
            let message = convert::message_from_history(&search.conversation, item, self.me());
            let Ok(message) = message else { continue };
            let Some(id) = message.id.clone() else {
                continue;
            };
            let position = Position {
                sent_at: message.sent_at,
                id,
            };
            if search.has_seen(&position) {
                continue;
            }
            newest = newest.max(Some(position.clone()));
            if &message.sender != self.me() || is_claimed(turn, entry, &position)? {
                continue;
            }
            let same =
                message.mentions == intent.mentions && content::encode(&message.content) == wanted;
            if same {
                search.matches.push((position.id, position.sent_at));
            } else {
                search.altered |= is_altered_at_once(&message);
            }
        }
        search.pages += 1;
        match newest {
            // Only an answer without anything new is the end.
            None => self.judge(turn, entry, search),
            Some(_) if search.pages >= PAGES_MAX => {
                self.fail_entry(turn, entry, SendFailure::Ambiguous)
            }
            Some(position) => {
                search.from = SearchPoint::Message(position);
                self.ask_search(turn, entry, search);
                Ok(())
            }
        }
    }

    fn judge(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        search: MessageSearch,
    ) -> Result<(), StoreError> {
        let mut matches = search.matches.into_iter();
        match (matches.next(), matches.next()) {
            // The service may have masked its words.
            (None, _) if search.altered => self.fail_entry(turn, entry, SendFailure::Ambiguous),
            (None, _) => {
                self.clear_doubt(turn, entry);
                Ok(())
            }
            (Some((id, sent_at)), None) => {
                self.settle_send(turn, entry, id, sent_at, Taken::Sometime)
            }
            (Some(_), Some(_)) => self.fail_entry(turn, entry, SendFailure::Ambiguous),
        }
    }

    /// It did not arrive: it is sent as if for the first time.
    pub(in crate::sync::client) fn clear_doubt(&mut self, turn: &mut Turn<'_, '_>, entry: &Entry) {
        turn.overlay
            .update_entry(entry.id, |entry| entry.in_doubt_since = None);
        self.sender.looked_for(entry.id);
        self.sender.release(entry);
    }

    fn creation_page(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        envelope: &Envelope,
    ) -> Result<(), StoreError> {
        self.paces.others.answered();
        let mut found = rows(envelope).into_iter();
        match (found.next(), found.next()) {
            (None, _) => {
                self.clear_doubt(turn, entry);
                Ok(())
            }
            (Some(row), None) => {
                self.settle_creation(turn, entry, &row.id, row.created_at, Found::Existing)?;
                let number = turn.overlay.snapshot().number(&row.id)?;
                let Some(number) = number else {
                    return Ok(());
                };
                // The creator of a chat room is inside, if the creation was not too long ago.
                self.entered(turn, number)?;
                self.ask_for_room(turn)
            }
            (Some(_), Some(_)) => self.fail_entry(turn, entry, SendFailure::Ambiguous),
        }
    }
}

impl Search {
    /// The entry that is looked for.
    pub(in crate::sync::client) const fn entry(&self) -> OutboxEntryId {
        match self {
            Self::Message(search) => search.entry,
            Self::Conversation { entry } | Self::Members { entry } => *entry,
        }
    }
}

impl MessageSearch {
    fn has_seen(&self, position: &Position) -> bool {
        match &self.from {
            SearchPoint::Time(_) => false,
            SearchPoint::Message(seen) => position <= seen,
        }
    }
}

/// True if the service changed a message in the moment in which it was sent. Nobody edits so fast.
fn is_altered_at_once(message: &Message) -> bool {
    let edited = message.edited_at.filter(|at| *at >= message.sent_at);
    edited.is_some_and(|at| at.saturating_since(message.sent_at) <= AT_ONCE)
}

/// The content of a message, as it looks after the way through the wire.
fn canonical(said: &crate::model::MessageContent) -> Payload {
    content::encode(&content::decode(content::encode(said)))
}

/// True if the message is known as the result of another entry of this device.
fn is_claimed(turn: &Turn<'_, '_>, entry: &Entry, position: &Position) -> Result<bool, StoreError> {
    let held = turn
        .overlay
        .snapshot()
        .message(entry.conversation, position)?;
    Ok(held.is_some_and(|message| message.local_id.is_some()))
}

//! Records that are read in parts: a page of messages of many conversations, and a page of a table.
//!
//! A part ends when it has cost enough; the next part comes in the turn of the asker, like any request. A page
//! of messages looks at the first message of each conversation and keeps only its place, so the memory of a
//! page does not grow with the messages of the app. [`BEGUN_MAX`] pages are read at a time; others wait.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use sampan::model::{AppId, ClientId, ConversationId, Now};
use serde_json::{Value, json};

use super::records::{PAGE, PAGE_MAX, RecordsPage, row, size};
use crate::core::exchange::input::{Effect, Ticket};
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::request::{RecordsCall, RestAnswer};
use crate::core::machine::Core;
use crate::storage::{Conversation, Edge, Message, Order, Place, Span, Storage};

/// Bytes of the rows on a page: the rest is left for the next one.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Messages of one conversation that are read at once.
const AT_ONCE: usize = 32;

/// Conversations that are read at once.
const CONVERSATIONS_AT_ONCE: usize = 50;

/// Pages that may be half read at a time.
const BEGUN_MAX: usize = 4;

/// About the bytes of a member in a row.
const MEMBER_BYTES: usize = 32;

/// A page that is not answered yet.
#[derive(Debug)]
pub(in crate::core) struct RecordsReading {
    app: AppId,
    is_begun: bool,
    page: Page,
}

#[derive(Debug)]
enum Page {
    Messages(Box<Messages>),
    Table(Box<Table>),
}

impl<S: Storage> Core<S> {
    /// True if a request for records is not answered yet: [`Core::read_on`] takes it further.
    #[must_use]
    pub fn is_reading(&self, ticket: Ticket) -> bool {
        self.readings.contains_key(&ticket)
    }

    /// Takes a request for records a bounded part further.
    pub async fn read_on(&mut self, now: Now, ticket: Ticket) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = self.begin_turn(now, &mut effects).await;
        self.read_part(now, ticket, &mut effects).await;
        self.meter.storage(self.storage.work());
        effects
    }

    /// Begins to answer a request; the caller has shown the master key.
    pub(in crate::core) async fn begin_reading(
        &mut self,
        now: Now,
        ticket: Ticket,
        app: &AppId,
        call: &RecordsCall,
        effects: &mut Vec<Effect>,
    ) {
        match Page::of(call) {
            Ok(page) => {
                let app = app.clone();
                let is_begun = false;
                let reading = RecordsReading {
                    app,
                    is_begun,
                    page,
                };
                self.readings.insert(ticket, reading);
                self.read_part(now, ticket, effects).await;
            }
            Err(answer) => effects.push(told(ticket, answer)),
        }
    }

    /// Answers all requests for records that are not answered: the data cannot be read now.
    pub fn give_up_readings(&mut self) -> Vec<Effect> {
        let readings = std::mem::take(&mut self.readings).into_keys();
        readings.map(|ticket| told(ticket, failed())).collect()
    }

    async fn read_part(&mut self, now: Now, ticket: Ticket, effects: &mut Vec<Effect>) {
        let Some(mut reading) = self.readings.remove(&ticket) else {
            return;
        };
        let begun = self.readings.values().filter(|it| it.is_begun).count();
        if !reading.is_begun && begun >= BEGUN_MAX {
            self.readings.insert(ticket, reading);
            return;
        }
        reading.is_begun = true;
        loop {
            let step = match &mut reading.page {
                Page::Messages(page) => page.step(self, &reading.app).await,
                Page::Table(page) => page.step(self, now, &reading.app).await,
            };
            match step {
                Ok(Some(answer)) => return effects.push(told(ticket, answer)),
                Ok(None) if self.is_part_over() => break,
                Ok(None) => {}
                Err(_) => return effects.push(told(ticket, failed())),
            }
        }
        self.readings.insert(ticket, reading);
    }
}

fn told(ticket: Ticket, answer: RestAnswer) -> Effect {
    let answer = Box::new(answer);
    Effect::Answer { ticket, answer }
}

fn failed() -> RestAnswer {
    RestAnswer::refused(500, 1, "internal error")
}

impl Page {
    fn of(call: &RecordsCall) -> Result<Self, RestAnswer> {
        let (query, from, only) = match call {
            RecordsCall::OfTable { class, query } => {
                return Table::of(class, query).map(|it| Self::Table(Box::new(it)));
            }
            RecordsCall::OfApp { query } => (query, None, None),
            RecordsCall::OfClient { id, query } => (query, Some(id), None),
            RecordsCall::OfConversation { id, query } => (query, None, Some(id)),
        };
        let mut page = RecordsPage::read(query).map_err(|why| RestAnswer::refused(400, 1, why))?;
        if let Some(from) = from {
            // Nobody has an id that is none.
            let from = ClientId::new(from).map_err(|_| RestAnswer::ok(json!([])))?;
            page.from = Some(from);
        }
        let absent = || RestAnswer::refused(404, 4401, "the conversation is not here");
        let only = only.map(|id| ConversationId::new(id).map_err(|_| absent()));
        let only = only.transpose()?;
        Ok(Self::Messages(Box::new(Messages {
            more: only.is_none().then_some(None),
            only,
            page,
            unseen: VecDeque::new(),
            filling: None,
            seen: 0,
            runs: BTreeMap::new(),
            heads: BinaryHeap::new(),
            found: Vec::new(),
            bytes: 0,
        })))
    }
}

/// A page of messages out of some conversations, in the order of the page. Messages of one time and id in several
/// conversations are never parted by the end of a page, or the next page, which starts behind that place, would
/// miss some.
#[derive(Debug)]
struct Messages {
    page: RecordsPage,
    /// The one conversation that is asked about.
    only: Option<ConversationId>,
    /// Behind which conversation there may be more; none when all are known.
    more: Option<Option<ConversationId>>,
    /// Conversations whose first message is not known yet.
    unseen: VecDeque<ConversationId>,
    /// The conversation that is being read.
    filling: Option<Run>,
    /// The number of conversations that were begun: each has a number.
    seen: usize,
    runs: BTreeMap<usize, Run>,
    heads: BinaryHeap<MergeRank>,
    found: Vec<(ConversationId, Message)>,
    bytes: usize,
}

/// The next messages of one conversation, and where they go on.
#[derive(Debug)]
struct Run {
    number: usize,
    conversation: ConversationId,
    next: VecDeque<Message>,
    span: Span,
    /// True until its first message was found.
    is_new: bool,
    is_over: bool,
}

/// The key of a heap's order: the place of a run's first message, in the order of the page.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MergeRank {
    Newest(Place, usize),
    Oldest(std::cmp::Reverse<Place>, usize),
}

impl MergeRank {
    fn of(order: Order, place: Place, run: usize) -> Self {
        match order {
            Order::NewestFirst => Self::Newest(place, run),
            Order::OldestFirst => Self::Oldest(std::cmp::Reverse(place), run),
        }
    }

    fn run(&self) -> usize {
        match self {
            Self::Newest(_, run) | Self::Oldest(_, run) => *run,
        }
    }
}

impl Messages {
    /// One read of the storage at most; the answer, once the page is whole.
    async fn step<S: Storage>(
        &mut self,
        core: &Core<S>,
        app: &AppId,
    ) -> Result<Option<RestAnswer>, Failure> {
        if let Some(id) = self.only.take() {
            if core.storage.conversation(app, &id).await?.is_none() {
                let absent = RestAnswer::refused(404, 4401, "the conversation is not here");
                return Ok(Some(absent));
            }
            self.unseen.push_back(id);
        } else if let Some(run) = self.filling.take() {
            self.fill(core, app, run).await?;
        } else if let Some(conversation) = self.unseen.pop_front() {
            self.seen += 1;
            self.filling = Some(Run {
                number: self.seen,
                conversation,
                next: VecDeque::new(),
                span: self.page.span.clone(),
                is_new: true,
                is_over: false,
            });
        } else if let Some(after) = self.more.take() {
            let (storage, limit) = (&core.storage, CONVERSATIONS_AT_ONCE);
            let some = storage.conversations(app, after.as_ref(), limit).await?;
            let last = some.last().filter(|_| some.len() == limit);
            self.more = last.map(|last| Some(last.id.clone()));
            self.unseen.extend(some.into_iter().map(|one| one.id));
        } else if self.take_next() {
            let rows = self.found.iter().map(|(id, one)| row(id, one));
            return Ok(Some(RestAnswer::ok(rows.collect())));
        }
        Ok(None)
    }

    /// Reads on in one conversation. The first time it is about the place of the first message alone.
    async fn fill<S: Storage>(
        &mut self,
        core: &Core<S>,
        app: &AppId,
        mut run: Run,
    ) -> Result<(), Failure> {
        let (page, storage) = (&self.page, &core.storage);
        let limit = match run.is_new && page.from.is_none() {
            true => 1,
            false => AT_ONCE,
        };
        let some = storage
            .messages(app, &run.conversation, &run.span, page.order, limit)
            .await?;
        run.is_over = some.len() < limit;
        let wanted = |one: &Message| page.from.as_ref().is_none_or(|from| one.from == *from);
        if let Some(last) = some.last() {
            run.goes_on_at(page.order, last.place(), false);
        }
        run.next = some.into_iter().filter(wanted).collect();
        let Some(head) = run.next.front().map(Message::place) else {
            // Nothing of it is wanted so far.
            self.filling = Some(run).filter(|run| !run.is_over);
            return Ok(());
        };
        if run.is_new {
            (run.is_new, run.is_over) = (false, false);
            run.next.clear();
            run.goes_on_at(page.order, head.clone(), true);
        }
        self.heads.push(MergeRank::of(page.order, head, run.number));
        self.runs.insert(run.number, run);
        Ok(())
    }

    /// Takes the next message of the page; true when the page is whole.
    fn take_next(&mut self) -> bool {
        let Some(rank) = self.heads.pop() else {
            return true;
        };
        let Some(mut run) = self.runs.remove(&rank.run()) else {
            debug_assert!(false, "a head without its run");
            return true;
        };
        let Some(message) = run.next.pop_front() else {
            // Its place alone was kept.
            self.filling = Some(run);
            return false;
        };
        let place = message.place();
        let is_full = self.found.len() >= self.page.limit || self.bytes > PAGE_BYTES_MAX;
        let is_last = |(_, last): &(ConversationId, Message)| last.place() != place;
        if is_full && self.found.last().is_none_or(is_last) {
            return true;
        }
        self.bytes += size(&message.body);
        self.found.push((run.conversation.clone(), message));
        match run.next.front() {
            Some(first) => {
                let head = MergeRank::of(self.page.order, first.place(), run.number);
                self.heads.push(head);
                self.runs.insert(run.number, run);
            }
            None => self.filling = Some(run).filter(|run| !run.is_over),
        }
        false
    }
}

impl Run {
    fn goes_on_at(&mut self, order: Order, place: Place, included: bool) {
        let edge = Some(Edge {
            at: place.sent_at,
            id: Some(place.id),
            included,
        });
        match order {
            Order::NewestFirst => self.span.newer = edge,
            Order::OldestFirst => self.span.older = edge,
        }
    }
}

/// A page of a table, with a cursor to the next one.
#[derive(Debug)]
struct Table {
    is_of_roles: bool,
    limit: usize,
    /// The conversation of the last row.
    after: Option<ConversationId>,
    waiting: VecDeque<Conversation>,
    has_more: bool,
    taken: usize,
    bytes: usize,
    rows: Vec<Value>,
}

impl Table {
    fn of(class: &str, query: &BTreeMap<String, String>) -> Result<Self, RestAnswer> {
        let is_of_roles = match class {
            "_Conversation" => false,
            "_ConversationMemberInfo" => true,
            _ => {
                let why = "this service has no such class";
                return Err(RestAnswer::refused(404, 101, why));
            }
        };
        let limit = query.get("limit").and_then(|it| it.parse::<usize>().ok());
        let after = query.get("cursor").map(ConversationId::new).transpose();
        let none_of_ours = |_| RestAnswer::refused(400, 1, "the cursor is none of ours");
        Ok(Self {
            is_of_roles,
            limit: limit.unwrap_or(PAGE).clamp(1, PAGE_MAX),
            after: after.map_err(none_of_ours)?,
            waiting: VecDeque::new(),
            has_more: true,
            taken: 0,
            bytes: 0,
            rows: Vec::new(),
        })
    }

    /// One conversation, or one look for more of them; the answer, once the page is whole.
    async fn step<S: Storage>(
        &mut self,
        core: &Core<S>,
        now: Now,
        app: &AppId,
    ) -> Result<Option<RestAnswer>, Failure> {
        if self.taken >= self.limit || self.bytes > PAGE_BYTES_MAX {
            return Ok(Some(self.answer(self.after.clone())));
        }
        if let Some(conversation) = self.waiting.pop_front() {
            self.after = Some(conversation.id.clone());
            self.taken += 1;
            self.take(core, now, app, conversation).await?;
        } else if self.has_more {
            let wanted = CONVERSATIONS_AT_ONCE.min(self.limit - self.taken);
            let (storage, after) = (&core.storage, self.after.as_ref());
            let some = storage.conversations(app, after, wanted).await?;
            self.has_more = some.len() == wanted;
            self.waiting = some.into();
        } else {
            return Ok(Some(self.answer(None)));
        }
        Ok(None)
    }

    async fn take<S: Storage>(
        &mut self,
        core: &Core<S>,
        now: Now,
        app: &AppId,
        conversation: Conversation,
    ) -> Result<(), Failure> {
        let rows = match self.is_of_roles {
            true => core.role_rows(app, &conversation).await?,
            false => vec![core.conversation_row(now, app, conversation).await?],
        };
        for row in rows {
            let members = row.get("m").and_then(Value::as_array).map_or(0, Vec::len);
            self.bytes += (members + 32) * MEMBER_BYTES;
            self.rows.push(row);
        }
        Ok(())
    }

    fn answer(&mut self, cursor: Option<ConversationId>) -> RestAnswer {
        let mut body = json!({ "results": std::mem::take(&mut self.rows) });
        if let (Some(cursor), Some(body)) = (cursor, body.as_object_mut()) {
            body.insert("cursor".to_owned(), cursor.as_str().into());
        }
        RestAnswer::ok(body)
    }
}

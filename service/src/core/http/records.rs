//! Records that an app's own servers read with the master key: the history of the app, of a conversation or of
//! a client, and the tables of conversations and roles. Nothing is left out, and nothing is changed.
//!
//! A page of the app's history asks every conversation once. That is meant for saving a history, a
//! page after the other, and not for serving it.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Now, Timestamp};
use serde_json::{Value, json};

use crate::core::conversations::role::{info_id, role_name};
use crate::core::exchange::fields::text_of;
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::request::{RecordsCall, RestAnswer};
use crate::core::machine::Core;
use crate::core::queries::query_row::Row;
use crate::storage::{Body, Conversation, Edge, Message, Order, Place, Role, Span, Storage};

/// Rows of a page whose request names no number.
const PAGE: usize = 100;

/// Rows of a page at most.
pub(in crate::core) const PAGE_MAX: usize = 1000;
/// Bytes of the messages on a page: the rest is left for the next one.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Messages of one conversation that are read at once.
const AT_ONCE: usize = 32;
/// Conversations that are read at once.
const CONVERSATIONS_AT_ONCE: usize = 500;

/// A page that is asked for.
pub(in crate::core) struct RecordsPage {
    span: Span,
    order: Order,
    limit: usize,
    from: Option<ClientId>,
}

impl RecordsPage {
    pub(in crate::core) fn read(query: &BTreeMap<String, String>) -> Result<Self, &'static str> {
        let number = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => text
                .parse::<i64>()
                .map(Some)
                .map_err(|_| "a number is none"),
        };
        let is_set = |name: &str| query.get(name).is_some_and(|it| it == "true" || it == "1");
        let edge = |time: &str, id: &str, included: &str| {
            let at = number(time)?.filter(|at| *at != 0);
            let text = query.get(id).filter(|id| !id.is_empty());
            let id = text.map(|id| MessageId::new(id).map_err(|_| "an id is none"));
            match (at, id.transpose()?) {
                (None, Some(_)) => Err("an id needs its time"),
                (None, None) => Ok(None),
                (Some(at), id) => Ok(Some(Edge {
                    at: Timestamp::from_millis(at),
                    id,
                    included: is_set(included),
                })),
            }
        };
        let limit = match number("limit")? {
            None => PAGE,
            Some(limit) => usize::try_from(limit)
                .ok()
                .filter(|limit| (1..=PAGE_MAX).contains(limit))
                .ok_or("the limit must be 1 to 1000")?,
        };
        let start = edge("timestamp", "msgid", "include_start")?;
        let end = edge("till_timestamp", "till_msgid", "include_stop")?;
        let (order, span) = match is_set("reversed") {
            true => (
                Order::OldestFirst,
                Span {
                    older: start,
                    newer: end,
                },
            ),
            false => (
                Order::NewestFirst,
                Span {
                    older: end,
                    newer: start,
                },
            ),
        };
        Ok(Self {
            span,
            order,
            limit,
            from: None,
        })
    }
}

impl RecordsPage {
    /// The stretch, the order and the number of rows.
    pub(in crate::core) fn into_parts(self) -> (Span, Order, usize) {
        (self.span, self.order, self.limit)
    }
}

/// The next messages of one conversation, and where they go on.
struct Run {
    conversation: ConversationId,
    next: VecDeque<Message>,
    span: Span,
    is_over: bool,
}

/// The key of a heap's order: the place of a run's first message, in the order of the page.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
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

impl<S: Storage> Core<S> {
    /// Answers a request; the caller has shown the master key.
    pub(in crate::core) async fn records(
        &self,
        now: Now,
        app: &AppId,
        call: &RecordsCall,
    ) -> Result<RestAnswer, Failure> {
        let (query, from, only) = match call {
            RecordsCall::OfTable { class, query } => {
                return self.table(now, app, class, query).await;
            }
            RecordsCall::OfApp { query } => (query, None, None),
            RecordsCall::OfClient { id, query } => (query, Some(id), None),
            RecordsCall::OfConversation { id, query } => (query, None, Some(id)),
        };
        let mut page = match RecordsPage::read(query) {
            Ok(page) => page,
            Err(why) => return Ok(RestAnswer::refused(400, 1, why)),
        };
        page.from = from.and_then(|id| ClientId::new(id).ok());
        if from.is_some() && page.from.is_none() {
            return Ok(RestAnswer::ok(json!([])));
        }
        let ids = match only {
            None => self.all_conversations(app).await?,
            Some(id) => {
                let id = ConversationId::new(id).ok();
                let found = match &id {
                    Some(id) => self.storage.conversation(app, id).await?,
                    None => None,
                };
                let Some(found) = found else {
                    return Ok(RestAnswer::refused(
                        404,
                        4401,
                        "the conversation is not here",
                    ));
                };
                vec![found.id]
            }
        };
        let rows = self.merged(app, &page, ids).await?;
        Ok(RestAnswer::ok(
            rows.iter().map(|(id, one)| row(id, one)).collect(),
        ))
    }

    async fn all_conversations(&self, app: &AppId) -> Result<Vec<ConversationId>, Failure> {
        let mut ids: Vec<ConversationId> = Vec::new();
        loop {
            let storage = &self.storage;
            let some = storage
                .conversations(app, ids.last(), CONVERSATIONS_AT_ONCE)
                .await?;
            let is_last = some.len() < CONVERSATIONS_AT_ONCE;
            ids.extend(some.into_iter().map(|one| one.id));
            if is_last {
                return Ok(ids);
            }
        }
    }

    /// The messages of a page out of some conversations, in the order of the page. Messages of one
    /// time and id in several conversations are never parted by the end of a page, or the next page,
    /// which starts behind that place, would miss some.
    async fn merged(
        &self,
        app: &AppId,
        page: &RecordsPage,
        ids: Vec<ConversationId>,
    ) -> Result<Vec<(ConversationId, Message)>, Failure> {
        let (mut runs, mut heap) = (Vec::new(), BinaryHeap::new());
        for conversation in ids {
            let span = page.span.clone();
            let mut run = Run {
                conversation,
                next: VecDeque::new(),
                span,
                is_over: false,
            };
            self.refill(app, page, &mut run).await?;
            if let Some(first) = run.next.front() {
                heap.push(MergeRank::of(page.order, first.place(), runs.len()));
                runs.push(run);
            }
        }
        let (mut found, mut bytes) = (Vec::<(ConversationId, Message)>::new(), 0);
        while let Some(rank) = heap.pop() {
            let index = rank.run();
            let Some(run) = runs.get_mut(index) else {
                break;
            };
            let Some(message) = run.next.pop_front() else {
                continue;
            };
            let is_full = found.len() >= page.limit || bytes > PAGE_BYTES_MAX;
            if is_full
                && found
                    .last()
                    .is_none_or(|(_, last)| last.place() != message.place())
            {
                break;
            }
            bytes += size(&message.body);
            found.push((run.conversation.clone(), message));
            if run.next.is_empty() {
                self.refill(app, page, run).await?;
            }
            if let Some(first) = run.next.front() {
                heap.push(MergeRank::of(page.order, first.place(), index));
            }
        }
        Ok(found)
    }

    /// Reads on in one conversation until there is a message for the page, or none is left.
    async fn refill(&self, app: &AppId, page: &RecordsPage, run: &mut Run) -> Result<(), Failure> {
        while run.next.is_empty() && !run.is_over {
            let (storage, id) = (&self.storage, &run.conversation);
            let some = storage
                .messages(app, id, &run.span, page.order, AT_ONCE)
                .await?;
            run.is_over = some.len() < AT_ONCE;
            let beyond = some.last().map(|last| Edge {
                at: last.sent_at,
                id: Some(last.id.clone()),
                included: false,
            });
            if beyond.is_some() {
                match page.order {
                    Order::NewestFirst => run.span.newer = beyond,
                    Order::OldestFirst => run.span.older = beyond,
                }
            }
            let wanted = |one: &Message| page.from.as_ref().is_none_or(|from| one.from == *from);
            run.next.extend(some.into_iter().filter(wanted));
        }
        Ok(())
    }

    /// A page of a table, with a cursor to the next one.
    async fn table(
        &self,
        now: Now,
        app: &AppId,
        class: &str,
        query: &BTreeMap<String, String>,
    ) -> Result<RestAnswer, Failure> {
        let is_known = matches!(class, "_Conversation" | "_ConversationMemberInfo");
        if !is_known {
            return Ok(RestAnswer::refused(
                404,
                101,
                "this service has no such class",
            ));
        }
        let limit = query
            .get("limit")
            .and_then(|limit| limit.parse::<usize>().ok());
        let limit = limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
        let after = match query.get("cursor").map(ConversationId::new) {
            None => None,
            Some(Ok(after)) => Some(after),
            Some(Err(_)) => return Ok(RestAnswer::refused(400, 1, "the cursor is none of ours")),
        };
        let some = self
            .storage
            .conversations(app, after.as_ref(), limit)
            .await?;
        let cursor = some.last().filter(|_| some.len() == limit);
        let cursor = cursor.map(|last| last.id.as_str().to_owned());
        let mut rows = Vec::new();
        for conversation in some {
            match class {
                "_Conversation" => rows.push(self.conversation_row(now, app, conversation).await?),
                _ => rows.extend(self.role_rows(app, &conversation).await?),
            }
        }
        let mut body = json!({ "results": rows });
        if let (Some(cursor), Some(body)) = (cursor, body.as_object_mut()) {
            body.insert("cursor".to_owned(), cursor.into());
        }
        Ok(RestAnswer::ok(body))
    }

    async fn conversation_row(
        &self,
        now: Now,
        app: &AppId,
        conversation: Conversation,
    ) -> Result<Value, Failure> {
        let members = self
            .storage
            .members(app, &conversation.id, usize::MAX)
            .await?;
        let (span, order) = (Span::default(), Order::NewestFirst);
        let last = self
            .storage
            .messages(app, &conversation.id, &span, order, 1)
            .await?;
        let row = Row::new(now, conversation, &members, None, last.into_iter().next());
        Ok(row.into_value(true, false))
    }

    async fn role_rows(
        &self,
        app: &AppId,
        conversation: &Conversation,
    ) -> Result<Vec<Value>, Failure> {
        let members = self
            .storage
            .members(app, &conversation.id, usize::MAX)
            .await?;
        let rows = members.iter().filter(|member| member.role != Role::Member);
        let row = |client: &ClientId, role| {
            json!({
                "objectId": info_id(conversation, client),
                "cid": conversation.id.as_str(),
                "clientId": client.as_str(),
                "role": role_name(role),
            })
        };
        Ok(rows
            .map(|member| row(&member.client, member.role))
            .collect())
    }
}

fn size(body: &Body) -> usize {
    match body {
        Body::Text(text) => text.len(),
        Body::Binary(bytes) => bytes.len() * 4 / 3,
    }
}

/// A message as the interface tells it.
pub(in crate::core) fn row(conversation: &ConversationId, message: &Message) -> Value {
    let (data, binary) = text_of(&message.body);
    let mut row = json!({
        "timestamp": message.sent_at.as_millis(),
        "conv-id": conversation.as_str(),
        "data": data,
        "from": message.from.as_str(),
        "msg-id": message.id.as_str(),
        "is-conv": true,
        "is-room": false,
        "to": conversation.as_str(),
        "bin": binary,
    });
    if let (Some(at), Some(row)) = (message.delivered_at, row.as_object_mut()) {
        row.insert("ack-at".to_owned(), at.as_millis().into());
    }
    row
}

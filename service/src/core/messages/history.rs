//! History: pages of a conversation's messages, in both directions, read in parts.

use sampan::model::{Now, Timestamp};
use sampan::wire::generated::logs_command::QueryDirection;
use sampan::wire::generated::{LogItem, LogsCommand};
use sampan::wire::{Command, ServiceCode};
use serde_json::Value;

use crate::core::access::Operation;
use crate::core::exchange::decision::{Caller, Decision, Part};
use crate::core::exchange::fields::message_id;
use crate::core::exchange::fields::text_of;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::{Body, Conversation, Edge, Kind, Message, Order, Span, Storage};

/// The page of a query that does not say how long it should be.
const DEFAULT_LIMIT: usize = 20;

/// Messages that one page may look at. One that finds too few among them is refused: SDKs take a page with
/// fewer messages than they asked for for the end of history.
const SCANNED_MAX: usize = 200_000;

/// Messages that are read at a time.
const AT_ONCE: usize = 100;

/// Bytes that a message of a page is expected to have at most: 5 KB, as text, with its ids. A page is
/// never cut short for its bytes: SDKs take a page with fewer messages than they asked for for the end
/// of history. In place of that few large pages are read at a time (`job.rs`).
const MESSAGE_BYTES: usize = 7 * 1024;

/// A page of history that is asked for.
#[derive(Debug, PartialEq)]
struct HistoryPage {
    span: Span,
    order: Order,
    limit: usize,
    /// Only messages whose envelope has this type.
    of_type: Option<i32>,
}

impl HistoryPage {
    /// Reads a request; zeros and empty texts mean absent, as some SDKs write them.
    fn read(body: &LogsCommand, longest: usize) -> Result<Self, Refusal> {
        let limit = match body.l.or(body.limit) {
            None => DEFAULT_LIMIT,
            Some(limit) => usize::try_from(limit).map_err(|_| {
                Refusal::because(
                    ServiceCode::CONVERSATION_LOG_FAILED,
                    "the limit is negative",
                )
            })?,
        };
        let edge = |at: Option<i64>, id: Option<&str>, included: Option<bool>| {
            at.filter(|at| *at != 0).map(|at| Edge {
                at: Timestamp::from_millis(at),
                id: message_id(id),
                included: included == Some(true),
            })
        };
        let start = edge(body.t, body.mid.as_deref(), body.t_included);
        let end = edge(body.tt, body.tmid.as_deref(), body.tt_included);
        let newer_first = body
            .direction
            .is_none_or(|it| it != QueryDirection::New as i32);
        let (span, order) = if newer_first {
            (
                Span {
                    older: end,
                    newer: start,
                },
                Order::NewestFirst,
            )
        } else {
            (
                Span {
                    older: start,
                    newer: end,
                },
                Order::OldestFirst,
            )
        };
        Ok(Self {
            span,
            order,
            limit: limit.min(longest),
            of_type: body.lctype,
        })
    }
}

/// A page of history under way.
#[derive(Debug)]
pub(in crate::core) struct Reading {
    conversation: Conversation,
    cid: Option<String>,
    page: HistoryPage,
    found: Vec<Message>,
    scanned: usize,
}

impl Reading {
    /// Bytes that the page may take while it is read.
    pub(in crate::core) fn bytes(&self) -> usize {
        self.page.limit.saturating_mul(MESSAGE_BYTES)
    }

    /// Reads a part of the page.
    pub(in crate::core) async fn part<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        caller: &Caller,
    ) -> Result<Part, Failure> {
        while self.found.len() < self.page.limit {
            if self.scanned >= SCANNED_MAX {
                let detail = "too many messages of other types lie between; ask for fewer";
                let code = ServiceCode::CONVERSATION_LOG_FAILED;
                return Err(Refusal::because(code, detail).into());
            }
            if self.step(core, caller).await? {
                break;
            }
            if core.is_part_over() {
                return Ok(Part::more());
            }
        }
        if self.page.order == Order::NewestFirst {
            self.found.reverse();
        }
        let logs = self.found.iter();
        let logs = logs.map(|message| item(&self.conversation, message));
        let reply = LogsCommand {
            cid: self.cid.clone(),
            logs: logs.collect(),
            ..LogsCommand::default()
        };
        Ok(Part::end(Decision::reply(Command::logs(reply))))
    }

    /// Reads some more messages; says whether the page ends with them.
    async fn step<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        caller: &Caller,
    ) -> Result<bool, Failure> {
        let page = &mut self.page;
        // In a service conversation each client sees the messages for itself alone, and the messages for all.
        let is_parted = self.conversation.kind == Kind::System;
        let wanted = match page.of_type {
            None if !is_parted => AT_ONCE.min(page.limit - self.found.len()),
            _ => AT_ONCE,
        };
        let (app, id) = (&caller.app, &self.conversation.id);
        let next = core
            .storage
            .messages(app, id, &page.span, page.order, wanted)
            .await?;
        let Some(last) = next.last() else {
            return Ok(true);
        };
        let beyond = Some(Edge {
            at: last.sent_at,
            id: Some(last.id.clone()),
            included: false,
        });
        match page.order {
            Order::NewestFirst => page.span.newer = beyond,
            Order::OldestFirst => page.span.older = beyond,
        }
        self.scanned += next.len();
        let is_exhausted = next.len() < wanted;
        let client = caller.client();
        let is_wanted = |it: &Message| it.is_for(client) && is_of_type(it, page.of_type);
        for message in next.into_iter().filter(is_wanted) {
            if self.found.len() >= page.limit {
                return Ok(true);
            }
            self.found.push(message);
        }
        Ok(is_exhausted)
    }
}

impl<S: Storage> Core<S> {
    /// Begins to read a page of history.
    pub(in crate::core) async fn history(
        &self,
        now: Now,
        caller: &Caller,
        body: &LogsCommand,
    ) -> Result<Reading, Failure> {
        let limits = self.app_of(caller)?.settings.limits;
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::ReadHistory, body.cid.as_deref())
            .await?;
        Ok(Reading {
            page: HistoryPage::read(body, limits.history_page)?,
            conversation: admitted.conversation,
            cid: body.cid.clone(),
            found: Vec::new(),
            scanned: 0,
        })
    }
}

/// True if a message's envelope has the type asked for.
fn is_of_type(message: &Message, of_type: Option<i32>) -> bool {
    let Some(of_type) = of_type else { return true };
    let Body::Text(text) = &message.body else {
        return false;
    };
    let envelope = serde_json::from_str::<Value>(text).ok();
    envelope.and_then(|it| it.get("_lctype")?.as_i64()) == Some(i64::from(of_type))
}

fn item(conversation: &Conversation, message: &Message) -> LogItem {
    let (data, binary) = text_of(&message.body);
    LogItem {
        from: Some(message.from.to_string()),
        data: Some(data),
        timestamp: Some(message.sent_at.as_millis()),
        msg_id: Some(message.id.to_string()),
        ack_at: message.delivered_at.map(Timestamp::as_millis),
        read_at: message.read_at.map(Timestamp::as_millis),
        patch_timestamp: message.patched_at.map(Timestamp::as_millis),
        mention_all: message.mention_all.then_some(true),
        mention_pids: message.mentions.iter().map(ToString::to_string).collect(),
        bin: Some(binary),
        conv_type: Some(conversation.kind.number()),
    }
}

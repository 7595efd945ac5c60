//! Conversation queries: the rows that they look at, and the fields in their answers.
//!
//! A query is a job of several parts: it looks at conversations one by one, keeps the ids of the best, and
//! reads those again for the answer. The work of a part and of the whole query is bounded, in rows and bytes
//! examined and in steps of patterns.

use std::collections::{BTreeSet, VecDeque};

use sampan::model::query::filter::Candidates;
use sampan::model::query::{Choice, QueryError, QueryFields, QuerySelection, Steps};
use sampan::model::{AppId, ClientId, ConversationId, Now};
use sampan::wire::generated::{ConvCommand, JsonObjectMessage};
use sampan::wire::{Command, Op, ServiceCode};

use super::query_row::Row;
use crate::core::access::Operation;
use crate::core::exchange::decision::{Caller, Decision, Part};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Order, Span, Storage};

/// Conversations that one query may look at when no index helps it.
const SCANNED_MAX: usize = 20_000;

/// Conversations that are read at a time.
const AT_ONCE: usize = 16;

/// Temporary conversations that one query may name.
const TEMPORARY_MAX: usize = 100;

/// Messages of a service conversation that are looked at for the last one that is for a client.
const LOOKED_AT_FOR_LAST: usize = 20;

/// Bytes of JSON in one answer: further rows are left for the next page.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most that one query may cost in all: some two seconds of a core that does nothing else.
const COST_MAX: u64 = 2_000_000;

/// Steps that the filter of one query may take in all.
const STEPS_MAX: u64 = 50_000_000;

/// A query under way.
#[derive(Debug)]
pub(in crate::core) struct Search {
    query: QuerySelection,
    source: Source,
    /// Conversations that were read and not looked at yet.
    read: VecDeque<Conversation>,
    /// Those that were looked at, where one may come twice.
    seen: Option<BTreeSet<ConversationId>>,
    scanned: usize,
    choice: Choice<ConversationId>,
    steps: Steps,
    spent: u64,
    /// The answer, once all were looked at: the conversations still to tell, and the text so far.
    answer: Option<(VecDeque<ConversationId>, String)>,
}

/// The source of the next conversations.
#[derive(Debug)]
enum Source {
    /// These, and after them those of these clients, each from behind a conversation.
    Named {
        ids: VecDeque<ConversationId>,
        members: VecDeque<ClientId>,
        after: Option<ConversationId>,
    },
    /// All of the app, from behind this one.
    Every(Option<ConversationId>),
}

impl Source {
    fn named(candidates: Candidates) -> Self {
        let ids = candidates.ids.into_iter();
        let members = candidates.members.into_iter();
        Self::Named {
            ids: ids.filter_map(|id| ConversationId::new(id).ok()).collect(),
            members: members.filter_map(|it| ClientId::new(it).ok()).collect(),
            after: None,
        }
    }

    /// True if the same conversation may come from two places.
    fn may_repeat(&self) -> bool {
        match self {
            Self::Named { ids, members, .. } => {
                members.len() > 1 || (!ids.is_empty() && !members.is_empty())
            }
            Self::Every(_) => false,
        }
    }

    /// The next few conversations; none at the end.
    async fn next<S: Storage>(
        &mut self,
        storage: &S,
        app: &AppId,
    ) -> Result<Vec<Conversation>, Failure> {
        match self {
            Self::Every(after) => {
                let found = storage.conversations(app, after.as_ref(), AT_ONCE).await?;
                if let Some(last) = found.last() {
                    *after = Some(last.id.clone());
                }
                Ok(found)
            }
            Self::Named {
                ids,
                members,
                after,
            } => {
                while ids.is_empty()
                    && let Some(member) = members.front()
                {
                    let more = storage
                        .memberships(app, member, after.as_ref(), AT_ONCE)
                        .await?;
                    *after = more.last().cloned();
                    if more.len() < AT_ONCE {
                        members.pop_front();
                        *after = None;
                    }
                    ids.extend(more);
                }
                let mut found = Vec::new();
                while found.len() < AT_ONCE
                    && let Some(id) = ids.pop_front()
                {
                    found.extend(storage.conversation(app, &id).await?);
                }
                Ok(found)
            }
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Named { ids, members, .. } => ids.is_empty() && members.is_empty(),
            Self::Every(_) => true,
        }
    }
}

impl Search {
    /// Takes the query a part further.
    pub(in crate::core) async fn part<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        now: Now,
        caller: &Caller,
    ) -> Result<Part, Failure> {
        let before = core.meter.sum();
        let part = loop {
            if let Some(text) = self.step(core, now, caller).await? {
                let results = Some(JsonObjectMessage { data: text });
                let reply = ConvCommand {
                    results,
                    ..ConvCommand::default()
                };
                let reply = Command::conv(Op::Results, reply);
                break Part::end(Decision::reply(reply));
            }
            if core.is_part_over() {
                break Part::more();
            }
        };
        self.spent += core.meter.sum().saturating_sub(before);
        match !part.is_end && self.spent > COST_MAX {
            true => Err(refuse(&QueryError::TooExpensive)),
            false => Ok(part),
        }
    }

    /// Looks at one conversation, or tells one; answers the text at the end.
    async fn step<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        now: Now,
        caller: &Caller,
    ) -> Result<Option<String>, Failure> {
        if let Some((left, text)) = &mut self.answer {
            let room = match left.pop_front() {
                None => false,
                Some(id) => tell(core, now, caller, &self.query, &id, text).await?,
            };
            if room {
                return Ok(None);
            }
            text.push(']');
            return Ok(Some(std::mem::take(text)));
        }
        let Some(conversation) = self.read.pop_front() else {
            let more = self.source.next(&core.storage, &caller.app).await?;
            let is_end = more.is_empty() && self.source.is_over();
            self.read.extend(more);
            if is_end {
                let choice = std::mem::replace(&mut self.choice, self.query.choice());
                let page = self.query.page(choice);
                self.answer = Some((page.into(), String::from("[")));
            }
            return Ok(None);
        };
        self.look_at(core, now, caller, conversation).await?;
        Ok(None)
    }

    async fn look_at<S: Storage>(
        &mut self,
        core: &mut Core<S>,
        now: Now,
        caller: &Caller,
        conversation: Conversation,
    ) -> Result<(), Failure> {
        self.scanned += 1;
        if self.scanned > SCANNED_MAX {
            return Err(refuse(&QueryError::TooExpensive));
        }
        let id = conversation.id.clone();
        let is_known = self.seen.as_mut().is_some_and(|seen| !seen.insert(id));
        if is_known || conversation.kind == Kind::Temporary {
            return Ok(());
        }
        let id = conversation.id.clone();
        let row = core.row(now, caller, conversation).await?;
        let before = self.steps.taken();
        let matches = self.query.filter.matches(&row.columns, &self.steps);
        core.meter.steps(self.steps.taken() - before);
        if self.steps.are_used_up() {
            return Err(refuse(&QueryError::TooExpensive));
        }
        if matches {
            self.query
                .offer(&mut self.choice, &row.columns, id)
                .map_err(|error| refuse(&error))?;
        }
        Ok(())
    }
}

/// Adds a conversation to the answer; says whether there is room for another.
async fn tell<S: Storage>(
    core: &Core<S>,
    now: Now,
    caller: &Caller,
    query: &QuerySelection,
    id: &ConversationId,
    text: &mut String,
) -> Result<bool, Failure> {
    // A conversation that has ended or gone since it was chosen is not told.
    let Some(conversation) = core.live(now, &caller.app, Some(id.as_str())).await? else {
        return Ok(true);
    };
    let row = core.row(now, caller, conversation).await?;
    let detail = query.detail;
    let own = (&caller.app, caller.client());
    // The last message is told to those only who may read the history.
    let is_readable = detail.last_message
        && core
            .allows(own, Operation::ReadHistory, &row.conversation)
            .await?;
    let row = row.into_value(detail.members, is_readable);
    let row = row.to_string();
    if text.len() + row.len() > ANSWER_BYTES_MAX {
        return Ok(false);
    }
    if text.len() > 1 {
        text.push(',');
    }
    text.push_str(&row);
    Ok(true)
}

fn refuse(error: &QueryError) -> Failure {
    Refusal::because(ServiceCode::CONVERSATION_QUERY_FAILED, error.to_string()).into()
}

impl<S: Storage> Core<S> {
    /// Begins a query.
    pub(in crate::core) fn search(
        &self,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Search, Failure> {
        let longest = self.app_of(caller)?.settings.limits.query_page;
        let fields = QueryFields {
            filter: body.r#where.as_ref().map(|filter| filter.data.as_str()),
            sort: body.sort.as_deref(),
            limit: body.limit,
            skip: body.skip,
            flag: body.flag,
        };
        let query = QuerySelection::for_client(fields, caller.client(), longest);
        let query = query.map_err(|error| refuse(&error))?;
        let source = match query.filter.candidates() {
            Some(candidates) => Source::named(candidates),
            None => Source::Every(None),
        };
        Ok(Search {
            seen: source.may_repeat().then(BTreeSet::new),
            source,
            read: VecDeque::new(),
            scanned: 0,
            choice: query.choice(),
            query,
            steps: Steps::new(STEPS_MAX),
            spent: 0,
            answer: Self::temporary(&body.temp_conv_ids),
        })
    }

    /// A query that names temporary conversations is answered with those alone; its other conditions do not count.
    fn temporary(ids: &[String]) -> Option<(VecDeque<ConversationId>, String)> {
        let named = ids.iter().take(TEMPORARY_MAX);
        let named = named.filter_map(|id| ConversationId::new(id).ok());
        let named = named.filter(ConversationId::is_temporary).collect();
        (!ids.is_empty()).then(|| (named, String::from("[")))
    }

    async fn row(
        &self,
        now: Now,
        caller: &Caller,
        conversation: Conversation,
    ) -> Result<Row, Failure> {
        let crowd = self.crowd(&caller.app, &conversation).await?;
        let id = &conversation.id;
        let own = match conversation.kind {
            Kind::System => {
                self.storage
                    .member(&caller.app, id, caller.client())
                    .await?
            }
            _ => None,
        };
        let (newest, most) = (
            Span::default(),
            match conversation.kind {
                // Messages for others alone are passed over.
                Kind::System => LOOKED_AT_FOR_LAST,
                _ => 1,
            },
        );
        let last = self
            .storage
            .messages(&caller.app, id, &newest, Order::NewestFirst, most)
            .await?;
        let last = last.into_iter().find(|it| it.is_for(caller.client()));
        let members = crowd.members();
        Ok(Row::new(now, conversation, members, own.as_ref(), last))
    }
}

//! Requests for history and conversations, in the service's form.
//!
//! The fields of these commands have short names, and conditions are JSON texts in the service's query
//! language. Both stay in this file: a caller states its wish in values of the model.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::command::Command;
use super::content;
use super::generated::{
    ConvCommand, JsonObjectMessage, LogsCommand, PatchCommand, PatchItem, logs_command,
};
use super::iso;
use super::{Envelope, Op, row};
use crate::model::query::ConversationQuery;
use crate::model::{
    ConversationId, Json, Mentions, MessageContent, MessageId, MessageRef, Timestamp,
};

/// The column into which a creation writes its token, so that it is found again by it.
pub const TOKEN_COLUMN: &str = "sampan_token";

/// The members are not wanted (`docs/wire.md`, query flags).
const WITHOUT_MEMBERS: i32 = 1;

/// The last-message columns are wanted (`docs/wire.md`, query flags).
const WITH_LAST_MESSAGE: i32 = 2;

/// The place where a page of history starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryFrom<'a> {
    /// At the newest message.
    Newest,
    /// At a message, which is part of the page.
    At(Timestamp, &'a MessageId),
    /// At a time; messages of that time are part of the page if the page goes forward.
    Time(Timestamp),
}

/// In which direction a page of history goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryDirection {
    /// From new to old.
    Older,
    /// From old to new.
    Newer,
}

/// Asks for a page of a conversation's history, of `limit` messages at most.
#[must_use]
pub fn history(
    conversation: &ConversationId,
    from: HistoryFrom<'_>,
    direction: HistoryDirection,
    limit: i32,
) -> Command {
    let (at, mid) = match from {
        HistoryFrom::Newest => (None, None),
        HistoryFrom::At(at, id) => (Some(at), Some(id)),
        HistoryFrom::Time(at) => (Some(at), None),
    };
    let newer = direction == HistoryDirection::Newer;
    Command::logs(LogsCommand {
        cid: Some(conversation.as_str().to_owned()),
        l: Some(limit),
        limit: Some(limit),
        t: at.map(Timestamp::as_millis),
        mid: mid.map(ToString::to_string),
        t_included: (mid.is_some() || newer).then_some(true),
        direction: newer.then(|| logs_command::QueryDirection::New.into()),
        ..LogsCommand::default()
    })
}

/// The requested messages of a conversation's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryFilter<'a> {
    /// From this time on, it included.
    pub since: Option<Timestamp>,
    /// Up to this time, it included.
    pub until: Option<Timestamp>,
    /// Behind this message, in the direction in which the page goes.
    pub start: Option<(Timestamp, &'a MessageId)>,
    /// Only messages of this type.
    pub content_type: Option<i32>,
    /// In which direction the page goes.
    pub direction: HistoryDirection,
    /// The most messages.
    pub limit: i32,
}

/// Asks for messages of a conversation by time and type.
#[must_use]
pub fn history_where(conversation: &ConversationId, filter: &HistoryFilter<'_>) -> Command {
    let newer = filter.direction == HistoryDirection::Newer;
    let (begin, end) = if newer {
        (filter.since, filter.until)
    } else {
        (filter.until, filter.since)
    };
    let start = filter.start.map(|(at, _)| at).or(begin);
    let is_included = filter.start.is_none() && begin.is_some();
    Command::logs(LogsCommand {
        cid: Some(conversation.as_str().to_owned()),
        l: Some(filter.limit),
        limit: Some(filter.limit),
        t: start.map(Timestamp::as_millis),
        mid: filter.start.map(|(_, id)| id.to_string()),
        t_included: is_included.then_some(true),
        tt: end.map(Timestamp::as_millis),
        tt_included: end.map(|_| true),
        direction: newer.then(|| logs_command::QueryDirection::New.into()),
        lctype: filter.content_type,
        ..LogsCommand::default()
    })
}

/// The order of a list of conversations, and with it which of them are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListOrder {
    /// All, the newest message first.
    ByMessage,
    /// Those that changed after a time, the newest change first.
    ByChange {
        /// The time.
        since: Timestamp,
    },
}

/// Asks for a page of a member's conversations, `skip` rows into the list.
#[must_use]
pub fn list(member: &str, order: ListOrder, skip: i32, limit: i32) -> Command {
    let (condition, sort) = match order {
        ListOrder::ByMessage => (json!({"m": member}), "-lm"),
        ListOrder::ByChange { since } => {
            let since = json!({"__type": "Date", "iso": iso::format(since)});
            (
                json!({"m": member, "updatedAt": {"$gt": since}}),
                "-updatedAt",
            )
        }
    };
    query(ConvCommand {
        r#where: Some(text(&condition)),
        sort: Some(sort.to_owned()),
        limit: Some(limit),
        skip: Some(skip),
        flag: Some(WITH_LAST_MESSAGE),
        ..ConvCommand::default()
    })
}

/// Asks for a page of the conversations that an app's query finds.
#[must_use]
pub fn found(query: &ConversationQuery, skip: i32, limit: i32) -> Command {
    let compact = if query.compact { WITHOUT_MEMBERS } else { 0 };
    let last = if query.last_messages {
        WITH_LAST_MESSAGE
    } else {
        0
    };
    self::query(ConvCommand {
        r#where: query.conditions().as_ref().map(text),
        sort: query.sort(),
        limit: Some(limit),
        skip: Some(skip),
        flag: Some(compact | last),
        ..ConvCommand::default()
    })
}

/// Asks for conversations by id. Temporary ones are asked for apart from others, by another field.
#[must_use]
pub fn by_ids(ids: &[ConversationId]) -> Command {
    let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let temporary = ids.first().is_some_and(ConversationId::is_temporary);
    let condition = json!({"objectId": {"$in": texts}});
    query(ConvCommand {
        r#where: (!temporary).then(|| text(&condition)),
        limit: i32::try_from(ids.len()).ok(),
        temp_conv_ids: if temporary { texts } else { Vec::new() },
        flag: Some(WITH_LAST_MESSAGE),
        ..ConvCommand::default()
    })
}

/// The requested part of the conversations that a condition finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The columns to sort by.
    pub sort: &'a str,
    /// The number of conversations to skip.
    pub skip: u32,
    /// At most so many.
    pub limit: u32,
}

/// Asks for conversations by a condition of the app, with or without their members.
#[must_use]
pub fn find(condition: &Json, part: Part<'_>, compact: bool) -> Command {
    let flag = WITH_LAST_MESSAGE | if compact { WITHOUT_MEMBERS } else { 0 };
    query(ConvCommand {
        r#where: Some(JsonObjectMessage {
            data: condition.as_str().to_owned(),
        }),
        sort: Some(part.sort.to_owned()),
        skip: i32::try_from(part.skip).ok(),
        limit: i32::try_from(part.limit).ok(),
        flag: Some(flag),
        ..ConvCommand::default()
    })
}

/// Changes the content and the mentions of an own message.
#[must_use]
pub fn edit(message: &MessageRef, said: &MessageContent, calls: &Mentions) -> Command {
    let (text, binary_msg) = content::encode(said).into_fields();
    patch(PatchItem {
        data: text.map(String::into_bytes),
        binary_msg,
        mention_all: Some(calls.all),
        mention_pids: calls.clients.iter().map(ToString::to_string).collect(),
        ..item(message)
    })
}

/// Takes an own message back.
#[must_use]
pub fn recall(message: &MessageRef) -> Command {
    patch(PatchItem {
        recall: Some(true),
        ..item(message)
    })
}

fn item(message: &MessageRef) -> PatchItem {
    PatchItem {
        cid: Some(message.conversation.as_str().to_owned()),
        mid: Some(message.id.as_str().to_owned()),
        timestamp: Some(message.sent_at.as_millis()),
        ..PatchItem::default()
    }
}

fn patch(item: PatchItem) -> Command {
    let body = PatchCommand {
        patches: vec![item],
        last_patch_time: None,
    };
    Command::patch(Op::Modify, body)
}

/// Changes the name of a conversation and single attributes; none removes one.
#[must_use]
pub fn details(
    conversation: &ConversationId,
    name: Option<&str>,
    attributes: &BTreeMap<String, Option<Json>>,
) -> Command {
    let mut object = serde_json::Map::new();
    if let Some(name) = name {
        object.insert("name".to_owned(), name.into());
    }
    for (key, value) in attributes {
        let value = match value {
            Some(value) => value.to_value(),
            None => json!({"__op": "Delete"}),
        };
        object.insert(format!("attr.{key}"), value);
    }
    let body = ConvCommand {
        attr: Some(text(&Value::Object(object))),
        ..about(conversation)
    };
    Command::conv(Op::Update, body)
}

/// Asks not to be notified about a conversation, or to be notified again.
#[must_use]
pub fn mute(conversation: &ConversationId, muted: bool) -> Command {
    let op = if muted { Op::Mute } else { Op::Unmute };
    Command::conv(op, about(conversation))
}

fn about(conversation: &ConversationId) -> ConvCommand {
    ConvCommand {
        cid: Some(conversation.as_str().to_owned()),
        ..ConvCommand::default()
    }
}

/// Asks for the conversations that a client made with a token, the newest first. Chat rooms are
/// answered only to a query that asks for them alone.
#[must_use]
pub fn by_token(token: &str, creator: &str, chat_room: bool, limit: i32) -> Command {
    let condition = if chat_room {
        json!({TOKEN_COLUMN: token, "c": creator, "tr": true})
    } else {
        json!({TOKEN_COLUMN: token, "c": creator})
    };
    query(ConvCommand {
        r#where: Some(text(&condition)),
        sort: Some("-createdAt".to_owned()),
        limit: Some(limit),
        ..ConvCommand::default()
    })
}

/// The conversations that a query was answered with; none for an answer that cannot be read.
#[must_use]
pub fn rows(answer: &Envelope) -> Vec<row::WireConversation> {
    let Command::Conv { body, .. } = &answer.command else {
        return Vec::new();
    };
    let text = body.results.as_ref().map(|results| results.data.as_str());
    text.and_then(|text| row::WireConversation::decode_results(text).ok())
        .unwrap_or_default()
}

fn query(body: ConvCommand) -> Command {
    Command::conv(Op::Query, body)
}

fn text(condition: &Value) -> JsonObjectMessage {
    JsonObjectMessage {
        data: condition.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ConversationId {
        ConversationId::new(text).unwrap()
    }

    fn body(command: Command) -> ConvCommand {
        match command {
            Command::Conv {
                op: Op::Query,
                body,
            } => *body,
            other => panic!("no query: {other:?}"),
        }
    }

    fn condition(body: &ConvCommand) -> Value {
        serde_json::from_str(&body.r#where.as_ref().unwrap().data).unwrap()
    }

    #[test]
    fn a_page_names_its_start_and_goes_back_unless_it_is_told_otherwise() {
        let page = |from, direction| match history(&id("c"), from, direction, 7) {
            Command::Logs(body) => *body,
            other => panic!("no page: {other:?}"),
        };
        let message = MessageId::new("m").unwrap();
        let at = Timestamp::from_millis(5);
        let newest = page(HistoryFrom::Newest, HistoryDirection::Older);
        assert_eq!(
            (newest.t, newest.mid, newest.t_included),
            (None, None, None)
        );
        assert_eq!(
            (newest.l, newest.limit, newest.direction),
            (Some(7), Some(7), None)
        );
        let older = page(HistoryFrom::At(at, &message), HistoryDirection::Older);
        assert_eq!((older.t, older.t_included), (Some(5), Some(true)));
        let before = page(HistoryFrom::Time(at), HistoryDirection::Older);
        assert_eq!(
            (before.t, before.mid, before.t_included),
            (Some(5), None, None)
        );
        let newer = page(HistoryFrom::Time(at), HistoryDirection::Newer);
        assert_eq!(newer.t_included, Some(true));
        let new = i32::from(logs_command::QueryDirection::New);
        assert_eq!(newer.direction, Some(new));
    }

    #[test]
    fn a_query_names_the_parts_of_conversations_that_are_wanted() {
        for (compact, last_messages, flag) in [
            (false, false, 0),
            (true, false, 1),
            (false, true, 2),
            (true, true, 3),
        ] {
            let query = ConversationQuery {
                compact,
                last_messages,
                ..ConversationQuery::default()
            };
            assert_eq!(body(found(&query, 0, 20)).flag, Some(flag));
        }
        let part = Part {
            sort: "name",
            skip: 5,
            limit: 7,
        };
        for (compact, flag) in [(false, 2), (true, 3)] {
            let asked = body(find(&Json::from_value(&json!({"m": "ann"})), part, compact));
            assert_eq!(condition(&asked), json!({"m": "ann"}));
            assert_eq!(
                (asked.sort.as_deref(), asked.flag),
                (Some("name"), Some(flag))
            );
            assert_eq!((asked.skip, asked.limit), (Some(5), Some(7)));
        }
    }

    /// A page between two times holds the messages of both; a page after a message does not hold that message.
    #[test]
    fn a_page_between_two_times_names_both_in_its_own_direction() {
        let message = MessageId::new("m").unwrap();
        let [since, middle, until] = [5, 6, 7].map(Timestamp::from_millis);
        let page = |start, direction| {
            let filter = HistoryFilter {
                since: Some(since),
                until: Some(until),
                start,
                content_type: Some(-1),
                direction,
                limit: 7,
            };
            match history_where(&id("c"), &filter) {
                Command::Logs(body) => *body,
                other => panic!("no page: {other:?}"),
            }
        };
        let new = i32::from(logs_command::QueryDirection::New);
        for (direction, named, first, last) in [
            (HistoryDirection::Older, None, 7, 5),
            (HistoryDirection::Newer, Some(new), 5, 7),
        ] {
            let first_page = page(None, direction);
            assert_eq!((first_page.t, first_page.tt), (Some(first), Some(last)));
            assert_eq!(
                (first_page.t_included, first_page.tt_included),
                (Some(true), Some(true))
            );
            assert_eq!(
                (first_page.direction, first_page.lctype, first_page.limit),
                (named, Some(-1), Some(7))
            );
            let next = page(Some((middle, &message)), direction);
            assert_eq!((next.t, next.t_included), (Some(6), None));
            assert_eq!((next.mid.as_deref(), next.tt), (Some("m"), Some(last)));
        }
        let open = HistoryFilter {
            since: None,
            until: None,
            start: None,
            content_type: None,
            direction: HistoryDirection::Older,
            limit: 7,
        };
        let Command::Logs(open) = history_where(&id("c"), &open) else {
            panic!("no page");
        };
        assert_eq!((open.t, open.t_included), (None, None));
        assert_eq!((open.tt, open.tt_included), (None, None));
    }

    #[test]
    fn conversations_are_asked_for_in_the_services_own_words() {
        let since = Timestamp::from_millis(0);
        let changed = body(list("ann", ListOrder::ByChange { since }, 50, 20));
        let date = json!({"__type": "Date", "iso": "1970-01-01T00:00:00.000Z"});
        let wanted = json!({"m": "ann", "updatedAt": {"$gt": date}});
        assert_eq!(condition(&changed), wanted);
        assert_eq!((changed.skip, changed.limit), (Some(50), Some(20)));
        let all = body(list("ann", ListOrder::ByMessage, 0, 20));
        assert_eq!(
            (condition(&all), all.sort.as_deref()),
            (json!({"m": "ann"}), Some("-lm"))
        );
        let some = body(by_ids(&[id("a"), id("b")]));
        assert_eq!(condition(&some), json!({"objectId": {"$in": ["a", "b"]}}));
        assert!(some.temp_conv_ids.is_empty());
        let temporary = body(by_ids(&[id("_tmp:a")]));
        assert_eq!(
            (temporary.r#where, temporary.temp_conv_ids),
            (None, vec!["_tmp:a".to_owned()])
        );
        let made = body(by_token("t", "ann", true, 2));
        let wanted = json!({"sampan_token": "t", "c": "ann", "tr": true});
        assert_eq!(condition(&made), wanted);
    }
}

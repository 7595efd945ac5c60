//! The payloads of all messages in a command: taken out to be read, and put back.
//!
//! A message comes in five forms: live, in history, as the newest of an unread count, as an edit, as the last
//! of a conversation row. Here they are one list, in the order of the command.

use super::command::Command;
use super::payload::Payload;
use super::row::WireConversation;
use crate::model::{ClientId, ConversationId};

/// The payload of one message, with the command's other facts about the message.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// The payload.
    pub payload: Payload,
    /// The conversation, where the command names it.
    pub conversation: Option<ConversationId>,
    /// The sender, where the command names one.
    pub sender: Option<ClientId>,
}

impl Carried {
    fn new(payload: Option<Payload>, cid: Option<&str>, sender: Option<&str>) -> Option<Self> {
        Some(Self {
            payload: payload?,
            conversation: cid.and_then(|cid| ConversationId::new(cid).ok()),
            sender: sender.and_then(|sender| ClientId::new(sender).ok()),
        })
    }
}

/// The payloads that a command carries; none for commands without messages.
#[must_use]
pub fn carried(command: &Command) -> Vec<Carried> {
    let found: Vec<Option<Carried>> = match command {
        Command::Direct(body) => {
            let payload = Payload::from_fields(body.msg.clone(), body.binary_msg.clone());
            let (cid, from) = (body.cid.as_deref(), body.from_peer_id.as_deref());
            vec![Carried::new(payload, cid, from)]
        }
        Command::Logs(body) => {
            let items = body.logs.iter();
            let one = |item: &super::generated::LogItem| {
                let is_binary = item.bin.unwrap_or(false);
                let payload = item.data.clone();
                let payload = payload.map(|data| Payload::from_data(data, is_binary));
                Carried::new(payload, body.cid.as_deref(), item.from.as_deref())
            };
            items.map(one).collect()
        }
        Command::Unread(body) => {
            let one = |tuple: &super::generated::UnreadTuple| {
                let payload = Payload::from_fields(tuple.data.clone(), tuple.binary_msg.clone());
                Carried::new(payload, Some(&tuple.cid), tuple.from.as_deref())
            };
            body.convs.iter().map(one).collect()
        }
        Command::Patch { body, .. } => {
            let one = |item: &super::generated::PatchItem| {
                let payload = Payload::from_patch(item.data.clone(), item.binary_msg.clone());
                Carried::new(payload, item.cid.as_deref(), item.from.as_deref())
            };
            body.patches.iter().map(one).collect()
        }
        Command::Conv { body, .. } => {
            let text = body.results.as_ref().map(|results| results.data.as_str());
            let rows = text.and_then(|text| WireConversation::decode_results(text).ok());
            let one = |row: WireConversation| {
                let last = row.last_message?;
                Some(Carried {
                    payload: last.payload,
                    conversation: Some(row.id),
                    sender: Some(last.sender),
                })
            };
            rows.unwrap_or_default().into_iter().map(one).collect()
        }
        _ => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

/// Puts payloads in the place of those that [`carried`] found, in the same order. Places beyond the end of the list
/// stay as they are.
pub fn put(command: &mut Command, payloads: Vec<Payload>) {
    let mut payloads = payloads.into_iter();
    match command {
        Command::Direct(body) if body.msg.is_some() || body.binary_msg.is_some() => {
            if let Some(payload) = payloads.next() {
                (body.msg, body.binary_msg) = payload.into_fields();
            }
        }
        Command::Logs(body) => {
            for item in body.logs.iter_mut().filter(|item| item.data.is_some()) {
                let Some(payload) = payloads.next() else {
                    return;
                };
                let (data, is_binary) = payload.to_data();
                (item.data, item.bin) = (Some(data), is_binary.then_some(true));
            }
        }
        Command::Unread(body) => {
            let has = |it: &&mut super::generated::UnreadTuple| {
                it.data.is_some() || it.binary_msg.is_some()
            };
            for tuple in body.convs.iter_mut().filter(has) {
                let Some(payload) = payloads.next() else {
                    return;
                };
                (tuple.data, tuple.binary_msg) = payload.into_fields();
            }
        }
        Command::Patch { body, .. } => {
            let has = |it: &&mut super::generated::PatchItem| {
                it.data.is_some() || it.binary_msg.is_some()
            };
            for item in body.patches.iter_mut().filter(has) {
                let Some(payload) = payloads.next() else {
                    return;
                };
                let (text, bytes) = payload.into_fields();
                (item.data, item.binary_msg) = (text.map(String::into_bytes), bytes);
            }
        }
        Command::Conv { body, .. } => {
            let Some(results) = &mut body.results else {
                return;
            };
            let Ok(mut rows) = WireConversation::decode_results(&results.data) else {
                return;
            };
            let lasts = rows.iter_mut().filter_map(|row| row.last_message.as_mut());
            for (last, payload) in lasts.zip(payloads) {
                last.payload = payload;
            }
            results.data = WireConversation::encode_results(&rows);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Op;
    use crate::wire::generated::{
        ConvCommand, DirectCommand, JsonObjectMessage, LogItem, LogsCommand, PatchCommand,
        PatchItem, UnreadCommand, UnreadTuple,
    };

    fn commands() -> Vec<Command> {
        let item = |data: Option<&str>, bin| LogItem {
            from: Some("Tom".into()),
            data: data.map(Into::into),
            bin,
            ..LogItem::default()
        };
        let rows = r#"[{"objectId":"a","m":[]},{"objectId":"b","m":[],"msg":"hi","bin":false,
            "msg_mid":"m","msg_from":"Tom","msg_timestamp":1}]"#;
        vec![
            Command::direct(DirectCommand {
                cid: Some("c".into()),
                msg: Some("hi".into()),
                from_peer_id: Some("Tom".into()),
                ..DirectCommand::default()
            }),
            Command::logs(LogsCommand {
                cid: Some("c".into()),
                logs: vec![
                    item(Some("hi"), None),
                    item(None, None),
                    item(Some("AAE="), Some(true)),
                ],
                ..LogsCommand::default()
            }),
            Command::Unread(UnreadCommand {
                convs: vec![
                    UnreadTuple {
                        cid: "none".into(),
                        ..UnreadTuple::default()
                    },
                    UnreadTuple {
                        cid: "c".into(),
                        data: Some("hi".into()),
                        from: Some("Tom".into()),
                        ..UnreadTuple::default()
                    },
                ],
                ..UnreadCommand::default()
            }),
            Command::patch(
                Op::Modify,
                PatchCommand {
                    patches: vec![PatchItem {
                        cid: Some("c".into()),
                        data: Some(b"hi".to_vec()),
                        from: Some("Tom".into()),
                        ..PatchItem::default()
                    }],
                    last_patch_time: None,
                },
            ),
            Command::conv(
                Op::Results,
                ConvCommand {
                    results: Some(JsonObjectMessage { data: rows.into() }),
                    ..ConvCommand::default()
                },
            ),
            Command::Echo,
        ]
    }

    #[test]
    fn every_shape_of_a_message_gives_its_payload_and_takes_another() {
        let counts: Vec<usize> = commands().iter().map(|it| carried(it).len()).collect();
        assert_eq!(counts, [1, 2, 1, 1, 1, 0]);
        for mut command in commands() {
            let found = carried(&command);
            for one in &found {
                assert_eq!(one.sender, ClientId::new("Tom").ok());
                assert!(one.conversation.is_some());
            }
            let other = |number| match number {
                0 => Payload::Text("other".into()),
                _ => Payload::Binary(vec![7]),
            };
            let others: Vec<Payload> = (0..found.len()).map(other).collect();
            put(&mut command, others.clone());
            let now: Vec<Payload> = carried(&command).into_iter().map(|it| it.payload).collect();
            assert_eq!(now, others);
        }
    }
}

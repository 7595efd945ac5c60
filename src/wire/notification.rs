//! Missed notifications, in the form of the answer of `GET /1.1/rtm/notifications`.
//!
//! An item is a flattened command: the keys of its body beside those of its envelope. The SDKs read different
//! parts of one answer, and each part is written in the form of its reader.

use serde_json::{Map, Value, json};

use super::command::{Command, Envelope};
use super::error::WireError;
use super::generated::{ConvCommand, ConvMemberInfo, JsonObjectMessage, OpType, RcpCommand};
use super::json::{parse_object, take_if, take_text};
use super::roles::encoded;
use crate::model::{ClientId, Timestamp};

/// The path and query that ask a service for what a client missed since a time, below the service's address.
#[must_use]
pub fn missed_path(client: &ClientId, since: Timestamp) -> String {
    let client = encoded(client.as_str());
    let since = since.as_millis();
    format!(
        "/1.1/rtm/notifications?client_id={client}&start_ts={since}&notification_type=permanent"
    )
}

/// The spelling of operations and attributes in an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// The spelling of the JavaScript SDK: `members_joined`, attributes as JSON in a text.
    JavaScript,
    /// The spelling of the Swift SDK: `members-joined`, attributes as an object.
    Swift,
}

/// The notifications that a client missed since a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Missed {
    /// Changes of conversations and their members, oldest first.
    pub permanent: Vec<Envelope>,
    /// Receipts, oldest first.
    pub droppable: Vec<Envelope>,
    /// There are more; ask again from the newest time among these.
    pub has_more: bool,
    /// Too much was missed to tell: every cached conversation is outdated.
    pub cache_outdated: bool,
}

impl Missed {
    /// Writes an answer that every SDK reads. A command that is no notification of a conversation
    /// or a receipt is left out.
    #[must_use]
    pub fn encode(&self) -> Value {
        let items = |envelopes: &[Envelope], dialect| {
            let items = envelopes.iter().filter_map(|it| item(it, dialect));
            Value::Array(items.collect())
        };
        json!({
            "hasMore": self.has_more,
            "notifications": items(&self.permanent, Dialect::JavaScript),
            "permanent": {
                "notifications": items(&self.permanent, Dialect::Swift),
                "hasMore": self.has_more,
            },
            "droppable": {
                "invalidLocalConvCache": self.cache_outdated,
                "notifications": items(&self.droppable, Dialect::Swift),
            },
        })
    }

    /// Reads an answer in either form; an item that nobody here understands is left out.
    ///
    /// # Errors
    ///
    /// [`WireError::MalformedJson`] when it is no object.
    pub fn decode(text: &str) -> Result<Self, WireError> {
        let mut map = parse_object("notifications", text)?;
        let mut part = |key| match map.remove(key) {
            Some(Value::Object(part)) => part,
            _ => Map::new(),
        };
        let (mut permanent, mut droppable) = (part("permanent"), part("droppable"));
        let cache_outdated = flag(&mut droppable, "invalidLocalConvCache").unwrap_or(false);
        let has_more = flag(&mut permanent, "hasMore").or_else(|| flag(&mut map, "hasMore"));
        let nested = take_items(&mut permanent);
        Ok(Self {
            permanent: nested.or_else(|| take_items(&mut map)).unwrap_or_default(),
            droppable: take_items(&mut droppable).unwrap_or_default(),
            has_more: has_more.unwrap_or(false),
            cache_outdated,
        })
    }
}

fn take_items(map: &mut Map<String, Value>) -> Option<Vec<Envelope>> {
    match map.remove("notifications") {
        Some(Value::Array(items)) => Some(items.into_iter().filter_map(envelope).collect()),
        _ => None,
    }
}

/// The flat form of a command.
fn item(envelope: &Envelope, dialect: Dialect) -> Option<Value> {
    let mut map = match &envelope.command {
        Command::Conv { op, body } => conv_item(*op, body, dialect),
        Command::Rcp(body) => rcp_item(body),
        _ => return None,
    };
    put(
        &mut map,
        "serverTs",
        envelope.server_ts.map(Timestamp::as_millis),
    );
    put(&mut map, "notificationType", envelope.notification_type);
    Some(Value::Object(map))
}

fn conv_item(op: OpType, body: &ConvCommand, dialect: Dialect) -> Map<String, Value> {
    let mut map = Map::new();
    let name = op.as_str_name();
    let name = match dialect {
        Dialect::JavaScript => name.to_owned(),
        Dialect::Swift => name.replace('_', "-"),
    };
    let attributes = |json: &JsonObjectMessage| match dialect {
        Dialect::JavaScript => json!({ "data": json.data }),
        Dialect::Swift => serde_json::from_str(&json.data).unwrap_or(Value::Null),
    };
    put(&mut map, "cmd", Some("conv"));
    put(&mut map, "op", Some(name));
    put(&mut map, "cid", body.cid.as_deref());
    put(&mut map, "initBy", body.init_by.as_deref());
    put(&mut map, "m", (!body.m.is_empty()).then(|| body.m.clone()));
    put(&mut map, "udate", body.udate.as_deref());
    put(&mut map, "attr", body.attr.as_ref().map(attributes));
    put(
        &mut map,
        "attrModified",
        body.attr_modified.as_ref().map(attributes),
    );
    put(&mut map, "transient", body.transient);
    put(&mut map, "tempConv", body.temp_conv);
    put(&mut map, "tempConvTTL", body.temp_conv_ttl);
    if let Some(info) = &body.info {
        let mut role = Map::new();
        put(&mut role, "pid", info.pid.as_deref());
        put(&mut role, "role", info.role.as_deref());
        put(&mut role, "infoId", info.info_id.as_deref());
        map.insert("info".to_owned(), Value::Object(role));
    }
    map
}

fn rcp_item(body: &RcpCommand) -> Map<String, Value> {
    let mut map = Map::new();
    put(&mut map, "cmd", Some("rcp"));
    put(&mut map, "id", body.id.as_deref());
    put(&mut map, "cid", body.cid.as_deref());
    put(&mut map, "t", body.t);
    put(&mut map, "read", body.read);
    put(&mut map, "from", body.from.as_deref());
    map
}

/// The command of an item; none if it is another one than those above.
fn envelope(item: Value) -> Option<Envelope> {
    let Value::Object(mut map) = item else {
        return None;
    };
    let map = &mut map;
    let command = match take_text(map, "cmd")?.as_str() {
        "conv" => conv_command(map)?,
        "rcp" => Command::Rcp(RcpCommand {
            id: take_text(map, "id"),
            cid: take_text(map, "cid"),
            t: take_if(map, "t", Value::as_i64),
            read: flag(map, "read"),
            from: take_text(map, "from"),
        }),
        _ => return None,
    };
    Some(Envelope {
        server_ts: take_if(map, "serverTs", Value::as_i64).map(Timestamp::from_millis),
        notification_type: take_if(map, "notificationType", small),
        ..Envelope::new(command)
    })
}

fn conv_command(map: &mut Map<String, Value>) -> Option<Command> {
    let name = take_text(map, "op")?.replace('-', "_");
    let body = ConvCommand {
        cid: take_text(map, "cid"),
        init_by: take_text(map, "initBy"),
        m: take_if(map, "m", texts).unwrap_or_default(),
        udate: take_text(map, "udate"),
        attr: take_if(map, "attr", attributes),
        attr_modified: take_if(map, "attrModified", attributes),
        transient: flag(map, "transient"),
        temp_conv: flag(map, "tempConv"),
        temp_conv_ttl: take_if(map, "tempConvTTL", small),
        info: take_if(map, "info", info),
        ..ConvCommand::default()
    };
    Some(Command::conv(OpType::from_str_name(&name)?, body))
}

/// Attributes of either dialect: an object whose one key is `data` with a text holds JSON.
fn attributes(value: &Value) -> Option<JsonObjectMessage> {
    let map = value.as_object()?;
    let data = match (map.len(), map.get("data")) {
        (1, Some(Value::String(data))) if data.starts_with('{') => data.clone(),
        _ => value.to_string(),
    };
    Some(JsonObjectMessage { data })
}

fn info(value: &Value) -> Option<ConvMemberInfo> {
    let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    value.is_object().then(|| ConvMemberInfo {
        pid: text("pid"),
        role: text("role"),
        info_id: text("infoId"),
    })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let entries = value.as_array()?.iter();
    Some(
        entries
            .filter_map(|it| it.as_str().map(str::to_owned))
            .collect(),
    )
}

fn small(value: &Value) -> Option<i32> {
    value.as_i64()?.try_into().ok()
}

fn flag(map: &mut Map<String, Value>, key: &str) -> Option<bool> {
    take_if(map, key, Value::as_bool)
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missed() -> Missed {
        let at = Timestamp::from_millis(5);
        let notification = |op, body| Envelope {
            server_ts: Some(at),
            notification_type: Some(Envelope::PERMANENT),
            ..Envelope::new(Command::conv(op, body))
        };
        let json = |text: &str| Some(JsonObjectMessage { data: text.into() });
        let joined = ConvCommand {
            cid: Some("c".into()),
            init_by: Some("Tom".into()),
            m: vec!["Jerry".into()],
            ..ConvCommand::default()
        };
        let updated = ConvCommand {
            cid: Some("c".into()),
            attr: json("{\"name\":\"x\"}"),
            attr_modified: json("{\"name\":\"x\"}"),
            info: Some(ConvMemberInfo {
                pid: Some("Jerry".into()),
                role: Some("Manager".into()),
                info_id: None,
            }),
            ..ConvCommand::default()
        };
        let receipt = RcpCommand {
            id: Some("m".into()),
            t: Some(7),
            read: Some(true),
            ..RcpCommand::default()
        };
        Missed {
            permanent: vec![
                notification(OpType::MembersJoined, joined),
                notification(OpType::Updated, updated),
            ],
            droppable: vec![Envelope::new(Command::Rcp(receipt))],
            has_more: true,
            cache_outdated: false,
        }
    }

    #[test]
    fn what_was_missed_comes_back_from_either_part_of_the_answer() {
        let answer = missed().encode();
        assert_eq!(Missed::decode(&answer.to_string()), Ok(missed()));
        let Value::Object(mut answer) = answer else {
            panic!("an object");
        };
        answer.remove("permanent");
        let answer = Value::Object(answer);
        assert_eq!(Missed::decode(&answer.to_string()), Ok(missed()));
    }

    #[test]
    fn each_sdk_finds_its_own_spelling() {
        let answer = missed().encode();
        let text = |place: &str| answer.pointer(place).and_then(Value::as_str);
        assert_eq!(text("/notifications/0/op"), Some("members_joined"));
        assert_eq!(
            text("/permanent/notifications/0/op"),
            Some("members-joined")
        );
        assert_eq!(text("/notifications/1/attr/data"), Some("{\"name\":\"x\"}"));
        assert_eq!(text("/permanent/notifications/1/attr/name"), Some("x"));
    }

    #[test]
    fn an_item_that_nobody_understands_is_left_out() {
        let answer = r#"{"notifications":[7,{"cmd":"direct"},{"cmd":"conv","op":"new"}]}"#;
        assert_eq!(Missed::decode(answer), Ok(Missed::default()));
        assert!(Missed::decode("[]").is_err());
        let none = Missed {
            permanent: vec![Envelope::new(Command::Echo)],
            ..Missed::default()
        };
        assert_eq!(none.encode().pointer("/notifications"), Some(&json!([])));
    }
}

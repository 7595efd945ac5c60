//! Rows of conversations: the JSON objects in the answer of a query.
//!
//! Reading is lenient, because the service has written some columns in several forms. Writing is exact, because
//! the SDKs are not lenient: `m` is never null, `lm` is a date object, `bin` stands beside `msg`.

use serde_json::{Map, Value, json};

use super::error::WireError;
use super::iso;
use super::json::{clients, date, date_object, parse, take_if, take_text, whole};
use super::payload::Payload;
use crate::model::{ClientId, ConversationId, ConversationKind, MessageId, Timestamp};

const PART: &str = "conversation row";

/// A conversation, as a query answers.
#[derive(Clone, Debug, PartialEq)]
pub struct WireConversation {
    /// `objectId`.
    pub id: ConversationId,
    /// `conv_type`, and the flags `tr`, `sys` and `temp`.
    pub kind: ConversationKind,
    /// `name`.
    pub name: Option<String>,
    /// `c`: who made it.
    pub creator: Option<ClientId>,
    /// `m`: the members; none where the query did not ask for them, and for chat rooms.
    pub members: Option<Vec<ClientId>>,
    /// `mu`: the members who asked for no push.
    pub muted_by: Option<Vec<ClientId>>,
    /// `attr`: the app's own attributes.
    pub attributes: Option<Map<String, Value>>,
    /// `lm`: when the last message was sent.
    pub last_message_at: Option<Timestamp>,
    /// `createdAt`; the service always has it.
    pub created_at: Option<Timestamp>,
    /// `updatedAt`; the service always has it.
    pub updated_at: Option<Timestamp>,
    /// `unique`: the one conversation of its set of members.
    pub unique: bool,
    /// `uniqueId`: the name of that set.
    pub unique_id: Option<String>,
    /// `ttl`: the seconds a temporary conversation has left.
    pub ttl_secs: Option<u64>,
    /// The subscription of the client that asked; service conversations alone tell it.
    pub subscription: Option<Subscription>,
    /// The last message; only where the query asked for it.
    pub last_message: Option<WireLastMessage>,
    /// All other keys: columns of the app's own.
    pub columns: Map<String, Value>,
}

/// The subscription of the client that asked; service conversations alone tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// `joined` is false.
    None,
    /// `joined` is true.
    Joined {
        /// `joinedAt`: since when.
        since: Option<Timestamp>,
        /// `muted`: the client asked for no push.
        muted: bool,
    },
}

/// The last message of a conversation, flat in its row.
#[derive(Clone, Debug, PartialEq)]
pub struct WireLastMessage {
    /// `msg` and `bin`.
    pub payload: Payload,
    /// `msg_mid`.
    pub id: MessageId,
    /// `msg_from`.
    pub sender: ClientId,
    /// `msg_timestamp`.
    pub sent_at: Timestamp,
    /// `patch_timestamp`: when it was edited or recalled.
    pub edited_at: Option<Timestamp>,
    /// `mention_all`.
    pub mention_all: bool,
    /// `mention_pids`.
    pub mentions: Vec<ClientId>,
}

impl WireConversation {
    /// A row with nothing but its id and kind.
    #[must_use]
    pub fn new(id: ConversationId, kind: ConversationKind) -> Self {
        Self {
            id,
            kind,
            name: None,
            creator: None,
            members: None,
            muted_by: None,
            attributes: None,
            last_message_at: None,
            created_at: None,
            updated_at: None,
            unique: false,
            unique_id: None,
            ttl_secs: None,
            subscription: None,
            last_message: None,
            columns: Map::new(),
        }
    }

    /// Reads the text of a query's `results`. A row without a legal id is left out: the others are
    /// still worth having.
    ///
    /// # Errors
    ///
    /// [`WireError::MalformedJson`] when the text is not a JSON array.
    pub fn decode_results(text: &str) -> Result<Vec<Self>, WireError> {
        match parse("results", text)? {
            Value::Array(rows) => Ok(rows
                .into_iter()
                .filter_map(|row| Self::decode(row).ok())
                .collect()),
            _ => Err(WireError::MalformedJson {
                part: "results",
                reason: "it is not an array".to_owned(),
            }),
        }
    }

    /// Writes the text of a query's `results`.
    #[must_use]
    pub fn encode_results(rows: &[Self]) -> String {
        Value::Array(rows.iter().map(Self::encode).collect()).to_string()
    }

    /// Reads one row.
    ///
    /// # Errors
    ///
    /// [`WireError::MalformedJson`] when it is no object or has no legal `objectId`.
    pub fn decode(row: Value) -> Result<Self, WireError> {
        let malformed = |reason: &str| WireError::MalformedJson {
            part: PART,
            reason: reason.to_owned(),
        };
        let Value::Object(mut map) = row else {
            return Err(malformed("it is not an object"));
        };
        let id = take_text(&mut map, "objectId")
            .and_then(|id| ConversationId::new(id).ok())
            .ok_or_else(|| malformed("it has no legal objectId"))?;
        let map = &mut map;
        Ok(Self {
            kind: take_kind(map, &id),
            id,
            name: take_text(map, "name"),
            creator: take_client(map, "c"),
            members: take_if(map, "m", clients),
            muted_by: take_if(map, "mu", clients),
            attributes: take_if(map, "attr", |it| it.as_object().cloned()),
            last_message_at: take_if(map, "lm", date),
            created_at: take_if(map, "createdAt", date),
            updated_at: take_if(map, "updatedAt", date),
            unique: take_flag(map, "unique"),
            unique_id: take_text(map, "uniqueId"),
            ttl_secs: take_if(map, "ttl", whole).or_else(|| take_if(map, "tempConvTTL", whole)),
            subscription: take_subscription(map),
            last_message: take_last_message(map),
            columns: without_nulls(map),
        })
    }

    /// Writes one row.
    #[must_use]
    pub fn encode(&self) -> Value {
        let mut map = self.columns.clone();
        let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
        put("objectId", json!(self.id.as_str()));
        put("conv_type", json!(self.kind.number()));
        match self.kind {
            ConversationKind::Normal => None,
            ConversationKind::ChatRoom => put("tr", json!(true)),
            ConversationKind::Service => put("sys", json!(true)),
            ConversationKind::Temporary => put("temp", json!(true)),
        };
        self.encode_columns(&mut put);
        self.encode_subscription(&mut put);
        if let Some(message) = &self.last_message {
            message.encode(&mut put);
        }
        Value::Object(map)
    }

    fn encode_columns(&self, mut put: impl FnMut(&str, Value) -> Option<Value>) {
        if let Some(name) = &self.name {
            put("name", json!(name));
        }
        if let Some(creator) = &self.creator {
            put("c", json!(creator.as_str()));
        }
        if let Some(members) = &self.members {
            put("m", texts(members));
        }
        if let Some(muted_by) = &self.muted_by {
            put("mu", texts(muted_by));
        }
        if let Some(attributes) = &self.attributes {
            put("attr", Value::Object(attributes.clone()));
        }
        if let Some(at) = self.last_message_at {
            put("lm", date_object(at));
        }
        if let Some(at) = self.created_at {
            put("createdAt", json!(iso::format(at)));
        }
        if let Some(at) = self.updated_at {
            put("updatedAt", json!(iso::format(at)));
        }
        if self.unique {
            put("unique", json!(true));
        }
        if let Some(unique_id) = &self.unique_id {
            put("uniqueId", json!(unique_id));
        }
        if let Some(ttl_secs) = self.ttl_secs {
            put("ttl", json!(ttl_secs));
        }
    }

    fn encode_subscription(&self, mut put: impl FnMut(&str, Value) -> Option<Value>) {
        match self.subscription {
            None => {}
            Some(Subscription::None) => {
                put("joined", json!(false));
            }
            Some(Subscription::Joined { since, muted }) => {
                put("joined", json!(true));
                put("muted", json!(muted));
                if let Some(since) = since {
                    put("joinedAt", json!(since.as_millis()));
                }
            }
        }
    }
}

impl WireLastMessage {
    fn encode(&self, mut put: impl FnMut(&str, Value) -> Option<Value>) {
        let (data, binary) = self.payload.to_data();
        put("msg", json!(data));
        put("bin", json!(binary));
        put("msg_mid", json!(self.id.as_str()));
        put("msg_from", json!(self.sender.as_str()));
        put("msg_timestamp", json!(self.sent_at.as_millis()));
        if let Some(edited_at) = self.edited_at {
            put("patch_timestamp", json!(edited_at.as_millis()));
        }
        if self.mention_all {
            put("mention_all", json!(true));
        }
        if !self.mentions.is_empty() {
            put("mention_pids", texts(&self.mentions));
        }
    }
}

/// The kind: its number wins over the flags, and the flags over the shape of the id.
fn take_kind(map: &mut Map<String, Value>, id: &ConversationId) -> ConversationKind {
    let number = take_if(map, "conv_type", |it| {
        ConversationKind::from_number(it.as_i64()?.try_into().ok()?)
    });
    let chat_room = take_flag(map, "tr");
    let service = take_flag(map, "sys");
    let temporary = take_flag(map, "temp") | take_flag(map, "tempConv") | id.is_temporary();
    number.unwrap_or(if chat_room {
        ConversationKind::ChatRoom
    } else if service {
        ConversationKind::Service
    } else if temporary {
        ConversationKind::Temporary
    } else {
        ConversationKind::Normal
    })
}

fn take_subscription(map: &mut Map<String, Value>) -> Option<Subscription> {
    let joined = take_if(map, "joined", Value::as_bool);
    let since = take_if(map, "joinedAt", date);
    let muted = take_flag(map, "muted");
    Some(if joined? {
        Subscription::Joined { since, muted }
    } else {
        Subscription::None
    })
}

/// The last message, if all is there that makes one.
fn take_last_message(map: &mut Map<String, Value>) -> Option<WireLastMessage> {
    let data = take_text(map, "msg");
    let binary = take_flag(map, "bin");
    let id = take_text(map, "msg_mid").and_then(|id| MessageId::new(id).ok());
    let sender = take_client(map, "msg_from");
    let sent_at = take_if(map, "msg_timestamp", date);
    let edited_at = take_if(map, "patch_timestamp", date);
    let mention_all = take_flag(map, "mention_all");
    let mentions = take_if(map, "mention_pids", clients).unwrap_or_default();
    Some(WireLastMessage {
        payload: Payload::from_data(data?, binary),
        id: id?,
        sender: sender?,
        sent_at: sent_at?,
        edited_at,
        mention_all,
        mentions,
    })
}

fn take_flag(map: &mut Map<String, Value>, key: &str) -> bool {
    take_if(map, key, Value::as_bool).unwrap_or(false)
}

fn take_client(map: &mut Map<String, Value>, key: &str) -> Option<ClientId> {
    ClientId::new(take_text(map, key)?).ok()
}

/// The keys that are left are the app's; a null in one of our own columns says no more than its absence.
fn without_nulls(map: &mut Map<String, Value>) -> Map<String, Value> {
    for key in [
        "name",
        "c",
        "m",
        "mu",
        "attr",
        "lm",
        "uniqueId",
        "msg",
        "mention_pids",
    ] {
        if map.get(key).is_some_and(Value::is_null) {
            map.remove(key);
        }
    }
    std::mem::take(map)
}

fn texts(clients: &[ClientId]) -> Value {
    clients.iter().map(ClientId::as_str).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_is_written_as_the_official_sdks_read_it() {
        let id = ConversationId::new("5f0c0e3a9d1f2b0006a1b2c3").unwrap();
        let mut row = WireConversation::new(id, ConversationKind::Normal);
        row.members = Some(Vec::new());
        row.last_message_at = Some(Timestamp::from_millis(1_579_616_568_642));
        row.created_at = Some(Timestamp::ZERO);
        row.last_message = Some(WireLastMessage {
            payload: Payload::Binary(vec![1, 2]),
            id: MessageId::new("m").unwrap(),
            sender: ClientId::new("Tom").unwrap(),
            sent_at: Timestamp::from_millis(5),
            edited_at: None,
            mention_all: false,
            mentions: Vec::new(),
        });
        let expected = json!({
            "objectId": "5f0c0e3a9d1f2b0006a1b2c3",
            "conv_type": 1,
            "m": [],
            "lm": {"__type": "Date", "iso": "2020-01-21T14:22:48.642Z"},
            "createdAt": "1970-01-01T00:00:00.000Z",
            "msg": "AQI=",
            "bin": true,
            "msg_mid": "m",
            "msg_from": "Tom",
            "msg_timestamp": 5,
        });
        assert_eq!(row.encode(), expected);
        assert_eq!(WireConversation::decode(expected), Ok(row));
    }

    #[test]
    fn a_null_is_dropped_from_the_columns_of_the_protocol_and_kept_in_those_of_the_app() {
        let row = json!({"objectId": "c", "name": null, "uniqueId": null, "c": 7, "x": null});
        let columns = WireConversation::decode(row).unwrap().columns;
        let expected = json!({"c": 7, "x": null});
        assert_eq!(Value::Object(columns), expected);
    }

    #[test]
    fn a_date_is_read_in_each_form_the_service_has_used() {
        let at = |lm: Value| {
            let row = json!({"objectId": "c", "lm": lm});
            WireConversation::decode(row).unwrap().last_message_at
        };
        let expected = Some(Timestamp::from_millis(642));
        assert_eq!(at(json!("1970-01-01T00:00:00.642Z")), expected);
        assert_eq!(
            at(json!({"__type": "Date", "iso": "1970-01-01T00:00:00.642Z"})),
            expected
        );
        assert_eq!(at(json!(642)), expected);
        assert_eq!(at(json!(null)), None);
    }

    #[test]
    fn the_kind_is_told_by_number_then_flag_then_id() {
        let kind = |row: Value| WireConversation::decode(row).unwrap().kind;
        assert_eq!(
            kind(json!({"objectId": "c", "tr": true})),
            ConversationKind::ChatRoom
        );
        assert_eq!(
            kind(json!({"objectId": "c", "sys": true})),
            ConversationKind::Service
        );
        assert_eq!(
            kind(json!({"objectId": "_tmp:c"})),
            ConversationKind::Temporary
        );
        assert_eq!(
            kind(json!({"objectId": "c", "tr": true, "conv_type": 3})),
            ConversationKind::Service
        );
        assert_eq!(kind(json!({"objectId": "c"})), ConversationKind::Normal);
    }

    #[test]
    fn a_row_without_an_id_is_left_out_and_the_others_stay() {
        let rows =
            WireConversation::decode_results(r#"[{"name":"a"},7,{"objectId":"c","x":1}]"#).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows.first().unwrap().columns.get("x"), Some(&json!(1)));
        assert!(WireConversation::decode_results("{}").is_err());
        assert_eq!(WireConversation::encode_results(&[]), "[]");
    }

    #[test]
    fn a_service_conversation_says_joined_also_when_it_is_false() {
        let id = ConversationId::new("c").unwrap();
        let mut row = WireConversation::new(id, ConversationKind::Service);
        for subscription in [
            Subscription::None,
            Subscription::Joined {
                since: Some(Timestamp::from_millis(9)),
                muted: false,
            },
        ] {
            row.subscription = Some(subscription);
            assert!(row.encode().get("joined").is_some());
            assert_eq!(WireConversation::decode(row.encode()).unwrap(), row);
        }
    }

    fn any_row() -> impl Strategy<Value = WireConversation> {
        let client = || "[a-z船]{1,8}".prop_map(|id| ClientId::new(id).unwrap());
        let time = || (0_i64..253_402_300_799_999).prop_map(Timestamp::from_millis);
        let payload = prop_oneof![
            ".{0,20}".prop_map(Payload::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(Payload::Binary),
        ];
        let message = (
            payload,
            client(),
            time(),
            prop::option::of(time()),
            any::<bool>(),
        )
            .prop_map(|(payload, sender, sent_at, edited_at, mention_all)| {
                WireLastMessage {
                    payload,
                    id: MessageId::new("m").unwrap(),
                    mentions: if mention_all {
                        vec![sender.clone()]
                    } else {
                        Vec::new()
                    },
                    sender,
                    sent_at,
                    edited_at,
                    mention_all,
                }
            });
        let columns = prop::collection::btree_map("x[a-z]{0,3}", any::<i64>(), 0..3);
        (
            1_i32..5,
            prop::option::of(prop::collection::vec(client(), 0..4)),
            prop::option::of(time()),
            prop::option::of(message),
            prop::option::of(any::<u32>()),
            columns,
        )
            .prop_map(
                |(kind, members, at, last_message, ttl, columns)| WireConversation {
                    members: members.clone(),
                    muted_by: members,
                    created_at: at,
                    last_message_at: at,
                    last_message,
                    ttl_secs: ttl.map(u64::from),
                    columns: columns
                        .into_iter()
                        .map(|(key, value)| (key, json!(value)))
                        .collect(),
                    ..WireConversation::new(
                        ConversationId::new("c").unwrap(),
                        ConversationKind::from_number(kind).unwrap(),
                    )
                },
            )
    }

    proptest! {
        #[test]
        fn any_row_comes_back(row in any_row()) {
            let text = WireConversation::encode_results(std::slice::from_ref(&row));
            prop_assert_eq!(WireConversation::decode_results(&text), Ok(vec![row]));
        }
    }
}

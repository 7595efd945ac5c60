//! One message in a page of history.

use std::collections::BTreeSet;

use sampan::model::ClientId;
use sampan::wire::peers;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::page::Fields;

/// The fields of a row that moving needs. All other fields stay in the row's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The time at which the service took the message, in milliseconds since 1970.
    pub at: i64,
    /// The id of the message.
    pub id: String,
    /// The conversation, by the id that clients use.
    pub conversation: String,
    /// The sender.
    pub from: Option<String>,
    /// The content: text, or base64 for a binary message.
    pub data: Option<String>,
    /// True if the content is binary.
    pub is_binary: bool,
    /// The receivers that the row itself names: those of a message to peers, in the first generation.
    pub receivers: Vec<String>,
    /// The time at which the message first reached somebody.
    pub delivered_at: Option<i64>,
    /// The only client who sees the message, besides its sender: a message between a service conversation and a
    /// client. None: every member sees it.
    pub reader: Option<String>,
    /// The row as it came.
    pub raw: String,
}

/// The reason why a row is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The row is no JSON object.
    #[error("the row is no JSON object")]
    NoObject,
    /// A field that a message cannot be without is missing or of another type.
    #[error("the row has no usable `{0}`")]
    Field(&'static str),
}

impl Row {
    /// Reads a row.
    ///
    /// # Errors
    ///
    /// [`RowError`] when it has no time, no id or no conversation.
    pub fn read(raw: &str) -> Result<Self, RowError> {
        let Fields(fields) = serde_json::from_str(raw).map_err(|_| RowError::NoObject)?;
        let find = |name: &str| {
            fields
                .iter()
                .rev()
                .find(|field| field.0 == name)
                .map(|field| field.1)
        };
        let at = typed::<i64>(find("timestamp")).ok_or(RowError::Field("timestamp"))?;
        let id = text(find("msg-id")).ok_or(RowError::Field("msg-id"))?;
        let from = text(find("from"));
        // In the first generation a message goes to peers, or to a group (`is-room`), whose id is the conversation's.
        let is_to_peers = typed::<bool>(find("is-conv")) == Some(false)
            && typed::<bool>(find("is-room")) != Some(true);
        let receivers = match is_to_peers {
            true => names(find("to")),
            false => Vec::new(),
        };
        // `to` is the id that clients use; `conv-id` may be a form of the service's own.
        let conversation = match is_to_peers {
            true => of_peers(from.as_deref(), &receivers),
            false => text(find("to")),
        };
        let conversation = conversation.or_else(|| text(find("conv-id")));
        Ok(Self {
            at,
            id,
            conversation: conversation.ok_or(RowError::Field("to"))?,
            from,
            data: typed(find("data")),
            is_binary: typed(find("bin")).unwrap_or(false),
            receivers,
            delivered_at: typed(find("ack-at")).filter(|at| *at > 0),
            reader: None,
            raw: raw.to_owned(),
        })
    }

    /// The row as the history of one subscriber of a service conversation has it.
    #[must_use]
    pub fn seen_by(self, service: String, client: String) -> Self {
        Self {
            conversation: service,
            reader: Some(client),
            ..self
        }
    }

    /// Reads a row of the table `_SysMessage`: a client said something to a service conversation.
    ///
    /// # Errors
    ///
    /// [`RowError`] when it has no time, no id, no conversation or no sender.
    pub fn read_said_to_service(raw: &str) -> Result<Self, RowError> {
        let row: SaidToService = serde_json::from_str(raw).map_err(|_| RowError::NoObject)?;
        let conversation = match row.conv {
            Some(Reference::Pointer { object_id }) => Some(object_id),
            Some(Reference::Id(id)) => Some(id),
            None => None,
        };
        let from = row.from.ok_or(RowError::Field("from"))?;
        Ok(Self {
            at: row.timestamp.ok_or(RowError::Field("timestamp"))?,
            id: row.msg_id.ok_or(RowError::Field("msgId"))?,
            conversation: conversation.ok_or(RowError::Field("conv"))?,
            reader: Some(from.clone()),
            from: Some(from),
            data: row.data,
            is_binary: row.bin.unwrap_or(false),
            receivers: Vec::new(),
            delivered_at: row.ack_at.filter(|at| *at > 0),
            raw: raw.to_owned(),
        })
    }

    /// True if the content says that the message was recalled.
    #[must_use]
    pub fn is_recalled(&self) -> bool {
        #[derive(Deserialize)]
        struct Envelope {
            #[serde(rename = "_lctype")]
            kind: i64,
        }
        let Some(data) = self.data.as_deref().filter(|_| !self.is_binary) else {
            return false;
        };
        // Cheap first: most content is no recall.
        data.contains("-127")
            && serde_json::from_str::<Envelope>(data).is_ok_and(|envelope| envelope.kind == -127)
    }
}

/// A row of the table `_SysMessage`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SaidToService {
    timestamp: Option<i64>,
    msg_id: Option<String>,
    conv: Option<Reference>,
    from: Option<String>,
    data: Option<String>,
    bin: Option<bool>,
    ack_at: Option<i64>,
}

/// A conversation, as a pointer or by its id alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Pointer {
        #[serde(rename = "objectId")]
        object_id: String,
    },
    Id(String),
}

fn typed<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}

/// One name, or a list of them.
fn names(value: Option<&RawValue>) -> Vec<String> {
    match text(value) {
        Some(name) => vec![name],
        None => typed(value).unwrap_or_default(),
    }
}

/// The conversation in which `sampan-service` keeps the messages of these peers.
fn of_peers(from: Option<&str>, receivers: &[String]) -> Option<String> {
    let all = receivers.iter().map(String::as_str).chain([from?]);
    let all: Result<BTreeSet<ClientId>, _> = all.map(ClientId::new).collect();
    let id = peers::conversation_of(&all.ok()?)?;
    (!receivers.is_empty()).then(|| id.to_string())
}

fn text(value: Option<&RawValue>) -> Option<String> {
    typed::<String>(value).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_names_its_conversation_as_clients_do() {
        let row = Row::read(
            r#"{"timestamp":1,"msg-id":"m","conv-id":"c00000000","to":"c","from":"a","data":"x","is-conv":true}"#,
        );
        assert_eq!(row.unwrap().conversation, "c");
        let row = Row::read(r#"{"timestamp":1,"msg-id":"m","conv-id":"c"}"#).unwrap();
        assert_eq!((row.conversation.as_str(), row.data), ("c", None));
    }

    #[test]
    fn messages_of_the_first_generation_lie_where_the_service_looks_for_them() {
        let read = |rest: &str| {
            let row =
                format!(r#"{{"timestamp":1,"msg-id":"m","from":"Tom","is-conv":false,{rest}}}"#);
            Row::read(&row).map(|row| (row.conversation, row.receivers))
        };
        let of = |id: &str, names: &[&str]| {
            let names = names.iter().map(ToString::to_string).collect();
            Ok((id.to_owned(), names))
        };
        // The digest of `Jerry:Tom`, and of `Jerry:Spike:Tom`.
        let two = "c0a42b25e09d3689a27f346a9b498ea1";
        assert_eq!(read(r#""to":"Jerry","conv-id":"x""#), of(two, &["Jerry"]));
        assert_eq!(
            read(r#""to":["Jerry"],"is-room":false"#),
            of(two, &["Jerry"])
        );
        let three = read(r#""to":["Spike","Jerry"]"#).unwrap().0;
        assert!(three != two && three.len() == 32, "{three}");
        assert_eq!(read(r#""to":"group","is-room":true"#), of("group", &[]));
        // Ids with a colon have no conversation of peers: the old service's own id is left.
        assert_eq!(read(r#""to":"a:b","conv-id":"x""#), of("x", &["a:b"]));
        assert_eq!(read(r#""to":"a:b""#), Err(RowError::Field("to")));
    }

    #[test]
    fn a_row_says_what_it_lacks() {
        assert_eq!(Row::read("[]"), Err(RowError::NoObject));
        assert_eq!(
            Row::read(r#"{"msg-id":"m","to":"c"}"#),
            Err(RowError::Field("timestamp"))
        );
        assert_eq!(
            Row::read(r#"{"timestamp":1,"to":"c"}"#),
            Err(RowError::Field("msg-id"))
        );
        assert_eq!(
            Row::read(r#"{"timestamp":1,"msg-id":"m"}"#),
            Err(RowError::Field("to"))
        );
    }

    #[test]
    fn a_recall_is_known_by_its_type_and_not_by_its_words() {
        let row = |data: &str| {
            let data = serde_json::Value::from(data);
            Row::read(&format!(
                r#"{{"timestamp":1,"msg-id":"m","to":"c","data":{data}}}"#
            ))
            .unwrap()
        };
        assert!(row(r#"{"_lctype":-127}"#).is_recalled());
        assert!(!row(r#"{"_lctype":-1,"_lctext":"-127"}"#).is_recalled());
        assert!(!row("-127").is_recalled());
    }

    #[test]
    fn a_message_to_a_service_is_seen_by_its_sender_alone() {
        let row = Row::read_said_to_service(
            r#"{"timestamp":7,"msgId":"m","conv":{"__type":"Pointer","className":"_Conversation","objectId":"s"},"from":"ann","data":"hi","bin":false,"ackAt":0}"#,
        )
        .unwrap();
        assert_eq!(
            (row.at, row.id.as_str(), row.conversation.as_str()),
            (7, "m", "s")
        );
        assert_eq!(
            (row.from, row.reader, row.delivered_at),
            (Some("ann".into()), Some("ann".into()), None)
        );
        assert_eq!(
            Row::read_said_to_service(r#"{"timestamp":7,"msgId":"m","conv":"s"}"#),
            Err(RowError::Field("from"))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_row_or_an_error(raw in "(?s).{0,60}") {
            let _ = Row::read(&raw);
        }
    }
}

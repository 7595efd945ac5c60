//! Notifications that can be read again over HTTP: flattened commands (the protocol, section 10.3).

use sampan::model::Timestamp;
use sampan::wire::Command;
use sampan::wire::generated::{ConvCommand, JsonObjectMessage, RcpCommand};
use serde_json::{Map, Value, json};

use crate::core::exchange::request::Dialect;
use crate::storage::Notification;

/// The notification as an item of the answer; `None` for a command that cannot be read again.
pub(in crate::core) fn item(command: &Command, at: Timestamp) -> Option<Map<String, Value>> {
    let mut item = match command {
        Command::Conv { op, body } => {
            let mut item = of_conv(body);
            item.insert("cmd".to_owned(), "conv".into());
            // In these answers names of operations have hyphens.
            item.insert("op".to_owned(), op.as_str_name().replace('_', "-").into());
            item
        }
        Command::Rcp(body) => of_receipt(body),
        _ => return None,
    };
    item.insert("serverTs".to_owned(), at.as_millis().into());
    item.insert("notificationType".to_owned(), 1.into());
    Some(item)
}

/// An item in a dialect; it is kept in the documented form.
pub(in crate::core) fn written(kept: Notification, dialect: Dialect) -> Value {
    let mut item = kept.item;
    if dialect == Dialect::Schema {
        if let Some(Value::String(op)) = item.get_mut("op") {
            *op = op.replace('-', "_");
        }
        for key in ["attr", "attrModified"] {
            if let Some(attributes) = item.get_mut(key) {
                *attributes = json!({ "data": attributes.to_string() });
            }
        }
    }
    Value::Object(item)
}

fn of_conv(body: &ConvCommand) -> Map<String, Value> {
    let object = |json: &JsonObjectMessage| serde_json::from_str::<Value>(&json.data).ok();
    let members = (!body.m.is_empty()).then(|| json!(body.m));
    let info = body
        .info
        .as_ref()
        .map(|info| json!({ "pid": info.pid, "role": info.role, "infoId": info.info_id }));
    let columns = [
        ("cid", body.cid.clone().map(Value::from)),
        ("initBy", body.init_by.clone().map(Value::from)),
        ("m", members),
        ("udate", body.udate.clone().map(Value::from)),
        ("attr", body.attr.as_ref().and_then(object)),
        ("attrModified", body.attr_modified.as_ref().and_then(object)),
        ("info", info),
        ("tempConv", body.temp_conv.map(Value::from)),
        ("tempConvTTL", body.temp_conv_ttl.map(Value::from)),
    ];
    present(columns)
}

fn of_receipt(body: &RcpCommand) -> Map<String, Value> {
    present([
        ("cmd", Some("rcp".into())),
        ("id", body.id.clone().map(Value::from)),
        ("cid", body.cid.clone().map(Value::from)),
        ("t", body.t.map(Value::from)),
        ("from", body.from.clone().map(Value::from)),
        ("read", body.read.map(Value::from)),
    ])
}

fn present<const N: usize>(columns: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let there = columns
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    there.collect()
}

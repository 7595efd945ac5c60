//! The fields of requests of an app's own servers.

use sampan::model::{ClientId, MessageId, Timestamp};
use serde_json::{Map, Value};

use super::bad;
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::server_call::ServerRequest;

/// Clients that one request may name to be mentioned, asked about, or sent something to alone.
pub(super) const NAMED_MAX: usize = 20;

impl ServerRequest {
    /// The body, which must be a JSON object.
    pub(super) fn object(&self) -> Result<&Map<String, Value>, Failure> {
        let object = self.body.as_object();
        object.ok_or_else(|| bad("the body must be a JSON object"))
    }

    /// A text of the body; none when it is missing or null.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, Failure> {
        match self.body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(bad(&format!("{key} must be a text"))),
        }
    }

    /// True if a flag of the body is set.
    pub(super) fn flag(&self, key: &str) -> Result<bool, Failure> {
        match self.body.get(key) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(bad(&format!("{key} must be true or false"))),
        }
    }

    /// A client that the body must name.
    pub(super) fn client_in_body(&self, key: &str) -> Result<ClientId, Failure> {
        let text = self.text(key)?;
        let text = text.ok_or_else(|| bad(&format!("{key} is missing")))?;
        ClientId::new(text).map_err(|error| bad(&error.to_string()))
    }

    /// The clients that a list of the body names; none when it is missing.
    pub(super) fn clients(&self, key: &str, most: usize) -> Result<Vec<ClientId>, Failure> {
        let list = match self.body.get(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(bad(&format!("{key} must be a list of client ids"))),
        };
        if list.len() > most {
            return Err(bad(&format!("{key} names more than {most} clients")));
        }
        let client = |item: &Value| {
            let text = item.as_str();
            let text = text.ok_or_else(|| bad(&format!("{key} must be a list of client ids")))?;
            ClientId::new(text).map_err(|error| bad(&error.to_string()))
        };
        list.iter().map(client).collect()
    }

    /// The client that the path names.
    pub(super) fn client_in_path(&self, key: &str) -> Result<ClientId, Failure> {
        let text = self.path.get(key).map_or("", String::as_str);
        ClientId::new(text).map_err(|error| bad(&error.to_string()))
    }

    /// The message that the path names.
    pub(super) fn message_in_path(&self) -> Result<MessageId, Failure> {
        let text = self.path.get("message").map_or("", String::as_str);
        MessageId::new(text).map_err(|error| bad(&error.to_string()))
    }

    /// A time of the body, in milliseconds.
    pub(super) fn time(&self, key: &str) -> Result<Option<Timestamp>, Failure> {
        match self.body.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let millis = value.as_i64();
                let millis = millis.ok_or_else(|| bad(&format!("{key} must be milliseconds")))?;
                Ok(Some(Timestamp::from_millis(millis)))
            }
        }
    }

    /// A number of the query; none when it is missing.
    pub(super) fn number(&self, key: &str) -> Result<Option<i64>, Failure> {
        let number = self.query.get(key).map(|text| text.parse::<i64>());
        let number = number.transpose();
        number.map_err(|_| bad(&format!("{key} must be a number")))
    }

    /// The number of rows that a page has: as asked, from 1 to `most`, else `usual`.
    pub(super) fn limit(&self, usual: usize, most: usize) -> Result<usize, Failure> {
        let Some(asked) = self.number("limit")? else {
            return Ok(usual);
        };
        let asked = usize::try_from(asked).ok().filter(|asked| *asked > 0);
        let asked = asked.ok_or_else(|| bad("limit must be at least 1"))?;
        Ok(asked.min(most))
    }
}

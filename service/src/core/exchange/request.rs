//! Requests over HTTP that the core answers, and their answers. The shell answers all others.

use std::collections::BTreeMap;

use sampan::model::{AppId, ClientId, Timestamp};
use serde_json::{Value, json};

use super::server_call::ServerRequest;

/// A request over HTTP.
#[derive(Clone, Debug)]
pub struct RestRequest {
    /// The app whose key came with the request.
    pub app: AppId,
    /// The question.
    pub call: RestCall,
}

/// The questions over HTTP.
#[derive(Clone, Debug)]
pub enum RestCall {
    /// The notifications that a client missed while its connection was broken.
    Notifications {
        /// The client that asks.
        client: String,
        /// The session token of that client.
        token: Option<String>,
        /// Only notifications after this time.
        since: Timestamp,
        /// The form of the items.
        dialect: Dialect,
    },
    /// The members of a conversation that have a role.
    MemberInfo {
        /// The client that asks.
        client: String,
        /// The session token of that client.
        token: Option<String>,
        /// The conversation.
        conversation: Option<String>,
    },
    /// Ends the sessions and the tokens of a client.
    Kick {
        /// The client.
        client: String,
        /// The reason, for the client.
        reason: String,
    },
    /// Revokes tokens, and ends the sessions that stand on them.
    Revoke {
        /// Whose; without it, of all clients of the app.
        client: Option<String>,
        /// Those of clients that were authenticated at or before this time; without it, all.
        until: Option<Timestamp>,
    },
    /// A signature for a login with an account session.
    Sign(Vouched),
    /// A device that announces itself for push, or is asked for.
    Installation(InstallationCall),
    /// The stored records, for the app's own servers.
    Records(RecordsCall),
    /// An operation that an app's own server asks for.
    Server(Box<ServerRequest>),
}

/// The source that names the client of an account session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// The app's own server.
    ByApp(ClientId),
    /// Nobody: the app has no function that is asked. The account session comes as it was shown.
    ByNobody(String),
}

/// A question about a device.
#[derive(Clone, Debug)]
pub enum InstallationCall {
    /// It announces itself.
    Announce {
        /// The fields that the device gives of itself.
        body: Value,
    },
    /// The device changes some of its fields.
    Change {
        /// Its object id.
        id: String,
        /// The new fields.
        body: Value,
    },
    /// The stored fields of the device are asked for.
    Show {
        /// Its object id.
        id: String,
    },
}

/// The records that an app's own server can read.
#[derive(Clone, Debug)]
pub enum RecordsCall {
    /// The history of the whole app.
    OfApp {
        /// The query, as it came.
        query: BTreeMap<String, String>,
    },
    /// The history of one conversation.
    OfConversation {
        /// The conversation.
        id: String,
        /// The query, as it came.
        query: BTreeMap<String, String>,
    },
    /// The messages that one client sent.
    OfClient {
        /// The client.
        id: String,
        /// The query, as it came.
        query: BTreeMap<String, String>,
    },
    /// The rows of a table.
    OfTable {
        /// The name of the class.
        class: String,
        /// The query, as it came.
        query: BTreeMap<String, String>,
    },
}

/// Two SDKs read the items of missed notifications, and each reads them its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The documented form: operations with hyphens, attributes as objects.
    Hyphens,
    /// The form of the JavaScript SDK: operations named as in the schema, attributes as the text of a command.
    /// With hyphens that SDK takes most items for unknown commands.
    Schema,
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct RestAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl RestAnswer {
    /// An answer with a body.
    #[must_use]
    pub fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// A refusal, in the form of all of them.
    #[must_use]
    pub fn refused(status: u16, code: i32, error: &str) -> Self {
        Self {
            status,
            body: json!({ "code": code, "error": error }),
        }
    }
}

//! The older REST interface of an app's own servers, which the storage SDK uses too: requests for messages name
//! the conversation in their body, and there is the class `_Conversation`. Each request becomes requests of the
//! newer interface, for the kind of the conversation.

use sampan::model::{AppId, Now};
use sampan::wire::ServiceCode;
use serde_json::{Map, Value, json};

use super::{Answered, bad};
use crate::core::columns::attributes::Changes;
use crate::core::conversations::notices::refuse_attributes;
use crate::core::exchange::input::Effect;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::exchange::server_call::{OlderCall, ServerCall, ServerRequest};
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Storage};

/// The code of a row that is not there.
pub(in crate::core) const NO_SUCH_ROW: ServiceCode = ServiceCode::new(101);

/// Rows that are counted at once.
const COUNTED_AT_ONCE: usize = 1000;

/// The fields of a message that the newer interface calls otherwise.
const RENAMED: [(&str, &str); 2] = [("from_peer", "from_client"), ("to_peers", "to_clients")];

/// The columns with a list of clients, and the requests that add to the list and take from it.
const LISTS: [(&str, ServerCall, ServerCall); 2] = [
    ("m", ServerCall::AddMembers, ServerCall::RemoveMembers),
    ("mu", ServerCall::Mute, ServerCall::Unmute),
];

impl<S: Storage> Core<S> {
    /// Serves a request of the older interface.
    pub(super) async fn serve_older(
        &mut self,
        now: Now,
        app: &AppId,
        call: OlderCall,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let call = match call {
            OlderCall::Send => ServerCall::Send(self.named_kind(now, app, request).await?),
            OlderCall::SendToSubscribers => ServerCall::SendToSubscribers,
            OlderCall::Broadcast => ServerCall::Broadcast,
            OlderCall::Patch => {
                let kind = self.named_kind(now, app, request).await?;
                match request.flag("recall")? {
                    true => ServerCall::Recall(kind),
                    false => ServerCall::Edit(kind),
                }
            }
            OlderCall::MakeRow => return self.make_row(now, app, request, effects).await,
            OlderCall::FindRows => return self.find_rows(now, app, request).await,
            OlderCall::ReadRow => return self.read_row(now, app, request).await,
            OlderCall::ChangeRow => return self.change_row(now, app, request, effects).await,
            OlderCall::DeleteRow => {
                let kind = self.row_of(now, app, request).await?.kind.path();
                return self.delete_conversation(now, app, kind, request).await;
            }
        };
        let newer = renamed(call, request)?;
        self.serve_newer(now, app, &newer, effects).await
    }

    /// Serves one request that an older one stands for.
    async fn serve_newer(
        &mut self,
        now: Now,
        app: &AppId,
        newer: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        debug_assert!(
            !matches!(newer.call, ServerCall::Older(_)),
            "no request goes round"
        );
        Box::pin(self.serve_call(now, app, newer, effects)).await
    }

    /// The kind of the conversation that the body names.
    async fn named_kind(
        &self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
    ) -> Result<Kind, Failure> {
        let found = self.live(now, app, request.text("conv_id")?).await?;
        Ok(found
            .ok_or(ServiceCode::CONVERSATION_NOT_FOUND)?
            .kind
            .path())
    }

    /// The conversation that is the row of the path.
    async fn row_of(
        &self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
    ) -> Result<Conversation, Failure> {
        let id = request.path.get("id").map(String::as_str);
        let found = self.live(now, app, id).await?;
        found.ok_or_else(no_such_row)
    }

    /// Makes a conversation of the kind that the columns `tr` and `sys` tell.
    async fn make_row(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let kind = match (request.flag("sys")?, request.flag("tr")?) {
            (true, true) => return Err(bad("a conversation is not both sys and tr")),
            (true, false) => Kind::System,
            (false, true) => Kind::Room,
            (false, false) => Kind::Normal,
        };
        let mut columns = request.object()?.clone();
        // Rights of rows are not kept: the table of operations decides.
        columns.remove("ACL");
        if let Some(members) = columns.get_mut("m")
            && let Some((true, named)) = change_of_list(members)
        {
            *members = named;
        }
        let newer = ServerRequest {
            call: ServerCall::Create(kind),
            body: Value::Object(columns),
            ..request.clone()
        };
        self.serve_newer(now, app, &newer, effects).await
    }

    /// A page of conversations, and their number where the request asks for it.
    async fn find_rows(&mut self, now: Now, app: &AppId, request: &ServerRequest) -> Answered {
        let is_empty = request.query.get("limit").is_some_and(|it| it == "0");
        let mut page = match is_empty {
            true => json!({ "results": [] }),
            false => self.find_conversations(now, app, None, request).await?,
        };
        let is_counted = request.query.get("count").is_some_and(|it| it != "0");
        if is_counted && let Some(page) = page.as_object_mut() {
            let count = self.count_rows(now, app, request).await?;
            page.insert("count".to_owned(), count.into());
        }
        Ok(page)
    }

    /// The number of conversations that fit the conditions of a request.
    async fn count_rows(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
    ) -> Result<usize, Failure> {
        let mut counted = 0;
        loop {
            let mut part = request.clone();
            part.query.insert("skip".to_owned(), counted.to_string());
            part.query
                .insert("limit".to_owned(), COUNTED_AT_ONCE.to_string());
            let page = self.find_conversations(now, app, None, &part).await?;
            let rows = page.get("results").and_then(Value::as_array);
            // A page of large rows is shorter than it may be, and is not the last one for that.
            match rows.map_or(0, Vec::len) {
                0 => return Ok(counted),
                rows => counted += rows,
            }
        }
    }

    async fn read_row(&mut self, now: Now, app: &AppId, request: &ServerRequest) -> Answered {
        let id = self.row_of(now, app, request).await?.id;
        let mut query = request.clone();
        let conditions = json!({ "objectId": id.as_str() }).to_string();
        query.query.insert("where".to_owned(), conditions);
        let page = self.find_conversations(now, app, None, &query).await?;
        let row = page.get("results").and_then(|rows| rows.get(0)).cloned();
        row.ok_or_else(no_such_row)
    }

    /// Changes the lists of clients of a conversation, then its other columns. Columns that cannot be so are
    /// refused before anything is changed.
    async fn change_row(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let kind = self.row_of(now, app, request).await?.kind.path();
        let mut columns = request.object()?.clone();
        let mut newer = Vec::new();
        for (list, add, remove) in LISTS {
            let Some(change) = columns.remove(list) else {
                continue;
            };
            let (is_added, named) = change_of_list(&change)
                .ok_or_else(|| bad(&format!("{list} is changed by AddUnique or Remove alone")))?;
            let call = if is_added { add } else { remove };
            newer.push((call, json!({ "client_ids": named })));
        }
        Changes::from_object(columns.clone()).map_err(refuse_attributes)?;
        if !columns.is_empty() || newer.is_empty() {
            newer.push((ServerCall::Change(kind), Value::Object(columns)));
        }
        let mut answer = Value::Null;
        for (call, body) in newer {
            let newer = ServerRequest {
                call,
                body,
                ..request.clone()
            };
            answer = self.serve_newer(now, app, &newer, effects).await?;
        }
        Ok(answer)
    }
}

impl Kind {
    /// The kind under whose path a conversation is found: temporary ones are among the normal ones.
    const fn path(self) -> Self {
        match self {
            Self::Temporary => Self::Normal,
            other => other,
        }
    }
}

/// The request of the newer interface: the ids of the body are in its path, and the fields have their newer names.
fn renamed(call: ServerCall, request: &ServerRequest) -> Result<ServerRequest, Failure> {
    let mut body: Map<String, Value> = request.object()?.clone();
    let mut path = request.path.clone();
    for (field, part) in [("conv_id", "id"), ("msg_id", "message")] {
        if let Some(id) = request.text(field)? {
            path.insert(part.to_owned(), id.to_owned());
        }
    }
    for (older, newer) in RENAMED {
        if let Some(value) = body.remove(older) {
            body.entry(newer).or_insert(value);
        }
    }
    Ok(ServerRequest {
        call,
        path,
        body: Value::Object(body),
        ..request.clone()
    })
}

/// The clients that a change of a list names, and true if it adds them.
fn change_of_list(change: &Value) -> Option<(bool, Value)> {
    let is_added = match change.get("__op")?.as_str()? {
        "Add" | "AddUnique" => true,
        "Remove" => false,
        _ => return None,
    };
    Some((is_added, change.get("objects")?.clone()))
}

fn no_such_row() -> Failure {
    Refusal::because(NO_SUCH_ROW, "there is no such object").into()
}

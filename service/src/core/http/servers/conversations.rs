//! Making, finding, changing and deleting conversations for an app's own servers.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, ConversationId, Now};
use sampan::wire::generated::{ConvCommand, JsonObjectMessage};
use sampan::wire::{Command, ServiceCode, iso, peers};
use serde_json::{Value, json};

use super::{Answered, bad, changed};
use crate::core::columns::attributes;
use crate::core::conversations::notices::refuse_attributes;
use crate::core::conversations::start::{StartFacts, decide_start, unique_id};
use crate::core::conversations::update::decide_update;
use crate::core::exchange::decision::{Caller, OPERATOR};
use crate::core::exchange::input::Effect;
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::server_call::ServerRequest;
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Storage, Write};

/// Hexadecimal digits of the id of a conversation that somebody made.
const ID_DIGITS: usize = 24;

/// Rows of an answer whose request names no number.
const PAGE: usize = 100;

/// Rows of an answer at most.
const PAGE_MAX: usize = 1000;

/// The keys of a request for a new conversation that are no columns.
const OWN_KEYS: [&str; 7] = ["m", "unique", "objectId", "c", "tr", "sys", "mu"];

impl<S: Storage> Core<S> {
    /// Makes a conversation, or answers the unique one of the same members. An id may be given, so that a
    /// conversation of another service keeps its own.
    pub(super) async fn create_conversation(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let settings = self.settings_of(app);
        let mut columns = request.object()?.clone();
        columns.retain(|key, _| !OWN_KEYS.contains(&key.as_str()));
        let columns = Value::Object(columns).to_string();
        let columns = attributes::initial(&columns, settings.limits.attribute_bytes);
        let members: BTreeSet<ClientId> = match kind {
            Kind::Normal => request
                .clients("m", settings.limits.members)?
                .into_iter()
                .collect(),
            _ => BTreeSet::new(),
        };
        let is_unique = kind == Kind::Normal && request.flag("unique")?;
        let unique_id = is_unique.then(|| unique_id(kind, &members));
        if let Some(unique_id) = &unique_id
            && let Some(id) = self.storage.unique_conversation(app, unique_id).await?
            && let Some(existing) = self.live(now, app, Some(id.as_str())).await?
        {
            return self.made(app, &existing).await;
        }
        let creator = match request.text("c")? {
            Some(_) => request.client_in_body("c")?,
            None => operator()?,
        };
        let id = self.id_for(app, &members, request).await?;
        let facts = StartFacts {
            kind,
            members: members.clone(),
            columns: columns.map_err(refuse_attributes)?,
            unique_id,
            expires_at: None,
        };
        let mut queued = BTreeSet::new();
        for client in &members {
            if self.keeps_queue(app, client).await? {
                queued.insert(client.clone());
            }
        }
        let caller = Caller::by_server(app, creator);
        let decision = decide_start(now, &caller, id.clone(), facts, &queued);
        self.carry_out_for_server(now, app, decision, effects)
            .await?;
        let made = self.storage.conversation(app, &id).await?;
        let made = made.ok_or(ServiceCode::CONVERSATION_INTERNAL_ERROR)?;
        self.made(app, &made).await
    }

    /// The id that the request gives, or a new one.
    async fn id_for(
        &mut self,
        app: &AppId,
        members: &BTreeSet<ClientId>,
        request: &ServerRequest,
    ) -> Result<ConversationId, Failure> {
        let Some(text) = request.text("objectId")? else {
            let id = self.names.conversation();
            return Ok(id.map_err(|_| ServiceCode::CONVERSATION_INTERNAL_ERROR)?);
        };
        let id = ConversationId::new(text).map_err(|error| bad(&error.to_string()))?;
        let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        let is_made = text.len() == ID_DIGITS && text.bytes().all(is_digit);
        let is_of_peers = peers::conversation_of(members).as_ref() == Some(&id);
        if !is_made && !is_of_peers {
            return Err(bad(
                "objectId must be 24 lower-case hexadecimal digits, or the id of the peers in m",
            ));
        }
        match self.storage.conversation(app, &id).await? {
            None => Ok(id),
            Some(_) => Err(bad("there is a conversation with this objectId")),
        }
    }

    /// The answer for a conversation that was made.
    async fn made(&self, app: &AppId, made: &Conversation) -> Answered {
        let mut answer = json!({
            "objectId": made.id.as_str(),
            "createdAt": iso::format(made.created_at),
        });
        if let (Some(unique_id), Some(answer)) = (&made.unique_id, answer.as_object_mut()) {
            let members = self.storage.members(app, &made.id, usize::MAX).await?;
            let members: Vec<&str> = members.iter().map(|it| it.client.as_str()).collect();
            answer.insert("unique".to_owned(), true.into());
            answer.insert("uniqueId".to_owned(), unique_id.as_str().into());
            answer.insert("updatedAt".to_owned(), iso::format(made.updated_at).into());
            answer.insert("m".to_owned(), members.into());
            let name = made.columns.get("name").cloned().unwrap_or_default();
            answer.insert("name".to_owned(), name);
        }
        Ok(answer)
    }

    /// Finds conversations by the conditions that clients have too.
    pub(super) async fn find_conversations(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Option<Kind>,
        request: &ServerRequest,
    ) -> Answered {
        let of_kind = match kind {
            Some(kind) => json!({ "conv_type": kind.number() }),
            None => json!({ "objectId": { "$exists": true } }),
        };
        let conditions = match request.query.get("where") {
            None => of_kind,
            Some(text) => {
                let given = serde_json::from_str::<Value>(text).ok();
                let mut given = given
                    .filter(Value::is_object)
                    .ok_or_else(|| bad("where must be a JSON object"))?;
                if let (Some(given), Some(of_kind)) = (given.as_object_mut(), of_kind.as_object()) {
                    for (key, value) in of_kind {
                        given.entry(key.clone()).or_insert_with(|| value.clone());
                    }
                }
                match kind {
                    // A kind in the conditions does not widen the kind of the path.
                    Some(_) => json!({ "$and": [given, of_kind] }),
                    None => given,
                }
            }
        };
        let skip = request.number("skip")?.unwrap_or_default();
        let limit = request.limit(PAGE, PAGE_MAX)?;
        let body = ConvCommand {
            r#where: Some(JsonObjectMessage {
                data: conditions.to_string(),
            }),
            sort: request.query.get("order").cloned(),
            skip: i32::try_from(skip).ok(),
            limit: i32::try_from(limit).ok(),
            ..ConvCommand::default()
        };
        let caller = Caller::by_server(app, operator()?);
        let mut search = self.search(&caller, &body)?;
        loop {
            let part = search.part(self, now, &caller).await?;
            if part.is_end {
                let Some(Command::Conv { body, .. }) = part.decision.reply else {
                    return Err(ServiceCode::CONVERSATION_QUERY_FAILED.into());
                };
                let text = body.results.map_or_else(String::new, |it| it.data);
                let rows: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!([]));
                return Ok(json!({ "results": rows }));
            }
        }
    }

    /// Changes the columns of a conversation; its members are told as if a client had done it.
    pub(super) async fn change_conversation(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let conversation = self.server_conversation(now, app, kind, request).await?;
        let data = Value::Object(request.object()?.clone()).to_string();
        let id = conversation.id.clone();
        let body = ConvCommand {
            cid: Some(id.to_string()),
            attr: Some(JsonObjectMessage { data }),
            ..ConvCommand::default()
        };
        let limit = self.settings_of(app).limits.attribute_bytes;
        let crowd = self.crowd(app, &conversation).await?;
        let caller = Caller::by_server(app, operator()?);
        let decision = decide_update(now, &caller, conversation, &crowd, limit, &body)?;
        let reply = self
            .carry_out_for_server(now, app, decision, effects)
            .await?;
        let at = match reply {
            Some(Command::Conv { body, .. }) => body.udate.unwrap_or_default(),
            _ => String::new(),
        };
        Ok(changed(&id, &at))
    }

    /// Deletes a conversation with all that belongs to it. The clients inside a chat room are outside then.
    pub(super) async fn delete_conversation(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
    ) -> Answered {
        let conversation = self.server_conversation(now, app, kind, request).await?;
        for session in self.registry.inside(app, &conversation.id) {
            self.registry.leave_room(app, &session);
        }
        let write = Write::DropConversation(app.clone(), conversation.id);
        self.storage.apply(vec![write]).await?;
        Ok(json!({}))
    }
}

/// The client that stands for the app's own server.
pub(super) fn operator() -> Result<ClientId, Failure> {
    ClientId::new(OPERATOR).map_err(|error| bad(&error.to_string()))
}

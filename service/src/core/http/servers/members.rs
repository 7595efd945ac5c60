//! Members, clients inside a chat room, and members without push, for an app's own servers.

use sampan::model::{AppId, Now};
use sampan::wire::{Command, ServiceCode, iso};
use serde_json::{Value, json};

use super::conversations::operator;
use super::{Answered, admitted, bad, changed};
use crate::core::exchange::decision::Caller;
use crate::core::exchange::input::Effect;
use crate::core::exchange::server_call::{ServerCall, ServerRequest};
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Storage, Write};

/// Clients inside a chat room that one answer names.
const INSIDE_MAX: usize = 50;

impl<S: Storage> Core<S> {
    /// Adds or removes members; they and the others are told as if a client had done it.
    pub(super) async fn change_members(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let conversation = self
            .server_conversation(now, app, Kind::Normal, request)
            .await?;
        if conversation.kind != Kind::Normal {
            return Err(ServiceCode::NORMAL_CONVERSATION_REQUIRED.into());
        }
        let clients = request.clients("client_ids", self.settings_of(app).limits.members)?;
        if clients.is_empty() {
            return Err(bad("client_ids names nobody"));
        }
        let id = conversation.id.clone();
        let caller = Caller::by_server(app, operator()?);
        let admitted = admitted(conversation);
        let decision = match request.call {
            ServerCall::AddMembers => self.add_admitted(now, &caller, admitted, clients).await?,
            _ => {
                self.remove_admitted(now, &caller, admitted, clients)
                    .await?
            }
        };
        let reply = self
            .carry_out_for_server(now, app, decision, effects)
            .await?;
        let Some(Command::Conv { body, .. }) = reply else {
            return Err(ServiceCode::CONVERSATION_INTERNAL_ERROR.into());
        };
        // A blocked client is not added; a request that adds nobody says so.
        if let (true, Some(failed)) = (body.allowed_pids.is_empty(), body.failed_pids.first()) {
            return Err(ServiceCode::new(failed.code).into());
        }
        Ok(changed(&id, &body.udate.unwrap_or_default()))
    }

    /// The members, or some of those inside a chat room.
    pub(super) async fn server_members(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
    ) -> Answered {
        let conversation = self.server_conversation(now, app, kind, request).await?;
        let most = match kind {
            Kind::Room => INSIDE_MAX,
            _ => usize::MAX,
        };
        let crowd = self.crowd(app, &conversation).await?;
        let clients = crowd.clients();
        let names: Vec<&str> = clients.iter().take(most).map(|it| it.as_str()).collect();
        Ok(json!({ "result": names }))
    }

    /// The number of clients that are inside a chat room.
    pub(super) async fn count_inside(&mut self, (app, room): (&AppId, Conversation)) -> Answered {
        let crowd = self.crowd(app, &room).await?;
        Ok(json!({ "result": crowd.clients().len() }))
    }

    /// Sends members no push from the conversation, or push again. A client that is no member is passed over.
    pub(super) async fn mute_members(
        &mut self,
        (app, conversation): (&AppId, Conversation),
        request: &ServerRequest,
    ) -> Answered {
        let clients = request.clients("client_ids", self.settings_of(app).limits.members)?;
        let mut writes = Vec::new();
        for client in clients {
            if let Some(mut member) = self.storage.member(app, &conversation.id, &client).await? {
                member.muted = request.call == ServerCall::Mute;
                let (app, id) = (app.clone(), conversation.id.clone());
                writes.push(Write::PutMember(app, id, member));
            }
        }
        self.storage.apply(writes).await?;
        let at = iso::format(conversation.updated_at);
        Ok(changed(&conversation.id, &at))
    }

    /// The members who want no push.
    pub(super) async fn list_muted(
        &mut self,
        (app, conversation): (&AppId, Conversation),
    ) -> Answered {
        let crowd = self.crowd(app, &conversation).await?;
        let muted = crowd.members().iter().filter(|member| member.muted);
        let names: Vec<Value> = muted.map(|it| it.client.as_str().into()).collect();
        Ok(json!({ "result": names }))
    }
}

//! Operations of an app's own servers on conversations, members, messages and clients (the protocol, section
//! 10.4). The caller has already shown the key that the table of operations demands.

mod broadcasts;
mod clients;
mod conversations;
mod fields;
mod loads;
mod members;
mod messages;
pub(in crate::core) mod older;
mod operating;
mod subscribers;

use sampan::model::{AppId, ConversationId, Now};
use sampan::wire::signature::KeyKind;
use sampan::wire::{Command, ServiceCode};
use serde_json::{Value, json};

use crate::core::access::{Operation, Rank, Standing};
use crate::core::apps::rates::Counted;
use crate::core::exchange::decision::Decision;
use crate::core::exchange::input::Effect;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::exchange::request::RestAnswer;
use crate::core::exchange::server_call::{ServerCall, ServerRequest};
use crate::core::gate::Admitted;
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Storage};

/// A body of an answer, or why there is none.
type Answered = Result<Value, Failure>;

impl<S: Storage> Core<S> {
    /// Answers a request of an app's own server.
    pub(in crate::core) async fn serve_server(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<RestAnswer, Failure> {
        let operation = request.call.operation();
        let is_open = matches!(
            operation,
            Operation::SubscribeClient | Operation::CountUnread
        );
        if is_open && request.key == KeyKind::App && self.settings_of(app).signatures.login {
            // The app's key is in every client; the id of a client has to be signed in this app.
            return Ok(RestAnswer::refused(401, 401, "Unauthorized."));
        }
        if operation == Operation::SendAsClient {
            let rates = self.settings_of(app).rates;
            let elapsed = now.elapsed;
            self.pace
                .count(&rates, (app, None), Counted::ServerSend, elapsed)?;
        }
        let body = self.serve_call(now, app, request, effects).await?;
        Ok(RestAnswer::ok(body))
    }

    async fn serve_call(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        match request.call {
            ServerCall::Create(kind) => {
                self.create_conversation(now, app, kind, request, effects)
                    .await
            }
            ServerCall::Find(kind) => self.find_conversations(now, app, kind, request).await,
            ServerCall::Change(kind) => {
                self.change_conversation(now, app, kind, request, effects)
                    .await
            }
            ServerCall::Delete(kind) => self.delete_conversation(now, app, kind, request).await,
            ServerCall::AddMembers | ServerCall::RemoveMembers => {
                self.change_members(now, app, request, effects).await
            }
            ServerCall::ListMembers(kind) => self.server_members(now, app, kind, request).await,
            ServerCall::CountInside => self.serve_within(now, app, Kind::Room, request).await,
            ServerCall::Mute | ServerCall::Unmute | ServerCall::ListMuted => {
                self.serve_within(now, app, Kind::Normal, request).await
            }
            ServerCall::Send(_) | ServerCall::SendToSubscribers => {
                self.send_as(now, app, request, effects).await
            }
            ServerCall::Edit(kind) | ServerCall::Recall(kind) => {
                self.patch_as(now, app, kind, request, effects).await
            }
            ServerCall::DeleteMessage(kind) => self.delete_message(now, app, kind, request).await,
            ServerCall::ListFor
            | ServerCall::DeleteFor
            | ServerCall::Subscribe
            | ServerCall::Unsubscribe
            | ServerCall::ListSubscribers
            | ServerCall::CountSubscribers => {
                self.serve_within(now, app, Kind::System, request).await
            }
            ServerCall::ListSubscriptions => self.list_subscriptions(now, app, request).await,
            ServerCall::ListSessions => self.list_sessions(app, request),
            ServerCall::Bar => self.bar_client(now, app, request, effects).await,
            ServerCall::Unbar => self.unbar_client(app, request).await,
            ServerCall::Erase => self.erase_client(now, app, request, effects).await,
            ServerCall::CheckOnline => self.check_online(app, request),
            ServerCall::CountUnread => self.count_unread_of(now, app, request).await,
            ServerCall::Count => Ok(self.count_clients(now, app)),
            ServerCall::Broadcast => self.broadcast(now, app, request, effects).await,
            ServerCall::ListBroadcasts => self.list_broadcasts(now, app, request).await,
            ServerCall::DeleteBroadcast => self.delete_broadcast(now, app, request).await,
            ServerCall::Load => self.load(app, request).await,
            ServerCall::Older(call) => self.serve_older(now, app, call, request, effects).await,
        }
    }

    /// Serves a request about one conversation of one kind, and tells nobody.
    async fn serve_within(
        &mut self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
    ) -> Answered {
        let conversation = self.server_conversation(now, app, kind, request).await?;
        let within = (app, conversation);
        match request.call {
            ServerCall::CountInside => self.count_inside(within).await,
            ServerCall::ListMuted => self.list_muted(within).await,
            ServerCall::ListFor => self.list_for(within, request).await,
            ServerCall::DeleteFor => self.delete_for(within, request).await,
            ServerCall::ListSubscribers => self.list_subscribers(within, request).await,
            ServerCall::CountSubscribers => self.count_subscribers(within).await,
            ServerCall::Mute | ServerCall::Unmute => self.mute_members(within, request).await,
            _ => self.change_subscription(now, within, request).await,
        }
    }

    /// The conversation that the path names, if it is of this kind. Temporary conversations have no path
    /// of their own: they are found among the normal ones.
    async fn server_conversation(
        &self,
        now: Now,
        app: &AppId,
        kind: Kind,
        request: &ServerRequest,
    ) -> Result<Conversation, Failure> {
        let id = request.path.get("id").map(String::as_str);
        self.conversation_of_kind(now, app, kind, id).await
    }

    async fn conversation_of_kind(
        &self,
        now: Now,
        app: &AppId,
        kind: Kind,
        id: Option<&str>,
    ) -> Result<Conversation, Failure> {
        let found = self.live(now, app, id).await?;
        let is_right = |found: &Conversation| {
            found.kind == kind || (kind == Kind::Normal && found.kind == Kind::Temporary)
        };
        let found = found.filter(is_right);
        Ok(found.ok_or(ServiceCode::CONVERSATION_NOT_FOUND)?)
    }

    /// Applies a decision that has no connection to reply to; answers the reply.
    async fn carry_out_for_server(
        &mut self,
        now: Now,
        app: &AppId,
        decision: Decision,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<Command>, Failure> {
        self.storage.apply(decision.writes).await?;
        self.tell_all(now, app, decision.notices, effects).await?;
        Ok(decision.reply)
    }
}

/// The rights of an app's own server in a conversation: the owner's rights, over everybody.
fn admitted(conversation: Conversation) -> Admitted {
    let standing = Standing {
        kind: conversation.kind,
        rank: Rank::Owner,
        blocked: false,
        silenced: false,
        roles: false,
    };
    Admitted {
        conversation,
        member: None,
        standing,
    }
}

/// The answer to most changes.
fn changed(id: &ConversationId, at: &str) -> Value {
    json!({ "objectId": id.as_str(), "updatedAt": at })
}

/// A request that says something that cannot be.
fn bad(why: &str) -> Failure {
    Refusal::because(ServiceCode::new(1), why).into()
}

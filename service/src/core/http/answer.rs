//! The part of the HTTP interface that needs the core: reads of a signed-in client, and the signing for account
//! users. The shell has the rest.

use sampan::model::{AppId, ClientId, Now, Timestamp};
use sampan::wire::ServiceCode;
use sampan::wire::signature::{SignedAction, SignedOperation, hmac_sha1_hex};
use serde_json::{Value, json};

use crate::core::access::Operation;
use crate::core::conversations::role::{info_id, role_name};
use crate::core::exchange::input::Effect;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::exchange::request::{Dialect, RestAnswer, RestCall, RestRequest, Vouched};
use crate::core::http::servers::older::NO_SUCH_ROW;
use crate::core::machine::Core;
use crate::core::state::replay;
use crate::core::upkeep::sweep::NOTIFICATIONS_KEPT_MAX;
use crate::storage::{Role, Storage};

/// From this and the master key comes the key of signatures for account sessions.
const ACCOUNT_KEY: &str = "account sessions";

/// Notifications in one answer; clients ask again while there are more.
const NOTIFICATIONS_MAX: usize = 500;

impl<S: Storage> Core<S> {
    /// Answers a request; the caller has shown the app's key.
    pub(in crate::core) async fn answer_rest(
        &mut self,
        now: Now,
        request: &RestRequest,
        effects: &mut Vec<Effect>,
    ) -> RestAnswer {
        let app = &request.app;
        let answer = match &request.call {
            RestCall::Notifications {
                client,
                token,
                since,
                dialect,
            } => {
                self.missed(now, app, client, token.as_deref(), *since, *dialect)
                    .await
            }
            RestCall::MemberInfo {
                client,
                token,
                conversation,
            } => {
                self.member_info(now, app, client, token.as_deref(), conversation.as_deref())
                    .await
            }
            RestCall::Sign(vouched) => Ok(self.sign(now, app, vouched)),
            RestCall::Kick { client, reason } => {
                self.kick_client(now, app, client, reason, effects).await
            }
            RestCall::Revoke { client, until } => {
                self.revoke_tokens(now, app, client.as_deref(), *until, effects)
                    .await
            }
            RestCall::Installation(call) => self.installation(now, app, call).await,
            // Records are read in parts.
            RestCall::Records(_) => {
                debug_assert!(false, "records are read in parts");
                Ok(RestAnswer::refused(500, 1, "internal error"))
            }
            RestCall::Server(request) => self.serve_server(now, app, request, effects).await,
        };
        match answer {
            Ok(answer) => answer,
            Err(Failure::Refused(refusal)) => {
                let why = refusal
                    .detail
                    .as_deref()
                    .unwrap_or_else(|| refusal.code.name());
                RestAnswer::refused(status(&refusal), refusal.code.number(), why)
            }
            Err(Failure::Storage(_) | Failure::Asks(_)) => {
                RestAnswer::refused(500, 1, "internal error")
            }
        }
    }

    /// The client that a session token belongs to, if it is the one that asks.
    async fn bearer(
        &self,
        now: Now,
        app: &AppId,
        client: &str,
        token: Option<&str>,
    ) -> Result<Option<ClientId>, Failure> {
        let (Some(text), Some(served)) = (token, self.apps.find(app.as_str())) else {
            return Ok(None);
        };
        let found = self.live_token(now, served, text).await?;
        let client_of = found.map(|(_, token)| token.client);
        Ok(client_of.filter(|it| it.as_str() == client))
    }

    async fn missed(
        &self,
        now: Now,
        app: &AppId,
        client: &str,
        token: Option<&str>,
        since: Timestamp,
        dialect: Dialect,
    ) -> Result<RestAnswer, Failure> {
        let Some(client) = self.bearer(now, app, client, token).await? else {
            return Ok(unauthorized());
        };
        let limit = NOTIFICATIONS_MAX + 1;
        let missed = self
            .storage
            .notifications(app, &client, since, limit)
            .await?;
        let mut kept = missed.notifications;
        let more = kept.len() == limit;
        if more {
            // The next page starts after a time: one time must not be cut in two.
            let last = kept.last().map(|last| last.at);
            kept.retain(|one| Some(one.at) != last);
        }
        let days = self.settings_of(app).retention.notifications();
        let dropped = self
            .storage
            .notified_before(app, &client, NOTIFICATIONS_KEPT_MAX - 1)
            .await?;
        let forgotten = missed.is_partial
            || now.wall.saturating_since(since) > days
            || dropped.is_some_and(|at| at > since);
        let items = kept.into_iter().map(|one| replay::written(one, dialect));
        let items: Vec<Value> = items.collect();
        // Two SDKs read the same answer in two places.
        Ok(RestAnswer::ok(json!({
            "hasMore": more,
            "notifications": items,
            "permanent": { "notifications": items, "hasMore": more },
            "droppable": { "invalidLocalConvCache": forgotten, "notifications": [] },
        })))
    }

    async fn member_info(
        &self,
        now: Now,
        app: &AppId,
        client: &str,
        token: Option<&str>,
        conversation: Option<&str>,
    ) -> Result<RestAnswer, Failure> {
        let Some(client) = self.bearer(now, app, client, token).await? else {
            return Ok(unauthorized());
        };
        let own = (app, &client);
        let conversation = match self
            .admit(now, own, Operation::ListRoles, conversation)
            .await
        {
            Ok(admitted) => admitted.conversation,
            Err(Failure::Refused(refusal))
                if refusal.code == ServiceCode::CONVERSATION_NOT_FOUND =>
            {
                return Ok(RestAnswer::ok(json!({ "results": [] })));
            }
            Err(failure) => return Err(failure),
        };
        let crowd = self.crowd(app, &conversation).await?;
        let rows = crowd
            .members()
            .iter()
            .filter(|member| member.role != Role::Member);
        let rows: Vec<Value> = rows
            .map(|member| {
                json!({
                    "objectId": info_id(&conversation, &member.client),
                    "cid": conversation.id.as_str(),
                    "clientId": member.client.as_str(),
                    "role": role_name(member.role),
                })
            })
            .collect();
        Ok(RestAnswer::ok(json!({ "results": rows })))
    }

    /// Ends the sessions of a client and its tokens: it has to sign in again.
    async fn kick_client(
        &mut self,
        now: Now,
        app: &AppId,
        client: &str,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<RestAnswer, Failure> {
        let Ok(client) = ClientId::new(client) else {
            return Ok(RestAnswer::refused(400, 1, "client_id is not legal"));
        };
        let reason = (!reason.is_empty()).then_some(reason);
        self.revoke(now, app, Some(&client), None, reason, effects)
            .await?;
        Ok(RestAnswer::ok(json!({})))
    }

    /// Revokes tokens of one client or of all, and answers how many sessions ended with them.
    async fn revoke_tokens(
        &mut self,
        now: Now,
        app: &AppId,
        client: Option<&str>,
        until: Option<Timestamp>,
        effects: &mut Vec<Effect>,
    ) -> Result<RestAnswer, Failure> {
        let Ok(client) = client.map(ClientId::new).transpose() else {
            return Ok(RestAnswer::refused(400, 1, "client_id is not legal"));
        };
        let ended = self
            .revoke(now, app, client.as_ref(), until, None, effects)
            .await?;
        Ok(RestAnswer::ok(json!({ "sessions": ended })))
    }

    /// Signs the log-in of a client that the app's own server named.
    ///
    /// Where the app has no function that is asked, the service takes the account session for the id of the account.
    /// That signature is made with a key of its own, so that no check accepts it: it has only to
    /// look like one for SDKs that ask for it, and opens nothing when the app wants signatures
    /// later.
    fn sign(&mut self, now: Now, app: &AppId, vouched: &Vouched) -> RestAnswer {
        let Some(served) = self.apps.find(app.as_str()) else {
            return unauthorized();
        };
        let master_key = served.credentials.master_key.expose();
        let (client, key) = match vouched {
            Vouched::ByApp(client) => (client.clone(), master_key.to_owned()),
            Vouched::ByNobody(_) if served.settings.signatures.login => {
                // The caller shows nothing that the app's own server would have checked.
                return RestAnswer::refused(403, 403, "this service has no accounts to sign for");
            }
            Vouched::ByNobody(session_token) => match ClientId::new(session_token) {
                Ok(client) => (client, hmac_sha1_hex(master_key, ACCOUNT_KEY)),
                Err(_) => return unauthorized(),
            },
        };
        if client.as_str().contains(':') {
            // Such an id would read as another signed text.
            return RestAnswer::refused(400, 1, "the client's id has a colon");
        }
        let nonce = self.names.object();
        let timestamp = now.wall.as_millis();
        let operation = SignedOperation {
            app_id: app,
            client_id: &client,
            action: SignedAction::Login,
            timestamp,
            nonce: &nonce,
        };
        RestAnswer::ok(json!({
            "signature": operation.sign(&key),
            "timestamp": timestamp,
            "nonce": nonce,
            "client_id": client.as_str(),
        }))
    }
}

/// The status of a refusal: 403 where the caller is known and may not, 400 otherwise.
fn status(refusal: &Refusal) -> u16 {
    match refusal.code {
        ServiceCode::CONVERSATION_MEMBERSHIP_REQUIRED
        | ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED
        | ServiceCode::BLOCKED_BY_CONV => 403,
        NO_SUCH_ROW
        | ServiceCode::CONVERSATION_NOT_FOUND
        | ServiceCode::INVALID_MESSAGING_TARGET
        | ServiceCode::MESSAGE_NOT_FOUND => 404,
        ServiceCode::MESSAGE_SENT_QUOTA_EXCEEDED => 429,
        _ => 400,
    }
}

fn unauthorized() -> RestAnswer {
    RestAnswer::refused(401, 401, "Unauthorized.")
}

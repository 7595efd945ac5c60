//! Session tokens: the client of a token; making, renewing and ending a token.
//!
//! A token ends with its time, when its session closes or gets another token, when its app wants signatures and
//! the token was given without one, and when the app's operator revokes it. A renewed token keeps the time at
//! which the client was authenticated, so a token cannot be renewed for ever (`limits.session_max_secs`).

use sampan::model::{AppId, ClientId, DeviceTag, Now, Timestamp};
use sampan::wire::generated::SessionCommand;
use sampan::wire::signature::SignedAction;
use sampan::wire::{Command, Envelope, Op, ServiceCode};

use crate::core::apps::app::App;
use crate::core::apps::token;
use crate::core::exchange::decision::{Caller, Decision, OPERATOR};
use crate::core::exchange::fields::client_ids;
use crate::core::exchange::input::{ConnectionId, Effect, SessionId};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::core::state::registry::Proof;
use crate::storage::{Revocation, Storage, Token, Write};

/// Why a session ended whose tokens were revoked without a reason.
const REVOKED: &str = "the session was revoked";

/// The client that signs in, and the proof of its identity.
pub(in crate::core) struct Identity {
    pub(in crate::core) client: ClientId,
    pub(in crate::core) proof: Proof,
    /// The token that came along, with its digest, if it is known, live, and this client's.
    pub(in crate::core) token: Option<(String, Token)>,
}

/// The facts for a new token.
pub(in crate::core) struct Issue<'a> {
    pub(in crate::core) client: &'a ClientId,
    pub(in crate::core) tag: Option<DeviceTag>,
    pub(in crate::core) device: Option<String>,
    pub(in crate::core) proof: Proof,
    /// The token that came along, by digest, record and text: it is given back while it is young.
    pub(in crate::core) before: Option<((String, Token), String)>,
}

/// A token in the form for the client.
pub(in crate::core) struct Issued {
    text: String,
    ttl_secs: i32,
    pub(in crate::core) digest: String,
}

impl Issued {
    /// The body of the reply that brings the token.
    pub(in crate::core) fn body(&self) -> SessionCommand {
        SessionCommand {
            st: Some(self.text.clone()),
            st_ttl: Some(self.ttl_secs),
            ..SessionCommand::default()
        }
    }
}

impl<S: Storage> Core<S> {
    /// Checks the client that signs in: by a token, else by name and, where the app asks for it, signature.
    pub(in crate::core) async fn identify(
        &mut self,
        now: Now,
        connection: ConnectionId,
        app: &App,
        envelope: &Envelope,
        request: &SessionCommand,
    ) -> Result<Identity, Failure> {
        let named = match envelope.peer_id.as_deref() {
            None => None,
            Some(peer) => Some(ClientId::new(peer).map_err(|error| {
                Refusal::because(ServiceCode::INVALID_LOGIN, error.to_string())
            })?),
        };
        if let Some(text) = request.st.as_deref().filter(|text| !text.is_empty()) {
            let found = self.live_token(now, app, text).await?;
            let (digest, token) = found
                .filter(|(_, token)| named.as_ref().is_none_or(|it| *it == token.client))
                .ok_or(ServiceCode::SESSION_TOKEN_EXPIRED)?;
            return Ok(Identity {
                client: token.client.clone(),
                proof: Proof::of(&token),
                token: Some((digest, token)),
            });
        }
        let client = match named {
            Some(client) if client.as_str() == OPERATOR => {
                let detail = "this id is the operator's";
                return Err(Refusal::because(ServiceCode::INVALID_LOGIN, detail).into());
            }
            Some(client) => client,
            None => self
                .names
                .client()
                .map_err(|_| ServiceCode::INVALID_LOGIN)?,
        };
        let id = SessionId { connection, client };
        let proof = self.authenticate(now, app, &id, request)?;
        let client = id.client;
        Ok(Identity {
            client,
            proof,
            token: None,
        })
    }

    /// Checks the signature of a login, where the app wants one.
    fn authenticate(
        &mut self,
        now: Now,
        app: &App,
        id: &SessionId,
        request: &SessionCommand,
    ) -> Result<Proof, Refusal> {
        let sent = (request.t, request.n.as_deref(), request.s.as_deref());
        let watched = client_ids(&request.session_peer_ids)?;
        let action = match watched.is_empty() {
            true => SignedAction::Login,
            false => SignedAction::Watch { peers: &watched },
        };
        // One SDK opens a session twice with one signature, on the connection that has it already.
        let signed = match self.registry.session(id).is_some() {
            true => self.check_repeated(app, &id.client, action, sent)?,
            false => self.check_signed(app, &id.client, action, sent)?,
        };
        Ok(Proof {
            authenticated_at: now.wall,
            signed,
        })
    }

    /// The token with this text, if it is good: the one place that says so.
    pub(in crate::core) async fn live_token(
        &self,
        now: Now,
        app: &App,
        text: &str,
    ) -> Result<Option<(String, Token)>, Failure> {
        let (id, digest) = (&app.credentials.id, token::digest(app, text));
        let Some(token) = self.storage.token(id, &digest).await? else {
            return Ok(None);
        };
        let revoked = self.revoked_until(id, &token.client).await?;
        let is_live = token.expires_at > now.wall
            && (token.signed || !app.settings.signatures.login)
            && revoked.is_none_or(|until| token.authenticated_at > until);
        Ok(is_live.then_some((digest, token)))
    }

    /// Tokens of the client that were authenticated at or before this time are revoked.
    async fn revoked_until(
        &self,
        app: &AppId,
        client: &ClientId,
    ) -> Result<Option<Timestamp>, Failure> {
        let of_app = self.storage.revocation(app, None).await?;
        let of_client = self.storage.revocation(app, Some(client)).await?;
        let until = [of_app, of_client].into_iter().flatten();
        Ok(until.map(|it| it.until).max())
    }

    /// The token for a reply: the one that came along while it is young, else a new one in its
    /// place.
    pub(in crate::core) async fn issue(
        &mut self,
        now: Now,
        app: &App,
        issue: Issue<'_>,
    ) -> Result<Issued, Failure> {
        let limits = &app.settings.limits;
        let mut writes = Vec::new();
        if let Some(((digest, before), text)) = issue.before {
            let left = before.expires_at.saturating_since(now.wall);
            if left > limits.session_token_ttl() / 2 {
                return Ok(Issued {
                    text,
                    ttl_secs: token::seconds(left),
                    digest,
                });
            }
            writes.push(Write::DropToken(app.credentials.id.clone(), digest));
        }
        let mut expires_at = now.wall.saturating_add(limits.session_token_ttl());
        if let Some(end) = issue.proof.ends_at(app) {
            expires_at = expires_at.min(end);
        }
        let text = self.names.token();
        let digest = token::digest(app, &text);
        let token = Token {
            client: issue.client.clone(),
            tag: issue.tag,
            device: issue.device,
            authenticated_at: issue.proof.authenticated_at,
            signed: issue.proof.signed,
            expires_at,
        };
        let app = app.credentials.id.clone();
        writes.push(Write::PutToken(app, digest.clone(), token));
        self.storage.apply(writes).await?;
        let ttl_secs = token::seconds(expires_at.saturating_since(now.wall));
        Ok(Issued {
            text,
            ttl_secs,
            digest,
        })
    }

    /// Forgets the token of a session that has another one now.
    pub(in crate::core) async fn forget_token(
        &mut self,
        app: &AppId,
        digest: &str,
        successor: &str,
    ) -> Result<(), Failure> {
        if digest.is_empty() || digest == successor {
            return Ok(());
        }
        let write = Write::DropToken(app.clone(), digest.to_owned());
        Ok(self.storage.apply(vec![write]).await?)
    }

    /// `session/refresh`: the open session itself is the authority, until the app's server has to
    /// sign again.
    pub(in crate::core) async fn refresh_session(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &SessionCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let session = self.registry.session(&caller.session).cloned();
        let session = session.ok_or(ServiceCode::SESSION_REQUIRED)?;
        let is_signed = app.settings.signatures.login && request.s.is_some();
        let proof = match is_signed {
            true => {
                let sent = (request.t, request.n.as_deref(), request.s.as_deref());
                let signed = self.check_signed(&app, caller.client(), SignedAction::Login, sent)?;
                Proof {
                    authenticated_at: now.wall,
                    signed,
                }
            }
            false => session.proof,
        };
        if proof.ends_at(&app).is_some_and(|end| end <= now.wall) {
            let detail = "the app's server has to sign again";
            return Err(Refusal::because(ServiceCode::SESSION_TOKEN_EXPIRED, detail).into());
        }
        let issue = Issue {
            client: caller.client(),
            tag: session.tag,
            device: session.device,
            proof,
            before: None,
        };
        let issued = self.issue(now, &app, issue).await?;
        self.forget_token(&caller.app, &session.token, &issued.digest)
            .await?;
        if let Some(session) = self.registry.session_mut(&caller.session) {
            session.token = issued.digest.clone();
            session.proof = proof;
        }
        let reply = Command::session(Op::Refreshed, issued.body());
        Ok(Decision::reply(reply))
    }

    /// Revokes the tokens of an app, or of one of its clients, that were authenticated at or before a time, and
    /// ends their sessions. Answers the number of these sessions.
    pub(in crate::core) async fn revoke(
        &mut self,
        now: Now,
        app: &AppId,
        client: Option<&ClientId>,
        until: Option<Timestamp>,
        reason: Option<&str>,
        effects: &mut Vec<Effect>,
    ) -> Result<usize, Failure> {
        // Nobody is kept out by a time that has not come.
        let until = until.map_or(now.wall, |until| until.min(now.wall));
        let before = self.storage.revocation(app, client).await?;
        let latest = before.map_or(until, |before| before.until.max(until));
        let revocation = Revocation {
            until: latest,
            ..before.unwrap_or_default()
        };
        let write = Write::PutRevocation(app.clone(), client.cloned(), revocation);
        self.storage.apply(vec![write]).await?;
        let sessions = match client {
            Some(client) => self.registry.sessions_of(app, client),
            None => self.registry.sessions_of_app(app),
        };
        let mut ended = 0;
        for id in sessions {
            let session = self.registry.session(&id);
            if session.is_some_and(|it| it.proof.authenticated_at <= until) {
                self.kick(now, &id, reason.unwrap_or(REVOKED), effects);
                ended += 1;
            }
        }
        Ok(ended)
    }
}

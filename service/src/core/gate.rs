//! The one way to a conversation: a caller names the operation, and is admitted or refused.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, ConversationId, Now};
use sampan::wire::peers;
use sampan::wire::signature::SignedAction;

use super::access::{Operation, Rank, Rights, Standing, Who, rank};
use super::apps::app::App;
use super::apps::signature_check::{self, SentSignature};
use super::exchange::decision::Audience;
use super::exchange::input::SessionId;
use super::exchange::refusal::{Failure, Refusal};
use super::machine::Core;
use crate::storage::{Ban, Conversation, Kind, Member, Storage};

/// A conversation that a client was let into for an operation.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    pub(super) conversation: Conversation,
    /// The client's own row among the members.
    pub(super) member: Option<Member>,
    pub(super) standing: Standing,
}

/// The clients in a conversation: its members, or for a chat room the sessions inside.
#[derive(Clone, Debug)]
pub(super) enum Crowd {
    Members(Vec<Member>),
    Inside(Vec<SessionId>),
}

impl Crowd {
    /// The members; nobody for a chat room.
    pub(super) fn members(&self) -> &[Member] {
        match self {
            Self::Members(members) => members,
            Self::Inside(_) => &[],
        }
    }

    /// The clients, each once, in the order of their ids.
    pub(super) fn clients(&self) -> BTreeSet<ClientId> {
        match self {
            Self::Members(members) => members.iter().map(|it| it.client.clone()).collect(),
            Self::Inside(sessions) => sessions.iter().map(|it| it.client.clone()).collect(),
        }
    }

    /// The receivers of the conversation's notices.
    pub(super) fn audience(&self) -> Audience {
        match self {
            Self::Members(_) => Audience::Clients(self.clients().into_iter().collect()),
            Self::Inside(sessions) => Audience::Sessions(sessions.clone()),
        }
    }

    /// Everybody but the session that caused it.
    pub(super) fn audience_without(&self, cause: &SessionId) -> Audience {
        match self {
            Self::Members(_) => {
                Audience::Others(self.clients().into_iter().collect(), cause.clone())
            }
            Self::Inside(sessions) => {
                let others = sessions.iter().filter(|session| *session != cause);
                Audience::Sessions(others.cloned().collect())
            }
        }
    }
}

impl<S: Storage> Core<S> {
    /// Lets a client into the conversation that a command names, if the table of operations says so.
    pub(super) async fn admit(
        &self,
        now: Now,
        (app, client): (&AppId, &ClientId),
        operation: Operation,
        cid: Option<&str>,
    ) -> Result<Admitted, Failure> {
        let Some(conversation) = self.live(now, app, cid).await? else {
            let temporary = cid.is_some_and(|it| it.starts_with(ConversationId::TEMPORARY_PREFIX));
            return Err(operation.missing(temporary).into());
        };
        let rights = rights_of(operation);
        let member = self.storage.member(app, &conversation.id, client).await?;
        let standing = self
            .standing(app, client, &conversation, member.as_ref(), rights)
            .await?;
        rights.decide(standing)?;
        Ok(Admitted {
            conversation,
            member,
            standing,
        })
    }

    /// True if a client may do something in a conversation that was found without being named.
    pub(super) async fn allows(
        &self,
        (app, client): (&AppId, &ClientId),
        operation: Operation,
        conversation: &Conversation,
    ) -> Result<bool, Failure> {
        let rights = rights_of(operation);
        let member = self.storage.member(app, &conversation.id, client).await?;
        let standing = self
            .standing(app, client, conversation, member.as_ref(), rights)
            .await?;
        Ok(rights.decide(standing).is_ok())
    }

    /// Checks the signature of an operation, where the app asks for one, and uses it up. Answers
    /// whether there had to be one.
    pub(super) fn check_signed(
        &mut self,
        app: &App,
        client: &ClientId,
        action: SignedAction<'_>,
        sent: SentSignature<'_>,
    ) -> Result<bool, Refusal> {
        if self.hook_turn.is_anew() {
            // The signature was used up when the command was decided the first time.
            return self.check_repeated(app, client, action, sent);
        }
        let wall = self.stamps.wall();
        let Some(accepted) = signature_check::check(app, wall, client, action, sent)? else {
            return Ok(false);
        };
        self.used
            .take(accepted)
            .map_err(|error| signature_check::refuse(&action, error))?;
        Ok(true)
    }

    /// Checks a signature that may have been used, by the same client on the same connection.
    pub(super) fn check_repeated(
        &self,
        app: &App,
        client: &ClientId,
        action: SignedAction<'_>,
        sent: SentSignature<'_>,
    ) -> Result<bool, Refusal> {
        let wall = self.stamps.wall();
        let accepted = signature_check::check(app, wall, client, action, sent)?;
        Ok(accepted.is_some())
    }

    async fn standing(
        &self,
        app: &AppId,
        client: &ClientId,
        conversation: &Conversation,
        member: Option<&Member>,
        rights: Rights,
    ) -> Result<Standing, Failure> {
        let id = &conversation.id;
        let blocked = rights.asks_blocked()
            && self
                .storage
                .is_banned(app, id, Ban::Blocked, client)
                .await?;
        let silenced = rights.asks_silenced()
            && self
                .storage
                .is_banned(app, id, Ban::Silenced, client)
                .await?;
        let rank = match conversation.kind {
            Kind::Room if conversation.creator == *client => Rank::Owner,
            Kind::Room if self.registry.is_inside(app, id, client) => Rank::Member,
            Kind::Room => Rank::Outside,
            _ => rank(conversation, member, client),
        };
        Ok(Standing {
            // The members of a conversation of peers follow from its id: nobody comes or goes.
            kind: match peers::is_of_peers(id) {
                true => Kind::Temporary,
                false => conversation.kind,
            },
            rank,
            blocked,
            silenced,
            roles: self.settings_of(app).features.roles,
        })
    }

    /// The conversation that a command names, if it is there and its time is not over.
    pub(super) async fn live(
        &self,
        now: Now,
        app: &AppId,
        cid: Option<&str>,
    ) -> Result<Option<Conversation>, Failure> {
        let Some(id) = cid.and_then(|cid| ConversationId::new(cid).ok()) else {
            return Ok(None);
        };
        let found = self.storage.conversation(app, &id).await?;
        Ok(found.filter(|found| found.expires_at.is_none_or(|ends| ends > now.wall)))
    }

    /// The clients who hear of a message now: of a conversation with more members than clients are online, those
    /// members who are online. All members where the app wants to be told of the others. So a message costs no more than
    /// the smaller of both numbers.
    pub(super) async fn hearers(
        &self,
        app: &AppId,
        conversation: &Conversation,
    ) -> Result<Crowd, Failure> {
        let is_listed = matches!(conversation.kind, Kind::Normal | Kind::Temporary);
        if !is_listed || self.settings_of(app).wants_receivers() {
            return self.crowd(app, conversation).await;
        }
        let (id, online) = (&conversation.id, self.registry.clients_online(app));
        let members = self.storage.members(app, id, online + 1).await?;
        if members.len() <= online {
            return Ok(Crowd::Members(members));
        }
        let mut hearers = Vec::new();
        for client in self.registry.online_of(app) {
            hearers.extend(self.storage.member(app, id, client).await?);
        }
        Ok(Crowd::Members(hearers))
    }

    /// The clients in a conversation. The subscribers of a service conversation are too many to list.
    pub(super) async fn crowd(
        &self,
        app: &AppId,
        conversation: &Conversation,
    ) -> Result<Crowd, Failure> {
        Ok(match conversation.kind {
            Kind::Normal | Kind::Temporary => Crowd::Members(
                self.storage
                    .members(app, &conversation.id, usize::MAX)
                    .await?,
            ),
            Kind::Room => Crowd::Inside(self.registry.inside(app, &conversation.id)),
            Kind::System => Crowd::Members(Vec::new()),
        })
    }
}

/// The row of an operation within a conversation. For another operation no caller is admitted, because there is
/// no conversation.
fn rights_of(operation: Operation) -> Rights {
    match operation.who() {
        Who::Within(rights) => rights,
        _ => {
            debug_assert!(false, "{operation:?} happens within no conversation");
            Rights::NOBODY
        }
    }
}

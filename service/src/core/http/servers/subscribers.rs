//! Subscribers of service conversations, for an app's own servers.

use sampan::model::{AppId, ClientId, ConversationId, Now};
use serde_json::{Value, json};

use super::{Answered, admitted};
use crate::core::conversations::member::{decide_subscribe, decide_unsubscribe};
use crate::core::exchange::decision::Caller;
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::server_call::{ServerCall, ServerRequest};
use crate::core::machine::Core;
use crate::storage::{Conversation, Kind, Member, Storage};

/// Subscribers in one answer.
const PAGE_MAX: usize = 50;

/// Conversations of one client that are looked at for its subscriptions.
const SUBSCRIPTIONS_MAX: usize = 10_000;

impl<S: Storage> Core<S> {
    /// Subscribes a client, or ends its subscription.
    pub(super) async fn change_subscription(
        &mut self,
        now: Now,
        (app, service): (&AppId, Conversation),
        request: &ServerRequest,
    ) -> Answered {
        let decision = match request.call {
            ServerCall::Subscribe => {
                let client = request.client_in_body("client_id")?;
                let queued = self.keeps_queue(app, &client).await?;
                let mut admitted = admitted(service);
                let id = &admitted.conversation.id;
                admitted.member = self.storage.member(app, id, &client).await?;
                let caller = Caller::by_server(app, client);
                decide_subscribe(now, &caller, admitted, queued)
            }
            _ => {
                let caller = Caller::by_server(app, request.client_in_path("client")?);
                decide_unsubscribe(now, &caller, &service)
            }
        };
        self.storage.apply(decision.writes).await?;
        Ok(json!({}))
    }

    /// The subscribers in the order of their ids, from behind the subscriber that the query names.
    pub(super) async fn list_subscribers(
        &mut self,
        (app, service): (&AppId, Conversation),
        request: &ServerRequest,
    ) -> Answered {
        let limit = request.limit(PAGE_MAX, PAGE_MAX)?;
        let after = request.query.get("client_id").map(String::as_str);
        let mut subscribers = self.subscribers(app, &service.id).await?;
        subscribers.sort_by(|a, b| a.client.cmp(&b.client));
        let behind = subscribers
            .iter()
            .filter(|it| after.is_none_or(|after| it.client.as_str() > after));
        let rows = behind.take(limit).map(|it| row(&service.id, it));
        Ok(rows.collect())
    }

    pub(super) async fn count_subscribers(
        &mut self,
        (app, service): (&AppId, Conversation),
    ) -> Answered {
        let count = self.subscribers(app, &service.id).await?.len();
        Ok(json!({ "count": count }))
    }

    async fn subscribers(&self, app: &AppId, id: &ConversationId) -> Result<Vec<Member>, Failure> {
        let mut members = self.storage.members(app, id, usize::MAX).await?;
        members.retain(|member| !member.guest);
        Ok(members)
    }

    /// The subscriptions of a client, the newest first unless the query says otherwise, from behind the
    /// subscription that the query names by its time and conversation.
    pub(super) async fn list_subscriptions(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
    ) -> Answered {
        let client = request.client_in_path("id")?;
        let limit = request.limit(PAGE_MAX, PAGE_MAX)?;
        let mut all = self.subscriptions(now, app, &client).await?;
        let place = |(id, member): &(ConversationId, Member)| (member.joined_at, id.clone());
        all.sort_by_key(place);
        let is_new = request.query.get("direction").is_some_and(|it| it == "new");
        if !is_new {
            all.reverse();
        }
        if let Some(at) = request.number("timestamp")? {
            let at = sampan::model::Timestamp::from_millis(at);
            let id = request.query.get("conv_id").map_or("", String::as_str);
            all.retain(|(conversation, member)| {
                let place = (member.joined_at, conversation.as_str());
                match is_new {
                    true => place > (at, id),
                    false => place < (at, id),
                }
            });
        }
        let rows = all.iter().take(limit).map(|(id, member)| row(id, member));
        Ok(rows.collect())
    }

    async fn subscriptions(
        &self,
        now: Now,
        app: &AppId,
        client: &ClientId,
    ) -> Result<Vec<(ConversationId, Member)>, Failure> {
        let ids = self
            .storage
            .memberships(app, client, None, SUBSCRIPTIONS_MAX)
            .await?;
        let mut all = Vec::new();
        for id in ids {
            let live = self.live(now, app, Some(id.as_str())).await?;
            let member = self.storage.member(app, &id, client).await?;
            if let (Some(live), Some(member)) = (live, member)
                && live.kind == Kind::System
                && !member.guest
            {
                all.push((id, member));
            }
        }
        Ok(all)
    }
}

fn row(service: &ConversationId, member: &Member) -> Value {
    json!({
        "timestamp": member.joined_at.as_millis(),
        "subscriber": member.client.as_str(),
        "conv_id": service.as_str(),
    })
}

//! Questions of an app's own servers about clients: the online ones, their unread messages, their number.

use sampan::model::{AppId, ConversationId, Now};
use serde_json::{Value, json};

use super::Answered;
use super::fields::NAMED_MAX;
use crate::core::exchange::server_call::ServerRequest;
use crate::core::machine::Core;
use crate::storage::{Kind, Storage};

/// Conversations of one client whose unread messages are counted.
const COUNTED_MAX: usize = 1000;

impl<S: Storage> Core<S> {
    /// The online clients among these.
    pub(super) fn check_online(&self, app: &AppId, request: &ServerRequest) -> Answered {
        let mut clients = request.clients("client_ids", NAMED_MAX)?;
        clients.retain(|client| self.registry.is_online(app, client));
        let online: Vec<&str> = clients.iter().map(|it| it.as_str()).collect();
        Ok(json!({ "results": online }))
    }

    /// The number of messages that a client has not read: of one conversation, or of all. Each conversation
    /// counts up to the app's limit.
    pub(super) async fn count_unread_of(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
    ) -> Answered {
        let client = request.client_in_path("id")?;
        let ids = match request.query.get("conv_id").map(ConversationId::new) {
            Some(Ok(id)) => vec![id],
            Some(Err(_)) => Vec::new(),
            None => {
                self.storage
                    .memberships(app, &client, None, COUNTED_MAX)
                    .await?
            }
        };
        let cap = self.settings_of(app).limits.unread_count;
        let mut count = 0;
        for id in ids {
            let member = self.storage.member(app, &id, &client).await?;
            let live = self.live(now, app, Some(id.as_str())).await?;
            if let (Some(member), Some(live)) = (member, live)
                && live.kind != Kind::Room
            {
                count += i64::from(self.unread_of(app, &live, &member, cap).await?.unread);
            }
        }
        Ok(json!({ "count": count }))
    }

    /// The number of clients that are online, and how many signed in today (UTC) since the service started.
    pub(super) fn count_clients(&mut self, now: Now, app: &AppId) -> Value {
        let online = self.registry.clients_online(app);
        let today = self.registry.visitors.today(app, now.wall);
        json!({ "result": { "online_user_count": online, "user_count_today": today } })
    }
}

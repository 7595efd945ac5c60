//! Messages to all clients of an app: online clients get them at once, others at their sign-in while the
//! message is valid.

use std::time::Duration;

use sampan::model::{AppId, Now, Timestamp};
use sampan::wire::{Command, ServiceCode};
use serde_json::{Value, json};

use super::messages::Receivers;
use super::{Answered, bad};
use crate::core::exchange::decision::{Audience, Caller, Notice};
use crate::core::exchange::input::Effect;
use crate::core::exchange::refusal::Failure;
use crate::core::exchange::server_call::ServerRequest;
use crate::core::http::records;
use crate::core::machine::Core;
use crate::core::messages::send::direct;
use crate::storage::{Broadcast, Client, Kind, Place, Storage, Write};

const DAY: Duration = Duration::from_secs(86_400);

/// How long a broadcast may be good, and is when its request does not say.
const GOOD_FOR_MAX: Duration = Duration::from_secs(31 * 86_400);

/// Broadcasts of an app on one day.
const A_DAY: usize = 30;

/// Broadcasts of an app that are looked through.
const KEPT_MAX: usize = 1000;

/// Broadcasts that a client is sent when it signs in: the newest.
const MISSED_MAX: usize = 20;

impl<S: Storage> Core<S> {
    pub(super) async fn broadcast(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
        effects: &mut Vec<Effect>,
    ) -> Answered {
        let id = request.text("conv_id")?;
        let service = self
            .conversation_of_kind(now, app, Kind::System, id)
            .await?;
        let from = request.client_in_body("from_client")?;
        let latest = now.wall.saturating_add(GOOD_FOR_MAX);
        let good_until = request.time("valid_till")?.unwrap_or(latest);
        if good_until > latest {
            return Err(bad("valid_till is more than a month away"));
        }
        self.make_room_for_broadcast(now, app).await?;
        let receivers = Receivers {
            sessions: self.registry.sessions_of_app(app),
            only_for: Vec::new(),
            clients: Vec::new(),
        };
        let clients: Vec<_> = receivers
            .sessions
            .iter()
            .map(|it| it.client.clone())
            .collect();
        let answer = self
            .put_and_tell(now, app, &service, from, receivers, request, effects)
            .await?;
        if request.flag("transient")? {
            return Ok(answer);
        }
        let place = self.place_of(&answer)?;
        let mut writes = Vec::new();
        for client in clients {
            let known = self.storage.client(app, &client).await?.unwrap_or_default();
            let known = Client {
                broadcast_until: place.sent_at,
                ..known
            };
            writes.push(Write::PutClient(app.clone(), client, known));
        }
        let kept = Broadcast {
            conversation: service.id,
            place,
            good_until,
        };
        writes.push(Write::PutBroadcast(app.clone(), kept));
        self.storage.apply(writes).await?;
        Ok(answer)
    }

    /// The place that an answer tells.
    fn place_of(&self, answer: &Value) -> Result<Place, Failure> {
        let id = answer
            .get("msg-id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let at = answer
            .get("timestamp")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        let id = sampan::model::MessageId::new(id).map_err(|_| ServiceCode::INTERNAL_ERROR)?;
        Ok(Place {
            sent_at: Timestamp::from_millis(at),
            id,
        })
    }

    /// Forgets the broadcasts that are good no more, and refuses one too many of a day.
    async fn make_room_for_broadcast(&mut self, now: Now, app: &AppId) -> Result<(), Failure> {
        let all = self
            .storage
            .broadcasts(app, Timestamp::ZERO, KEPT_MAX)
            .await?;
        let since = now
            .wall
            .as_millis()
            .saturating_sub(i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX));
        let of_today = all.iter().filter(|it| it.place.sent_at.as_millis() > since);
        if of_today.count() >= A_DAY {
            return Err(ServiceCode::MESSAGE_SENT_QUOTA_EXCEEDED.into());
        }
        let is_over =
            |it: &&Broadcast| it.good_until <= now.wall && it.place.sent_at.as_millis() <= since;
        let over = all.iter().filter(is_over);
        let drops = over.map(|it| Write::DropBroadcast(app.clone(), it.place.clone()));
        self.storage.apply(drops.collect()).await?;
        Ok(())
    }

    /// The broadcasts, still good, that a client missed before it signed in, oldest first.
    pub(in crate::core) async fn missed_broadcasts(
        &mut self,
        now: Now,
        caller: &Caller,
    ) -> Result<Vec<Notice>, Failure> {
        let (app, client) = (&caller.app, caller.client());
        let known = self.storage.client(app, client).await?.unwrap_or_default();
        let missed = self
            .storage
            .broadcasts(app, known.broadcast_until, MISSED_MAX)
            .await?;
        let Some(newest) = missed.first().map(|it| it.place.sent_at) else {
            return Ok(Vec::new());
        };
        let known = Client {
            broadcast_until: newest,
            ..known
        };
        let write = Write::PutClient(app.clone(), client.clone(), known);
        self.storage.apply(vec![write]).await?;
        let mut notices = Vec::new();
        for broadcast in missed.iter().rev().filter(|it| it.good_until > now.wall) {
            let (id, place) = (&broadcast.conversation, &broadcast.place);
            let service = self.storage.conversation(app, id).await?;
            let message = self.storage.message(app, id, place).await?;
            if let (Some(service), Some(message)) = (service, message) {
                let mut down = direct(&service, &message);
                down.offline = Some(true);
                let to = Audience::Session(caller.session.clone());
                notices.push(Notice::once(to, Command::direct(down)));
            }
        }
        Ok(notices)
    }

    /// The broadcasts of an app, or those in one service conversation, the newest first.
    pub(super) async fn list_broadcasts(
        &mut self,
        now: Now,
        app: &AppId,
        request: &ServerRequest,
    ) -> Answered {
        let wanted = request.query.get("conv_id").map(String::as_str);
        let limit = request.limit(A_DAY, KEPT_MAX)?;
        let all = self
            .storage
            .broadcasts(app, Timestamp::ZERO, KEPT_MAX)
            .await?;
        let mut rows = Vec::new();
        for it in all.iter().filter(|it| it.good_until > now.wall) {
            if wanted.is_some_and(|wanted| wanted != it.conversation.as_str())
                || rows.len() >= limit
            {
                continue;
            }
            if let Some(message) = self
                .storage
                .message(app, &it.conversation, &it.place)
                .await?
            {
                let mut row = records::row(&it.conversation, &message);
                if let Some(row) = row.as_object_mut() {
                    row.insert("valid_till".to_owned(), it.good_until.as_millis().into());
                }
                rows.push(row);
            }
        }
        Ok(rows.into())
    }

    /// Ends a broadcast: clients that sign in from now on do not get it, and its message is deleted.
    pub(super) async fn delete_broadcast(
        &mut self,
        _now: Now,
        app: &AppId,
        request: &ServerRequest,
    ) -> Answered {
        let id = request.message_in_path()?;
        let all = self
            .storage
            .broadcasts(app, Timestamp::ZERO, KEPT_MAX)
            .await?;
        let found = all.into_iter().find(|it| it.place.id == id);
        let found = found.ok_or(ServiceCode::MESSAGE_NOT_FOUND)?;
        let writes = vec![
            Write::DropMessage(app.clone(), found.conversation, found.place.clone()),
            Write::DropBroadcast(app.clone(), found.place),
        ];
        self.storage.apply(writes).await?;
        Ok(json!({}))
    }
}

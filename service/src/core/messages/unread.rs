//! The messages that a client missed: told as unread counts, or pushed in push mode.

use sampan::model::{AppId, Now, Timestamp};
use sampan::wire::Command;
use sampan::wire::generated::{UnreadCommand, UnreadTuple};

use super::send::direct;
use crate::core::access::Operation;
use crate::core::apps::settings::Settings;
use crate::core::exchange::fields::parts;
use crate::core::exchange::input::{Effect, Gap, SessionId};
use crate::core::exchange::refusal::Failure;
use crate::core::machine::Core;
use crate::core::state::registry::{Pending, Pushed};
use crate::storage::{Conversation, Edge, Member, Message, Order, Span, Storage, StorageError};

/// Messages that are read at a time.
const AT_ONCE: usize = 128;

/// Messages behind a read mark that are looked at: own ones among them do not count.
const SCANNED_MAX: usize = 1000;

/// How often a message is pushed again on one connection before the next login has to do it.
pub(in crate::core) const PUSH_TRIES: u32 = 5;

/// An unread notification.
pub(in crate::core) fn notification(now: Now, convs: Vec<UnreadTuple>) -> Command {
    // Later than every message it counts: a conversation's times may run ahead of the clock.
    let newest = convs
        .iter()
        .filter_map(|tuple| tuple.timestamp)
        .max()
        .unwrap_or_default();
    let notif_time = Some(now.wall.as_millis().max(newest));
    Command::Unread(UnreadCommand { convs, notif_time })
}

/// True if a member is told a message and another client sent it. A member that has not subscribed to a service
/// conversation is told only messages for itself alone.
pub(in crate::core) fn is_from_others(message: &Message, member: &Member) -> bool {
    let is_told = match member.guest {
        true => message.only_for.contains(&member.client),
        false => message.is_for(&member.client),
    };
    message.from != member.client && is_told
}

/// Counts a conversation's messages behind a read mark; `messages` is newest first.
fn count_unread(
    conversation: &Conversation,
    member: &Member,
    messages: &[Message],
    cap: usize,
) -> UnreadTuple {
    let others = || messages.iter().filter(|it| is_from_others(it, member));
    let client = &member.client;
    let count = others().count().min(cap);
    let mut tuple = UnreadTuple {
        cid: conversation.id.to_string(),
        unread: i32::try_from(count).unwrap_or(i32::MAX),
        conv_type: Some(conversation.kind.number()),
        mentioned: others()
            .any(|message| message.mentions(client))
            .then_some(true),
        ..UnreadTuple::default()
    };
    if let Some(newest) = others().next() {
        (tuple.data, tuple.binary_msg) = parts(&newest.body);
        tuple.mid = Some(newest.id.to_string());
        tuple.timestamp = Some(newest.sent_at.as_millis());
        tuple.from = Some(newest.from.to_string());
        tuple.patch_timestamp = newest.patched_at.map(Timestamp::as_millis);
    }
    tuple
}

impl<S: Storage> Core<S> {
    /// The unread state of one conversation, for a member with the given mark.
    pub(in crate::core) async fn unread_of(
        &self,
        app: &AppId,
        conversation: &Conversation,
        member: &Member,
        cap: usize,
    ) -> Result<UnreadTuple, Failure> {
        let older = Some(Edge {
            at: member.read_until,
            id: None,
            included: false,
        });
        let mut span = Span { older, newer: None };
        let mut messages: Vec<Message> = Vec::new();
        let mut of_others = 0;
        while of_others < cap && messages.len() < SCANNED_MAX {
            let next = self
                .storage
                .messages(app, &conversation.id, &span, Order::NewestFirst, AT_ONCE)
                .await?;
            let others = next.iter().filter(|it| is_from_others(it, member));
            of_others += others.count();
            let is_end = next.len() < AT_ONCE;
            messages.extend(next);
            let Some(last) = messages.last().filter(|_| !is_end) else {
                break;
            };
            span.newer = Some(Edge {
                at: last.sent_at,
                id: Some(last.id.clone()),
                included: false,
            });
        }
        Ok(count_unread(conversation, member, &messages, cap))
    }

    /// Notes that a message went out on a connection in push mode, to be pushed again.
    pub(in crate::core) fn note_push(
        &mut self,
        now: Now,
        app: &AppId,
        id: &SessionId,
        pending: Pending,
    ) {
        let wait = self.settings_of(app).limits.redelivery();
        let at = now.elapsed.saturating_add(wait);
        self.registry.await_ack(
            id,
            at,
            Pushed {
                pending,
                tries_left: PUSH_TRIES,
            },
        );
    }

    /// Pushes again every message without an acknowledgement.
    pub(in crate::core) async fn push_again(
        &mut self,
        now: Now,
        effects: &mut Vec<Effect>,
    ) -> Result<(), StorageError> {
        for (id, pushed) in self.registry.take_due(now.elapsed) {
            let link = self.registry.link(id.connection);
            let Some(app) = link.and_then(|link| link.app.clone()) else {
                continue;
            };
            let row = &pushed.pending;
            let own = (&app, &id.client);
            let cid = Some(row.conversation.as_str());
            let conversation = match self.admit(now, own, Operation::PushAgain, cid).await {
                Ok(admitted) => admitted.conversation,
                Err(Failure::Refused(_) | Failure::Asks(_)) => continue,
                Err(Failure::Storage(error)) => return Err(error),
            };
            let message = self
                .storage
                .message(&app, &row.conversation, &row.place)
                .await?;
            let Some(message) = message else {
                continue;
            };
            let command = Command::direct(direct(&conversation, &message));
            let envelope =
                sampan::wire::Envelope::notification(id.client.as_str(), now.wall, command);
            let connection = id.connection;
            let envelope = Box::new(envelope);
            effects.push(Effect::Send {
                connection,
                envelope,
                gap: Gap::None,
            });
            if pushed.tries_left > 1 {
                let wait = self.settings_of(&app).limits.redelivery();
                let tries_left = pushed.tries_left - 1;
                let pending = pushed.pending;
                let at = now.elapsed.saturating_add(wait);
                self.registry.await_ack(
                    &id,
                    at,
                    Pushed {
                        pending,
                        tries_left,
                    },
                );
            }
        }
        Ok(())
    }

    /// The settings of an app that is served.
    pub(in crate::core) fn settings_of(&self, app: &AppId) -> Settings {
        self.apps
            .find(app.as_str())
            .map(|app| app.settings.clone())
            .unwrap_or_default()
    }
}

//! Edits and recalls of own messages: told at once, and caught up with after a login.

use sampan::model::{AppId, ClientId, ConversationId, Now, Timestamp};
use sampan::wire::generated::{PatchCommand, PatchItem};
use sampan::wire::{Command, Op, ServiceCode};

use crate::core::access::Operation;
use crate::core::apps::app::App;
use crate::core::exchange::decision::{Audience, Caller, Decision, Notice};
use crate::core::exchange::fields::message_id;
use crate::core::exchange::input::SessionId;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::machine::Core;
use crate::storage::{Body, Conversation, Message, Place, Storage, Write};

/// The text of a recalled message: every client can parse it (the protocol, section 6.12).
pub(in crate::core) const RECALLED: &str = r#"{"_lctype":-127}"#;

/// Messages that one command may change; SDKs send one.
const ITEMS_MAX: usize = 20;

/// Missed patches of one conversation that are read in one round of telling.
const MISSED_OF_ONE_MAX: usize = 100;

/// Missed patches of all conversations that are told in one round.
pub(in crate::core) const MISSED_MAX: usize = 1000;

/// Bytes of missed patches that are told in one round.
pub(in crate::core) const MISSED_BYTES_MAX: usize = 1024 * 1024;

/// Rounds in which missed patches are told after a login; the rest shows in history.
pub(in crate::core) const MISSED_ROUNDS_MAX: u32 = 5;

/// Missed patches in one command.
const MISSED_AT_ONCE: usize = 50;

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn patch(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &PatchCommand,
    ) -> Result<Decision, Failure> {
        let app = self.app_of(caller)?;
        let mut decision = Decision::silent();
        let mut last = Timestamp::ZERO;
        if body.patches.is_empty() || body.patches.len() > ITEMS_MAX {
            return Err(ServiceCode::MESSAGE_NOT_FOUND.into());
        }
        for item in &body.patches {
            last = self.stamps.next();
            self.patch_one(now, caller, &app, item, last, &mut decision)
                .await?;
        }
        let last_patch_time = Some(last.as_millis());
        let reply = PatchCommand {
            last_patch_time,
            ..PatchCommand::default()
        };
        decision.reply = Some(Command::patch(Op::Modified, reply));
        Ok(decision)
    }

    async fn patch_one(
        &mut self,
        now: Now,
        caller: &Caller,
        app: &App,
        item: &PatchItem,
        at: Timestamp,
        decision: &mut Decision,
    ) -> Result<(), Failure> {
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::Change, item.cid.as_deref())
            .await?;
        let conversation = admitted.conversation;
        let id = message_id(item.mid.as_deref()).ok_or(ServiceCode::MESSAGE_NOT_FOUND)?;
        let sent_at = Timestamp::from_millis(item.timestamp.unwrap_or_default());
        let place = Place { sent_at, id };
        let message = self
            .storage
            .message(&caller.app, &conversation.id, &place)
            .await?;
        let message = message.ok_or(ServiceCode::MESSAGE_NOT_FOUND)?;
        let mut patched = decide_patch(caller.client(), app, item, message, at)?;
        let crowd = self.hearers(&caller.app, &conversation).await?;
        let altered = self.review_patch(caller, &conversation, &crowd, &mut patched)?;
        let audience = crowd.audience_without(&caller.session);
        let told = PatchCommand {
            patches: vec![told(&conversation, &patched)],
            ..PatchCommand::default()
        };
        decision
            .notices
            .push(Notice::once(audience, Command::patch(Op::Modify, told)));
        if let Some(altered) = altered {
            let item = self::told(&conversation, &patched);
            decision.notices.push(altered.notice(caller, item));
        }
        let write = Write::PutMessage(caller.app.clone(), conversation.id, patched);
        decision.writes.push(write);
        Ok(())
    }

    /// The oldest patches of a conversation that are newer than `since`, for a session that missed them, and the
    /// time up to which these are all; none if there are no more.
    pub(in crate::core) async fn patches_of(
        &self,
        app: &AppId,
        client: &ClientId,
        id: &ConversationId,
        since: i64,
    ) -> Result<(Vec<PatchItem>, Option<Timestamp>), Failure> {
        let since = Timestamp::from_millis(since);
        let mut patched = self
            .storage
            .patched_since(app, id, since, MISSED_OF_ONE_MAX)
            .await?;
        let is_full = patched.len() >= MISSED_OF_ONE_MAX;
        let whole_until = patched.last().filter(|_| is_full);
        let whole_until = whole_until.and_then(|message| message.patched_at);
        patched.retain(|message| message.is_for(client));
        if patched.is_empty() {
            return Ok((Vec::new(), whole_until));
        }
        let conversation = self.storage.conversation(app, id).await?;
        let items = conversation.map(|conversation| {
            let items = patched.iter().map(|message| told(&conversation, message));
            items.collect()
        });
        Ok((items.unwrap_or_default(), whole_until))
    }
}

/// The notices that tell a session of patches that it missed, in their order.
pub(in crate::core) fn missed(session: &SessionId, items: &[PatchItem]) -> Vec<Notice> {
    let command = |items: &[PatchItem]| {
        let body = PatchCommand {
            patches: items.to_vec(),
            ..PatchCommand::default()
        };
        Notice::once(
            Audience::Session(session.clone()),
            Command::patch(Op::Modify, body),
        )
    };
    items.chunks(MISSED_AT_ONCE).map(command).collect()
}

/// The message as it is after the patch.
fn decide_patch(
    client: &ClientId,
    app: &App,
    item: &PatchItem,
    mut message: Message,
    at: Timestamp,
) -> Result<Message, Refusal> {
    if message.from != *client {
        return Err(ServiceCode::MESSAGE_OWNERSHIP_REQUIRED.into());
    }
    let features = &app.settings.features;
    if item.recall == Some(true) {
        if !features.recall {
            return Err(ServiceCode::MESSAGE_RECALL_DISABLED.into());
        }
        message.body = Body::Text(RECALLED.to_owned());
        message.recalled = true;
        message.mention_all = false;
        message.mentions.clear();
    } else {
        if !features.edit {
            return Err(ServiceCode::MESSAGE_EDIT_DISABLED.into());
        }
        if message.recalled {
            let detail = "the message was recalled";
            return Err(Refusal::because(ServiceCode::MESSAGE_EDIT_DISABLED, detail));
        }
        message.body = new_body(item, &message.body)?;
        message.mention_all = item.mention_all == Some(true);
        message.mentions = item
            .mention_pids
            .iter()
            .filter_map(|it| ClientId::new(it).ok())
            .collect();
    }
    message.patched_at = Some(at);
    Ok(message)
}

/// The new content. One SDK writes raw bytes into the text field of a binary message's patch.
fn new_body(item: &PatchItem, before: &Body) -> Result<Body, Refusal> {
    let missing = || Refusal::because(ServiceCode::MESSAGE_NOT_FOUND, "there is no new content");
    match (&item.binary_msg, &item.data) {
        (Some(bytes), _) => Ok(Body::Binary(bytes.clone())),
        (None, None) => Err(missing()),
        (None, Some(data)) => Ok(match (before, str::from_utf8(data)) {
            (Body::Text(_), Ok(text)) => Body::Text(text.to_owned()),
            _ => Body::Binary(data.clone()),
        }),
    }
}

/// A patch as receivers hear of it.
pub(in crate::core) fn told(conversation: &Conversation, message: &Message) -> PatchItem {
    let (data, binary_msg) = match &message.body {
        Body::Text(text) => (Some(text.clone().into_bytes()), None),
        Body::Binary(bytes) => (None, Some(bytes.clone())),
    };
    PatchItem {
        cid: Some(conversation.id.to_string()),
        mid: Some(message.id.to_string()),
        timestamp: Some(message.sent_at.as_millis()),
        recall: Some(message.recalled),
        data,
        binary_msg,
        patch_timestamp: message.patched_at.map(Timestamp::as_millis),
        from: Some(message.from.to_string()),
        mention_all: message.mention_all.then_some(true),
        mention_pids: message.mentions.iter().map(ToString::to_string).collect(),
        patch_code: None,
        patch_reason: None,
    }
}

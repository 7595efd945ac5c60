//! The hooks about messages, and the masking of words.

use sampan::model::{AppId, ClientId, ConversationId, Timestamp};
use sampan::wire::generated::{PatchCommand, PatchItem};
use sampan::wire::{Command, Op, ServiceCode};
use serde_json::{Map, Value, json};

use crate::core::apps::hook_settings::MaskedWords;
use crate::core::apps::push_settings::Variables;
use crate::core::exchange::decision::{Audience, Caller, Notice};
use crate::core::exchange::fields::text_of;
use crate::core::exchange::hook_call::{HookCall, HookName};
use crate::core::exchange::push::PushOrder;
use crate::core::exchange::refusal::Failure;
use crate::core::gate::Crowd;
use crate::core::machine::Core;
use crate::storage::{Body, Conversation, Kind, Message, Storage};

/// The change that the service itself made in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) struct Alteration {
    /// Negative for the service's own reasons, positive for the app's.
    code: Option<i64>,
    reason: Option<String>,
}

impl Alteration {
    /// Tells the sending session how its message reads now.
    pub(in crate::core) fn notice(self, caller: &Caller, message: PatchItem) -> Notice {
        let item = PatchItem {
            patch_code: self.code,
            patch_reason: self.reason,
            ..message
        };
        let body = PatchCommand {
            patches: vec![item],
            ..PatchCommand::default()
        };
        let to = Audience::Session(caller.session.clone());
        Notice::once(to, Command::patch(Op::Modify, body))
    }
}

impl<S: Storage> Core<S> {
    /// Asks the app about a message that is to be delivered, and masks its words. The message is changed
    /// as they want it.
    pub(in crate::core) fn review(
        &mut self,
        caller: &Caller,
        conversation: &Conversation,
        crowd: &Crowd,
        is_transient: bool,
        message: &mut Message,
    ) -> Result<Option<Alteration>, Failure> {
        let result = self.ask_hook(caller, HookName::MessageReceived, || {
            let (content, bin) = text_of(&message.body);
            json!({
                "fromPeer": caller.client().as_str(),
                "convId": conversation.id.as_str(),
                "toPeers": receivers(crowd, caller.client()),
                "transient": is_transient,
                "bin": bin,
                "content": content,
                "receipt": message.wants_receipt,
                "timestamp": message.sent_at.as_millis(),
                "system": conversation.kind == Kind::System,
                "sourceIP": "",
            })
        })?;
        if let Some(Value::Array(peers)) = result.get("toPeers") {
            let named = peers
                .iter()
                .filter_map(|peer| ClientId::new(peer.as_str()?).ok());
            let inside = crowd.clients();
            message.only_for = named.filter(|peer| inside.contains(peer)).collect();
            // A message for nobody is for its sender.
            if message.only_for.is_empty() {
                message.only_for.push(caller.client().clone());
            }
        }
        Ok(self.alter(caller, &result, message))
    }

    /// Asks the app about an edit or a recall, and masks the words of the edit.
    pub(in crate::core) fn review_patch(
        &mut self,
        caller: &Caller,
        conversation: &Conversation,
        crowd: &Crowd,
        message: &mut Message,
    ) -> Result<Option<Alteration>, Failure> {
        let result = self.ask_hook(caller, HookName::MessageUpdate, || {
            let (content, bin) = text_of(&message.body);
            json!({
                "fromPeer": caller.client().as_str(),
                "convId": conversation.id.as_str(),
                "toPeers": receivers(crowd, caller.client()),
                "bin": bin,
                "content": content,
                "timestamp": message.sent_at.as_millis(),
                "msgId": message.id.as_str(),
                "sourceIP": "",
                "recall": message.recalled,
                "system": conversation.kind == Kind::System,
            })
        })?;
        match message.recalled {
            true => Ok(None),
            false => Ok(self.alter(caller, &result, message)),
        }
    }

    /// Masks the words of a message that the app is not asked about.
    pub(in crate::core) fn mask(
        &self,
        caller: &Caller,
        message: &mut Message,
    ) -> Option<Alteration> {
        self.alter(caller, &Map::new(), message)
    }

    /// Puts the content that a hook wants in place, and masks words; answers the change.
    fn alter(
        &self,
        caller: &Caller,
        result: &Map<String, Value>,
        message: &mut Message,
    ) -> Option<Alteration> {
        let mut altered = None;
        if let Some(body) = content_of(result).filter(|body| *body != message.body) {
            message.body = body;
            let text = |key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned);
            altered = Some(Alteration {
                code: result.get("code").and_then(Value::as_i64),
                reason: text("detail"),
            });
        }
        let words = self.settings_of(&caller.app).masked_words;
        if let Body::Text(text) = &message.body
            && let Some(masked) = masked(&words, text)
        {
            message.body = Body::Text(masked);
            let code = ServiceCode::MESSAGE_MODIFIED_BY_CENSORSHIP;
            altered = Some(Alteration {
                code: Some(-i64::from(code.number())),
                reason: Some(code.name().to_owned()),
            });
        }
        altered
    }

    /// Tells the app of a message that was delivered, and of the clients that were offline.
    pub(in crate::core) fn tell_sent(
        &mut self,
        caller: &Caller,
        conversation: &Conversation,
        crowd: &Crowd,
        (is_transient, push_data): (bool, Option<&str>),
        message: &Message,
    ) {
        let app = &caller.app;
        let settings = self.settings_of(app);
        let hooks = &settings.hooks;
        let wants = hooks.has(HookName::MessageSent) || hooks.has(HookName::ReceiversOffline);
        if !wants && !settings.push.enabled {
            return;
        }
        let (online, offline): (Vec<ClientId>, Vec<ClientId>) = crowd
            .clients()
            .into_iter()
            .filter(|it| it != caller.client() && message.is_for(it))
            .partition(|it| self.registry.is_online(app, it));
        let (content, bin) = text_of(&message.body);
        let names = |list: &[ClientId]| -> Value { list.iter().map(|it| it.as_str()).collect() };
        self.tell_hook(app, HookName::MessageSent, || {
            json!({
                "fromPeer": caller.client().as_str(),
                "convId": conversation.id.as_str(),
                "msgId": message.id.as_str(),
                "onlinePeers": names(&online),
                "offlinePeers": names(&offline),
                "transient": is_transient,
                "system": conversation.kind == Kind::System,
                "bin": bin,
                "content": content,
                "receipt": message.wants_receipt,
                "timestamp": message.sent_at.as_millis(),
                "sourceIP": "",
            })
        });
        let is_pushed = conversation.kind != Kind::Room && !is_transient && !offline.is_empty();
        if is_pushed {
            self.order_push(app, &conversation.id, offline, push_data, message);
        }
    }

    /// Lets a message be pushed to offline clients, or tells the app's hook of them where the service does not
    /// push. Where the service pushes, the hook is asked on the way.
    pub(in crate::core) fn order_push(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        offline: Vec<ClientId>,
        push_data: Option<&str>,
        message: &Message,
    ) {
        let settings = self.settings_of(app);
        let hook = HookName::ReceiversOffline;
        let names = |list: &[ClientId]| -> Value { list.iter().map(|it| it.as_str()).collect() };
        let mentioned = offline.iter().filter(|it| message.mentions.contains(it));
        let mentioned: Vec<ClientId> = mentioned.cloned().collect();
        let parameters = || {
            json!({
                "fromPeer": message.from.as_str(),
                "convId": conversation.as_str(),
                "offlinePeers": names(&offline),
                "content": text_of(&message.body).0,
                "timestamp": message.sent_at.as_millis(),
                "mentionAll": message.mention_all,
                "mentionOfflinePeers": names(&mentioned),
            })
        };
        if !settings.push.enabled {
            return self.tell_hook(app, hook, parameters);
        }
        let variables = Variables {
            conversation: conversation.as_str(),
            sent_at: message.sent_at.as_millis(),
            from: message.from.as_str(),
        };
        let payload = settings.push.payload(push_data, variables);
        let call = settings.hooks.has(hook).then(|| HookCall {
            app: app.clone(),
            hook,
            parameters: parameters(),
        });
        if payload.is_some() || call.is_some() {
            self.hook_turn.push.push(PushOrder {
                app: app.clone(),
                conversation: conversation.clone(),
                from: message.from.clone(),
                message: message.id.clone(),
                sent_at: message.sent_at,
                offline,
                payload,
                hook: call,
            });
        }
    }
}

fn receivers(crowd: &Crowd, sender: &ClientId) -> Vec<String> {
    let clients = crowd.clients();
    let others = clients.iter().filter(|it| *it != sender);
    others.map(ToString::to_string).collect()
}

/// The content that a hook wants: base64 of bytes where it says so.
fn content_of(result: &Map<String, Value>) -> Option<Body> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let content = result.get("content")?.as_str()?;
    match result.get("bin").and_then(Value::as_bool) {
        Some(true) => Some(Body::Binary(STANDARD.decode(content).ok()?)),
        _ => Some(Body::Text(content.to_owned())),
    }
}

/// The text of a message with its words masked; none if it has none of them. Of a typed message the
/// caption and the texts of its attributes are looked at, of any other text the whole.
fn masked(words: &MaskedWords, text: &str) -> Option<String> {
    if words.is_empty() {
        return None;
    }
    let typed = serde_json::from_str::<Map<String, Value>>(text).ok();
    let Some(mut typed) = typed.filter(|it| it.contains_key("_lctype")) else {
        return words.mask(text);
    };
    let mut found = false;
    for key in ["_lctext", "_lcattrs"] {
        if let Some(value) = typed.get_mut(key) {
            found |= mask_value(words, value);
        }
    }
    found.then(|| Value::Object(typed).to_string())
}

fn mask_value(words: &MaskedWords, value: &mut Value) -> bool {
    match value {
        Value::String(text) => match words.mask(text) {
            Some(masked) => {
                *text = masked;
                true
            }
            None => false,
        },
        Value::Array(list) => list
            .iter_mut()
            .fold(false, |found, it| mask_value(words, it) | found),
        Value::Object(object) => {
            let values = object.values_mut();
            values.fold(false, |found, it| mask_value(words, it) | found)
        }
        _ => false,
    }
}

/// The time of an alteration: a moment after the sending, because clients ask for newer messages.
pub(in crate::core) fn altered_at(sent_at: Timestamp) -> Timestamp {
    sent_at.saturating_add(std::time::Duration::from_millis(1))
}

//! Changing the attributes of a conversation.

use sampan::model::Now;
use sampan::wire::generated::{ConvCommand, JsonObjectMessage};
use sampan::wire::{Command, Op, iso};
use serde_json::{Value, json};

use super::notices::{about, later, refuse_attributes};
use crate::core::access::Operation;
use crate::core::columns::attributes::Changes;
use crate::core::exchange::decision::{Caller, Decision, Keeping, Notice};
use crate::core::exchange::fields;
use crate::core::exchange::hook_call::HookName;
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::gate::Crowd;
use crate::core::machine::Core;
use crate::storage::{Conversation, Storage, Write};

/// Bytes of changed values that are kept for members who missed them, however short the command was.
const KEPT_BYTES: usize = 512;

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn update(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        let limit = self.app_of(caller)?.settings.limits.attribute_bytes;
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::Update, body.cid.as_deref())
            .await?;
        let wanted = self.ask_hook(caller, HookName::ConversationUpdate, || {
            let text = body.attr.as_ref().map_or("{}", |attr| attr.data.as_str());
            json!({
                "initBy": caller.client().as_str(),
                "convId": admitted.conversation.id.as_str(),
                "attr": serde_json::from_str::<Value>(text).unwrap_or_default(),
            })
        })?;
        let mut body = body.clone();
        if let Some(attr) = wanted.get("attr").filter(|attr| attr.is_object()) {
            body.attr = Some(fields::json(attr.clone()));
        }
        let crowd = self.crowd(&caller.app, &admitted.conversation).await?;
        Ok(decide_update(
            now,
            caller,
            admitted.conversation,
            &crowd,
            limit,
            &body,
        )?)
    }
}

pub(in crate::core) fn decide_update(
    now: Now,
    caller: &Caller,
    mut conversation: Conversation,
    crowd: &Crowd,
    limit: usize,
    body: &ConvCommand,
) -> Result<Decision, Refusal> {
    let text = body.attr.as_ref().map_or("{}", |attr| attr.data.as_str());
    let changes = Changes::parse(text).map_err(refuse_attributes)?;
    let changed = changes
        .apply(&conversation.columns, limit)
        .map_err(refuse_attributes)?;
    conversation.columns = changed.columns;
    conversation.updated_at = later(conversation.updated_at, now.wall);
    let modified = fields::json(Value::Object(changed.modified));
    // An operation on a long list says little and changes much: members who missed it ask for the
    // conversation anew.
    let most = text.len().saturating_mul(4).max(KEPT_BYTES);
    let keeping = match modified.data.len() > most {
        true => Keeping::TooLarge(conversation.id.clone()),
        false => Keeping::Members(conversation.id.clone()),
    };
    let modified = Some(modified);
    let udate = Some(iso::format(conversation.updated_at));
    let reply = ConvCommand {
        cid: body.cid.clone(),
        udate: udate.clone(),
        attr_modified: modified.clone(),
        ..ConvCommand::default()
    };
    let told = ConvCommand {
        udate,
        attr: Some(JsonObjectMessage {
            data: text.to_owned(),
        }),
        attr_modified: modified,
        ..about(now, &conversation, caller.client())
    };
    Ok(Decision {
        reply: Some(Command::conv(Op::Updated, reply)),
        notices: vec![
            Notice::kept(keeping, crowd.audience(), Command::conv(Op::Updated, told)).apart(),
        ],
        writes: vec![Write::PutConversation(caller.app.clone(), conversation)],
    })
}

//! The roles of members.

use sampan::model::{ClientId, Now};
use sampan::wire::generated::{ConvCommand, ConvMemberInfo};
use sampan::wire::signature::hmac_sha1_hex;
use sampan::wire::{Command, Op, ServiceCode};

use crate::core::access::Operation;
use crate::core::exchange::decision::{Caller, Decision, Keeping, Notice};
use crate::core::exchange::refusal::{Failure, Refusal};
use crate::core::gate::Crowd;
use crate::core::machine::Core;
use crate::storage::{Conversation, Role, Storage, Write};

impl<S: Storage> Core<S> {
    pub(in crate::core) async fn update_role(
        &mut self,
        now: Now,
        caller: &Caller,
        body: &ConvCommand,
    ) -> Result<Decision, Failure> {
        if !self.app_of(caller)?.settings.features.roles {
            return Err(ServiceCode::CONVERSATION_MEMBER_INFO_FEATURE_DISABLED.into());
        }
        let own = (&caller.app, caller.client());
        let admitted = self
            .admit(now, own, Operation::UpdateRole, body.cid.as_deref())
            .await?;
        let crowd = self.crowd(&caller.app, &admitted.conversation).await?;
        Ok(decide_role(caller, &admitted.conversation, &crowd, body)?)
    }
}

fn decide_role(
    caller: &Caller,
    conversation: &Conversation,
    crowd: &Crowd,
    body: &ConvCommand,
) -> Result<Decision, Refusal> {
    let info = body.info.as_ref();
    let named = body
        .target_client_id
        .as_ref()
        .or_else(|| info.and_then(|info| info.pid.as_ref()));
    let role = match info.and_then(|info| info.role.as_deref()) {
        Some("Manager") => Role::Manager,
        Some("Member") => Role::Member,
        _ => return Err(ServiceCode::UNKNOWN_CONVERSATION_ROLE.into()),
    };
    let target = named.and_then(|named| {
        crowd
            .members()
            .iter()
            .find(|it| it.client.as_str() == named)
    });
    let mut target = target
        .cloned()
        .ok_or(ServiceCode::CONVERSATION_MEMBERSHIP_REQUIRED)?;
    if target.client == conversation.creator {
        return Err(ServiceCode::CONVERSATION_OPERATION_UNAUTHORIZED.into());
    }
    target.role = role;
    let told = ConvCommand {
        cid: Some(conversation.id.to_string()),
        init_by: Some(caller.client().to_string()),
        info: Some(ConvMemberInfo {
            pid: Some(target.client.to_string()),
            role: Some(role_name(role).to_owned()),
            info_id: Some(info_id(conversation, &target.client)),
        }),
        ..ConvCommand::default()
    };
    let reply = ConvCommand {
        cid: body.cid.clone(),
        ..ConvCommand::default()
    };
    Ok(Decision {
        writes: vec![Write::PutMember(
            caller.app.clone(),
            conversation.id.clone(),
            target,
        )],
        reply: Some(Command::conv(Op::MemberInfoUpdated, reply)),
        notices: vec![Notice::kept(
            Keeping::Members(conversation.id.clone()),
            crowd.audience(),
            Command::conv(Op::MemberInfoChanged, told),
        )],
    })
}

/// The name of a role on the wire.
pub(in crate::core) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "Member",
        Role::Manager => "Manager",
    }
}

/// The object id that clients know a member's row by: the same one every time.
pub(in crate::core) fn info_id(conversation: &Conversation, client: &ClientId) -> String {
    hmac_sha1_hex(conversation.id.as_str(), client.as_str())
        .chars()
        .take(24)
        .collect()
}

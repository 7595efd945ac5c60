//! A change of members in the service's form, and the meaning of its answer.

use crate::model::{
    ClientId, ConversationId, MemberRole, RefusedMember, SigningRequest, Timestamp,
};
use crate::store::{MembersChange, MembersIntent};
use crate::sync::step::OperationSignature;
use crate::wire::generated::{BlacklistCommand, ConvCommand, ConvMemberInfo, ErrorCommand};
use crate::wire::{Command, Op, ServiceCode, iso};

/// The command that changes members.
pub(super) fn command(
    conversation: &ConversationId,
    intent: &MembersIntent,
    signature: Option<OperationSignature>,
) -> Command {
    let op = match intent.change {
        MembersChange::Join | MembersChange::Add => Op::Add,
        MembersChange::Quit | MembersChange::Remove => Op::Remove,
        MembersChange::Silence => Op::AddShutup,
        MembersChange::Unsilence => Op::RemoveShutup,
        MembersChange::Block => return block(Op::Block, conversation, intent, signature),
        MembersChange::Unblock => return block(Op::Unblock, conversation, intent, signature),
        MembersChange::Promote => return role(conversation, intent, MemberRole::Manager),
        MembersChange::Demote => return role(conversation, intent, MemberRole::Member),
    };
    let (t, n, s) = fields(signature);
    let body = ConvCommand {
        cid: Some(conversation.as_str().to_owned()),
        m: names(intent),
        t,
        n,
        s,
        ..ConvCommand::default()
    };
    Command::conv(op, body)
}

fn block(
    op: Op,
    conversation: &ConversationId,
    intent: &MembersIntent,
    signature: Option<OperationSignature>,
) -> Command {
    let (t, n, s) = fields(signature);
    let body = BlacklistCommand {
        src_cid: Some(conversation.as_str().to_owned()),
        to_pids: names(intent),
        t,
        n,
        s,
        ..BlacklistCommand::default()
    };
    Command::blacklist(op, body)
}

/// A role is given to one member at a time.
fn role(conversation: &ConversationId, intent: &MembersIntent, role: MemberRole) -> Command {
    debug_assert_eq!(intent.members.len(), 1, "a role is given to one member");
    let target = intent.members.first().map(ToString::to_string);
    let body = ConvCommand {
        cid: Some(conversation.as_str().to_owned()),
        target_client_id: target.clone(),
        info: Some(ConvMemberInfo {
            pid: target,
            role: Some(role.name().to_owned()),
            info_id: None,
        }),
        ..ConvCommand::default()
    };
    Command::conv(Op::MemberInfoUpdate, body)
}

fn names(intent: &MembersIntent) -> Vec<String> {
    intent.members.iter().map(ToString::to_string).collect()
}

fn fields(signature: Option<OperationSignature>) -> (Option<i64>, Option<String>, Option<String>) {
    signature.map_or((None, None, None), |it| {
        let digits = it.signature.reveal().to_owned();
        (Some(it.timestamp), Some(it.nonce), Some(digits))
    })
}

/// The part of a change that the app's server signs; none where the service asks for no signature. Nobody needs
/// leave to go, and silences and roles are guarded by roles.
pub(super) fn to_sign(
    intent: &MembersIntent,
    me: &ClientId,
    conversation: &ConversationId,
) -> Option<SigningRequest> {
    let client = me.clone();
    let conversation = conversation.clone();
    let members = intent.members.clone();
    match intent.change {
        MembersChange::Join | MembersChange::Add => Some(SigningRequest::AddMembers {
            client,
            conversation,
            members,
        }),
        MembersChange::Remove => Some(SigningRequest::RemoveMembers {
            client,
            conversation,
            members,
        }),
        MembersChange::Block => Some(SigningRequest::BlockMembers {
            client,
            conversation,
            members,
        }),
        MembersChange::Unblock => Some(SigningRequest::UnblockMembers {
            client,
            conversation,
            members,
        }),
        MembersChange::Quit
        | MembersChange::Silence
        | MembersChange::Unsilence
        | MembersChange::Promote
        | MembersChange::Demote => None,
    }
}

/// The service's answer to a change that it made, for all members or for some.
pub(super) struct ChangeTold {
    /// Those whom it refused, each with its number.
    pub(super) refused: Vec<RefusedMember>,
    /// The time at which the members changed; none for lists and roles.
    pub(super) changed_at: Option<Timestamp>,
}

impl ChangeTold {
    /// The answer, if the command is one.
    pub(super) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Conv {
                op:
                    Op::Added
                    | Op::Removed
                    | Op::ShutupAdded
                    | Op::ShutupRemoved
                    | Op::MemberInfoUpdated,
                body,
            } => Some(Self {
                refused: refused_members(&body.failed_pids),
                changed_at: body.udate.as_deref().and_then(iso::parse),
            }),
            Command::Blacklist {
                op: Op::Blocked | Op::Unblocked,
                body,
            } => Some(Self {
                refused: refused_members(&body.failed_pids),
                changed_at: None,
            }),
            _ => None,
        }
    }
}

fn refused_members(errors: &[ErrorCommand]) -> Vec<RefusedMember> {
    let mut refused = Vec::new();
    for error in errors {
        let code = ServiceCode::new(error.code);
        for client in error.pids.iter().filter_map(|pid| ClientId::new(pid).ok()) {
            refused.push(RefusedMember {
                client,
                code: code.number(),
                reason: error
                    .app_msg
                    .clone()
                    .unwrap_or_else(|| error.reason.clone()),
            });
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_written_as_the_operation_of_the_protocol() {
        let conversation = ConversationId::new("c").unwrap();
        let written = |change| {
            let members = vec![ClientId::new("ben").unwrap()];
            match command(&conversation, &MembersIntent { change, members }, None) {
                Command::Conv { op, body } => {
                    let info = body.info.unwrap_or_default();
                    (
                        op,
                        [body.m, info.pid.into_iter().collect()].concat(),
                        info.role,
                    )
                }
                Command::Blacklist { op, body } => (op, body.to_pids, None),
                other => panic!("{other:?}"),
            }
        };
        for (change, op, role) in [
            (MembersChange::Join, Op::Add, None),
            (MembersChange::Add, Op::Add, None),
            (MembersChange::Quit, Op::Remove, None),
            (MembersChange::Remove, Op::Remove, None),
            (MembersChange::Silence, Op::AddShutup, None),
            (MembersChange::Unsilence, Op::RemoveShutup, None),
            (MembersChange::Block, Op::Block, None),
            (MembersChange::Unblock, Op::Unblock, None),
            (
                MembersChange::Promote,
                Op::MemberInfoUpdate,
                Some("Manager"),
            ),
            (MembersChange::Demote, Op::MemberInfoUpdate, Some("Member")),
        ] {
            let role = role.map(str::to_owned);
            assert_eq!(
                written(change),
                (op, vec!["ben".to_owned()], role),
                "{change:?}"
            );
        }
    }

    #[test]
    fn of_a_refused_member_the_apps_word_goes_before_the_services() {
        let error = |app_msg: Option<&str>| ErrorCommand {
            code: 4325,
            reason: "FORBIDDEN".to_owned(),
            app_msg: app_msg.map(str::to_owned),
            pids: vec!["ben".to_owned()],
            ..ErrorCommand::default()
        };
        let refused = refused_members(&[error(Some("not today")), error(None)]);
        let reasons: Vec<&str> = refused.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(reasons, ["not today", "FORBIDDEN"]);
    }
}

//! Groups of the first generation API: a group is a normal conversation under other names. It has members of
//! both generations, and each gets notifications in the commands of its own generation.
//!
//! The commands and their answers are those of the protocol, appendix C.

use sampan::model::{ClientId, ConversationId, Now};
use sampan::wire::generated::{ConvCommand, RoomCommand};
use sampan::wire::signature::SignedAction;
use sampan::wire::{Command, Op, ServiceCode, peers};

use crate::core::access::Operation;
use crate::core::exchange::decision::{Audience, Caller, Decision, Notice};
use crate::core::exchange::fields::{client_ids, message_id};
use crate::core::exchange::input::SessionId;
use crate::core::exchange::refusal::Failure;
use crate::core::machine::{Core, unsupported_op};
use crate::storage::Storage;

impl<S: Storage> Core<S> {
    /// `room` commands. When the rules refuse one, the asking session gets `reject` beside the error.
    pub(in crate::core) async fn group(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        op: Op,
        body: &RoomCommand,
    ) -> Result<Decision, Failure> {
        self.registry.speaks_first_generation(&caller.session);
        match self.try_group(now, caller, operation, op, body).await {
            Err(Failure::Refused(refusal)) => {
                let told = RoomCommand {
                    room_id: body.room_id.clone(),
                    room_peer_ids: body.room_peer_ids.clone(),
                    ..RoomCommand::default()
                };
                let to = Audience::Session(caller.session.clone());
                Ok(Decision {
                    notices: vec![Notice::once(to, room(Op::Reject, told))],
                    ..Decision::reply(refusal.to_command())
                })
            }
            other => other,
        }
    }

    async fn try_group(
        &mut self,
        now: Now,
        caller: &Caller,
        operation: Operation,
        op: Op,
        body: &RoomCommand,
    ) -> Result<Decision, Failure> {
        let own = (&caller.app, caller.client());
        let cid = body.room_id.as_deref();
        let members = match operation {
            Operation::Invite | Operation::Remove => client_ids(&body.room_peer_ids)?,
            _ => vec![caller.client().clone()],
        };
        let (done, decision) = match operation {
            Operation::Start => {
                self.check_group(caller, body, &[], "join")?;
                let made = ConvCommand::default();
                (
                    Op::Joined,
                    self.start_checked(now, caller, members, &made).await?,
                )
            }
            Operation::Join | Operation::Invite => {
                let admitted = self.admit(now, own, operation, cid).await?;
                let done = match operation {
                    Operation::Join => {
                        self.check_group(caller, body, &[], "join")?;
                        Op::Joined
                    }
                    _ => {
                        self.check_group(caller, body, &members, "invite")?;
                        Op::Invited
                    }
                };
                (
                    done,
                    self.add_admitted(now, caller, admitted, members).await?,
                )
            }
            Operation::Quit | Operation::Remove => {
                let admitted = self.admit(now, own, operation, cid).await?;
                let done = match operation {
                    // Leaving needs no signature.
                    Operation::Quit => Op::Left,
                    _ => {
                        self.check_group(caller, body, &members, "kick")?;
                        Op::Kicked
                    }
                };
                (
                    done,
                    self.remove_admitted(now, caller, admitted, members).await?,
                )
            }
            _ => return Err(unsupported_op("room", op).into()),
        };
        in_group_words(done, decision)
    }

    /// Checks the signature of a command about a group, where the app wants one.
    fn check_group(
        &mut self,
        caller: &Caller,
        body: &RoomCommand,
        peers: &[ClientId],
        action: &str,
    ) -> Result<(), Failure> {
        let app = self.app_of(caller)?;
        let action = SignedAction::Group {
            group: body.room_id.as_deref().unwrap_or_default(),
            peers,
            action,
        };
        let signature = (body.t, body.n.as_deref(), body.s.as_deref());
        self.check_signed(&app, caller.client(), action, signature)?;
        Ok(())
    }

    /// A notification as a session hears it, and the notification beside it in the words of groups.
    pub(in crate::core) fn in_words_of(
        &mut self,
        session: &SessionId,
        command: &Command,
    ) -> (Command, Option<Command>) {
        if !self.registry.is_first_generation(session) {
            return (command.clone(), None);
        }
        let Command::Direct(body) = command else {
            return (command.clone(), group_event(session, command));
        };
        let mut body = body.clone();
        let cid = body.cid.as_deref().map(ConversationId::new);
        if let Some(Ok(cid)) = cid {
            if !peers::is_of_peers(&cid) {
                body.room_id.clone_from(&body.cid);
            }
            if let (Some(id), None) = (message_id(body.id.as_deref()), body.transient) {
                self.registry.hand(session, id, cid);
            }
        }
        (Command::Direct(body), None)
    }
}

fn room(op: Op, body: RoomCommand) -> Command {
    let body = Box::new(body);
    Command::Room { op, body }
}

/// The decision with its reply in the words of groups. A group's reply has no place for failures: a change that
/// worked for nobody is refused.
fn in_group_words(done: Op, mut decision: Decision) -> Result<Decision, Failure> {
    let Some(Command::Conv { body, .. }) = decision.reply.take() else {
        return Err(ServiceCode::CONVERSATION_INTERNAL_ERROR.into());
    };
    if let (true, Some(failed)) = (body.allowed_pids.is_empty(), body.failed_pids.first()) {
        return Err(ServiceCode::new(failed.code).into());
    }
    let reply = RoomCommand {
        room_id: body.cid,
        room_peer_ids: match done {
            Op::Invited | Op::Kicked => body.allowed_pids,
            _ => Vec::new(),
        },
        ..RoomCommand::default()
    };
    decision.reply = Some(room(done, reply));
    Ok(decision)
}

/// A change of members as a session of the first generation hears of it; `None` for everything else, and for a
/// change that the session's own client made to itself: the reply told it.
fn group_event(session: &SessionId, command: &Command) -> Option<Command> {
    let Command::Conv { op, body } = command else {
        return None;
    };
    let is_own = body.init_by.as_deref() == Some(session.client.as_str());
    match op {
        Op::Joined | Op::Left if is_own => return None,
        Op::Joined | Op::Left | Op::MembersJoined | Op::MembersLeft => {}
        _ => return None,
    }
    let told = RoomCommand {
        room_id: body.cid.clone(),
        by_peer_id: body.init_by.clone(),
        room_peer_ids: body.m.clone(),
        ..RoomCommand::default()
    };
    Some(room(*op, told))
}

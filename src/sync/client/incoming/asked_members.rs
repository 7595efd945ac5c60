//! The app's questions to the service about members: their number, the silenced and blocked clients, and the
//! roles.

use std::collections::BTreeSet;

use crate::model::{ClientId, ConversationId};
use crate::store::{ConversationNumber, MemberLists, StoreError, put_on};
use crate::sync::client::answer::Answer;
use crate::sync::client::{Answered, Client, Purpose, Turn};
use crate::sync::{
    Caller, CountMembers, Counted, Done, MemberBan, RefreshBan, RequestError, TakeRoles,
};
use crate::wire::generated::{BlacklistCommand, ConvCommand};
use crate::wire::{Command, Envelope, Op};

/// How many clients of a list the service tells at once, at most.
const PAGE: i32 = 100;

/// A question about members that is on its way.
#[derive(Debug)]
pub(in crate::sync::client) enum MembersQuestion {
    /// The number.
    Count(Caller<Counted>),
    /// A page of a list, and the entries of the pages before.
    Listed {
        number: ConversationNumber,
        list: MemberBan,
        told: BTreeSet<ClientId>,
        caller: Caller<Done>,
    },
}

impl Client {
    pub(in crate::sync::client) fn count_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Counted>,
        call: CountMembers,
    ) -> Result<(), StoreError> {
        match self.asked_about(turn, &call.conversation)? {
            Ok((_, id)) => {
                let body = ConvCommand {
                    cid: Some(id.as_str().to_owned()),
                    ..ConvCommand::default()
                };
                let question = MembersQuestion::Count(caller);
                self.ask_members(turn, Command::conv(Op::Count, body), question);
            }
            Err(error) => turn.step.reply(caller, Err(error)),
        }
        Ok(())
    }

    pub(in crate::sync::client) fn refresh_ban(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Done>,
        call: RefreshBan,
    ) -> Result<(), StoreError> {
        match self.asked_about(turn, &call.conversation)? {
            Ok((number, id)) => {
                let question = MembersQuestion::Listed {
                    number,
                    list: call.list,
                    told: BTreeSet::new(),
                    caller,
                };
                self.ask_members(turn, page(call.list, &id, None), question);
            }
            Err(error) => turn.step.reply(caller, Err(error)),
        }
        Ok(())
    }

    /// Stores the roles that the service told over HTTP.
    pub(in crate::sync::client) fn take_roles(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: TakeRoles,
    ) -> Answered<Done> {
        let found = turn
            .overlay
            .snapshot()
            .conversation_by_id(&call.conversation)?;
        let Some((number, _)) = found else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        let mut managers = BTreeSet::new();
        put_on(&mut managers, &call.managers, true);
        turn.overlay
            .update_conversation(number, |row| row.lists.managers = managers)?;
        Ok(Ok(Done))
    }

    /// The conversation that a question is about, if it can be asked now.
    fn asked_about(
        &self,
        turn: &Turn<'_, '_>,
        id: &ConversationId,
    ) -> Result<Result<(ConversationNumber, ConversationId), RequestError>, StoreError> {
        let Some((number, row)) = turn.overlay.snapshot().conversation_by_id(id)? else {
            return Ok(Err(RequestError::UnknownConversation));
        };
        if !self.session.is_open() || row.id.is_local() {
            return Ok(Err(RequestError::NotConnected));
        }
        Ok(Ok((number, row.id)))
    }

    fn ask_members(
        &mut self,
        turn: &mut Turn<'_, '_>,
        command: Command,
        question: MembersQuestion,
    ) {
        self.paces.others.note(turn.elapsed());
        self.submit(turn, command, Purpose::MembersQuestion(question));
    }

    pub(in crate::sync::client) fn members_question_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        question: MembersQuestion,
        answer: Answer,
    ) -> Result<(), StoreError> {
        match question {
            MembersQuestion::Count(caller) => {
                let outcome = match counted(&answer) {
                    Some(count) => Ok(Counted { count }),
                    None => Err(answer.into_error()),
                };
                turn.step.reply(caller, outcome);
                Ok(())
            }
            MembersQuestion::Listed {
                number,
                list,
                mut told,
                caller,
            } => {
                let Some((clients, next)) = listed(&answer) else {
                    turn.step.reply(caller, Err(answer.into_error()));
                    return Ok(());
                };
                let before = told.len();
                put_on(&mut told, &clients, true);
                let row = turn.overlay.snapshot().conversation(number)?;
                // A service that tells nothing new goes in circles.
                let grows = told.len() > before && told.len() < MemberLists::MAX;
                if let (Some(next), Some(row), true) = (next, row, grows) {
                    let question = MembersQuestion::Listed {
                        number,
                        list,
                        told,
                        caller,
                    };
                    self.ask_members(turn, page(list, &row.id, Some(next)), question);
                    return Ok(());
                }
                turn.overlay.update_conversation(number, |row| match list {
                    MemberBan::Silenced => row.lists.silenced = told,
                    MemberBan::Blocked => row.lists.blocked = told,
                })?;
                turn.step.reply(caller, Ok(Done));
                Ok(())
            }
        }
    }
}

/// Asks for a page of a list.
fn page(list: MemberBan, conversation: &ConversationId, next: Option<String>) -> Command {
    let conversation = Some(conversation.as_str().to_owned());
    match list {
        MemberBan::Silenced => {
            let body = ConvCommand {
                cid: conversation,
                limit: Some(PAGE),
                next,
                ..ConvCommand::default()
            };
            Command::conv(Op::QueryShutup, body)
        }
        MemberBan::Blocked => {
            let body = BlacklistCommand {
                src_cid: conversation,
                limit: Some(PAGE),
                next,
                ..BlacklistCommand::default()
            };
            Command::blacklist(Op::Query, body)
        }
    }
}

/// The number of members that the service counts.
fn counted(answer: &Answer) -> Option<u32> {
    let Answer::Said(Envelope {
        command: Command::Conv {
            op: Op::Result,
            body,
        },
        ..
    }) = answer
    else {
        return None;
    };
    u32::try_from(body.count?).ok()
}

/// The clients of a page, and where the next one begins.
fn listed(answer: &Answer) -> Option<(Vec<ClientId>, Option<String>)> {
    let Answer::Said(envelope) = answer else {
        return None;
    };
    let (names, next) = match &envelope.command {
        Command::Conv {
            op: Op::ShutupResult,
            body,
        } => (&body.m, &body.next),
        Command::Blacklist {
            op: Op::QueryResult,
            body,
        } => (&body.blocked_pids, &body.next),
        _ => return None,
    };
    let clients = names.iter().filter_map(|name| ClientId::new(name).ok());
    let next = next.clone().filter(|next| !next.is_empty());
    Some((clients.collect(), next))
}

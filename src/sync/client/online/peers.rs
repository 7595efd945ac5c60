//! The clients that are online, asked once.

use crate::model::ClientId;
use crate::sync::client::answer::Answer;
use crate::sync::client::online::inquiry::Inquiry;
use crate::sync::client::{Client, Turn};
use crate::sync::{Caller, ClientsFound, RequestError, WhoIsOnline};
use crate::wire::generated::SessionCommand;
use crate::wire::{Command, Envelope, Op};

/// The most ids in one question: the service passes over more.
const ASKED_MAX: usize = 20;

/// The most ids in one call: fifty questions.
const IDS_MAX: usize = 1_000;

impl Client {
    pub(in crate::sync::client) fn who_is_online(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ClientsFound>,
        call: WhoIsOnline,
    ) {
        if call.clients.len() > IDS_MAX {
            let reason = "clients: at most 1000".to_owned();
            let error = RequestError::InvalidArgument { reason };
            turn.step.reply(caller, Err(error));
        } else if !self.session.is_open() {
            turn.step.reply(caller, Err(RequestError::NotConnected));
        } else {
            self.ask_online(turn, caller, Vec::new(), call.clients);
        }
    }

    fn ask_online(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ClientsFound>,
        found: Vec<ClientId>,
        mut asked: Vec<ClientId>,
    ) {
        if asked.is_empty() {
            turn.step.reply(caller, Ok(ClientsFound { clients: found }));
            return;
        }
        let rest = asked.split_off(asked.len().min(ASKED_MAX));
        let body = SessionCommand {
            session_peer_ids: asked.iter().map(ToString::to_string).collect(),
            ..SessionCommand::default()
        };
        let inquiry = Inquiry::Online {
            caller,
            found,
            rest,
        };
        self.inquire(turn, Command::session(Op::Query, body), inquiry);
    }

    pub(in crate::sync::client) fn online_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<ClientsFound>,
        mut found: Vec<ClientId>,
        rest: Vec<ClientId>,
        answer: Answer,
    ) {
        match answer {
            Answer::Said(Envelope {
                command: Command::Session { body, .. },
                ..
            }) => {
                let online = body.online_session_peer_ids.iter();
                found.extend(online.filter_map(|id| ClientId::new(id).ok()));
                self.ask_online(turn, caller, found, rest);
            }
            other => turn.step.reply(caller, Err(other.into_error())),
        }
    }
}

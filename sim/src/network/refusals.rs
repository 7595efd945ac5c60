//! The front of the service: requests that are refused, ignored or throttled there never reach its rules.

use std::time::Duration;

use sampan::wire::generated::{AckCommand, ErrorCommand, SessionCommand};
use sampan::wire::{Command, Envelope, Op, Retry, ServiceCode};

use super::Network;
use super::counters::Class;
use crate::shape::Limiter;

/// The fate of a request before the service sees it.
pub(crate) enum Meddling {
    /// The request reaches the service.
    None,
    /// The request does not reach the service, and no answer comes.
    Ignored,
    /// The request does not reach the service, and is answered with a number.
    Answered(Box<Envelope>),
}

impl Network {
    /// Applies the trouble at the service's front to a request of an engine, and returns the request's fate.
    pub(crate) fn meddle(
        &mut self,
        now: Duration,
        engine: usize,
        envelope: &mut Envelope,
    ) -> Meddling {
        let weather = self.weather(engine);
        if let Command::Session { op: Op::Open, body } = &mut envelope.command {
            if weather.forget_token && body.st.is_some() {
                body.st = Some("a token that nobody knows".to_owned());
                if let Some(weather) = self.weather.get_mut(engine) {
                    weather.forget_token = false;
                }
            }
            if self.strikes(now, engine, weather.refuse_sign_in_until) {
                let code = ServiceCode::new(weather.refuse_sign_in);
                return Meddling::Answered(Box::new(signed_off(envelope, code)));
            }
            return Meddling::None;
        }
        if !is_counted(envelope) {
            return Meddling::None;
        }
        if self.strikes(now, engine, weather.ignore_until) {
            return Meddling::Ignored;
        }
        let code = ServiceCode::new(weather.refuse);
        if could_answer(code, &envelope.command) && self.strikes(now, engine, weather.refuse_until)
        {
            return Meddling::Answered(Box::new(refusal(envelope, code)));
        }
        self.limit(now, engine, envelope)
    }

    fn limit(&mut self, now: Duration, engine: usize, envelope: &Envelope) -> Meddling {
        let class = Class::of(&envelope.command);
        let peer = envelope.peer_id.as_deref().unwrap_or_default();
        match self.limiter {
            Limiter::None => Meddling::None,
            _ if self.counters.admit(now, engine, peer, class) => Meddling::None,
            Limiter::Silent => Meddling::Ignored,
            Limiter::Told => Meddling::Answered(Box::new(refusal(envelope, class.code()))),
        }
    }
}

/// True if the hosted service counts a request.
pub(crate) fn is_counted(envelope: &Envelope) -> bool {
    let is_free = matches!(envelope.command, Command::Echo | Command::Session { .. });
    envelope.serial.is_some() && !is_free
}

/// True if an honest service could answer a command with a code. A code that will pass may come up anywhere. A
/// code that is for ever may come up only where it belongs, and not where it would be a lie about the members
/// of a conversation.
fn could_answer(code: ServiceCode, command: &Command) -> bool {
    let Some(entry) = code.entry() else {
        return true;
    };
    let belongs = match command {
        _ if entry.place.contains("any command") => return true,
        Command::Direct(_) => "message",
        Command::Logs(_) => "history",
        Command::Conv { .. } => "conversation",
        _ => return entry.retry == Retry::Later,
    };
    let asks_for_more = matches!(
        command,
        Command::Direct(_) | Command::Conv { op: Op::Start, .. }
    );
    entry.place.contains(belongs) && (asks_for_more || entry.retry == Retry::Later)
}

fn refusal(request: &Envelope, code: ServiceCode) -> Envelope {
    let reason = code.name().to_owned();
    let code = code.number();
    let command = match &request.command {
        Command::Direct(_) => Command::ack(AckCommand {
            code: Some(code),
            reason: Some(reason),
            ..AckCommand::default()
        }),
        _ => Command::Error(ErrorCommand {
            code,
            reason,
            ..ErrorCommand::default()
        }),
    };
    request.reply(command)
}

/// The two ways in which a sign-in is refused: as the end of a session, or as an error.
fn signed_off(request: &Envelope, code: ServiceCode) -> Envelope {
    if code.number() % 2 == 0 {
        return refusal(request, code);
    }
    request.reply(Command::session(
        Op::Closed,
        SessionCommand {
            code: Some(code.number()),
            reason: Some(code.name().to_owned()),
            ..SessionCommand::default()
        },
    ))
}

//! The token of a session: stored, used while it is good, renewed before it ends.

use std::time::Duration;

use crate::Secret;
use crate::sync::client::answer::Answer;
use crate::sync::client::{Client, Purpose, Turn};
use crate::sync::{Backoff, Caller, RequestError, Token};
use crate::wire::generated::SessionCommand;
use crate::wire::{Command, Envelope, Op, Retry};

/// A token is not used in the last minute of its life: it could end on the way.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// A token is renewed when this part of its life is left.
const RENEWED_IN_LAST: u32 = 10;

/// The pauses after a renewal that failed for the time being.
const RENEWALS: Backoff = Backoff::plain(Duration::from_secs(60), Duration::from_secs(3_600));

impl Client {
    pub(super) fn store_token(&mut self, turn: &mut Turn<'_, '_>, body: &SessionCommand) {
        let Some(token) = body.st.clone() else {
            return;
        };
        let seconds = u64::try_from(body.st_ttl.unwrap_or(0)).unwrap_or(0);
        self.session.renewal_failures = 0;
        self.session.renew_at = (seconds > 0).then(|| {
            let life = Duration::from_secs(seconds);
            turn.elapsed().saturating_add(life - life / RENEWED_IN_LAST)
        });
        let expires_at = turn.now.wall.saturating_add(Duration::from_secs(seconds));
        turn.overlay.update_session(|row| {
            row.token = Some(Secret::new(token));
            row.token_expires_at = Some(expires_at);
        });
    }

    pub(in crate::sync::client) fn fresh_token(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Token>,
    ) {
        if let Some(token) = valid_token(turn) {
            turn.step.reply(caller, Ok(Token { token }));
            return;
        }
        if !self.session.is_open() {
            turn.step.reply(caller, Err(RequestError::NotConnected));
            return;
        }
        self.session.token_callers.push(caller);
        if self.session.token_callers.len() == 1 {
            self.renew_token(turn);
        }
    }

    pub(super) fn renew_token(&mut self, turn: &mut Turn<'_, '_>) {
        // The service knows the session by its connection; the old token is sent even if expired.
        let old = turn.overlay.snapshot().session().token.clone();
        let body = SessionCommand {
            st: old.map(|token| token.reveal().to_owned()),
            ..SessionCommand::default()
        };
        let command = Command::session(Op::Refresh, body);
        self.submit(turn, command, Purpose::RefreshToken);
    }

    pub(in crate::sync::client) fn refresh_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        answer: Answer,
    ) {
        let refreshed = match &answer {
            Answer::Said(Envelope {
                command:
                    Command::Session {
                        op: Op::Refreshed,
                        body,
                    },
                ..
            }) if body.st.is_some() => Some(body.clone()),
            _ => None,
        };
        let Some(body) = refreshed else {
            // The next opening signs anew where a renewal is refused for good.
            let is_for_good =
                matches!(&answer, Answer::Refused { code, .. } if code.retry() != Retry::Later);
            if !is_for_good && self.session.is_open() {
                let pause = RENEWALS.longest(self.session.renewal_failures);
                let failures = self.session.renewal_failures.saturating_add(1);
                self.session.renewal_failures = failures;
                self.session.renew_at = Some(turn.elapsed().saturating_add(pause));
            }
            self.fail_token_callers(turn, &answer.into_error());
            return;
        };
        self.store_token(turn, &body);
        let token = Secret::new(body.st.unwrap_or_default());
        for caller in std::mem::take(&mut self.session.token_callers) {
            let token = token.clone();
            turn.step.reply(caller, Ok(Token { token }));
        }
    }

    pub(super) fn fail_token_callers(&mut self, turn: &mut Turn<'_, '_>, error: &RequestError) {
        for caller in std::mem::take(&mut self.session.token_callers) {
            turn.step.reply(caller, Err(error.clone()));
        }
    }
}

/// The stored token, while it is good by this device's clock.
pub(in crate::sync::client) fn valid_token(turn: &Turn<'_, '_>) -> Option<Secret> {
    let snapshot = turn.overlay.snapshot();
    let row = snapshot.session();
    let good_until = row.token_expires_at?;
    let wall = turn.now.wall.saturating_add(TOKEN_MARGIN);
    row.token.clone().filter(|_| wall < good_until)
}

pub(super) fn forget_token(turn: &mut Turn<'_, '_>) {
    turn.overlay.update_session(|row| {
        row.token = None;
        row.token_expires_at = None;
    });
}

//! Opening a session, keeping it open, and its end by the service.
//!
//! The app's wish to be online outlives connections: the machine opens the session again whenever the link is
//! there. It sends `r`, so another device that took over meanwhile keeps its place, and the stored token, so no
//! signature is needed.

mod tokens;

use std::time::Duration;

use self::tokens::forget_token;
pub(super) use self::tokens::valid_token;

use super::answer::Answer;
use super::{Client, Purpose, Signing, Turn};
use crate::Secret;
use crate::model::{SessionEnd, SessionState, SigningRequest, Timestamp};
use crate::store::StoreError;
use crate::sync::link::{LinkRequest, LinkWish, RequestTag, Unanswered};
use crate::sync::step::{Effect, EffectId, OperationSignature};
use crate::sync::{Backoff, Caller, Done, RequestError, SignIn, Token};
use crate::wire::generated::SessionCommand;
use crate::wire::{Command, Envelope, Op, Retry, ServiceCode};

/// The features that this client understands, as bits (docs/wire.md): patches 1, temporary conversations 2,
/// acknowledged transient messages 8, partial failures 32, notifications without peer 128.
const CAPABILITIES: i64 = 0x01 | 0x02 | 0x08 | 0x20 | 0x80;

/// A session that was open for so long ended for another reason than the failures before it.
const STANDS: Duration = Duration::from_secs(60);

/// The session's state and its data.
#[derive(Debug, Default)]
pub(super) struct Session {
    phase: SessionPhase,
    link: LinkState,
    /// The treatment of other devices with the same tag at the next opening.
    claim: Claim,
    /// The permitted use of the stored token.
    token_use: TokenUse,
    /// Openings that failed for the time being, and sessions that were soon gone, since one that stood for a while.
    failures: u32,
    /// The time at which the session was opened.
    opened_at: Option<Duration>,
    /// Calls that wait for a fresh token.
    token_callers: Vec<Caller<Token>>,
    /// From when on the token is renewed, before it ends, as soon as something happens: a device that is idle is
    /// not woken for it.
    renew_at: Option<Duration>,
    /// Renewals that failed for the time being, since the last success.
    renewal_failures: u32,
}

#[derive(Debug, Default)]
enum SessionPhase {
    /// The app does not want to be online.
    #[default]
    Closed,
    /// Wanted; the link is not there.
    Unlinked,
    /// The app's signer was asked.
    Signing { effect: EffectId },
    /// The service was asked.
    Opening { tag: RequestTag },
    /// Signed in.
    Open,
    /// The service refused for the time being, or closed the session.
    Waiting { until: Duration },
    /// The service was asked to close it.
    Closing,
    /// Over until the app connects again.
    Ended(SessionEnd),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LinkState {
    #[default]
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Claim {
    /// A new sign-in: other devices with the tag are signed out.
    #[default]
    New,
    /// A broken session is opened again: a device that took over meanwhile stays.
    Again,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TokenUse {
    #[default]
    Allowed,
    /// The service did not accept it; the next opening goes without.
    Rejected,
}

impl Session {
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, SessionPhase::Open)
    }

    /// Failures before a session that stood for a while count no more.
    fn forget_old_failures(&mut self, now: Duration) {
        let opened_at = self.opened_at.take();
        if opened_at.is_some_and(|at| now.saturating_sub(at) >= STANDS) {
            self.failures = 0;
        }
    }

    pub(super) fn state(&self) -> SessionState {
        match &self.phase {
            SessionPhase::Closed | SessionPhase::Closing => SessionState::Closed,
            SessionPhase::Unlinked
            | SessionPhase::Signing { .. }
            | SessionPhase::Opening { .. }
            | SessionPhase::Waiting { .. } => SessionState::Opening,
            SessionPhase::Open => SessionState::Open,
            SessionPhase::Ended(reason) => SessionState::Ended {
                reason: reason.clone(),
            },
        }
    }

    pub(super) fn awaits(&self, answered: EffectId) -> bool {
        matches!(self.phase, SessionPhase::Signing { effect } if effect == answered)
    }

    pub(super) fn wake(&self, wakes: &mut Vec<Duration>) {
        if let SessionPhase::Waiting { until } = self.phase {
            wakes.push(until);
        }
    }
}

impl Client {
    pub(super) fn connect(&mut self, turn: &mut Turn<'_, '_>, caller: Caller<Done>, mode: SignIn) {
        if matches!(self.session.phase, SessionPhase::Closing) {
            // The service closes the session before it reads that it is to be opened again.
            self.session.phase = SessionPhase::Closed;
        }
        if let SessionPhase::Closed | SessionPhase::Ended(_) = self.session.phase {
            self.session.claim = match mode {
                SignIn::TakeOver => Claim::New,
                SignIn::Yield => Claim::Again,
            };
            self.session.failures = 0;
            self.session.token_use = TokenUse::Allowed;
            self.session.phase = SessionPhase::Unlinked;
            turn.step.wish = Some(LinkWish::Online);
            self.ensure_device_id(turn);
            if self.session.link == LinkState::Up {
                self.begin_open(turn);
            }
        }
        turn.step.reply(caller, Ok(Done));
    }

    /// The device keeps one id for ever, the app's where the app chose one: by it the service knows a broken
    /// session's successor.
    fn ensure_device_id(&mut self, turn: &mut Turn<'_, '_>) {
        let known = turn.overlay.snapshot().session().device_id.clone();
        let chosen = self.settings.device_id.clone();
        let wanted = match (known, chosen) {
            (Some(known), Some(chosen)) if known == chosen => return,
            (Some(_), None) => return,
            (_, Some(chosen)) => chosen,
            (None, None) => self.randomness.local_id().as_str().to_owned(),
        };
        turn.overlay
            .update_session(|row| row.device_id = Some(wanted));
        turn.overlay.intend();
    }

    pub(super) fn disconnect(
        &mut self,
        turn: &mut Turn<'_, '_>,
        caller: Caller<Done>,
    ) -> Result<(), StoreError> {
        self.room_closes(turn)?;
        match self.session.phase {
            SessionPhase::Closing => {}
            SessionPhase::Open => {
                self.forget_connection(turn)?;
                let body = SessionCommand::default();
                self.submit(
                    turn,
                    Command::session(Op::Close, body),
                    Purpose::CloseSession,
                );
                self.session.phase = SessionPhase::Closing;
            }
            _ => self.leave_link(turn, SessionPhase::Closed),
        }
        // The app is offline from now on, whether or not the service hears it.
        turn.step.reply(caller, Ok(Done));
        Ok(())
    }

    pub(super) fn close_answered(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        // Answered or not: the app wants to be offline, and the service will notice.
        if matches!(self.session.phase, SessionPhase::Closing) {
            self.leave_link(turn, SessionPhase::Closed);
        }
        Ok(())
    }

    fn leave_link(&mut self, turn: &mut Turn<'_, '_>, phase: SessionPhase) {
        self.session.phase = phase;
        self.session.link = LinkState::Down;
        turn.step.wish = Some(LinkWish::Idle);
        self.fail_token_callers(turn, &RequestError::Cancelled);
    }

    pub(super) fn link_up(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        if self.session.link == LinkState::Up {
            return Ok(());
        }
        match self.session.phase {
            SessionPhase::Closed | SessionPhase::Ended(_) | SessionPhase::Closing => {}
            _ => {
                self.session.link = LinkState::Up;
                self.session.failures = 0;
                self.begin_open(turn);
            }
        }
        Ok(())
    }

    pub(super) fn link_down(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.session.link = LinkState::Down;
        self.fail_token_callers(turn, &RequestError::Unanswered);
        match self.session.phase {
            SessionPhase::Closed | SessionPhase::Ended(_) => return Ok(()),
            SessionPhase::Closing => return self.close_answered(turn),
            _ => self.session.phase = SessionPhase::Unlinked,
        }
        self.uploads_lose_connection(turn);
        self.forget_connection(turn)
    }

    /// Opens the session: with the token if it is good, else with a signature if the app signs.
    fn begin_open(&mut self, turn: &mut Turn<'_, '_>) {
        let token = self.usable_token(turn);
        if token.is_none() && self.settings.signing != Signing::Unsigned {
            let effect = self.fresh_effect();
            let client = self.me().clone();
            turn.step.effects.push(Effect::Sign {
                effect,
                operation: SigningRequest::SignIn { client },
            });
            self.session.phase = SessionPhase::Signing { effect };
        } else {
            self.send_open(turn, token, None);
        }
    }

    /// The stored token, where this opening may use it: a new sign-in proves itself anew.
    fn usable_token(&self, turn: &Turn<'_, '_>) -> Option<Secret> {
        let is_rejected = self.session.token_use == TokenUse::Rejected;
        let is_signed = self.settings.signing == Signing::SignedEachTime;
        if self.session.claim == Claim::New || is_rejected || is_signed {
            return None;
        }
        valid_token(turn)
    }

    pub(super) fn open_signed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        outcome: Result<OperationSignature, String>,
    ) -> Result<(), StoreError> {
        match outcome {
            Ok(signature) => self.send_open(turn, None, Some(signature)),
            // The app's server may be down: that is no reason to give up.
            Err(_) => self.wait_and_reopen(turn),
        }
        Ok(())
    }

    /// The session of the account is not good: only the app can bring another.
    pub(super) fn account_refused(
        &mut self,
        turn: &mut Turn<'_, '_>,
        effect: EffectId,
        code: i32,
        reason: String,
    ) -> Result<(), StoreError> {
        match self.session.awaits(effect) {
            true => self.end_as(turn, SessionEnd::Refused { code, reason }),
            false => Ok(()),
        }
    }

    fn send_open(
        &mut self,
        turn: &mut Turn<'_, '_>,
        token: Option<Secret>,
        signature: Option<OperationSignature>,
    ) {
        let row = turn.overlay.snapshot().session().clone();
        let (t, n, s) = signature.map_or((None, None, None), |it| {
            let signature = it.signature.reveal().to_owned();
            (Some(it.timestamp), Some(it.nonce), Some(signature))
        });
        let tag = self.settings.tag.as_ref();
        let body = SessionCommand {
            t,
            n,
            s,
            ua: Some(self.settings.user_agent.clone()),
            r: Some(self.session.claim == Claim::Again),
            tag: tag.map(|tag| tag.as_str().to_owned()),
            device_id: row.device_id.clone(),
            device_token: row.device_id,
            st: token.map(|token| token.reveal().to_owned()),
            last_unread_notif_time: row.last_unread_notif_at.map(Timestamp::as_millis),
            last_patch_time: row.last_patch_at.map(Timestamp::as_millis),
            config_bitmap: Some(CAPABILITIES),
            ..SessionCommand::default()
        };
        let command = Command::session(Op::Open, body);
        let tag = self.submit(turn, command, Purpose::OpenSession);
        self.session.phase = SessionPhase::Opening { tag };
    }

    pub(super) fn open_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        answer: Answer,
    ) -> Result<(), StoreError> {
        if !matches!(self.session.phase, SessionPhase::Opening { tag: awaited } if awaited == tag) {
            return Ok(());
        }
        match answer {
            Answer::Said(envelope) => match envelope.command {
                Command::Session {
                    op: Op::Opened,
                    body,
                } => return self.opened(turn, envelope.server_ts, &body),
                _ => self.wait_and_reopen(turn),
            },
            Answer::Refused { code, reason } => return self.open_refused(turn, code, reason),
            Answer::Unanswered(Unanswered::TimedOut) => self.wait_and_reopen(turn),
            // The link will say that it is gone.
            Answer::Unanswered(_) => self.session.phase = SessionPhase::Unlinked,
        }
        Ok(())
    }

    fn opened(
        &mut self,
        turn: &mut Turn<'_, '_>,
        at: Option<Timestamp>,
        body: &SessionCommand,
    ) -> Result<(), StoreError> {
        self.session.phase = SessionPhase::Open;
        self.session.claim = Claim::Again;
        self.session.token_use = TokenUse::Allowed;
        self.session.opened_at = Some(turn.elapsed());
        self.store_token(turn, body);
        let opened_at = at.unwrap_or_else(|| self.clock.now(turn.now));
        turn.overlay.update_session(|row| {
            // Edits are told from the first opening on; older ones come with history.
            row.last_patch_at = row.last_patch_at.or(Some(opened_at));
        });
        self.ask_missed(turn);
        self.receiver.opened(opened_at);
        self.tails.opened(at);
        self.directory.opened(opened_at);
        self.set_will_again(turn)?;
        self.ask_for_room(turn)?;
        self.watch_again(turn);
        self.suspect_the_past(turn)
    }

    fn open_refused(
        &mut self,
        turn: &mut Turn<'_, '_>,
        code: ServiceCode,
        reason: String,
    ) -> Result<(), StoreError> {
        match code.retry() {
            Retry::DropToken if self.session.token_use == TokenUse::Allowed => {
                self.session.token_use = TokenUse::Rejected;
                forget_token(turn);
                self.begin_open(turn);
                Ok(())
            }
            Retry::Later | Retry::AfterOpen => {
                self.wait_and_reopen(turn);
                Ok(())
            }
            Retry::DropToken | Retry::Never | Retry::DoNotReconnect => {
                self.end_session(turn, code, reason)
            }
        }
    }

    /// The session is over, and only the app can start another.
    pub(super) fn end_session(
        &mut self,
        turn: &mut Turn<'_, '_>,
        code: ServiceCode,
        reason: String,
    ) -> Result<(), StoreError> {
        let end = match code {
            ServiceCode::SESSION_CONFLICT => SessionEnd::Conflict,
            ServiceCode::KICKED_BY_APP => SessionEnd::Kicked { reason },
            _ => SessionEnd::Refused {
                code: code.number(),
                reason,
            },
        };
        self.end_as(turn, end)
    }

    fn end_as(&mut self, turn: &mut Turn<'_, '_>, end: SessionEnd) -> Result<(), StoreError> {
        if let SessionPhase::Closed | SessionPhase::Closing | SessionPhase::Ended(_) =
            self.session.phase
        {
            return Ok(());
        }
        self.forget_connection(turn)?;
        self.room_closes(turn)?;
        self.leave_link(turn, SessionPhase::Ended(end));
        Ok(())
    }

    /// The service closed the session by itself.
    pub(super) fn session_closed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        body: &SessionCommand,
    ) -> Result<(), StoreError> {
        if let SessionPhase::Closed | SessionPhase::Closing | SessionPhase::Ended(_) =
            self.session.phase
        {
            return Ok(());
        }
        let code = ServiceCode::new(body.code.unwrap_or(0));
        let reason = body
            .reason
            .clone()
            .unwrap_or_else(|| code.name().to_owned());
        match code.retry() {
            Retry::DoNotReconnect => self.end_session(turn, code, reason),
            _ => {
                self.forget_connection(turn)?;
                self.wait_and_reopen(turn);
                Ok(())
            }
        }
    }

    /// A command was refused because the session is not open, though we thought it was. The first time it is opened
    /// again at once.
    pub(super) fn session_required(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        if self.session.is_open() {
            self.forget_connection(turn)?;
            self.session.forget_old_failures(turn.elapsed());
            if self.session.failures > 0 {
                self.wait_and_reopen(turn);
            } else {
                self.session.failures = 1;
                self.begin_open(turn);
            }
        }
        Ok(())
    }

    /// Tries again after a pause that grows as the link's do.
    fn wait_and_reopen(&mut self, turn: &Turn<'_, '_>) {
        let limits = &self.settings.limits;
        let backoff = Backoff::spread(limits.backoff_first, limits.backoff_max);
        self.session.forget_old_failures(turn.elapsed());
        let pause = backoff.pause(self.session.failures, &mut self.randomness);
        self.session.failures += 1;
        self.session.phase = SessionPhase::Waiting {
            until: turn.elapsed().saturating_add(pause),
        };
    }

    pub(super) fn pump_session(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        if let SessionPhase::Waiting { until } = self.session.phase
            && until <= turn.elapsed()
        {
            self.begin_open(turn);
        }
        if self.session.is_open() && self.session.renew_at.is_some_and(|at| at <= turn.elapsed()) {
            self.session.renew_at = None;
            if self.session.token_callers.is_empty() {
                self.renew_token(turn);
            }
        }
        Ok(())
    }

    /// Sends a command that is not answered.
    pub(super) fn tell(turn: &mut Turn<'_, '_>, command: Command) {
        turn.step.requests.push(LinkRequest {
            tag: None,
            envelope: Envelope::new(command),
        });
    }
}

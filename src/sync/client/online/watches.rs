//! Watched clients: the service reports when they go online and offline.
//!
//! 1. The list is durable. The service watches for one session, so the whole list is sent after each sign-in.
//! 2. Where the app has a signer, each request is signed. The signer may leave clients out. These are not
//!    watched, and stay in the list: the next connection asks again.
//! 3. The list is sent in parts, one in flight at a time. After a refusal that will pass, and after a failure
//!    of the signer, the machine tries again after a growing pause.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::{ClientId, Presence, SigningRequest, WatchedClient};
use crate::sync::client::answer::Answer;
use crate::sync::client::online::inquiry::Inquiry;
use crate::sync::client::{Answered, Client, Turn};
use crate::sync::step::{Effect, EffectId, OperationSignature};
use crate::sync::{Backoff, Done, RequestError, Unwatch, Watch, WatchList};
use crate::wire::generated::{PresenceCommand, SessionCommand, StatusType};
use crate::wire::{Command, Envelope, Op, Retry};

/// The most watched clients: the service's limit for a session.
const WATCHED_MAX: usize = 1_000;

/// The most clients in one request: with them and a signature the command stays below 5 KiB.
const PART_MAX: usize = 50;

/// The pauses after a request that was refused for the time being.
const PAUSES: Backoff = Backoff::plain(Duration::from_secs(2), Duration::from_secs(120));

/// The known state of the watched clients, on this connection.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Watches {
    told: BTreeMap<ClientId, Presence>,
    /// The clients that are still to be asked for.
    waiting: BTreeSet<ClientId>,
    stage: Stage,
    failures: u32,
    not_before: Duration,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nothing is on its way.
    #[default]
    Idle,
    /// The app's signer was asked.
    Signing {
        effect: EffectId,
        peers: Vec<ClientId>,
    },
    /// The service was asked.
    Asked,
}

impl Watches {
    pub(in crate::sync::client) fn awaits(&self, answered: EffectId) -> bool {
        matches!(self.stage, Stage::Signing { effect, .. } if effect == answered)
    }

    pub(in crate::sync::client) fn forget_connection(&mut self) {
        *self = Self::default();
    }

    pub(in crate::sync::client) fn wake(&self, pace: Duration, wakes: &mut Vec<Duration>) {
        if matches!(self.stage, Stage::Idle) && !self.waiting.is_empty() {
            wakes.push(pace.max(self.not_before));
        }
    }

    fn tell(&mut self, turn: &mut Turn<'_, '_>, client: ClientId, presence: Presence) {
        self.told.insert(client.clone(), presence);
        turn.step.presence.push(WatchedClient { client, presence });
    }
}

impl Client {
    pub(in crate::sync::client) fn watch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: Watch,
    ) -> Answered<Done> {
        let before = turn.overlay.snapshot().session().watched.clone();
        let mut all: BTreeSet<ClientId> = before.iter().cloned().collect();
        all.extend(call.clients.iter().cloned());
        if all.len() > WATCHED_MAX {
            let reason = "clients: at most 1000 may be watched".to_owned();
            return Ok(Err(RequestError::InvalidArgument { reason }));
        }
        if all.len() > before.len() {
            let watched: Vec<ClientId> = all.into_iter().collect();
            turn.overlay.update_session(|row| row.watched = watched);
            turn.overlay.intend();
        }
        if self.session.is_open() {
            // One that is known already, or that was not allowed, is asked for again: the app wants to know.
            self.watches.waiting.extend(call.clients);
        }
        Ok(Ok(Done))
    }

    pub(in crate::sync::client) fn unwatch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: Unwatch,
    ) -> Answered<Done> {
        let watched = turn.overlay.snapshot().session().watched.clone();
        let gone = |client: &ClientId| call.clients.contains(client);
        let (left, kept): (Vec<ClientId>, Vec<ClientId>) = watched.into_iter().partition(gone);
        if left.is_empty() {
            return Ok(Ok(Done));
        }
        turn.overlay.update_session(|row| row.watched = kept);
        turn.overlay.intend();
        for client in &left {
            self.watches.told.remove(client);
            self.watches.waiting.remove(client);
        }
        // Without a session there is nothing to end: the list that is sent next lacks them.
        if self.session.is_open() {
            for part in left.chunks(PART_MAX) {
                let command = Command::session(Op::Remove, about(part));
                self.inquire(turn, command, Inquiry::Unwatch);
            }
        }
        Ok(Ok(Done))
    }

    pub(in crate::sync::client) fn watch_list(&self, turn: &Turn<'_, '_>) -> WatchList {
        let snapshot = turn.overlay.snapshot();
        let watched = snapshot.session().watched.iter();
        let clients = watched.map(|client| WatchedClient {
            client: client.clone(),
            presence: self.watches.told.get(client).copied().unwrap_or_default(),
        });
        WatchList {
            clients: clients.collect(),
        }
    }

    /// Asks for the whole list: the session is a new one.
    pub(in crate::sync::client) fn watch_again(&mut self, turn: &Turn<'_, '_>) {
        let snapshot = turn.overlay.snapshot();
        self.watches.waiting = snapshot.session().watched.iter().cloned().collect();
    }

    pub(in crate::sync::client) fn pump_watches(&mut self, turn: &mut Turn<'_, '_>) {
        let now = turn.elapsed();
        let is_idle = matches!(self.watches.stage, Stage::Idle) && self.watches.not_before <= now;
        if !is_idle || self.watches.waiting.is_empty() || !self.paces.others.allows(now) {
            return;
        }
        let mut peers = Vec::new();
        while peers.len() < PART_MAX
            && let Some(peer) = self.watches.waiting.pop_first()
        {
            peers.push(peer);
        }
        if self.settings.signing.is_signed() {
            let effect = self.fresh_effect();
            let operation = SigningRequest::Watch {
                client: self.me().clone(),
                peers: peers.clone(),
            };
            turn.step.effects.push(Effect::Sign { effect, operation });
            self.watches.stage = Stage::Signing { effect, peers };
        } else {
            self.ask_watch(turn, peers, None);
        }
    }

    pub(in crate::sync::client) fn watch_signed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        outcome: Result<OperationSignature, String>,
    ) {
        let Stage::Signing { peers, .. } = std::mem::take(&mut self.watches.stage) else {
            return;
        };
        let named = peers.len();
        let peers = still_watched(turn, peers);
        if peers.len() < named {
            // The signature names clients that were taken off the list meanwhile: it is of no use for the others.
            self.watches.waiting.extend(peers);
            return;
        }
        let Ok(signature) = outcome else {
            self.watch_later(turn, peers);
            return;
        };
        let allowed = |peer: &ClientId| {
            let allowed = signature.allowed.as_ref();
            allowed.is_none_or(|allowed| allowed.contains(peer))
        };
        let (peers, left_out): (Vec<ClientId>, Vec<ClientId>) =
            peers.into_iter().partition(allowed);
        for peer in left_out {
            self.watches.tell(turn, peer, Presence::NotAllowed);
        }
        if !peers.is_empty() {
            self.ask_watch(turn, peers, Some(signature));
        }
    }

    fn ask_watch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peers: Vec<ClientId>,
        signature: Option<OperationSignature>,
    ) {
        let signature = signature.as_ref();
        let body = SessionCommand {
            t: signature.map(|it| it.timestamp),
            n: signature.map(|it| it.nonce.clone()),
            s: signature.map(|it| it.signature.reveal().to_owned()),
            ..about(&peers)
        };
        self.watches.stage = Stage::Asked;
        let command = Command::session(Op::Add, body);
        self.inquire(turn, command, Inquiry::Watch { peers });
    }

    pub(in crate::sync::client) fn watch_answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        peers: Vec<ClientId>,
        answer: Answer,
    ) {
        if !self.session.is_open() || !matches!(self.watches.stage, Stage::Asked) {
            // The request was of an earlier connection: the next session sends the whole list.
            return;
        }
        self.watches.stage = Stage::Idle;
        let peers = still_watched(turn, peers);
        match answer {
            Answer::Said(Envelope {
                command: Command::Session { body, .. },
                ..
            }) => {
                self.watches.failures = 0;
                for peer in peers {
                    let mut online = body.online_session_peer_ids.iter();
                    let is_online = online.any(|id| id == peer.as_str());
                    self.watches.tell(turn, peer, presence_of(is_online));
                }
            }
            Answer::Refused { code, .. } if code.retry() == Retry::Later => {
                self.watch_later(turn, peers);
            }
            Answer::Refused { .. } => {
                for peer in peers {
                    self.watches.tell(turn, peer, Presence::NotAllowed);
                }
            }
            Answer::Said(_) | Answer::Unanswered(_) => self.watch_later(turn, peers),
        }
    }

    fn watch_later(&mut self, turn: &Turn<'_, '_>, peers: Vec<ClientId>) {
        self.watches.waiting.extend(peers);
        let pause = PAUSES.longest(self.watches.failures);
        self.watches.failures += 1;
        self.watches.not_before = turn.elapsed().saturating_add(pause);
    }

    /// The service tells that watched clients came or went.
    pub(in crate::sync::client) fn presence_came(
        &mut self,
        turn: &mut Turn<'_, '_>,
        body: &PresenceCommand,
    ) {
        let status = body.status.and_then(|it| StatusType::try_from(it).ok());
        let Some(status) = status else {
            return;
        };
        let presence = presence_of(status == StatusType::On);
        let peers = body.session_peer_ids.iter();
        let peers = peers.filter_map(|id| ClientId::new(id).ok()).collect();
        for peer in still_watched(turn, peers) {
            self.watches.tell(turn, peer, presence);
        }
    }
}

/// The clients of these that are in the list: others are nobody's affair.
fn still_watched(turn: &Turn<'_, '_>, mut peers: Vec<ClientId>) -> Vec<ClientId> {
    let snapshot = turn.overlay.snapshot();
    let watched = &snapshot.session().watched;
    peers.retain(|peer| watched.binary_search(peer).is_ok());
    peers
}

const fn presence_of(is_online: bool) -> Presence {
    match is_online {
        true => Presence::Online,
        false => Presence::Offline,
    }
}

fn about(peers: &[ClientId]) -> SessionCommand {
    SessionCommand {
        session_peer_ids: peers.iter().map(ToString::to_string).collect(),
        ..SessionCommand::default()
    }
}

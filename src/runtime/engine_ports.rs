//! The engine's ports of the turn loop: the clock, sockets, signers, the stores' writers, and the receivers of
//! answers and events. The simulator has its own (`sim/src/devices/engine.rs`).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::accounts::{AccountService, Unsigned};
use super::attach::StoreWriter;
use super::board::EngineBoard;
use super::callers::Callers;
use super::client_parts::{ClientParts, Signer};
use super::clock::{self, Clock};
use super::inbox::ImportState;
use super::mailbox::RequestAnswer;
use super::marks::Touched;
use super::missed;
use super::ports::{InboxRemainder, Ports};
use super::publish::Publisher;
use super::sockets::Sockets;
use super::store_handle::StoreUse;
use super::uploads::Uploads;
use crate::SampanError;
use crate::model::{
    ClientId, CommitSeq, ConnectionState, ConversationId, Event, Now, SessionState, SigningRequest,
    StoreHealth, Timestamp,
};
use crate::store::{Batch, Commit, CommitClass, Dropped, OpenReport, StoreError, Tended, Writer};
use crate::sync::link::{ClientSlot, LinkEffect, LinkInput};
use crate::sync::{
    EffectId, MediaEffect, MissedQuestion, OperationSignature, Randomness, Reply, RequestError,
    RequestId,
};
use crate::views::{Holds, SyncState, Typing};
use crate::wire::Envelope;

/// How long the app's signer may take. It asks the app's own server, over whatever network there is.
const SIGN_TIMEOUT: Duration = Duration::from_secs(60);

/// A signer's answer, and whose it is.
pub(super) type Signed = (ClientSlot, EffectId, Result<OperationSignature, Unsigned>);

/// The notifications that a client missed, and the number of the question for them.
pub(super) type MissedAnswer = (ClientSlot, EffectId, Vec<Envelope>);

/// The world around the turn loop: clocks, sockets, signers, and those who wait or watch.
pub(super) struct EnginePorts {
    pub(super) clock: Clock,
    pub(super) sockets: Sockets,
    pub(super) accounts: AccountService,
    pub(super) signing: JoinSet<Signed>,
    pub(super) missing: JoinSet<MissedAnswer>,
    pub(super) uploads: Uploads,
    pub(super) callers: Callers,
    pub(super) publisher: Publisher,
    pub(super) board: Arc<EngineBoard>,
    pub(super) clients: BTreeMap<ClientId, ClientParts>,
}

/// A store's writer, and the claim on its folder, which goes last.
pub(super) struct ClaimedWriter {
    pub(super) writer: Writer,
    pub(super) store_use: StoreUse,
}

impl ClaimedWriter {
    /// Closes the store, then gives up its use of the files. It blocks on the disk.
    pub(super) fn close(self) {
        let Self { writer, store_use } = self;
        if let Err(error) = writer.close() {
            log::warn!("a store was not closed cleanly: {error}");
        }
        drop(store_use);
    }
}

impl StoreWriter for ClaimedWriter {
    fn commit(&mut self, batch: Batch, class: CommitClass) -> Result<Commit, StoreError> {
        self.writer.commit(batch, class)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.writer.sync()
    }

    fn probe(&mut self, wall: Timestamp) -> Result<OpenReport, StoreError> {
        let report = self.writer.probe(wall)?;
        // The damage that a probe mended is the app's to know, as if opening had found it.
        self.store_use.note(&report);
        Ok(report)
    }

    fn is_dirty(&self) -> bool {
        self.writer.is_dirty()
    }

    fn wants_tending(&self) -> bool {
        self.writer.wants_tending()
    }

    fn is_over_budget(&self) -> bool {
        self.writer.is_over_budget()
    }

    fn tend(&mut self, in_view: &[ConversationId]) -> Result<Tended, StoreError> {
        self.writer.tend(in_view)
    }

    fn want_compaction(&mut self) {
        self.writer.want_compaction();
    }

    fn wants_compaction(&self) -> bool {
        self.writer.wants_compaction()
    }

    fn set_disk_budget(&mut self, bytes: Option<u64>) {
        self.writer.set_disk_budget(bytes);
    }
}

/// Asks the app's signer, and gives up after [`SIGN_TIMEOUT`].
async fn ask(
    callers: &Callers,
    signer: Signer,
    operation: SigningRequest,
) -> Result<OperationSignature, String> {
    let (mut done, outcome) = oneshot::channel();
    let work = async move {
        // An app's code that panics fails this signature and nothing else.
        let asked = AssertUnwindSafe(async move { signer(operation).await });
        let outcome = tokio::select! {
            outcome = asked.catch_unwind() => outcome,
            // The caller left. The app's future is dropped here, not on the loop.
            () = done.closed() => return,
        };
        // An outcome that comes too late is dropped.
        let _ = done.send(outcome.unwrap_or_else(|_| Err("the signer panicked".to_owned())));
    };
    callers.spawn(&Handle::current(), Box::pin(work));
    match timeout(SIGN_TIMEOUT, outcome).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err("the signer is gone".to_owned()),
        Err(_) => Err("the signer did not answer in time".to_owned()),
    }
}

impl Ports for EnginePorts {
    type Writer = ClaimedWriter;
    type Call = RequestAnswer;

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn randomness(&mut self) -> Randomness {
        clock::randomness()
    }

    fn carry_out(&mut self, effect: LinkEffect) -> Option<LinkInput> {
        self.sockets.carry_out(effect)
    }

    fn connection_changed(&mut self, state: &ConnectionState) {
        if let ConnectionState::Waiting { delay, .. } = state {
            let retry_at = self.clock.now().wall.saturating_add(*delay);
            self.board.retry_at.send_replace(retry_at);
        }
        self.board.connection.send_replace(state.clone());
    }

    fn session_changed(&mut self, client: &ClientId, state: &SessionState) {
        if let Some(parts) = self.clients.get(client) {
            parts.core.board.session.send_replace(state.clone());
        }
    }

    fn health_changed(&mut self, client: &ClientId, health: &StoreHealth) {
        if let Some(parts) = self.clients.get(client) {
            parts.core.board.health.send_replace(health.clone());
        }
    }

    fn sync_changed(&mut self, client: &ClientId, state: SyncState) {
        if let Some(parts) = self.clients.get(client) {
            parts.core.board.sync.send_replace(state);
        }
    }

    fn typing_changed(&mut self, client: &ClientId, typing: Typing) {
        if let Some(parts) = self.clients.get(client) {
            parts.core.board.typing.send_replace(Arc::new(typing));
        }
    }

    fn holds_changed(&mut self, client: &ClientId, holds: Holds) {
        if let Some(parts) = self.clients.get(client) {
            parts.core.board.holds.send_replace(holds);
        }
    }

    fn committed(&mut self, client: &ClientId, seq: CommitSeq, touched: &Touched) {
        if let Some(parts) = self.clients.get(client) {
            parts.core.store.marks().raise(seq, touched);
        }
    }

    fn answer(&mut self, call: Self::Call, seq: CommitSeq, answer: Result<Reply, SampanError>) {
        // A caller that left is not told.
        let _ = call.send(answer.map(|reply| (reply, seq)));
    }

    /// Asks the app's signer, on caller threads; or the service, where the client signs in with the session of an
    /// account.
    fn sign(
        &mut self,
        slot: ClientSlot,
        client: &ClientId,
        effect: EffectId,
        operation: SigningRequest,
    ) {
        let parts = self.clients.get(client);
        let signer = parts.and_then(|parts| parts.signer.get());
        let account = parts.and_then(|parts| parts.core.account());
        let account = account.filter(|_| matches!(operation, SigningRequest::SignIn { .. }));
        let (callers, accounts) = (self.callers.clone(), self.accounts.clone());
        self.signing.spawn(async move {
            let outcome = match (account, signer) {
                (Some(session), _) => accounts.sign(&session).await,
                (None, Some(signer)) => {
                    let outcome = ask(&callers, signer, operation).await;
                    outcome.map_err(Unsigned::Later)
                }
                (None, None) => Err(Unsigned::Later("the app gave no signer".to_owned())),
            };
            (slot, effect, outcome)
        });
    }

    fn ask_missed(
        &mut self,
        slot: ClientSlot,
        client: &ClientId,
        question: MissedQuestion,
    ) -> bool {
        let (rest, client) = (self.accounts.rest(), client.clone());
        let is_reachable = rest.has_address();
        if is_reachable {
            self.missing.spawn(async move {
                let effect = question.effect;
                (slot, effect, missed::ask(rest, client, question).await)
            });
        }
        is_reachable
    }

    fn media(&mut self, slot: ClientSlot, client: &ClientId, effect: MediaEffect) {
        if let Some(parts) = self.clients.get(client) {
            self.uploads.carry_out(slot, &parts.core, effect);
        }
    }

    fn end_media(&mut self, slot: ClientSlot) {
        self.uploads.end_of(slot);
    }

    fn fetch_inbox(&mut self, client: &ClientId, id: RequestId) -> Option<Vec<Dropped>> {
        let now = self.now();
        let parts = self.clients.get_mut(client)?;
        parts.imports.fetch(id, now.wall)
    }

    fn inbox_taken(
        &mut self,
        client: &ClientId,
        id: RequestId,
        reply: &Result<Reply, RequestError>,
    ) -> InboxRemainder {
        let parts = self.clients.get_mut(client);
        let board =
            parts.and_then(|parts| Some((parts.imports.finish(id, reply)?, &parts.core.board)));
        match board {
            Some((ImportState::More, _)) => InboxRemainder::More,
            Some((ImportState::All(total), board)) => {
                board.inbox.send_replace(total);
                InboxRemainder::Nothing
            }
            None => InboxRemainder::Nothing,
        }
    }

    fn inbox_not_taken(&mut self, client: &ClientId, reason: &SampanError) {
        if let Some(parts) = self.clients.get_mut(client) {
            parts.imports.fail(reason);
        }
    }

    fn compacted(&mut self, client: &ClientId, outcome: Result<(), SampanError>) {
        if let Some(parts) = self.clients.get_mut(client) {
            parts.tell_compacted(&outcome);
        }
    }

    fn publish(&mut self, events: Vec<Event>) {
        self.publisher.publish(&events);
    }
}

//! The world around the turn loop, as a trait: clocks, sockets, signers, answers, observers.
//!
//! The engine implements it in `engine_ports.rs`, the simulator in `sim/src/devices/engine.rs`.

use super::attach::StoreWriter;
use super::marks::Touched;
use crate::SampanError;
use crate::model::{
    ClientId, CommitSeq, ConnectionState, Event, Now, SessionState, SigningRequest, StoreHealth,
};
use crate::store::Dropped;
use crate::sync::link::{ClientSlot, LinkEffect, LinkInput};
use crate::sync::{
    EffectId, MediaEffect, MissedQuestion, Randomness, Reply, RequestError, RequestId,
};
use crate::views::{Holds, SyncState, Typing};

/// The world around a [`TurnLoop`](super::TurnLoop). No method waits.
pub trait Ports {
    /// The writer of a client's commits.
    type Writer: StoreWriter;
    /// The place that a call's answer is given to.
    type Call;

    /// The time that the clocks show.
    fn now(&self) -> Now;

    /// A source of chance for a machine that is being made.
    fn randomness(&mut self) -> Randomness;

    /// Carries out an effect of the link on the network. Its outcome is handed in later. Only a socket
    /// that can't take a frame any more is answered at once, with the end of that socket.
    fn carry_out(&mut self, effect: LinkEffect) -> Option<LinkInput>;

    /// Makes the state of the connection readable.
    fn connection_changed(&mut self, state: &ConnectionState);

    /// Makes the state of a client's session readable.
    fn session_changed(&mut self, client: &ClientId, state: &SessionState);

    /// Makes it readable whether a client's store takes writes.
    fn health_changed(&mut self, client: &ClientId, health: &StoreHealth);

    /// Publishes the progress of a client's catch-up.
    fn sync_changed(&mut self, _client: &ClientId, _state: SyncState) {}

    /// Makes the people who are typing in a client's conversations readable.
    fn typing_changed(&mut self, _client: &ClientId, _typing: Typing) {}

    /// Publishes the work that a client delays although it is signed in.
    fn holds_changed(&mut self, _client: &ClientId, _holds: Holds) {}

    /// A client's store has another state than before: those who watch it look again.
    fn committed(&mut self, _client: &ClientId, _seq: CommitSeq, _touched: &Touched) {}

    /// Answers a call, with the client's commit that holds the writes of the call.
    fn answer(&mut self, call: Self::Call, seq: CommitSeq, answer: Result<Reply, SampanError>);

    /// Asks a client's signer; the outcome is handed to [`TurnLoop::signed`](super::TurnLoop::signed).
    fn sign(
        &mut self,
        slot: ClientSlot,
        client: &ClientId,
        effect: EffectId,
        operation: SigningRequest,
    );

    /// Asks the service over HTTP for what a client missed, and says if it can be asked; the answer is handed to
    /// [`TurnLoop::missed`](super::TurnLoop::missed).
    fn ask_missed(
        &mut self,
        _slot: ClientSlot,
        _client: &ClientId,
        _question: MissedQuestion,
    ) -> bool {
        false
    }

    /// Works on a client's files. The result of a step of an upload goes to
    /// [`TurnLoop::uploaded`](super::TurnLoop::uploaded).
    fn media(&mut self, _slot: ClientSlot, _client: &ClientId, _effect: MediaEffect) {}

    /// Ends all uploads of a client that is not here under this number any more.
    fn end_media(&mut self, _slot: ClientSlot) {}

    /// Reads a client's extension inbox. The machine enqueues the intents found there, under the given
    /// number. None when the client has no inbox, or when the inbox can't be read.
    fn fetch_inbox(&mut self, client: &ClientId, id: RequestId) -> Option<Vec<Dropped>>;

    /// The machine's answer to an inbox read under this number is durable.
    fn inbox_taken(
        &mut self,
        client: &ClientId,
        id: RequestId,
        reply: &Result<Reply, RequestError>,
    ) -> InboxRemainder;

    /// The inbox can't be taken now: the store takes no writes.
    fn inbox_not_taken(&mut self, client: &ClientId, reason: &SampanError);

    /// A compaction that was asked for by [`TurnLoop::compact`](super::TurnLoop::compact) is done, or can't be.
    fn compacted(&mut self, _client: &ClientId, _outcome: Result<(), SampanError>) {}

    /// Tells observers, in this order.
    fn publish(&mut self, events: Vec<Event>);
}

/// The state of an extension inbox after a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboxRemainder {
    /// There is more to read.
    More,
    /// Everything that can be taken was taken.
    Nothing,
}

//! One client's machine over its own store: session, outbox, receiver, catch-up.
//!
//! ```text
//!                     ┌───────────────────────── Client ─────────────────────────┐
//!   API call ───────▶ │ outgoing    the app's work is enqueued, and sent         │
//!   Connected ──────▶ │ session     opens, reopens, ends                         │
//!   replies ────────▶ │ outgoing    in order, in doubt, acknowledged             │ ──▶ Step
//!   notifications ──▶ │ incoming    messages, edits, receipts, unread, members   │
//!   Woke ───────────▶ │ history     missed history is fetched, gaps are recorded │
//!                     └──────────────────────────────────────────────────────────┘
//! ```
//!
//! | room | decision |
//! |---|---|
//! | `session.rs` | opening a session, keeping it open, its end by the service |
//! | `outgoing/` | work of the app: enqueued, sent in order, searched for when in doubt |
//! | `incoming/` | notifications: messages, edits, receipts, counts, members; duplicates |
//! | `history/` | spans without holes, catching up after an absence, the app's paging |
//! | `online/` | questions that the service alone can answer; the place in a chat room |
//! | `answer.rs` | the outcome of a request |
//! | `notices.rs` | the notices of members, each told once |
//! | `progress.rs` | the progress of the catch-up |
//!
//! Imports between the rooms point down: `outgoing` may name `incoming` and `history`, `incoming` may name
//! `history`. This file composes the rooms: it passes inputs on, and owns the data of a turn.
//!
//! The machine's memory holds only the work of the present connection. Everything else is in the store, so a
//! machine that is rebuilt from the store goes on where this one stopped.

mod answer;
mod history;
mod incoming;
mod notices;
mod online;
mod outgoing;
mod progress;
mod service_clock;
mod session;
mod settings;

use std::collections::BTreeMap;
use std::time::Duration;

use self::answer::Answer;
use self::history::catch_up::CatchUp;
use self::history::conversation_list::{Directory, DirectoryQuery};
use self::history::join::Tails;
use self::history::pages::HistoryQuery;
use self::history::queries::Query;
use self::history::question::HistoryQuestion;
use self::incoming::asked_members::MembersQuestion;
use self::incoming::edits::EarlyEdits;
use self::incoming::messages::Receiver;
use self::incoming::missed::Missed;
pub use self::incoming::typing::TypingClients;
use self::incoming::typing::Writers;
use self::incoming::unread::Told;
use self::notices::Notices;
use self::online::inquiry::Inquiry;
use self::online::watches::Watches;
use self::outgoing::attribute::AttributeAsked;
pub use self::outgoing::holds::ElapsedHolds;
use self::outgoing::in_doubt::Search;
use self::outgoing::lane::{cut_off, requeue};
use self::outgoing::pace::Pace;
use self::outgoing::read_marks::Reads;
use self::outgoing::sender::Sender;
use self::outgoing::typing::OwnTyping;
use self::outgoing::unkept::{TransientSend, Wills};
use self::outgoing::uploads::Uploads;
use self::outgoing::verdict::Verdict;
pub use self::progress::CatchUpProgress;
use self::service_clock::ServiceClock;
use self::session::Session;
pub use self::settings::{ClientSettings, Signing};
use super::link::{Delivery, LinkRequest, RequestTag, Unanswered};
use super::request::{Call, Caller, Done, Request, RequestError, RequestId};
use super::step::{ClientInput, EffectId, Step};
use super::{OperationSignature, Randomness};
use crate::model::{ClientId, Now, OutboxEntryId, OutboxState, SessionState};
use crate::store::{Intent, Overlay, Store, StoreError};
use crate::wire::{Command, Envelope, ServiceCode};

/// The machine of one client.
#[derive(Debug)]
pub struct Client {
    settings: ClientSettings,
    randomness: Randomness,
    session: Session,
    sender: Sender,
    reads: Reads,
    wills: Wills,
    uploads: Uploads,
    receiver: Receiver,
    tails: Tails,
    told: Told,
    early_edits: EarlyEdits,
    notices: Notices,
    missed: Missed,
    writers: Writers,
    own_typing: OwnTyping,
    watches: Watches,
    directory: Directory,
    catch_up: CatchUp,
    paces: Paces,
    pending: BTreeMap<RequestTag, Purpose>,
    last_tag: u64,
    last_effect: u64,
    /// Counts lost sessions: a request of an earlier session says nothing about the present.
    epoch: u64,
    clock: ServiceClock,
    /// Entries that the store has as in flight and no connection knows: a crash came between.
    interrupted: Vec<OutboxEntryId>,
}

/// The paces of the kinds of command that the service counts apart.
#[derive(Debug)]
struct Paces {
    sends: Pace,
    history: Pace,
    others: Pace,
}

/// The reason of a request.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are as many as requests on their way, some dozens"
)]
enum Purpose {
    OpenSession,
    CloseSession,
    RefreshToken,
    Send(OutboxEntryId),
    Create(OutboxEntryId),
    Patch(OutboxEntryId),
    Members(OutboxEntryId),
    State(OutboxEntryId),
    Transient(TransientSend),
    Will,
    Search(Search),
    ReadBarrier,
    Typing,
    Directory(DirectoryQuery),
    History(HistoryQuery),
    MembersQuestion(MembersQuestion),
    Attribute(AttributeAsked),
    Query(Query),
    Question(HistoryQuestion),
    Inquiry(Inquiry),
    Receipts {
        conversation: crate::store::ConversationNumber,
        caller: Caller<Done>,
    },
}

/// The outcome of a call that only writes: the outer error is the store's and fatal, the inner error is
/// the caller's.
type Answered<A> = Result<Result<A, RequestError>, StoreError>;

impl Purpose {
    /// True if the refusal is about a signature that the request had of its own, and not about the session.
    fn is_signed_apart(&self, code: ServiceCode) -> bool {
        let watches = matches!(self, Self::Inquiry(Inquiry::Watch { .. }));
        watches && code == ServiceCode::SIGNATURE_FAILED
    }

    /// The outbox entry that the request carries or looks for, if there is one.
    const fn entry(&self) -> Option<OutboxEntryId> {
        match self {
            Self::Send(entry)
            | Self::Create(entry)
            | Self::Patch(entry)
            | Self::Members(entry)
            | Self::State(entry) => Some(*entry),
            Self::Search(search) => Some(search.entry()),
            _ => None,
        }
    }
}

/// One input being handled: the time, the store, and the step that grows.
struct Turn<'a, 's> {
    now: Now,
    overlay: &'a mut Overlay<'s>,
    step: &'a mut Step,
}

impl Client {
    /// Makes the machine from the store: unsent entries wait again, in their order.
    #[must_use]
    pub fn rebuild(settings: ClientSettings, store: &Store, randomness: Randomness) -> Self {
        let limits = &settings.limits;
        let paces = Paces {
            sends: Pace::new(limits.sends_per_minute),
            history: Pace::new(limits.history_per_minute),
            others: Pace::new(limits.others_per_minute),
        };
        let entries = store.snapshot().outbox();
        let in_flight = entries
            .iter()
            .filter(|entry| entry.state == OutboxState::InFlight);
        Self {
            interrupted: in_flight.map(|entry| entry.id).collect(),
            sender: Sender::of_entries(&entries),
            reads: Reads::of_entries(&entries),
            wills: Wills::default(),
            uploads: Uploads::of_entries(&entries),
            session: Session::default(),
            receiver: Receiver::default(),
            tails: Tails::default(),
            told: Told::default(),
            early_edits: EarlyEdits::default(),
            notices: Notices::default(),
            missed: Missed::default(),
            writers: Writers::default(),
            own_typing: OwnTyping::default(),
            watches: Watches::default(),
            directory: Directory::default(),
            catch_up: CatchUp::default(),
            pending: BTreeMap::new(),
            last_tag: 0,
            last_effect: 0,
            epoch: 0,
            clock: ServiceClock::default(),
            settings,
            randomness,
            paces,
        }
    }

    /// The session's state, as the last step left it.
    #[must_use]
    pub fn session_state(&self) -> SessionState {
        self.session.state()
    }

    /// One input in, one step out. Writes go to the overlay; the driver of the machine commits them, as durable as
    /// the step says, before the rest of the step is carried out.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot be read. The machine is then of no use: drop it with
    /// the overlay's writes, and rebuild it.
    pub fn handle(
        &mut self,
        now: Now,
        input: ClientInput,
        overlay: &mut Overlay<'_>,
    ) -> Result<Step, StoreError> {
        let mut step = Step::default();
        let before = self.session.state();
        let turn = &mut Turn {
            now,
            overlay,
            step: &mut step,
        };
        self.requeue_interrupted(turn);
        match input {
            ClientInput::Requested { id, request } => self.requested(turn, id, request)?,
            ClientInput::Delivered(delivery) => self.delivered(turn, delivery)?,
            ClientInput::Signed { effect, outcome } => self.signed(turn, effect, outcome)?,
            ClientInput::AccountRefused {
                effect,
                code,
                reason,
            } => self.account_refused(turn, effect, code, reason)?,
            ClientInput::Uploaded { effect, outcome } => self.uploaded(turn, effect, outcome)?,
            ClientInput::MissedTold { effect, told } => self.missed_told(turn, effect, told)?,
            ClientInput::Woke => {}
        }
        self.pump(turn)?;
        let after = self.session.state();
        if after != before {
            step.session = Some(after);
        }
        step.typing = self.writers.news();
        step.wake_after = self
            .next_wake(now.elapsed)
            .map(|at| at.saturating_sub(now.elapsed));
        Ok(step)
    }

    fn requested(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: RequestId,
        request: Request,
    ) -> Result<(), StoreError> {
        match request {
            Request::Connect(call) => self.connect(turn, Caller::of(&call, id), call.mode),
            Request::Disconnect(call) => self.disconnect(turn, Caller::of(&call, id))?,
            Request::FreshToken(call) => self.fresh_token(turn, Caller::of(&call, id)),
            Request::Focus(call) => self.focus(turn, Caller::of(&call, id), call)?,
            Request::FetchHistory(call) => self.fetch_history(turn, Caller::of(&call, id), call)?,
            Request::QueryHistory(call) => self.query_history(turn, Caller::of(&call, id), call)?,
            Request::FetchNewer(call) => self.fetch_newer(turn, Caller::of(&call, id), call)?,
            Request::FetchConversations(call) => {
                self.fetch_conversations(turn, Caller::of(&call, id), call)?;
            }
            Request::FetchReceipts(call) => {
                self.fetch_receipts(turn, Caller::of(&call, id), call)?
            }
            Request::ChangeAttribute(call) => {
                self.change_attribute(turn, Caller::of(&call, id), call)?;
            }
            Request::FindConversations(call) => {
                self.find_conversations(turn, Caller::of(&call, id), &call);
            }
            Request::CountConversations(call) => {
                self.count_conversations(turn, Caller::of(&call, id), call);
            }
            Request::CountMembers(call) => self.count_members(turn, Caller::of(&call, id), call)?,
            Request::RefreshBan(call) => self.refresh_ban(turn, Caller::of(&call, id), call)?,
            Request::TakeRoles(call) => self.write(turn, id, call, Self::take_roles)?,
            Request::ListInside(call) => self.list_inside(turn, Caller::of(&call, id), call)?,
            Request::CreateConversation(call) => {
                self.write(turn, id, call, Self::create_conversation)?;
            }
            Request::SendMessage(call) if call.message.options.is_sent_now() => {
                self.send_transient(turn, Caller::of(&call, id), &call)?;
            }
            Request::SendMessage(call) => self.write(turn, id, call, Self::send_message)?,
            Request::SendMedia(call) => self.write(turn, id, call, Self::send_media)?,
            Request::KeepFailed(call) => self.write(turn, id, call, Self::keep_failed)?,
            Request::KeepForeign(call) => self.write(turn, id, call, Self::keep_foreign)?,
            Request::RemoveMessage(call) => self.write(turn, id, call, Self::remove_message)?,
            Request::EditMessage(call) => self.write(turn, id, call, Self::edit_message)?,
            Request::RecallMessage(call) => self.write(turn, id, call, Self::recall_message)?,
            Request::RetryMessage(call) => self.write(turn, id, call, Self::retry_message)?,
            Request::DiscardMessage(call) => self.write(turn, id, call, Self::discard_message)?,
            Request::SetName(call) => self.write(turn, id, call, Self::set_name)?,
            Request::SetAttributes(call) => self.write(turn, id, call, Self::set_attributes)?,
            Request::SetMuted(call) => self.write(turn, id, call, Self::set_muted)?,
            Request::ChangeMembers(call) => self.write(turn, id, call, Self::change_members)?,
            Request::MarkAllRead(call) => self.write(turn, id, call, Self::mark_all_read)?,
            Request::MarkReadMessage(call) => {
                self.write(turn, id, call, Self::mark_read_message)?
            }
            Request::MarkRead(call) => self.write(turn, id, call, |client, turn, call| {
                client.mark_read(turn, &call, None)
            })?,
            Request::RetryEntry(call) => self.write(turn, id, call, Self::retry_entry)?,
            Request::DiscardEntry(call) => self.write(turn, id, call, Self::discard_entry)?,
            Request::FindRooms(call) => self.find_rooms(turn, Caller::of(&call, id), call),
            Request::WhoIsOnline(call) => self.who_is_online(turn, Caller::of(&call, id), call),
            Request::OpenPeers(call) => self.write(turn, id, call, Self::open_peers)?,
            Request::Watch(call) => self.write(turn, id, call, Self::watch)?,
            Request::Unwatch(call) => self.write(turn, id, call, Self::unwatch)?,
            Request::Watched(call) => {
                let list = self.watch_list(turn);
                turn.step.reply(Caller::of(&call, id), Ok(list));
            }
            Request::SetTyping(call) => self.write(turn, id, call, Self::set_typing)?,
            Request::Note(call) => self.write(turn, id, call, Self::note)?,
            Request::Import(call) => self.write(turn, id, call, Self::import)?,
            Request::ImportLegacy(call) => self.write(turn, id, call, Self::import_legacy)?,
        }
        Ok(())
    }

    /// A call that only writes: it is answered when its writes are durable.
    fn write<C: Call>(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: RequestId,
        call: C,
        write: impl FnOnce(&mut Self, &mut Turn<'_, '_>, C) -> Answered<C::Answer>,
    ) -> Result<(), StoreError> {
        let caller = Caller::of(&call, id);
        let answer = write(self, turn, call)?;
        turn.step.reply(caller, answer);
        Ok(())
    }

    fn delivered(&mut self, turn: &mut Turn<'_, '_>, delivery: Delivery) -> Result<(), StoreError> {
        match delivery {
            Delivery::Connected => self.link_up(turn),
            Delivery::Disconnected => self.link_down(turn),
            Delivery::Refused { code } => {
                self.end_session(turn, code, code.name().to_owned())?;
                Ok(())
            }
            Delivery::Reply { tag, outcome } => self.answered(turn, tag, outcome),
            Delivery::Notified(envelope) => {
                self.uploads.service_was_heard();
                self.clock.observe(turn.now, envelope.server_ts);
                self.notified(turn, envelope)
            }
        }
    }

    fn answered(
        &mut self,
        turn: &mut Turn<'_, '_>,
        tag: RequestTag,
        outcome: Result<Envelope, Unanswered>,
    ) -> Result<(), StoreError> {
        if let Ok(envelope) = &outcome {
            self.uploads.service_was_heard();
            self.clock.observe(turn.now, envelope.server_ts);
        }
        let answer = Answer::of(outcome);
        let Some(purpose) = self.pending.remove(&tag) else {
            return self.answered_late(turn, tag, answer);
        };
        if let Answer::Refused { code, reason } = &answer
            && Verdict::on(*code) == Verdict::SignInFirst
            && !matches!(purpose, Purpose::OpenSession)
            && !purpose.is_signed_apart(*code)
        {
            match &purpose {
                Purpose::ReadBarrier => self.reads_answered(turn, tag, &answer)?,
                purpose => {
                    if let Some(entry) = purpose.entry() {
                        self.entry_wants_session(turn, tag, entry, *code, reason)?;
                    }
                }
            }
            self.session_required(turn)?;
        }
        match purpose {
            Purpose::OpenSession => self.open_answered(turn, tag, answer),
            Purpose::CloseSession => self.close_answered(turn),
            Purpose::RefreshToken => {
                self.refresh_answered(turn, answer);
                Ok(())
            }
            Purpose::Send(entry) => self.send_answered(turn, tag, entry, answer),
            Purpose::Create(entry) => self.create_answered(turn, tag, entry, answer),
            Purpose::Patch(entry) => self.patch_answered(turn, tag, entry, answer),
            Purpose::Members(entry) => self.members_answered(turn, tag, entry, answer),
            Purpose::State(entry) => self.state_answered(turn, tag, entry, answer),
            Purpose::Transient(sent) => {
                self.transient_answered(turn, sent, answer);
                Ok(())
            }
            // A will that is not taken is tried with the next session.
            Purpose::Will => Ok(()),
            Purpose::Search(search) => self.search_answered(turn, tag, search, answer),
            // The arrival of a typing message does not matter.
            Purpose::Typing => Ok(()),
            Purpose::ReadBarrier => self.reads_answered(turn, tag, &answer),
            Purpose::Directory(query) => self.directory_answered(turn, query, answer),
            Purpose::History(query) => self.history_answered(turn, query, answer),
            Purpose::Attribute(asked) => self.attribute_answered(turn, asked, answer),
            Purpose::Query(query) => self.query_answered(turn, query, answer),
            Purpose::MembersQuestion(question) => {
                self.members_question_answered(turn, question, answer)
            }
            Purpose::Question(question) => self.question_answered(turn, question, answer),
            Purpose::Inquiry(inquiry) => self.inquiry_answered(turn, inquiry, answer),
            Purpose::Receipts {
                conversation,
                caller,
            } => self.receipts_answered(turn, conversation, caller, answer),
        }
    }

    fn signed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        effect: EffectId,
        outcome: Result<OperationSignature, String>,
    ) -> Result<(), StoreError> {
        if self.session.awaits(effect) {
            return self.open_signed(turn, outcome);
        }
        if self.watches.awaits(effect) {
            self.watch_signed(turn, outcome);
            return Ok(());
        }
        let awaited = self.sender.signing(effect);
        let Some(entry) = awaited.and_then(|id| turn.overlay.snapshot().entry(id)) else {
            return Ok(());
        };
        match &entry.intent {
            Intent::Create(intent) => self.create_signed(turn, &entry, intent, outcome),
            Intent::Members(intent) => self.members_signed(turn, &entry, intent, outcome),
            _ => Ok(()),
        }
    }

    /// Starts all work that can start now: called after every input.
    fn pump(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.writers.expire(turn.elapsed());
        self.pump_session(turn)?;
        self.pump_acknowledgements(turn);
        self.sweep_uploads(turn);
        if !self.session.is_open() {
            return Ok(());
        }
        self.pump_tails(turn);
        self.pump_sends(turn)?;
        self.pump_uploads(turn);
        self.pump_reads(turn)?;
        self.pump_typing(turn)?;
        self.pump_watches(turn);
        self.pump_directory(turn)?;
        self.pump_catch_up(turn)?;
        self.note_what_was_told(turn);
        Ok(())
    }

    /// The time at which the machine may have work. Due work was done just now, as far as possible.
    fn next_wake(&self, now: Duration) -> Option<Duration> {
        let mut wakes = Vec::new();
        self.session.wake(&mut wakes);
        self.receiver.wake(&mut wakes);
        self.writers.wake(&mut wakes);
        if self.session.is_open() {
            self.tails.wake(&mut wakes);
            self.own_typing.wake(&mut wakes);
            self.watches.wake(self.paces.others.ready_at(), &mut wakes);
            self.sends_wake(&mut wakes);
            self.uploads.wake(&mut wakes);
            self.reads_wake(&mut wakes);
            self.directory_wake(&mut wakes);
            self.catch_up_wake(&mut wakes);
        }
        wakes.into_iter().filter(|at| *at > now).min()
    }

    /// The connection or the session is gone: nothing is in flight any more, and nothing that was
    /// learnt about being up to date holds.
    fn forget_connection(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), StoreError> {
        self.epoch += 1;
        self.requeue_in_flight(turn);
        self.reads.forget_connection();
        self.forget_tails(turn)?;
        self.forget_missed(turn);
        self.receiver.forget_connection();
        self.told.forget_connection();
        self.early_edits.forget_connection();
        self.writers.forget_connection();
        self.own_typing.forget_connection();
        self.watches.forget_connection();
        self.directory.forget_connection();
        self.catch_up.forget_connection();
        Ok(())
    }

    fn requeue_interrupted(&mut self, turn: &mut Turn<'_, '_>) {
        for entry in std::mem::take(&mut self.interrupted) {
            cut_off(turn, entry);
        }
    }

    /// Sends a request whose answer is awaited.
    fn submit(
        &mut self,
        turn: &mut Turn<'_, '_>,
        command: Command,
        purpose: Purpose,
    ) -> RequestTag {
        self.submit_envelope(turn, Envelope::new(command), purpose)
    }

    /// The same, with more around the command.
    fn submit_envelope(
        &mut self,
        turn: &mut Turn<'_, '_>,
        envelope: Envelope,
        purpose: Purpose,
    ) -> RequestTag {
        self.last_tag += 1;
        let tag = RequestTag(self.last_tag);
        self.pending.insert(tag, purpose);
        turn.step.requests.push(LinkRequest {
            tag: Some(tag),
            envelope,
        });
        tag
    }

    fn fresh_effect(&mut self) -> EffectId {
        self.last_effect += 1;
        EffectId(self.last_effect)
    }

    fn me(&self) -> &ClientId {
        &self.settings.client
    }
}

impl Turn<'_, '_> {
    /// The elapsed time, which drives all timers.
    const fn elapsed(&self) -> Duration {
        self.now.elapsed
    }
}

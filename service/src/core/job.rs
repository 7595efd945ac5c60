//! Commands that may take long, handled in parts: queries, history, read marks, and the welcome of a client
//! after its login.
//!
//! A part ends when [`SLICE`] units are spent; the connection's next part comes in its turn, like any input. No
//! other input of a connection is handled until its command is finished, so each client still gets its answers
//! in order. The results of a part take memory: no more than [`BEGUN_MAX`] jobs hold any, and a further job
//! waits and begins anew when there is room.

use std::sync::Arc;

use sampan::model::Now;
use sampan::wire::{Command, Envelope, Op, ServiceCode};

use super::exchange::decision::{Caller, Part};
use super::exchange::hook_call::{HookAnswer, HookCall};
use super::exchange::input::{ConnectionId, Effect, Gap};
use super::exchange::refusal::{Failure, Refusal};
use super::machine::Core;
use super::messages::history::Reading;
use super::messages::receipt::Marking;
use super::queries::search::Search;
use super::sessions::welcome::Welcome;
use super::state::hook_turn::HookTurn;
use crate::storage::Storage;

/// The cost of a part; it ends with the first row behind this.
const SLICE: u64 = 3_000;

/// Jobs that may be half done at a time.
const BEGUN_MAX: usize = 16;

/// Bytes that all jobs that are half done may take together; a single one may take more.
const BEGUN_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Bytes that a job is expected to take at most, where it does not say.
const JOB_BYTES: usize = 1024 * 1024;

/// A command that is not finished.
#[derive(Debug)]
pub(super) struct Job {
    caller: Caller,
    request: Arc<Envelope>,
    state: State,
    /// True if the client was signed in already when it asked to be.
    repeated: bool,
}

/// The progress of a job.
#[derive(Debug)]
enum State {
    /// It waits until fewer others are half done.
    Waits,
    /// It waits for the answer of a hook, and has those of earlier questions.
    Asks {
        answers: Vec<HookAnswer>,
        is_answered: bool,
    },
    Searches(Box<Search>),
    Reads(Box<Reading>),
    Marks(Box<Marking>),
    Welcomes(Box<Welcome>),
}

impl Job {
    fn holds_memory(&self) -> bool {
        self.bytes() > 0
    }

    /// Bytes that it may take until it is done.
    fn bytes(&self) -> usize {
        match &self.state {
            State::Waits | State::Marks(_) | State::Asks { .. } => 0,
            State::Reads(reading) => reading.bytes(),
            State::Searches(_) | State::Welcomes(_) => JOB_BYTES,
        }
    }
}

impl<S: Storage> Core<S> {
    /// Takes the unfinished command of a connection a bounded part further.
    pub async fn go_on(&mut self, now: Now, connection: ConnectionId) -> Vec<Effect> {
        let mut effects = Vec::new();
        let now = self.begin_turn(now, &mut effects).await;
        if self.is_asking(connection) {
            return effects;
        }
        if let Some(job) = self.jobs.remove(&connection) {
            let request = Arc::clone(&job.request);
            if let State::Asks { answers, .. } = job.state {
                self.decide_anew(now, &job.caller, &request, answers, &mut effects)
                    .await;
            } else if let Err(failure) = self.take_further(now, job, false, &mut effects).await {
                refuse(connection, &request, failure, &mut effects);
            }
        }
        self.meter.storage(self.storage.work());
        effects
    }

    /// Bytes that the jobs which are half done may take.
    #[cfg(test)]
    pub(super) fn bytes_begun(&self) -> usize {
        self.jobs.values().map(Job::bytes).sum()
    }

    /// True if a command of the connection is not finished.
    #[must_use]
    pub fn is_busy(&self, connection: ConnectionId) -> bool {
        self.jobs.contains_key(&connection)
    }

    /// True if the command of the connection waits for the answer of a hook.
    #[must_use]
    pub fn is_asking(&self, connection: ConnectionId) -> bool {
        let job = self.jobs.get(&connection);
        job.is_some_and(|job| matches!(job.state, State::Asks { is_answered, .. } if !is_answered))
    }

    /// Takes the answer of a hook that was asked for a connection; [`Core::go_on`] decides by it. An answer
    /// that nobody waits for is nothing.
    pub fn hook_answered(&mut self, connection: ConnectionId, answer: HookAnswer) {
        if let Some(job) = self.jobs.get_mut(&connection)
            && let State::Asks {
                answers,
                is_answered,
            } = &mut job.state
            && !*is_answered
        {
            answers.push(answer);
            *is_answered = true;
        }
    }

    /// Puts a command aside until its hook has answered.
    pub(super) fn await_hook(
        &mut self,
        caller: &Caller,
        request: &Envelope,
        call: Box<HookCall>,
        effects: &mut Vec<Effect>,
    ) {
        let connection = caller.session.connection;
        let job = Job {
            caller: caller.clone(),
            request: Arc::new(request.clone()),
            state: State::Asks {
                answers: self.hook_turn.take_answers(),
                is_answered: false,
            },
            repeated: false,
        };
        self.jobs.insert(connection, job);
        effects.push(Effect::Ask { connection, call });
    }

    /// Decides a command whose hook has answered, if its session still stands.
    async fn decide_anew(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &Envelope,
        answers: Vec<HookAnswer>,
        effects: &mut Vec<Effect>,
    ) {
        if self.registry.session(&caller.session).is_none() {
            return;
        }
        self.hook_turn = HookTurn::with(answers);
        match self.command(now, caller, request, effects).await {
            Ok(()) => {}
            Err(Failure::Asks(call)) => self.await_hook(caller, request, call, effects),
            Err(failure) => refuse(caller.session.connection, request, failure, effects),
        }
        self.tell_hooks(effects);
    }

    /// Begins a command that may take several parts.
    pub(super) async fn begin_job(
        &mut self,
        now: Now,
        caller: &Caller,
        request: &Envelope,
        repeated: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let mut job = Job {
            caller: caller.clone(),
            request: Arc::new(request.clone()),
            state: State::Waits,
            repeated,
        };
        job.state = self.first_state(now, &job).await?;
        self.take_further(now, job, true, effects).await
    }

    /// True if the part at hand has cost enough.
    pub(super) fn is_part_over(&mut self) -> bool {
        self.meter.storage(self.storage.work());
        self.meter.sum() >= self.part_began.saturating_add(SLICE)
    }

    async fn first_state(&mut self, now: Now, job: &Job) -> Result<State, Failure> {
        let caller = &job.caller;
        Ok(match &job.request.command {
            Command::Conv {
                op: Op::Query,
                body,
            } => State::Searches(Box::new(self.search(caller, body)?)),
            Command::Logs(body) => State::Reads(Box::new(self.history(now, caller, body).await?)),
            Command::Read(body) => State::Marks(Box::new(Marking::of(body))),
            Command::Session { body, .. } => {
                let mode = self.registry.link(caller.session.connection);
                let mode = mode.map(|link| link.mode);
                State::Welcomes(Box::new(Welcome::new(
                    mode,
                    body,
                    job.repeated,
                    self.stamps.newest(),
                )))
            }
            other => return Err(super::machine::unsupported(other).into()),
        })
    }

    async fn take_further(
        &mut self,
        now: Now,
        mut job: Job,
        is_first: bool,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Failure> {
        let connection = job.caller.session.connection;
        // Nobody is there any more to be answered: another device took the session away.
        if self.registry.session(&job.caller.session).is_none() {
            return Ok(());
        }
        let begun = || self.jobs.values().filter(|job| job.holds_memory());
        let bytes: usize = begun().map(Job::bytes).sum();
        let is_crowded = begun().count() >= BEGUN_MAX || bytes >= BEGUN_BYTES_MAX;
        if matches!(job.state, State::Waits) {
            if is_crowded {
                self.jobs.insert(connection, job);
                return Ok(());
            }
            job.state = self.first_state(now, &job).await?;
        }
        let caller = &job.caller;
        let part = match &mut job.state {
            State::Waits | State::Asks { .. } => Part::more(),
            State::Searches(search) => search.part(self, now, caller).await?,
            State::Reads(reading) => reading.part(self, caller).await?,
            State::Marks(marking) => marking.part(self, now, caller).await?,
            State::Welcomes(welcome) => welcome.part(self, now, caller).await?,
        };
        let request = Arc::clone(&job.request);
        if !part.is_end {
            if is_crowded && is_first && job.holds_memory() && part.decision.is_silent() {
                job.state = State::Waits;
            }
            self.jobs.insert(connection, job);
        }
        self.carry_out(now, connection, &request, part.decision, effects)
            .await
    }
}

/// Tells a client why its command has no result.
pub(super) fn refuse(
    connection: ConnectionId,
    request: &Envelope,
    failure: Failure,
    effects: &mut Vec<Effect>,
) {
    let awaited = request.serial.is_some() || !is_without_answer(&request.command);
    let reply = match failure {
        Failure::Refused(refusal) => refusal.to_command(),
        Failure::Storage(error) => {
            effects.push(Effect::Report(error.to_string()));
            Refusal::from(ServiceCode::INTERNAL_ERROR).to_command()
        }
        Failure::Asks(_) => {
            debug_assert!(
                false,
                "a question was asked where nobody waits for the answer"
            );
            Refusal::from(ServiceCode::INTERNAL_ERROR).to_command()
        }
    };
    if awaited {
        effects.push(Effect::Send {
            connection,
            envelope: Box::new(request.reply(reply)),
            gap: Gap::None,
        });
    }
}

/// True if nobody waits for an answer to a command without a number: the protocol has none for the command, or
/// only a service sends the command.
const fn is_without_answer(command: &Command) -> bool {
    matches!(
        command,
        Command::Ack(_)
            | Command::Read(_)
            | Command::Login(_)
            | Command::Loggedin(_)
            | Command::Loggedout
            | Command::Goaway
            | Command::Data(_)
            | Command::Rcp(_)
            | Command::Unread(_)
            | Command::Presence(_)
            | Command::Error(_)
    )
}

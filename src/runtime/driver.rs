//! The engine's thread: waits for calls, frames, timers and signatures, and passes them to the turn loop.
//!
//! ```text
//!   mailbox, sockets, signers, timers ──▶ Driver ──▶ TurnLoop (commit, send, tell)
//!                                                       │
//!                    sockets, publisher, boards ◀── EnginePorts
//! ```
//!
//! Every queue that the driver reads is bounded, and the driver takes a bounded number of inputs before they
//! are committed. `turn_loop.rs` holds the consequences of an input.

mod away;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::accounts::{AccountService, Unsigned};
use super::attach::ClientSetup;
use super::background::{BackgroundClients, LINGER, Reopened};
use super::callers::Answer;
use super::client_parts::{ClientCore, OpenedClient};
use super::clients::{Clients, FinishedTask, Next};
use super::clock::Clock;
use super::engine_ports::{ClaimedWriter, EnginePorts, MissedAnswer, Signed};
use super::inbox::Asked;
use super::mailbox::Command;
use super::outward::Outward;
use super::ports::Ports;
use super::sockets::{Failures, Sockets};
use super::store_handle::OpenStore;
use super::turn_loop::{TurnLoop, TurnProgress};
use super::unsent::none_unsent;
use super::uploads::{FinishedStep, Uploads};
use crate::model::{ClientId, UnsentWork};
use crate::net::Transport;
use crate::store::StoreKey;
use crate::sync::link::{LinkInput, LinkOptions};
use crate::threads::Threads;
use crate::wire::{self, Encoding, Subprotocol};
use crate::{Config, OfflineMode, PayloadEncoding, SampanError};

/// How many inputs are taken before all that follows from them is carried out, and how many calls
/// meanwhile.
const INPUTS_MAX: usize = 256;

/// The loop's state. One thread owns it.
pub(super) struct Driver {
    config: Config,
    mailbox: mpsc::Receiver<Command>,
    turns: TurnLoop<EnginePorts>,
    outward: Outward,
    clients: Clients,
    /// Clients whose stores are shut.
    background: BackgroundClients,
    /// The threads that open and close files.
    files: Threads,
    lifecycle: Lifecycle,
}

/// The app's state: in the foreground, in the background, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    Foreground,
    /// In the background, where stores are shut; those that were opened again are so at the time.
    Background {
        shut_at: Option<Duration>,
    },
}

/// An input of the loop.
enum Input {
    Command(Command),
    Link(LinkInput),
    Signed(Signed),
    Missed(MissedAnswer),
    Uploaded(FinishedStep),
    Reopened(Box<Reopened>),
    Client(FinishedTask),
    /// A time that somebody asked for has come.
    Timer,
}

/// The loop's decision after an input: go on, or stop.
enum Flow {
    Continue,
    Stop(Option<Answer<()>>),
}

impl Driver {
    pub(super) fn new(
        config: Config,
        transport: Arc<dyn Transport>,
        mailbox: mpsc::Receiver<Command>,
        outward: Outward,
        files: Threads,
    ) -> Self {
        let Outward {
            board,
            publisher,
            callers,
            ..
        } = outward.clone();
        let clients = Clients::new(config.clone(), files.clone(), callers.clone());
        let options = LinkOptions {
            app_id: config.app_id.clone(),
            server: config.server.clone(),
            subprotocol: subprotocol(&config),
            limits: config.limits.clone(),
        };
        let ports = EnginePorts {
            clock: Clock::start(),
            uploads: Uploads::new(&config, Arc::clone(&transport)),
            accounts: AccountService::new(&config, Arc::clone(&transport)),
            sockets: Sockets::new(
                transport,
                config.app_id.clone(),
                config.limits.clone(),
                Failures::new(Arc::clone(&board), publisher.clone()),
            ),
            signing: JoinSet::new(),
            missing: JoinSet::new(),
            callers,
            publisher,
            board,
            clients: BTreeMap::new(),
        };
        let mut turns = TurnLoop::new(ports, options);
        turns.set_disk_budget(config.disk_budget);
        Self {
            mailbox,
            turns,
            outward,
            clients,
            background: BackgroundClients::new(files.clone()),
            files,
            lifecycle: Lifecycle::Foreground,
            config,
        }
    }

    /// Runs until the API asks for the end or is gone.
    pub(super) async fn run(mut self) {
        let done = loop {
            let mut input = Some(self.wait().await);
            let mut flow = Flow::Continue;
            let mut taken = 0;
            while let Some(next) = input {
                flow = self.take(next);
                taken += 1;
                let full = taken >= INPUTS_MAX || matches!(flow, Flow::Stop(_));
                input = if full { None } else { self.next_waiting() };
            }
            self.background.retry_due(self.turns.ports().now());
            flow = self.work_until_idle(flow);
            self.shut_if_due();
            if let Flow::Stop(done) = flow {
                break done;
            }
        };
        self.turns.flush_all();
        self.turns.work_until_idle();
        let sockets = &mut self.turns.ports_mut().sockets;
        sockets.disconnect_any();
        sockets.goodbye().await;
        self.outward.end();
        let Self {
            mailbox,
            turns,
            background,
            clients,
            ..
        } = self;
        // The stores close before the callers hear of it. Calls that wait are dropped, which says that
        // the engine is closed.
        drop(turns.into_ports());
        drop(background);
        clients.end().await;
        for done in done.into_iter().chain(other_ends(mailbox)) {
            // A caller that left is not told.
            let _ = done.send(());
        }
    }

    /// Carries out all that follows. Calls that come meanwhile are taken up between two commits.
    fn work_until_idle(&mut self, mut flow: Flow) -> Flow {
        self.turns.fire_timers();
        let mut left = INPUTS_MAX;
        while self.turns.turn() == TurnProgress::Made {
            let takes_more = left > 0 && matches!(flow, Flow::Continue);
            if takes_more && let Ok(command) = self.mailbox.try_recv() {
                flow = self.obey(command);
                left -= 1;
            }
        }
        flow
    }

    /// Waits for the next input. With no timer armed, an idle engine sleeps.
    async fn wait(&mut self) -> Input {
        let deadline = self.deadline();
        let EnginePorts {
            clock,
            sockets,
            signing,
            missing,
            uploads,
            ..
        } = self.turns.ports_mut();
        let pause = deadline.map(|at| at.saturating_sub(clock.elapsed()));
        tokio::select! {
            command = self.mailbox.recv() => match command {
                Some(command) => Input::Command(command),
                None => Input::Command(Command::Shutdown { done: None }),
            },
            input = sockets.next() => Input::Link(input),
            Some(Ok(signed)) = signing.join_next() => Input::Signed(signed),
            Some(Ok(missed)) = missing.join_next() => Input::Missed(missed),
            finished = uploads.next() => Input::Uploaded(finished),
            reopened = self.background.next() => Input::Reopened(Box::new(reopened)),
            finished = self.clients.next() => Input::Client(finished),
            () = sleep(pause.unwrap_or_default()), if pause.is_some() => Input::Timer,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let shut_at = match self.lifecycle {
            Lifecycle::Background { shut_at } => shut_at,
            Lifecycle::Foreground => None,
        };
        let times = [self.turns.deadline(), shut_at, self.background.deadline()];
        times.into_iter().flatten().min()
    }

    /// The next input that is there already.
    fn next_waiting(&mut self) -> Option<Input> {
        if let Ok(command) = self.mailbox.try_recv() {
            return Some(Input::Command(command));
        }
        let ports = self.turns.ports_mut();
        if let Some(input) = ports.sockets.try_next() {
            return Some(Input::Link(input));
        }
        if let Some(reopened) = self.background.try_next() {
            return Some(Input::Reopened(Box::new(reopened)));
        }
        if let Some(finished) = self.clients.try_next() {
            return Some(Input::Client(finished));
        }
        if let Some(finished) = ports.uploads.try_next() {
            return Some(Input::Uploaded(finished));
        }
        if let Some(Ok(missed)) = ports.missing.try_join_next() {
            return Some(Input::Missed(missed));
        }
        match ports.signing.try_join_next() {
            Some(Ok(signed)) => Some(Input::Signed(signed)),
            Some(Err(_)) | None => None,
        }
    }

    /// Hands one input to whom it concerns.
    fn take(&mut self, input: Input) -> Flow {
        match input {
            Input::Command(command) => return self.obey(command),
            Input::Link(input) => self.turns.link(input),
            Input::Signed((slot, effect, outcome)) => match outcome {
                Ok(signature) => self.turns.signed(slot, effect, Ok(signature)),
                Err(Unsigned::Later(reason)) => self.turns.signed(slot, effect, Err(reason)),
                Err(Unsigned::Refused(code, reason)) => {
                    self.turns.account_refused(slot, effect, (code, reason));
                }
            },
            Input::Missed((slot, effect, told)) => self.turns.missed(slot, effect, told),
            Input::Uploaded((slot, effect, outcome)) => self.turns.uploaded(slot, effect, outcome),
            Input::Reopened(reopened) => self.reopened(*reopened),
            Input::Client(finished) => self.finished(finished),
            // The timers are looked at in every turn anyway.
            Input::Timer => {}
        }
        Flow::Continue
    }

    fn obey(&mut self, command: Command) -> Flow {
        match command {
            Command::Open {
                client,
                options,
                done,
            } => self.clients.open(client, *options, done),
            Command::Request {
                client,
                request,
                done,
            } => {
                // A client whose store is shut has it opened for the call. A client that is not here
                // is closed: the answer's sender says so when it is dropped.
                if self.turns.has(&client) {
                    drop(self.turns.call(&client, *request, done));
                } else {
                    self.defer(Command::Request {
                        client,
                        request,
                        done,
                    });
                }
            }
            Command::Import { client, done } => self.import(client, done),
            Command::Compact { client, done } => self.compact(client, done),
            Command::ChangeKey {
                client,
                old,
                new,
                done,
            } => {
                if self.turns.has(&client) {
                    // A caller that left is not told.
                    let _ = done.send(self.change_key(&client, &old, &new));
                } else {
                    self.defer(Command::ChangeKey {
                        client,
                        old,
                        new,
                        done,
                    });
                }
            }
            Command::Wake { client, done } => {
                if self.turns.has(&client) {
                    // A caller that left is not told.
                    drop(done.send(Ok(())));
                } else {
                    self.background.wake(&client, done);
                }
            }
            Command::SignOut {
                core,
                after,
                unsent,
                done,
            } => match self.may_sign_out(&core, unsent) {
                Ok(()) => {
                    if self.clients.sign_out(&core, after, done) {
                        self.give_up(&core);
                    }
                }
                // A caller that left is not told.
                Err(error) => drop(done.send(Err(error))),
            },
            Command::WipeAccount { folder, done } => self.clients.wipe_account(&folder, done),
            Command::Wish { core } => self.read_wish(core),
            Command::Network(hint) => self.turns.link(LinkInput::Network(hint)),
            Command::Pause { done } => self.pause(done),
            Command::Resume => self.resume(),
            Command::Shutdown { done } => return Flow::Stop(done),
        }
        Flow::Continue
    }

    /// Unsent work may have come after the app's call had looked. A closed store still has the work that it had
    /// when it was closed.
    fn may_sign_out(&mut self, core: &ClientCore, unsent: UnsentWork) -> Result<(), SampanError> {
        if unsent == UnsentWork::Refuse {
            self.turns.work_until_idle();
            if let Ok(access) = core.store.read() {
                return none_unsent(&access.store().snapshot());
            }
        }
        Ok(())
    }

    /// The app said whether it wants a client to be online. One whose store is shut has it opened.
    fn read_wish(&mut self, core: Arc<ClientCore>) {
        let parts = self.turns.ports_mut().clients.get(&core.id);
        match parts {
            Some(parts) if Arc::ptr_eq(&parts.core, &core) => {}
            // Another client has the id by now: this one is closed.
            Some(_) => return,
            None => return self.defer(Command::Wish { core }),
        }
        for request in core.board.wish.read() {
            // Nobody waits for the answer: the session's state tells.
            let (done, _) = oneshot::channel();
            drop(self.turns.call(&core.id, request, done));
        }
    }

    /// A client signs out: the loop lets go of everything that it has of the client.
    fn give_up(&mut self, core: &Arc<ClientCore>) {
        self.background.forget(&core.id);
        self.turns.sign_out(&core.id);
        self.turns.ports_mut().clients.remove(&core.id);
        self.outward.closed(core);
        self.clients.given_up(core);
    }

    /// A client was opened or closed beside the loop.
    fn finished(&mut self, finished: FinishedTask) {
        if let Next::Attach(opened, core, waiting) = self.clients.finished(finished) {
            self.attach(*opened);
            for done in waiting {
                // A caller that left is not told.
                let _ = done.send(Ok(Arc::clone(&core)));
            }
        }
    }

    /// Opens a client's store for a command that needs it, and keeps the command until then. Those
    /// of a client that is not here are dropped with their answers: it is closed.
    fn defer(&mut self, command: Command) {
        if let Some(client) = command.client().cloned() {
            self.background.defer(&client, command);
        }
    }

    fn import(&mut self, client: ClientId, done: Asked) {
        match self.turns.ports_mut().clients.get_mut(&client) {
            Some(parts) => {
                parts.imports.wait(done);
                self.turns.import(&client);
            }
            None => self.defer(Command::Import { client, done }),
        }
    }

    fn compact(&mut self, client: ClientId, done: Answer<Result<(), SampanError>>) {
        match self.turns.ports_mut().clients.get_mut(&client) {
            Some(parts) => {
                parts.compactions.push(done);
                self.turns.compact(&client);
            }
            None => self.defer(Command::Compact { client, done }),
        }
    }

    /// Changes the key of a store, and of the inbox with it.
    fn change_key(
        &mut self,
        client: &ClientId,
        old: &StoreKey,
        new: &StoreKey,
    ) -> Result<(), SampanError> {
        if let Some(writer) = self.turns.changing_key(client) {
            writer.writer.change_key(old, new)?;
        }
        if let Some(parts) = self.turns.ports_mut().clients.get_mut(client) {
            parts.imports.change_key(new);
            if let Some(inbox) = &parts.core.inbox {
                let mut inbox = inbox.lock().unwrap_or_else(PoisonError::into_inner);
                inbox.change_key(new.clone());
            }
            let mut key = parts.key.lock().unwrap_or_else(PoisonError::into_inner);
            *key = Some(new.clone());
        }
        Ok(())
    }

    /// Lets a client take part that was opened in memory.
    #[cfg(test)]
    pub(super) fn admit(&mut self, opened: OpenedClient) {
        self.clients.add(&opened.parts.core);
        self.attach(opened);
    }

    /// Lets a client take part. In the background its store is shut again soon.
    fn attach(&mut self, opened: OpenedClient) {
        let now = self.turns.ports().now();
        if let Lifecycle::Background { shut_at } = &mut self.lifecycle {
            shut_at.get_or_insert(now.elapsed + LINGER);
        }
        let OpenedClient { parts, open } = opened;
        self.outward.opened(&parts.core);
        let OpenStore {
            store,
            writer,
            store_use,
        } = open;
        let setup = ClientSetup {
            client: parts.core.id.clone(),
            tag: parts.core.tag.clone(),
            device_id: parts.core.device_id.clone(),
            signing: parts.signing(),
            limits: self.config.limits.clone(),
            wishes: parts.wishes.clone(),
            store,
            writer: ClaimedWriter { writer, store_use },
        };
        let clients = &mut self.turns.ports_mut().clients;
        clients.insert(parts.core.id.clone(), parts);
        self.turns.attach(setup);
    }
}

/// The callers who asked for the end too, while it came.
fn other_ends(mut mailbox: mpsc::Receiver<Command>) -> Vec<Answer<()>> {
    mailbox.close();
    let commands = std::iter::from_fn(|| mailbox.try_recv().ok());
    let ends = commands.filter_map(|command| match command {
        Command::Shutdown { done } => done,
        _ => None,
    });
    ends.collect()
}

/// The subprotocol that the configuration asks for.
const fn subprotocol(config: &Config) -> Subprotocol {
    Subprotocol {
        encoding: match config.payload {
            PayloadEncoding::Binary => Encoding::Binary,
            PayloadEncoding::Text => Encoding::Text,
        },
        offline_mode: match config.offline_mode {
            OfflineMode::Unread => wire::OfflineMode::Unread,
            OfflineMode::Push => wire::OfflineMode::Push,
        },
    }
}

#[cfg(test)]
mod tests;

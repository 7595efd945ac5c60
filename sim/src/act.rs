//! What apps do in the world, and what strikes it.

use std::time::Duration;

use sampan::model::{
    ClientId, Content, ConversationId, ConversationInfo, ConversationState, LocalId, Mentions,
    NewConversation, NewMessage, OutboxEntryId, Uniqueness,
};
use sampan::store::{Dropped, Intent, Position, SendIntent, TimelineItem};
use sampan::sync::link::LinkInput;
use sampan::sync::{Request, SignIn};
use sampan::wire::{CloseCode, Command, Envelope};

use crate::action::Action;
use crate::desk::{Backup, Desk, SlowDisk};
use crate::dice::nth;
use crate::drive::OFF;
use crate::fault::Fault;
use crate::ledger::Call;
use crate::mirror::whole_timeline;
use crate::server::Broken;
use crate::world::{Happening, World};

impl World {
    /// An app does something, or a user at another program.
    pub(crate) fn act(&mut self, number: usize) -> Result<(), Broken> {
        let Some(action) = self.plan.actions.get(number).map(|at| at.what) else {
            return Ok(());
        };
        let bytes = number.to_le_bytes();
        self.trace
            .note(self.now, "act", number, &bytes, || format!("{action:?}"));
        match action {
            Action::Connect { device } => {
                let mode = SignIn::TakeOver;
                self.call(device, Request::Connect { mode }, Call::Other)
            }
            Action::Disconnect { device } => self.call(device, Request::Disconnect, Call::Other),
            Action::CreateUnique { device, pick } => {
                self.create(device, Some(pick), Uniqueness::Unique)
            }
            Action::CreateSeparate { device } => self.create(device, None, Uniqueness::Separate),
            Action::Send {
                device,
                pick,
                many,
                calling,
            } => self.send(device, pick, many, calling),
            Action::MarkRead { device, pick } => {
                let until = None;
                self.on_conversation(device, pick, |conversation| Request::MarkRead {
                    conversation,
                    until,
                })
            }
            Action::FetchHistory {
                device,
                pick,
                limit,
            } => self.fetch_history(device, pick, limit),
            Action::Focus { device, pick } => {
                self.on_conversation(device, pick, |it| Request::Focus {
                    conversation: Some(it),
                })
            }
            Action::FetchReceipts { device, pick } => {
                self.on_conversation(device, pick, |conversation| Request::FetchReceipts {
                    conversation,
                })
            }
            Action::Retry { device, pick } => match self.entry(device, pick) {
                Some(entry) => {
                    self.call(device, Request::RetryEntry { entry }, Call::Retry { entry })
                }
                None => Ok(()),
            },
            Action::Discard { device, pick } => match self.entry(device, pick) {
                Some(entry) => self.call(
                    device,
                    Request::DiscardEntry { entry },
                    Call::Discard {
                        entry,
                        message: self.message_of(device, entry),
                    },
                ),
                None => Ok(()),
            },
            Action::Leave { device, pick, many } => {
                self.leave(device, pick, many);
                Ok(())
            }
            Action::Import { device } => {
                let engine = self.engine_of(device);
                let client = self.desks.get(device).map(|it| it.client().clone());
                match client {
                    Some(client) => self.with_engine(engine, |it, now| it.import(now, &client)),
                    None => Ok(()),
                }
            }
            Action::FetchConversations { device, pick } => self.fetch_conversations(device, pick),
            Action::FreshToken { device } => self.call(device, Request::FreshToken, Call::Other),
            Action::Suspend { device, lasting } => self.suspend(device, lasting),
            other => self.other_acts(other),
        }
    }

    /// A number that no other has, for words and names.
    pub(crate) fn fresh(&mut self) -> u64 {
        self.fresh += 1;
        self.fresh
    }

    /// All users but one: those with devices, and the one without.
    fn all_but(&self, client: &ClientId) -> Result<Vec<ClientId>, Broken> {
        let mut users = Vec::new();
        for user in 0..=self.plan.shape.users {
            users.push(Self::user_name(user)?);
        }
        users.retain(|user| user != client);
        Ok(users)
    }

    fn create(
        &mut self,
        device: usize,
        pick: Option<u64>,
        uniqueness: Uniqueness,
    ) -> Result<(), Broken> {
        let Some(client) = self.desks.get(device).map(|it| it.client().clone()) else {
            return Ok(());
        };
        let others = self.all_but(&client)?;
        let members = match pick.and_then(|pick| nth(&others, pick)) {
            Some(one) => vec![one.clone()],
            None => others,
        };
        let name = format!("c{}", self.fresh());
        let conversation = NewConversation {
            members,
            name: Some(name.clone()),
            uniqueness,
            ..NewConversation::default()
        };
        let call = match uniqueness {
            Uniqueness::Unique => Call::CreateUnique,
            Uniqueness::Separate => Call::Create { name },
        };
        self.call(device, Request::CreateConversation { conversation }, call)
    }

    fn send(&mut self, device: usize, pick: u64, many: u8, calling: bool) -> Result<(), Broken> {
        let usable = |info: &ConversationInfo| {
            matches!(
                info.state,
                ConversationState::Live | ConversationState::Creating
            )
        };
        let mut conversations = self.conversations(device);
        conversations.retain(usable);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let conversation = info.id.clone();
        for _ in 0..many {
            let number = self.fresh();
            let words = format!("d{device}.{number}");
            let message = NewMessage {
                mentions: Mentions {
                    all: calling,
                    clients: Vec::new(),
                },
                ..NewMessage::new(Content::text(words.clone()))
            };
            let conversation = conversation.clone();
            let request = Request::SendMessage {
                conversation,
                message,
            };
            self.call(device, request, Call::Send { words, number })?;
        }
        Ok(())
    }

    /// What the app shows as its list of conversations.
    fn conversations(&self, device: usize) -> Vec<ConversationInfo> {
        let store = self.desks.get(device).and_then(Desk::store);
        let page = store.and_then(|store| store.snapshot().conversations(None, 100).ok());
        let listed = page.map(|page| page.conversations).unwrap_or_default();
        listed.into_iter().map(|(_, info)| info).collect()
    }

    fn on_conversation(
        &mut self,
        device: usize,
        pick: u64,
        request: impl FnOnce(ConversationId) -> Request,
    ) -> Result<(), Broken> {
        let conversations = self.conversations(device);
        match nth(&conversations, pick) {
            Some(info) => self.call(device, request(info.id.clone()), Call::Other),
            None => Ok(()),
        }
    }

    /// The app pages back: behind its newest gap, else behind the oldest message it holds.
    fn fetch_history(&mut self, device: usize, pick: u64, limit: u32) -> Result<(), Broken> {
        let conversations = self.conversations(device);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let before = self.gap_of(device, &info.id);
        let conversation = info.id.clone();
        let request = Request::FetchHistory {
            conversation,
            before,
            limit,
        };
        self.call(device, request, Call::Other)
    }

    fn gap_of(&self, device: usize, conversation: &ConversationId) -> Option<Position> {
        let store = self.desks.get(device)?.store()?;
        let snapshot = store.snapshot();
        let number = snapshot.number(conversation).ok()??;
        let items = whole_timeline(&snapshot, number).ok()?;
        items.into_iter().rev().find_map(|item| match item {
            TimelineItem::Gap(gap) => gap.newer,
            _ => None,
        })
    }

    fn entry(&self, device: usize, pick: u64) -> Option<OutboxEntryId> {
        let store = self.desks.get(device)?.store()?;
        let entries: Vec<_> = store.snapshot().outbox();
        nth(&entries, pick).map(|entry| entry.id)
    }

    fn message_of(&self, device: usize, entry: OutboxEntryId) -> Option<LocalId> {
        let store = self.desks.get(device)?.store()?;
        let entries = store.snapshot().outbox();
        let found = entries.iter().find(|it| it.id == entry)?;
        found.local_id().cloned()
    }

    /// Another process of the app leaves messages in the inbox; the engine is not told.
    fn leave(&mut self, device: usize, pick: u64, many: u8) {
        let mut conversations = self.conversations(device);
        conversations.retain(|info| info.state == ConversationState::Live);
        let (Some(info), Some(desk)) = (nth(&conversations, pick), self.desks.get(device)) else {
            return;
        };
        let inbox = desk.inbox.clone();
        let now = self.engine_now(self.engine_of(device));
        for _ in 0..many {
            let number = self.fresh();
            let words = format!("x{device}.{number}");
            let work = Dropped {
                conversation: info.id.clone(),
                token: self.dice.source().local_id(),
                dropped_at: now.wall,
                intent: Intent::Send(SendIntent {
                    content: Content::text(words.clone()),
                    mentions: Mentions::default(),
                    receipt: false,
                    transient: false,
                    push: None,
                }),
            };
            self.ledger.left(device, number, words, &work);
            inbox.leave(work);
        }
    }

    fn fetch_conversations(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let truth = self.server.truth()?;
        let ids: Vec<_> = truth.conversations.into_keys().collect();
        match nth(&ids, pick).cloned() {
            Some(id) => {
                let conversations = vec![id];
                let request = Request::FetchConversations { conversations };
                self.call(device, request, Call::Other)
            }
            None => Ok(()),
        }
    }

    /// Something goes wrong.
    pub(crate) fn strike(&mut self, number: usize) -> Result<(), Broken> {
        let Some(fault) = self.plan.faults.get(number).map(|at| at.what) else {
            return Ok(());
        };
        let bytes = number.to_le_bytes();
        self.trace
            .note(self.now, "fault", number, &bytes, || format!("{fault:?}"));
        self.counts.faults += 1;
        match fault {
            Fault::Break { device } => {
                for id in self.network.all_of(self.engine_of(device)) {
                    self.close_down(id, None);
                    self.lose(id)?;
                }
            }
            Fault::Close { device, code } => {
                for id in self.network.all_of(self.engine_of(device)) {
                    self.close_down(id, Some(CloseCode(code)));
                    self.lose(id)?;
                }
            }
            Fault::HalfOpen { device } => self.deafen(device),
            Fault::Split { device, lasting } => {
                self.deafen(device);
                let until = self.now + lasting;
                self.weather(device, |weather| weather.split_until = until);
            }
            Fault::Kick { device } => self.kick(device)?,
            Fault::GoAway { device } => {
                for id in self.network.all_of(self.engine_of(device)) {
                    self.send_down(id, Envelope::new(Command::Goaway));
                }
            }
            Fault::Hint { device, hint } => {
                let engine = self.engine_of(device);
                self.with_engine(engine, |it, now| it.link(now, LinkInput::Network(hint)))?;
            }
            Fault::Router { trouble, lasting } => {
                self.router_trouble = Some((trouble, self.now + lasting));
            }
            Fault::RefuseHandshakes { lasting } => self.refuse_until = self.now + lasting,
            Fault::ServiceCrash { lasting } => self.crash_service(lasting),
            Fault::ServiceCrashAtCommit { part, lasting } => {
                self.service_crash_at_commit = Some((part, lasting));
            }
            Fault::ServiceDiskFull => self.service_disk_full = true,
            Fault::ServiceClockJump { seconds } => self.service_skew += i64::from(seconds),
            other => return self.strike_device(other),
        }
        Ok(())
    }

    /// Faults of a device's line, disk, clock and power.
    fn strike_device(&mut self, fault: Fault) -> Result<(), Broken> {
        let now = self.now;
        match fault {
            Fault::Lag {
                device,
                lag,
                lasting,
            } => self.weather(device, |weather| {
                weather.lag = lag;
                weather.lag_until = now + lasting;
            }),
            Fault::Reorder { device, lasting } => {
                self.weather(device, |weather| weather.reorder_until = now + lasting);
            }
            Fault::Duplicate { device, lasting } => {
                self.weather(device, |weather| weather.duplicate_until = now + lasting);
            }
            Fault::Ignore { device, lasting } => {
                self.weather(device, |weather| weather.ignore_until = now + lasting);
            }
            Fault::Mute { device, lasting } => {
                self.weather(device, |weather| weather.mute_until = now + lasting);
            }
            Fault::Refuse {
                device,
                code,
                lasting,
            } => self.weather(device, |weather| {
                weather.refuse = code;
                weather.refuse_until = now + lasting;
            }),
            Fault::RefuseSignIn {
                device,
                code,
                lasting,
            } => self.weather(device, |weather| {
                weather.refuse_sign_in = code;
                weather.refuse_sign_in_until = now + lasting;
            }),
            Fault::ForgetToken { device } => {
                self.weather(device, |weather| weather.forget_token = true);
            }
            Fault::SlowDisk {
                device,
                pause,
                lasting,
            } => self.weather(device, |weather| {
                let until = now + lasting;
                weather.slow_disk = SlowDisk { pause, until };
            }),
            Fault::Crash { device } => {
                let engine = self.engine_of(device);
                self.cut_power(engine)?;
                self.plan_for(now + OFF, Happening::Boot(engine));
            }
            Fault::CrashAt {
                device,
                moment,
                after,
            } => {
                let engine = self.engine_of(device);
                if let Some(it) = self.engines.get_mut(engine) {
                    it.crash_at = Some((moment, after));
                }
            }
            Fault::CrashAtWrite { device, after } => {
                let engine = self.engine_of(device);
                if let Some(it) = self.engines.get_mut(engine) {
                    it.crash_on_failure = true;
                }
                self.break_disk(device, after);
            }
            Fault::DiskFull {
                device,
                after,
                lasting,
            } => {
                self.break_disk(device, after);
                self.plan_for(now + lasting, Happening::MendDisk(device));
            }
            Fault::Backup { device } => {
                let place = self.ledger.place();
                if let Some(it) = self.desks.get_mut(device) {
                    it.backup = Some(Backup {
                        disk: it.disk.duplicate(),
                        left: it.inbox.all(),
                        place,
                    });
                }
            }
            Fault::Restore { device } => self.restore(device)?,
            Fault::ClockJump { device, seconds } => {
                let engine = self.engine_of(device);
                if let Some(it) = self.engines.get_mut(engine) {
                    it.skew += seconds;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn weather(&mut self, device: usize, change: impl FnOnce(&mut crate::network::Weather)) {
        let engine = self.engine_of(device);
        if let Some(weather) = self.network.weather.get_mut(engine) {
            change(weather);
        }
    }

    fn break_disk(&self, device: usize, after: u64) {
        if let Some(desk) = self.desks.get(device) {
            desk.break_disk(Some(after));
        }
    }

    fn deafen(&mut self, device: usize) {
        let engine = self.engine_of(device);
        let sockets = self.network.sockets.values_mut();
        for socket in sockets.filter(|socket| socket.engine == engine) {
            socket.deaf = true;
        }
    }

    pub(crate) fn crash_service(&mut self, lasting: Duration) {
        if !self.server.is_up() {
            return;
        }
        self.server.stop();
        self.others.clear();
        let sockets: Vec<_> = self.network.sockets.keys().copied().collect();
        for id in sockets {
            self.close_down(id, None);
            self.network.sockets.remove(&id);
        }
        self.plan_for(self.now + lasting, Happening::ServiceUp);
    }

    /// The device's files become those of the copy. What it promised since is lost with them.
    fn restore(&mut self, device: usize) -> Result<(), Broken> {
        let Some(copy) = self.desks.get(device).and_then(|it| it.backup.clone()) else {
            return Ok(());
        };
        let engine = self.engine_of(device);
        self.cut_power(engine)?;
        if let Some(it) = self.desks.get_mut(device) {
            it.disk = copy.disk.duplicate();
            it.inbox.replace(copy.left);
            it.forget_acknowledged();
        }
        self.ledger.overwritten(device, copy.place);
        self.plan_for(self.now + OFF, Happening::Boot(engine));
        Ok(())
    }
}

//! The world of the scenarios: devices, a model service, a network that fails on demand, and a
//! clock that jumps from event to event.
//!
//! A device does what the runtime does: drain, commit, send. A frame is lost only with its
//! connection, as over TCP.

mod device;
mod outside;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::service::{Outgoing, Service, Socket};
use crate::model::{
    AppId, ClientId, ConversationId, DeviceTag, LocalId, MessageContent, MessageKey, MessageState,
    NewConversation, NewMessage, Now, OutboxEntryId, SessionState, Timestamp, Uniqueness,
};
use crate::store::{
    Dropped, Intent, MemoryDisk, Opened, Position, ReadIntent, Store, Tended, TimelineItem, Upload,
    Writer,
};
use crate::sync::link::{
    ClientSlot, ConnectionNumber, Link, LinkInput, LinkOptions, NetworkChange,
};
use crate::sync::{
    Call, Caller, Client, ClientInput, ClientSettings, Connect, CreateConversation, Done,
    EditMessage, EffectId, FetchHistory, HistoryFetched, Import, MarkRead, OperationSignature,
    Randomness, RecallMessage, Reply, Request, RequestError, RequestId, SendMessage, SignIn,
    Signing,
};
use crate::wire::{Direction, Encoding, Envelope, Frame, Subprotocol};
use crate::{Limits, Secret, ServerAddress};

const SLOT: ClientSlot = ClientSlot(1);

/// The wall clock at the beginning of every world.
const EPOCH: i64 = 1_700_000_000_000;

/// One of the world's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Device(pub(super) usize);

pub(super) struct World {
    now: Duration,
    pub(super) service: Service,
    machines: Vec<Machine>,
    events: BTreeMap<(Duration, u64), Happening>,
    last_event: u64,
    randomness: Randomness,
    limits: Limits,
}

/// A device: a client with its store, and a link.
struct Machine {
    name: String,
    tag: Option<DeviceTag>,
    disk: MemoryDisk,
    opened: Option<(Store, Writer)>,
    client: Option<Client>,
    link: Link,
    client_wake: Option<Duration>,
    link_wake: Option<Duration>,
    network: Reach,
    /// The open socket, and until when each direction is busy: frames keep their order.
    socket: Option<(ConnectionNumber, Duration, Duration)>,
    answers: BTreeMap<RequestId, Result<Reply, RequestError>>,
    last_request: u64,
    /// How many frames the device sent in all.
    sent: usize,
    transient: Vec<String>,
    /// The clients that write, in any conversation.
    writers: Vec<String>,
    signer: Signer,
    /// The files in the spool.
    spool: BTreeSet<String>,
    ended_uploads: BTreeSet<EffectId>,
    /// How often it was started.
    life: u64,
}

/// The behaviour of an app's signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// There is none.
    Absent,
    Signs,
    Fails,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Reachable,
    Unreachable,
    /// The next frames from the service are lost, and the connection with them.
    LosesAnswers,
}

/// A frame that was held back.
#[derive(Debug)]
pub(super) struct Held(Happening);

#[derive(Debug)]
enum Happening {
    ToService(Device, ConnectionNumber, Frame<'static>),
    ToDevice(Device, ConnectionNumber, Frame<'static>),
    Connected(Device, ConnectionNumber),
    Disconnected(Device, ConnectionNumber),
    Signed(Device, EffectId),
    /// The step of an upload of this life of the machine reached the storage.
    Uploaded(Device, u64, EffectId, Box<Upload>),
}

impl World {
    pub(super) fn seeded(seed: u64) -> Self {
        Self::with_limits(seed, Limits::default())
    }

    pub(super) fn with_limits(seed: u64, limits: Limits) -> Self {
        Self {
            now: Duration::ZERO,
            service: Service::default(),
            machines: Vec::new(),
            events: BTreeMap::new(),
            last_event: 0,
            randomness: Randomness::seeded(seed),
            limits,
        }
    }

    /// Devices of these clients, online and settled.
    pub(super) fn devices<const N: usize>(&mut self, names: [&str; N]) -> [Device; N] {
        let devices = names.map(|name| self.device(name, None));
        for device in devices {
            self.connect(device);
        }
        self.settle();
        devices
    }

    /// A device that was never online.
    pub(super) fn device(&mut self, name: &str, tag: Option<&str>) -> Device {
        let device = Device(self.machines.len());
        let link = self.new_link();
        self.machines.push(Machine {
            name: name.to_owned(),
            tag: tag.map(|tag| DeviceTag::new(tag).unwrap()),
            disk: MemoryDisk::new(self.randomness.next_u64()),
            opened: None,
            client: None,
            link,
            client_wake: None,
            link_wake: None,
            network: Reach::Reachable,
            socket: None,
            answers: BTreeMap::new(),
            last_request: 0,
            sent: 0,
            transient: Vec::new(),
            writers: Vec::new(),
            signer: Signer::Absent,
            spool: BTreeSet::new(),
            ended_uploads: BTreeSet::new(),
            life: 0,
        });
        self.boot(device);
        device
    }

    /// Gives the app a signer, or another one, and starts it anew if it had none.
    pub(super) fn set_signer(&mut self, device: Device, signer: Signer) {
        let before = std::mem::replace(&mut self.machines[device.0].signer, signer);
        if before == Signer::Absent {
            self.crash(device);
        }
    }

    fn new_link(&mut self) -> Link {
        let options = LinkOptions {
            app_id: AppId::new("app").unwrap(),
            server: ServerAddress::Socket {
                url: "wss://service".into(),
            },
            subprotocol: Subprotocol::DEFAULT,
            limits: self.limits.clone(),
        };
        Link::new(options, Randomness::seeded(self.randomness.next_u64()))
    }

    /// Opens the store and builds the machines from it.
    fn boot(&mut self, device: Device) {
        let link = self.new_link();
        let seed = self.randomness.next_u64();
        let limits = self.limits.clone();
        let machine = &mut self.machines[device.0];
        let client = ClientId::new(&machine.name).unwrap();
        let Opened { store, writer, .. } = Store::in_memory(&machine.disk, client.clone()).unwrap();
        let signing = match machine.signer {
            Signer::Absent => Signing::Unsigned,
            Signer::Signs | Signer::Fails => Signing::Signed,
        };
        let settings = ClientSettings {
            device_id: None,
            client: client.clone(),
            tag: machine.tag.clone(),
            user_agent: "sampan/test".to_owned(),
            signing,
            limits,
        };
        machine.client = Some(Client::rebuild(settings, &store, Randomness::seeded(seed)));
        machine.opened = Some((store, writer));
        machine.link = link;
        machine.client_wake = None;
        machine.link_wake = None;
        machine.ended_uploads.clear();
        machine.life += 1;
        self.link(device, LinkInput::Attach { slot: SLOT, client });
    }

    // The apps' acts.

    /// A call that is answered at once, later, or never.
    pub(super) fn call<C: Call>(&mut self, device: Device, call: C) -> Caller<C::Answer> {
        let machine = &mut self.machines[device.0];
        machine.last_request += 1;
        let id = RequestId(machine.last_request);
        let caller = Caller::of(&call, id);
        let request = call.into();
        self.client(device, vec![ClientInput::Requested { id, request }]);
        caller
    }

    pub(super) fn answer<A: TryFrom<Reply, Error = Reply>>(
        &self,
        device: Device,
        caller: Caller<A>,
    ) -> Option<Result<A, RequestError>> {
        let answer = self.machines[device.0].answers.get(&caller.id())?.clone();
        Some(answer.map(|reply| A::try_from(reply).expect("an answer to this call")))
    }

    /// A call that is answered at once.
    pub(super) fn ask<C: Call>(
        &mut self,
        device: Device,
        call: C,
    ) -> Result<C::Answer, RequestError> {
        let caller = self.call(device, call);
        self.answer(device, caller).expect("an answer at once")
    }

    pub(super) fn connect(&mut self, device: Device) {
        let mode = SignIn::TakeOver;
        self.ask(device, Connect { mode }).unwrap();
    }

    pub(super) fn create(&mut self, device: Device, members: &[&str]) -> ConversationId {
        let conversation = NewConversation {
            members: members
                .iter()
                .map(|it| ClientId::new(it).unwrap())
                .collect(),
            uniqueness: Uniqueness::Separate,
            ..NewConversation::default()
        };
        self.create_as(device, conversation)
    }

    pub(super) fn create_as(
        &mut self,
        device: Device,
        conversation: NewConversation,
    ) -> ConversationId {
        let created = self.ask(device, CreateConversation { conversation });
        created.unwrap().conversation
    }

    pub(super) fn say(
        &mut self,
        device: Device,
        conversation: &ConversationId,
        text: &str,
    ) -> (OutboxEntryId, LocalId) {
        let call = SendMessage {
            conversation: conversation.clone(),
            message: NewMessage::new(MessageContent::Plain { text: text.into() }),
        };
        let enqueued = self.ask(device, call).unwrap();
        (enqueued.entry.unwrap(), enqueued.local_id)
    }

    /// Edits a message that the device sent.
    pub(super) fn rewrite(
        &mut self,
        device: Device,
        conversation: &ConversationId,
        message: &LocalId,
        text: &str,
    ) -> Result<Done, RequestError> {
        let request = EditMessage {
            conversation: conversation.clone(),
            message: MessageKey::local(message.clone()),
            content: MessageContent::Plain { text: text.into() },
        };
        self.ask(device, request)
    }

    /// Recalls a message that the device sent.
    pub(super) fn take_back(
        &mut self,
        device: Device,
        conversation: &ConversationId,
        message: &LocalId,
    ) -> Result<Done, RequestError> {
        let request = RecallMessage {
            conversation: conversation.clone(),
            message: MessageKey::local(message.clone()),
        };
        self.ask(device, request)
    }

    pub(super) fn mark_read(&mut self, device: Device, conversation: &ConversationId) {
        let request = MarkRead {
            conversation: conversation.clone(),
            until: None,
        };
        self.ask(device, request).unwrap();
    }

    // The devices' troubles.

    /// The device loses the network; it is told at once.
    pub(super) fn partition(&mut self, device: Device) {
        self.machines[device.0].network = Reach::Unreachable;
        self.cut(device);
    }

    /// The network is back, and the operating system says so.
    pub(super) fn repair(&mut self, device: Device) {
        self.machines[device.0].network = Reach::Reachable;
        self.link(device, LinkInput::Network(NetworkChange::Back));
    }

    /// Breaks the device's connection; frames under way are lost.
    pub(super) fn cut(&mut self, device: Device) {
        let machine = &mut self.machines[device.0];
        if let Some((connection, ..)) = machine.socket.take() {
            self.service.disconnect(socket(device, connection));
            self.schedule(self.now, Happening::Disconnected(device, connection));
        }
    }

    /// The connection breaks when the service next answers: it acts, and the answer is lost.
    pub(super) fn lose_next_answer(&mut self, device: Device) {
        self.machines[device.0].network = Reach::LosesAnswers;
    }

    /// Frames from the service are that late for a while.
    pub(super) fn slow_answers(&mut self, device: Device, by: Duration) {
        if let Some((_, _, down)) = &mut self.machines[device.0].socket {
            *down = self.now + by;
        }
    }

    /// Kills the app, loses what was not synced, and starts it again, offline.
    pub(super) fn crash(&mut self, device: Device) {
        self.cut(device);
        let machine = &mut self.machines[device.0];
        machine.opened = None;
        machine.client = None;
        machine.disk.crash();
        self.boot(device);
    }

    /// A copy of the device's files, as a backup holds them.
    pub(super) fn copy_of_disk(&self, device: Device) -> MemoryDisk {
        self.machines[device.0].disk.duplicate()
    }

    /// Starts the app anew with files from a backup.
    pub(super) fn restore(&mut self, device: Device, copy: &MemoryDisk) {
        self.cut(device);
        let machine = &mut self.machines[device.0];
        machine.opened = None;
        machine.client = None;
        machine.disk = copy.duplicate();
        machine.disk.crash();
        self.boot(device);
    }

    /// Has all messages evicted from a device that may go, as under a budget that nothing can keep.
    pub(super) fn evict(&mut self, device: Device) {
        let (_, writer) = self.machines[device.0].opened.as_mut().unwrap();
        writer.set_disk_budget(Some(1));
        while writer.tend(&[]).unwrap() == Tended::More {}
        writer.set_disk_budget(None);
    }

    /// The oldest message that a device holds without a hole up to the newest.
    pub(super) fn held_from(&self, device: Device, id: &ConversationId) -> Option<Position> {
        let (store, _) = self.machines[device.0].opened.as_ref().unwrap();
        let (_, row) = store.snapshot().conversation_by_id(id).unwrap()?;
        row.history.newest().map(|span| span.from.clone())
    }

    /// Kills the app in the moment after a commit and before what follows from it, then starts it.
    pub(super) fn kill_after_commit_of(&mut self, device: Device, call: impl Into<Request>) {
        let machine = &mut self.machines[device.0];
        machine.last_request += 1;
        let id = RequestId(machine.last_request);
        let request = call.into();
        self.commit(device, vec![ClientInput::Requested { id, request }]);
        self.crash(device);
    }

    // Time.

    pub(super) fn wall(&self) -> i64 {
        EPOCH + i64::try_from(self.now.as_millis()).unwrap()
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.next_time().is_some_and(|at| at <= until) {
            self.step();
        }
        self.now = until;
    }

    /// Lets time pass until nothing is under way: ten minutes, in which heartbeats alone go on.
    pub(super) fn settle(&mut self) {
        self.pass(Duration::from_secs(600));
    }

    /// Lets a second pass: enough for frames, too little for timers.
    pub(super) fn moment(&mut self) {
        self.pass(Duration::from_secs(1));
    }

    fn next_time(&self) -> Option<Duration> {
        let wakes = self.machines.iter();
        let wakes = wakes.flat_map(|machine| [machine.client_wake, machine.link_wake]);
        let event = self.events.keys().next().map(|(at, _)| *at);
        wakes.chain([event]).flatten().min()
    }

    /// One thing happens.
    pub(super) fn step(&mut self) -> bool {
        let Some(at) = self.next_time() else {
            return false;
        };
        self.now = self.now.max(at);
        if let Some(entry) = self.events.first_entry()
            && entry.key().0 <= self.now
        {
            let happening = entry.remove();
            self.happen(happening);
            return true;
        }
        for index in 0..self.machines.len() {
            let device = Device(index);
            let machine = &mut self.machines[index];
            if machine.link_wake.is_some_and(|at| at <= self.now) {
                machine.link_wake = None;
                self.link(device, LinkInput::Woke);
                return true;
            }
            if machine.client_wake.is_some_and(|at| at <= self.now) {
                machine.client_wake = None;
                self.client(device, vec![ClientInput::Woke]);
                return true;
            }
        }
        false
    }

    /// One thing happens; true once the device's session is open.
    pub(super) fn step_until_open(&mut self, device: Device) -> bool {
        self.step();
        self.session(device) == SessionState::Open
    }

    fn schedule(&mut self, at: Duration, happening: Happening) {
        self.last_event += 1;
        self.events.insert((at, self.last_event), happening);
    }

    fn latency(&mut self) -> Duration {
        Duration::from_millis(5 + self.randomness.below(40))
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ToService(device, connection, frame) => {
                if self.is_open(device, connection) {
                    let request = frame
                        .decode(Encoding::Binary, Direction::ToService)
                        .unwrap();
                    let wall = self.wall();
                    let out = self
                        .service
                        .handle(wall, socket(device, connection), request);
                    self.deliver(out);
                }
            }
            Happening::ToDevice(device, connection, frame) => {
                if self.is_open(device, connection) {
                    self.link(device, LinkInput::Received { connection, frame });
                }
            }
            Happening::Connected(device, connection) => {
                if self.machines[device.0].network == Reach::Unreachable {
                    let close = None;
                    self.link(device, LinkInput::Disconnected { connection, close });
                    return;
                }
                self.machines[device.0].socket = Some((connection, self.now, self.now));
                let subprotocol = Some(Subprotocol::DEFAULT.name().to_owned());
                self.link(
                    device,
                    LinkInput::Connected {
                        connection,
                        subprotocol,
                    },
                );
            }
            Happening::Disconnected(device, connection) => {
                let close = None;
                self.link(device, LinkInput::Disconnected { connection, close });
            }
            Happening::Signed(device, effect) => {
                let outcome = match self.machines[device.0].signer {
                    Signer::Signs => Ok(OperationSignature {
                        signature: Secret::new("signed"),
                        timestamp: self.wall(),
                        nonce: "nonce".to_owned(),
                        allowed: None,
                    }),
                    Signer::Absent | Signer::Fails => Err("the app's server is down".to_owned()),
                };
                self.client(device, vec![ClientInput::Signed { effect, outcome }]);
            }
            Happening::Uploaded(device, life, effect, upload) => {
                self.upload_arrived(device, life, effect, &upload);
            }
        }
    }

    /// True if no client machine of the device wants to be woken by itself.
    pub(super) fn is_asleep(&self, device: Device) -> bool {
        self.machines[device.0].client_wake.is_none()
    }

    fn is_open(&self, device: Device, connection: ConnectionNumber) -> bool {
        let socket = self.machines[device.0].socket;
        socket.is_some_and(|(open, ..)| open == connection)
    }

    /// Sends the service's frames on their way.
    pub(super) fn deliver(&mut self, out: Outgoing) {
        for (to, envelope) in out {
            let Some((device, connection)) = self.device_of(to) else {
                continue;
            };
            if self.machines[device.0].network == Reach::LosesAnswers {
                self.machines[device.0].network = Reach::Reachable;
                self.cut(device);
                continue;
            }
            let frame = encode(&envelope);
            let at = self.now + self.latency();
            let Some((open, _, down)) = &mut self.machines[device.0].socket else {
                continue;
            };
            if *open == connection {
                let at = at.max(*down);
                *down = at;
                self.schedule(at, Happening::ToDevice(device, connection, frame));
            }
        }
    }

    fn device_of(&self, to: Socket) -> Option<(Device, ConnectionNumber)> {
        let index = usize::try_from(to >> 32).unwrap();
        (index < self.machines.len())
            .then(|| (Device(index), ConnectionNumber(to & u64::from(u32::MAX))))
    }

    fn clock(&self) -> Now {
        Now {
            elapsed: self.now,
            wall: Timestamp::from_millis(self.wall()),
        }
    }

    /// How far a message got, as the sender's device shows it.
    pub(super) fn state_of(&self, device: Device, id: &ConversationId, text: &str) -> String {
        let items = self.items(device, id);
        let mut messages = items.iter().filter_map(TimelineItem::message);
        let found = messages.find(|it| it.content.words() == Some(text));
        match &found.expect("the message").state {
            MessageState::Delivered { .. } => "delivered".to_owned(),
            MessageState::Read { .. } => "read".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// Hands in the intent that an extension of the app left: a read mark.
    pub(super) fn import_mark(&mut self, device: Device, id: &ConversationId, until: i64) {
        let dropped = Dropped {
            token: self.randomness.local_id(),
            conversation: id.clone(),
            intent: Intent::Read(ReadIntent {
                until: Timestamp::from_millis(until),
                message: None,
            }),
            dropped_at: Timestamp::from_millis(self.wall()),
        };
        let dropped = vec![dropped];
        self.ask(device, Import { dropped }).unwrap();
    }

    /// Takes the frames for a device that are on their way off it; they come when they are released.
    pub(super) fn hold_back_frames(&mut self, device: Device) -> Vec<Held> {
        let held: Vec<_> = self
            .events
            .extract_if(
                ..,
                |_, it| matches!(it, Happening::ToDevice(to, ..) if *to == device),
            )
            .collect();
        held.into_iter().map(|(_, it)| Held(it)).collect()
    }

    pub(super) fn release_frames(&mut self, held: Vec<Held>) {
        for Held(happening) in held {
            self.schedule(self.now, happening);
        }
    }

    pub(super) fn history_request(&self, id: &ConversationId, limit: u32) -> FetchHistory {
        FetchHistory {
            conversation: id.clone(),
            before: None,
            limit,
        }
    }

    /// Asks for a page of history and lets it come.
    pub(super) fn fetch(
        &mut self,
        device: Device,
        id: &ConversationId,
        before: Option<Position>,
        limit: u32,
    ) -> Result<HistoryFetched, RequestError> {
        let call = FetchHistory {
            conversation: id.clone(),
            before,
            limit,
        };
        let caller = self.call(device, call);
        self.pass(Duration::from_secs(10));
        self.answer(device, caller).expect("an answer")
    }
}

/// The service's number of a device's connection.
fn socket(device: Device, connection: ConnectionNumber) -> Socket {
    (u64::try_from(device.0).unwrap() << 32) | connection.0
}

fn encode(envelope: &Envelope) -> Frame<'static> {
    Frame::encode(envelope, Encoding::Binary, Direction::ToClient).unwrap()
}

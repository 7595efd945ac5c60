//! The world of the scenarios: devices, a model service, a network that fails on demand, and a
//! clock that jumps from event to event.
//!
//! A device does what the runtime does: drain, commit, send. A frame is lost only with its
//! connection, as over TCP.

mod acts;
mod device;
mod outside;
mod troubles;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::service::{Outgoing, Service, Socket};
use crate::model::{
    AppId, ClientId, ConversationId, DeviceTag, MembersNotice, MessageState, Now, SessionState,
    Timestamp,
};
use crate::store::{MemoryDisk, Opened, Store, TimelineItem, Upload, Writer};
use crate::sync::link::{ClientSlot, ConnectionNumber, Link, LinkInput, LinkOptions};
use crate::sync::{
    Client, ClientInput, ClientSettings, EffectId, OperationSignature, Randomness, Reply,
    RequestError, RequestId, Signing,
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
    /// The missed notifications that the REST interface tells, and how long it takes.
    pub(super) missed: (Duration, Vec<Envelope>),
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
    /// The notices of members that the app was given.
    notices: Vec<MembersNotice>,
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
    MissedTold(Device, EffectId),
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
            missed: Default::default(),
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
            notices: Vec::new(),
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
            Happening::MissedTold(device, effect) => {
                let told = self.missed.1.clone();
                self.client(device, vec![ClientInput::MissedTold { effect, told }]);
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
}

/// The service's number of a device's connection.
fn socket(device: Device, connection: ConnectionNumber) -> Socket {
    (u64::try_from(device.0).unwrap() << 32) | connection.0
}

fn encode(envelope: &Envelope) -> Frame<'static> {
    Frame::encode(envelope, Encoding::Binary, Direction::ToClient).unwrap()
}

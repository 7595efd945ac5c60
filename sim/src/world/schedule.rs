//! The queue of events, in the order of their times; at the same time, in the order of planning.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan::store::Upload;
use sampan::sync::link::{ClientSlot, ConnectionNumber, LookUpNumber};
use sampan::sync::{EffectId, UploadError, Uploaded};
use sampan::wire::{CloseCode, Frame};
use sampan_service::core::ConnectionId;

use crate::devices::wants::Destination;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Act(usize),
    Strike(usize),
    Routed {
        engine: usize,
        boot: u32,
        lookup: LookUpNumber,
    },
    Handshake {
        engine: usize,
        boot: u32,
        number: ConnectionNumber,
        /// The end of the socket's way: the service, or nowhere.
        place: Destination,
    },
    Up {
        socket: ConnectionId,
        frame: Frame<'static>,
    },
    UpClosed {
        socket: ConnectionId,
    },
    Down {
        to: Address,
        frame: Frame<'static>,
    },
    DownClosed {
        to: Address,
        close: Option<CloseCode>,
    },
    Patience {
        socket: ConnectionId,
    },
    Signed {
        engine: usize,
        boot: u32,
        slot: ClientSlot,
        effect: EffectId,
    },
    /// A step of an upload reaches the storage, or nobody.
    Upload {
        device: usize,
        boot: u32,
        slot: ClientSlot,
        effect: EffectId,
        upload: Box<Upload>,
    },
    /// The engine gets the result of a step of an upload.
    Uploaded {
        engine: usize,
        boot: u32,
        slot: ClientSlot,
        effect: EffectId,
        outcome: Result<Uploaded, UploadError>,
    },
    Boot(usize),
    /// The user of a device asks to be online.
    Ask(usize),
    MendDisk(usize),
    Resume(usize),
    ServiceUp,
}

impl Happening {
    /// The engine that it is handed to; none when it concerns the world.
    pub(crate) const fn engine(&self) -> Option<usize> {
        match self {
            Self::Routed { engine, .. }
            | Self::Handshake { engine, .. }
            | Self::Signed { engine, .. }
            | Self::Uploaded { engine, .. } => Some(*engine),
            Self::Down { to, .. } | Self::DownClosed { to, .. } => Some(to.engine),
            _ => None,
        }
    }
}

/// The engine's end of a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) engine: usize,
    pub(crate) boot: u32,
    pub(crate) number: ConnectionNumber,
    pub(crate) socket: ConnectionId,
}

/// The queue of future events.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    queue: BTreeMap<(Duration, u64), Happening>,
    planned: u64,
}

impl Schedule {
    pub(crate) fn add(&mut self, at: Duration, happening: Happening) {
        self.queue.insert((at, self.planned), happening);
        self.planned += 1;
    }

    /// The time of the next happening.
    pub(crate) fn next_time(&self) -> Option<Duration> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// The next thing, if its time has come.
    pub(crate) fn due(&self, now: Duration) -> Option<&Happening> {
        let ((at, _), happening) = self.queue.first_key_value()?;
        (*at <= now).then_some(happening)
    }

    /// Takes the next thing, if its time has come.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Happening> {
        self.due(now)?;
        self.queue.pop_first().map(|(_, happening)| happening)
    }
}

//! The troubles of the devices: networks that fail, frames that are late, apps that are killed, files that are old.

use std::time::Duration;

use super::{Device, Happening, Held, Reach, World, socket};
use crate::model::ConversationId;
use crate::store::{Fault, MemoryDisk, Position, Tended};
use crate::sync::link::{LinkInput, NetworkChange};
use crate::sync::{ClientInput, Request, RequestId};

impl World {
    /// The device loses the network; it is told at once.
    pub(in crate::sync::tests) fn partition(&mut self, device: Device) {
        self.machines[device.0].network = Reach::Unreachable;
        self.cut(device);
    }

    /// The network is back, and the operating system says so.
    pub(in crate::sync::tests) fn repair(&mut self, device: Device) {
        self.machines[device.0].network = Reach::Reachable;
        self.link(device, LinkInput::Network(NetworkChange::Back));
    }

    /// Breaks the device's connection; frames under way are lost.
    pub(in crate::sync::tests) fn cut(&mut self, device: Device) {
        let machine = &mut self.machines[device.0];
        if let Some((connection, ..)) = machine.socket.take() {
            self.service.disconnect(socket(device, connection));
            self.schedule(self.now, Happening::Disconnected(device, connection));
        }
    }

    /// The connection breaks when the service next answers: it acts, and the answer is lost.
    pub(in crate::sync::tests) fn lose_next_answer(&mut self, device: Device) {
        self.machines[device.0].network = Reach::LosesAnswers;
    }

    /// Frames from the service are that late for a while.
    pub(in crate::sync::tests) fn slow_answers(&mut self, device: Device, by: Duration) {
        if let Some((_, _, down)) = &mut self.machines[device.0].socket {
            *down = self.now + by;
        }
    }

    /// Kills the app, loses what was not synced, and starts it again, offline.
    pub(in crate::sync::tests) fn crash(&mut self, device: Device) {
        self.cut(device);
        let machine = &mut self.machines[device.0];
        // A writer that is let go would sync, and one that is killed does not.
        machine.disk.set_fault(Some(Fault::From { operation: 0 }));
        machine.opened = None;
        machine.client = None;
        machine.disk.crash();
        self.boot(device);
    }

    /// A copy of the device's files, as a backup holds them.
    pub(in crate::sync::tests) fn copy_of_disk(&self, device: Device) -> MemoryDisk {
        self.machines[device.0].disk.duplicate()
    }

    /// Starts the app anew with files from a backup.
    pub(in crate::sync::tests) fn restore(&mut self, device: Device, copy: &MemoryDisk) {
        self.cut(device);
        let machine = &mut self.machines[device.0];
        machine.opened = None;
        machine.client = None;
        machine.disk = copy.duplicate();
        machine.disk.crash();
        self.boot(device);
    }

    /// Has all messages evicted from a device that may go, as under a budget that nothing can keep.
    pub(in crate::sync::tests) fn evict(&mut self, device: Device) {
        let (_, writer) = self.machines[device.0].opened.as_mut().unwrap();
        writer.set_disk_budget(Some(1));
        while writer.tend(&[]).unwrap() == Tended::More {}
        writer.set_disk_budget(None);
    }

    /// The oldest message that a device holds without a hole up to the newest.
    pub(in crate::sync::tests) fn held_from(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> Option<Position> {
        let (store, _) = self.machines[device.0].opened.as_ref().unwrap();
        let (_, row) = store.snapshot().conversation_by_id(id).unwrap()?;
        row.history.newest().map(|span| span.from.clone())
    }

    /// Kills the app in the moment after a commit and before what follows from it, then starts it.
    pub(in crate::sync::tests) fn kill_after_commit_of(
        &mut self,
        device: Device,
        call: impl Into<Request>,
    ) {
        let machine = &mut self.machines[device.0];
        machine.last_request += 1;
        let id = RequestId(machine.last_request);
        let request = call.into();
        self.commit(device, vec![ClientInput::Requested { id, request }]);
        self.crash(device);
    }

    /// Takes the frames for a device that are on their way off it; they come when they are released.
    pub(in crate::sync::tests) fn hold_back_frames(&mut self, device: Device) -> Vec<Held> {
        let held: Vec<_> = self
            .events
            .extract_if(
                ..,
                |_, it| matches!(it, Happening::ToDevice(to, ..) if *to == device),
            )
            .collect();
        held.into_iter().map(|(_, it)| Held(it)).collect()
    }

    pub(in crate::sync::tests) fn release_frames(&mut self, held: Vec<Held>) {
        for Held(happening) in held {
            self.schedule(self.now, happening);
        }
    }
}

//! A device's loop: drain, commit, send.

use std::collections::VecDeque;

use super::{Device, Happening, SLOT, World, socket};
use crate::store::{Overlay, Upload};
use crate::sync::link::{LinkEffect, LinkInput, LinkStep};
use crate::sync::{ClientInput, Effect, EffectId, MediaEffect, Step, UploadError};

impl World {
    pub(super) fn link(&mut self, device: Device, input: LinkInput) {
        let now = self.clock();
        let step = self.machines[device.0].link.handle(now, input);
        self.carry_out_link(device, step);
    }

    fn carry_out_link(&mut self, device: Device, step: LinkStep) {
        let machine = &mut self.machines[device.0];
        machine.link_wake = step.wake_after.map(|after| self.now + after);
        for effect in step.effects {
            self.effect(device, effect);
        }
        let inputs: Vec<ClientInput> = step
            .deliveries
            .into_iter()
            .map(|(_, delivery)| ClientInput::Delivered(delivery))
            .collect();
        if !inputs.is_empty() {
            self.client(device, inputs);
        }
    }

    fn effect(&mut self, device: Device, effect: LinkEffect) {
        match effect {
            LinkEffect::LookUp { .. } => panic!("no router in this world"),
            LinkEffect::Connect { connection, .. } => {
                let at = self.now + self.latency();
                self.schedule(at, Happening::Connected(device, connection));
            }
            LinkEffect::Disconnect { connection } => {
                self.service.disconnect(socket(device, connection));
                self.machines[device.0]
                    .socket
                    .take_if(|(open, ..)| *open == connection);
            }
            LinkEffect::Send { connection, frame } => {
                let at = self.now + self.latency();
                let machine = &mut self.machines[device.0];
                machine.sent += 1;
                if let Some((_, up, _)) = &mut machine.socket {
                    let at = at.max(*up);
                    *up = at;
                    self.schedule(at, Happening::ToService(device, connection, frame));
                }
            }
        }
    }

    pub(super) fn client(&mut self, device: Device, inputs: Vec<ClientInput>) {
        let step = self.commit(device, inputs);
        let machine = &mut self.machines[device.0];
        machine.client_wake = step.wake_after.map(|after| self.now + after);
        machine.answers.extend(step.replies);
        machine.notices.extend(step.notices);
        if let Some(typing) = &step.typing {
            let who = typing.values().flatten();
            machine.writers = who.map(ToString::to_string).collect();
        }
        for message in &step.transient {
            let words = message.content.words().unwrap_or_default();
            machine.transient.push(words.to_owned());
        }
        let mut follow = VecDeque::new();
        if let Some(wish) = step.wish {
            follow.push_back(LinkInput::Wish { slot: SLOT, wish });
        }
        for request in step.requests {
            follow.push_back(LinkInput::Submit {
                slot: SLOT,
                request,
            });
        }
        if !step.acknowledgements.is_empty() {
            machine.opened.as_mut().unwrap().1.sync().unwrap();
        }
        for request in step.acknowledgements {
            follow.push_back(LinkInput::Submit {
                slot: SLOT,
                request,
            });
        }
        for effect in step.effects {
            self.outside(device, effect);
        }
        for input in follow {
            self.link(device, input);
        }
    }

    fn outside(&mut self, device: Device, effect: Effect) {
        let at = match effect {
            Effect::AskMissed(_) => self.now + self.missed.0,
            Effect::Sign { .. } | Effect::Media(_) => self.now + self.latency(),
        };
        match effect {
            Effect::Sign { effect, .. } => self.schedule(at, Happening::Signed(device, effect)),
            Effect::AskMissed(question) => {
                self.schedule(at, Happening::MissedTold(device, question.effect));
            }
            Effect::Media(MediaEffect::Upload { effect, upload, .. }) => {
                let life = self.machines[device.0].life;
                let upload = Box::new(upload);
                self.schedule(at, Happening::Uploaded(device, life, effect, upload));
            }
            Effect::Media(MediaEffect::EndUpload { effect }) => {
                self.machines[device.0].ended_uploads.insert(effect);
            }
            Effect::Media(MediaEffect::Unspool { file, .. }) => {
                self.machines[device.0].spool.remove(&file);
            }
            Effect::Media(MediaEffect::KeepSpooled { files }) => {
                self.machines[device.0]
                    .spool
                    .retain(|it| files.contains(it));
            }
        }
    }

    /// The storage does the step, even if the device ended or restarted meanwhile.
    pub(super) fn upload_arrived(
        &mut self,
        device: Device,
        life: u64,
        effect: EffectId,
        upload: &Upload,
    ) {
        let machine = &self.machines[device.0];
        let outcome = if machine.spool.contains(&upload.file) {
            self.service.files.step(upload)
        } else {
            let reason = "no such file".to_owned();
            Err(UploadError::CopyLost { reason })
        };
        let machine = &self.machines[device.0];
        if machine.life == life && !machine.ended_uploads.contains(&effect) {
            self.client(device, vec![ClientInput::Uploaded { effect, outcome }]);
        }
    }

    /// Handles the inputs of a round and commits what they wrote.
    pub(super) fn commit(&mut self, device: Device, inputs: Vec<ClientInput>) -> Step {
        let now = self.clock();
        let machine = &mut self.machines[device.0];
        let (store, writer) = machine.opened.as_mut().unwrap();
        let client = machine.client.as_mut().unwrap();
        let mut overlay = Overlay::new(store);
        let mut step = Step::default();
        for input in inputs {
            step.absorb(client.handle(now, input, &mut overlay).unwrap());
        }
        let batch = overlay.into_batch();
        if !batch.is_empty() {
            let class = batch.class();
            writer.commit(batch, class).unwrap();
        }
        step
    }
}

//! Apps send files, uploads reach the storage, spools are emptied; and the promises about files, as checks.

use std::collections::BTreeSet;
use std::time::Duration;

use sampan::model::{
    ConversationState, Details, MediaFile, MessageContent, NewMessage, OutboxState, SendFailure,
    SessionState, StoreHealth, UploadFailure,
};
use sampan::store::{Store, Upload, UploadStage};
use sampan::sync::link::ClientSlot;
use sampan::sync::{EffectId, MediaEffect, SendMedia, UploadError, Uploaded};

use crate::checks::ledger::{Call, Fate};
use crate::devices::device::Device;
use crate::devices::engine::Engine;
use crate::dice::nth;
use crate::faults::kinds::StorageTrouble;
use crate::faults::planted::Mutation;
use crate::service::{Broken, Truth};
use crate::world::verdict::{content_of, with_token};
use crate::world::{Happening, World};

/// A device waits so long for an answer that does not come.
const GIVEN_UP: Duration = Duration::from_secs(60);

/// The length of a file; the storage tells files apart by the names of their copies.
const BYTES: u64 = 4_096;

impl World {
    /// The app sends a file: its copy is in the spool before the engine hears of it.
    pub(super) fn send_file(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let engine = self.engines.get(self.engine_of(device));
        if !engine.is_some_and(Engine::is_on) {
            return Ok(());
        }
        let mut conversations = self.conversations(device);
        conversations.retain(|info| {
            matches!(
                info.state,
                ConversationState::Live | ConversationState::Creating
            )
        });
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let number = self.fresh();
        let (words, copy) = (format!("f{device}.{number}"), format!("copy{number}"));
        let Some(owner) = self.devices.get_mut(device) else {
            return Ok(());
        };
        let is_good = |store: &Store| store.health() == StoreHealth::Good;
        if !owner.store().is_some_and(is_good) {
            // A disk that takes no copy refuses the call.
            return Ok(());
        }
        owner.spool.begin(&copy);
        let content = MessageContent::Image {
            file: MediaFile {
                url: format!("sampan-spool:{copy}"),
                name: Some(format!("{words}.png")),
                size: Some(BYTES),
                ..MediaFile::default()
            },
            caption: Some(words.clone()),
            details: Details::default(),
        };
        let request = SendMedia {
            conversation: info.id.clone(),
            message: NewMessage::new(content),
            upload: Box::new(Upload {
                file: copy.clone(),
                name: format!("{words}.png"),
                mime: "image/png".to_owned(),
                bytes: BYTES,
                stage: UploadStage::Waiting,
            }),
        };
        let call = Call::SendFile {
            words,
            number,
            copy,
        };
        self.call(device, request, call)
    }

    /// The call about a file was answered. The app's process removes the copy of a file that was not taken.
    pub(super) fn file_answered(&mut self, device: usize, call: &Call, taken: bool) {
        let is_on = self
            .engines
            .get(self.engine_of(device))
            .is_some_and(Engine::is_on);
        if let Call::SendFile { copy, .. } = call
            && let Some(device) = self.devices.get_mut(device)
        {
            device.spool.answered(copy);
            if !taken && is_on {
                device.spool.remove(copy);
            }
        }
    }

    /// An engine works on the files of a client.
    pub(super) fn media(
        &mut self,
        device: usize,
        boot: u32,
        slot: ClientSlot,
        effect: MediaEffect,
    ) {
        let mutation = self.plan.mutation;
        match effect {
            MediaEffect::Upload { effect, upload, .. } => {
                let engine = self.engine_of(device);
                let from = self.busy(engine).unwrap_or(self.now);
                let usual = self.files.dice.millis(20, 3_000);
                let at = from + usual + self.network.delay(self.now, engine);
                let upload = Box::new(upload);
                let happening = Happening::Upload {
                    device,
                    boot,
                    slot,
                    effect,
                    upload,
                };
                self.plan_for(at, happening);
            }
            // Its request may have left.
            MediaEffect::EndUpload { .. } => {}
            MediaEffect::Unspool { file, .. } => {
                if let Some(device) = self.devices.get_mut(device)
                    && mutation != Some(Mutation::ForgottenFile)
                {
                    device.spool.remove(&file);
                }
            }
            MediaEffect::KeepSpooled { files } => {
                if let Some(device) = self.devices.get_mut(device)
                    && mutation != Some(Mutation::UnsweptSpool)
                {
                    device.spool.sweep(&files);
                }
            }
        }
    }

    /// A step of an upload reaches the storage, or nobody.
    pub(super) fn upload(
        &mut self,
        device: usize,
        boot: u32,
        (slot, effect): (ClientSlot, EffectId),
        upload: &Upload,
    ) {
        let engine = self.engine_of(device);
        let is_alive = self.is_boot(engine, boot);
        if !is_alive && self.files.dice.chance(500) {
            // The power failed before the request had left.
            return;
        }
        self.busy_at = self.now;
        let (outcome, told_after) = self.try_step(device, upload);
        let step = match &upload.stage {
            UploadStage::Waiting => "ticket",
            UploadStage::Ticketed(_) => "bytes",
            UploadStage::Stored(_) => "confirmation",
        };
        let copy = upload.file.as_bytes();
        self.record
            .trace
            .note(self.now, "upload", device, copy, || {
                let copy = &upload.file;
                format!("device {device}: {step} of {copy}: {outcome:?}")
            });
        if is_alive {
            let at = self.now + told_after;
            let happening = Happening::Uploaded {
                engine,
                boot,
                slot,
                effect,
                outcome,
            };
            self.plan_for(at, happening);
        }
    }

    /// The outcome of a step, and the time until the device knows.
    fn try_step(
        &mut self,
        device: usize,
        upload: &Upload,
    ) -> (Result<Uploaded, UploadError>, Duration) {
        let later = |reason: &str| UploadError::Later {
            reason: reason.to_owned(),
        };
        let engine = self.engine_of(device);
        let weather = self.network.weather(engine);
        let trouble = self.files.trouble(self.now);
        let soon = self.network.delay(self.now, engine);
        let is_for_storage = matches!(upload.stage, UploadStage::Ticketed(_));
        let is_down = if is_for_storage {
            trouble == Some(StorageTrouble::Down)
        } else {
            !self.server.is_up()
        };
        if is_down || self.network.is_split(self.now, engine) {
            return (Err(later("nobody is there")), soon);
        }
        let holds = |device: &Device| device.spool.holds(&upload.file);
        if is_for_storage && !self.devices.get(device).is_some_and(holds) {
            let reason = "the copy is gone".to_owned();
            return (Err(UploadError::CopyLost { reason }), soon);
        }
        if self.network.strikes(self.now, engine, weather.ignore_until) {
            return (Err(later("no answer")), GIVEN_UP);
        }
        let outcome = self.files.step(trouble, upload);
        let is_mute = trouble == Some(StorageTrouble::Mute) && self.files.dice.chance(500);
        if is_mute || self.network.strikes(self.now, engine, weather.mute_until) {
            return (Err(later("the answer is lost")), GIVEN_UP);
        }
        (outcome, soon)
    }

    /// Everything about files that must hold when the world is at rest.
    pub(super) fn check_files(&mut self) -> Result<(), Broken> {
        let truth = self.server.truth()?;
        kept(self, &truth);
        for index in 0..self.devices.len() {
            spool_is_right(self, index);
        }
        Ok(())
    }
}

/// A message with a file names one that is in the storage, and the file was stored once.
fn kept(world: &mut World, truth: &Truth) {
    let mut wrong = Vec::new();
    let promises = world.record.ledger.messages.iter();
    for promise in promises.filter(|it| it.fate == Fate::Due) {
        let Some(copy) = &promise.file else { continue };
        let words = &promise.words;
        for message in with_token(truth, promise) {
            let content = content_of(message);
            // An edit may have taken the file away.
            let Some(url) = content.media().map(|file| &file.url) else {
                continue;
            };
            match world.files.at(url) {
                Some(file) if file.copy != *copy => {
                    wrong.push(format!("{words} names another file: {url}"));
                }
                Some(file) if file.is_stored && file.is_confirmed => {}
                found => wrong.push(format!("{words} names {url}, which is {found:?}")),
            }
        }
        let files = world.files.of_copy(copy);
        let stored = files.filter(|it| it.is_stored && !it.is_disowned).count();
        let restored = |device: &Device| device.restored;
        // A device restored from a backup may have forgotten its ticket.
        let may_forget = world.devices.get(promise.device).is_some_and(restored);
        if stored > 1 && !may_forget {
            wrong.push(format!("the file of {words} is stored {stored} times"));
        }
    }
    for what in wrong {
        world.violate("file", what);
    }
}

/// The spool holds the copies that entries wait for, and no other.
fn spool_is_right(world: &mut World, index: usize) {
    let Some((device, store)) = world
        .devices
        .get(index)
        .and_then(|it| Some((it, it.store()?)))
    else {
        return;
    };
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    for entry in store.snapshot().outbox() {
        let Some(upload) = entry.upload() else {
            continue;
        };
        named.insert(upload.file.clone());
        let promises = &world.record.ledger.messages;
        let is_promised = promises
            .iter()
            .any(|it| Some(&it.local_id) == entry.local_id());
        // A call that failed may have come through all the same: its copy is gone, and the entry says so.
        let says_so = matches!(
            &entry.state,
            OutboxState::Failed {
                failure: SendFailure::NotUploaded {
                    failure: UploadFailure::CopyLost { .. }
                },
                ..
            }
        );
        // One that is not online has not looked yet.
        let has_looked = world.session_of(index) == SessionState::Open;
        if !device.spool.holds(&upload.file) && (is_promised || (has_looked && !says_so)) {
            wrong.push(format!("device {index}: {} is gone", upload.file));
        }
    }
    let left = device.spool.copies().difference(&named);
    wrong.extend(left.map(|copy| format!("device {index}: {copy} is left over")));
    for what in wrong {
        world.violate("spool", what);
    }
}

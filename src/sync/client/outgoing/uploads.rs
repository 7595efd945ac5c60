//! Files that messages wait for. Each is uploaded in steps; then its message takes its place in the lane.
//!
//! ```text
//!   Waiting ── ticket ──▶ Ticketed ── bytes ──▶ Stored ── confirmed ──▶ the message is sent like any other
//!      ▲                     │
//!      └── ticket refused ───┘
//! ```
//!
//! A ticket is durable before a byte leaves, so an upload that begins again after a crash ends in the same
//! file. A file without an entry is removed from the spool.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{
    MessageContent, OutboxEntryId, OutboxState, SendFailure, UploadFailure, UploadTicket,
};
use crate::store::{Entry, Intent, SendIntent, StoreError, Upload, UploadStage};
use crate::sync::Backoff;
use crate::sync::client::{Answered, Client, Turn};
use crate::sync::request::{Enqueued, RequestError, SendMedia, SendMessage};
use crate::sync::step::{Effect, EffectId, MediaEffect};
use crate::sync::upload::{UploadError, Uploaded};
use crate::wire::content;

/// The most uploads at once: more would only share the line.
const RUNNING_MAX: usize = 2;

/// The pauses of an upload after a step that brought nothing.
const PAUSES: Backoff = Backoff::plain(Duration::from_secs(2), Duration::from_secs(120));

/// As long as the URL of a stored file may be, to measure a message whose file has none yet.
const URL_BYTES: usize = 256;

/// The length of a file's id.
const OBJECT_ID_BYTES: usize = 24;

/// The files in the spool, and which of them are on their way.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Uploads {
    files: BTreeMap<OutboxEntryId, Spooled>,
    running: BTreeMap<EffectId, OutboxEntryId>,
    /// True if the named files were told: every other file in the spool is left over from a crash.
    are_files_told: bool,
}

#[derive(Debug)]
struct Spooled {
    file: String,
    not_before: Duration,
    /// Tries since the service was last heard. The connection may have been broken since then.
    unproven: u32,
}

impl Uploads {
    /// The files that a store's entries name.
    pub(in crate::sync::client) fn of_entries(entries: &[Arc<Entry>]) -> Self {
        let mut uploads = Self::default();
        for entry in entries {
            if let Some(upload) = entry.upload() {
                uploads.add(entry.id, &upload.file);
            }
        }
        uploads
    }

    pub(in crate::sync::client) fn add(&mut self, id: OutboxEntryId, file: &str) {
        let spooled = Spooled {
            file: file.to_owned(),
            not_before: Duration::ZERO,
            unproven: 0,
        };
        self.files.insert(id, spooled);
    }

    /// The service spoke on the connection: the tries before that count.
    pub(in crate::sync::client) fn service_was_heard(&mut self) {
        for spooled in self.files.values_mut() {
            spooled.unproven = 0;
        }
    }

    /// The app has it tried again: no pause stands in the way.
    pub(in crate::sync::client) fn retry(&mut self, id: OutboxEntryId) {
        if let Some(spooled) = self.files.get_mut(&id) {
            spooled.not_before = Duration::ZERO;
            spooled.unproven = 0;
        }
    }

    fn is_running(&self, id: OutboxEntryId) -> bool {
        self.running.values().any(|running| *running == id)
    }

    /// The time at which an upload that waits may go on.
    pub(in crate::sync::client) fn wake(&self, wakes: &mut Vec<Duration>) {
        wakes.extend(self.files.values().map(|spooled| spooled.not_before));
    }
}

impl Client {
    /// Enqueues a message whose file has to be uploaded first.
    pub(in crate::sync::client) fn send_media(
        &mut self,
        turn: &mut Turn<'_, '_>,
        call: SendMedia,
    ) -> Answered<Enqueued> {
        let file = call.upload.file.clone();
        let sent = self.enqueue_media(turn, call)?;
        let is_named = matches!(&sent, Ok(enqueued) if enqueued.entry.is_some_and(|id| {
            self.uploads.files.get(&id).is_some_and(|it| it.file == file)
        }));
        if !is_named {
            // The message was refused, or was enqueued before with another copy.
            let stored_at = None;
            let unspool = MediaEffect::Unspool { file, stored_at };
            turn.step.effects.push(Effect::Media(unspool));
        }
        Ok(sent)
    }

    fn enqueue_media(&mut self, turn: &mut Turn<'_, '_>, call: SendMedia) -> Answered<Enqueued> {
        let SendMedia {
            conversation,
            message,
            upload,
        } = call;
        let options = &message.options;
        if options.transient || options.will {
            let reason = "options: a file is neither sent as a transient message nor as a will";
            return Ok(Err(RequestError::InvalidArgument {
                reason: reason.to_owned(),
            }));
        }
        let mut measured = message.clone();
        if let Some(file) = measured.content.media_mut() {
            file.url = "u".repeat(URL_BYTES);
            file.object_id = Some("o".repeat(OBJECT_ID_BYTES));
        }
        let measured = SendMessage {
            conversation: conversation.clone(),
            message: measured,
        };
        if let Err(error) = self.check_message(turn, &measured)? {
            return Ok(Err(error));
        }
        let call = SendMessage {
            conversation,
            message,
        };
        let file = upload.file.clone();
        let enqueued = self.send_message_with(turn, call, Some(upload))?;
        if let Ok(enqueued) = &enqueued
            && let Some(id) = enqueued.entry
            && let Some(entry) = turn.overlay.snapshot().entry(id)
            && entry.upload().is_some_and(|it| it.file == file)
        {
            self.uploads.add(id, &file);
        }
        Ok(enqueued)
    }

    /// The upload of a message whose content was changed: it stays as long as the content is about the same file.
    pub(in crate::sync::client) fn upload_after_edit(
        intent: &SendIntent,
        said: &MessageContent,
    ) -> Option<Box<Upload>> {
        let same = intent.content.media()?.url == said.media()?.url;
        intent.upload.clone().filter(|_| same)
    }

    /// Has files removed that no entry names, and uploads stopped that nobody waits for. Called after every input.
    pub(in crate::sync::client) fn sweep_uploads(&mut self, turn: &mut Turn<'_, '_>) {
        if !self.uploads.are_files_told {
            self.uploads.are_files_told = true;
            let files = self.uploads.files.values().map(|it| it.file.clone());
            let files: BTreeSet<_> = files.collect();
            let keep = MediaEffect::KeepSpooled { files };
            turn.step.effects.push(Effect::Media(keep));
        }
        let snapshot = turn.overlay.snapshot();
        let mut gone = Vec::new();
        for (id, spooled) in &self.uploads.files {
            let entry = snapshot.entry(*id);
            if entry
                .as_deref()
                .is_some_and(|entry| entry.upload().is_some())
            {
                continue;
            }
            let stored_at = entry.and_then(|entry| match &entry.intent {
                Intent::Send(send) => Some(send.content.media()?.url.clone()),
                _ => None,
            });
            gone.push((*id, spooled.file.clone(), stored_at));
        }
        drop(snapshot);
        for (id, file, stored_at) in gone {
            self.uploads.files.remove(&id);
            let running = self.uploads.running.iter().find(|(_, entry)| **entry == id);
            if let Some(effect) = running.map(|(effect, _)| *effect) {
                self.uploads.running.remove(&effect);
                let end = MediaEffect::EndUpload { effect };
                turn.step.effects.push(Effect::Media(end));
            }
            let unspool = MediaEffect::Unspool { file, stored_at };
            turn.step.effects.push(Effect::Media(unspool));
        }
    }

    /// Starts the uploads that can start now, oldest first.
    pub(in crate::sync::client) fn pump_uploads(&mut self, turn: &mut Turn<'_, '_>) {
        let now = turn.elapsed();
        let ready = self.uploads.files.iter();
        let ready = ready
            .filter(|(id, spooled)| spooled.not_before <= now && !self.uploads.is_running(**id));
        let ready: Vec<_> = ready.map(|(id, _)| *id).collect();
        for id in ready {
            if self.uploads.running.len() >= RUNNING_MAX {
                break;
            }
            let Some(entry) = turn.overlay.snapshot().entry(id) else {
                continue;
            };
            if let (OutboxState::Queued, Some(upload)) = (&entry.state, entry.upload()) {
                let effect = self.fresh_effect();
                self.uploads.running.insert(effect, id);
                turn.step.effects.push(Effect::Media(MediaEffect::Upload {
                    effect,
                    entry: id,
                    upload: upload.clone(),
                }));
            }
        }
    }

    /// A step of an upload is over.
    pub(in crate::sync::client) fn uploaded(
        &mut self,
        turn: &mut Turn<'_, '_>,
        effect: EffectId,
        outcome: Result<Uploaded, UploadError>,
    ) -> Result<(), StoreError> {
        let Some(id) = self.uploads.running.remove(&effect) else {
            return Ok(());
        };
        let Some(entry) = turn.overlay.snapshot().entry(id) else {
            return Ok(());
        };
        let Some(upload) = entry.upload() else {
            return Ok(());
        };
        match outcome {
            Ok(Uploaded::Ticket(ticket)) => {
                self.advance_upload(turn, &entry, UploadStage::Ticketed(ticket));
                // A byte that left without this would be in a file that a crash forgets.
                turn.overlay.intend();
                Ok(())
            }
            Ok(Uploaded::Stored) => {
                if let UploadStage::Ticketed(ticket) = &upload.stage {
                    self.advance_upload(turn, &entry, UploadStage::Stored(ticket.clone()));
                }
                Ok(())
            }
            Ok(Uploaded::Confirmed) => match &upload.stage {
                UploadStage::Stored(ticket) => self.finish_upload(turn, &entry, ticket),
                UploadStage::Waiting | UploadStage::Ticketed(_) => Ok(()),
            },
            Err(error) => self.upload_failed(turn, &entry, error),
        }
    }

    /// Tries count until the bytes are stored, so a storage that accepts no ticket ends the upload in the end.
    fn advance_upload(&mut self, turn: &mut Turn<'_, '_>, entry: &Entry, stage: UploadStage) {
        turn.overlay.update_entry(entry.id, |it| {
            if matches!(stage, UploadStage::Stored(_)) {
                it.tries = 0;
            }
            if let Intent::Send(send) = &mut it.intent
                && let Some(upload) = &mut send.upload
            {
                upload.stage = stage;
            }
        });
        self.uploads.retry(entry.id);
    }

    /// The file is where others find it: the message takes its place in the lane.
    fn finish_upload(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        ticket: &UploadTicket,
    ) -> Result<(), StoreError> {
        let Intent::Send(send) = &entry.intent else {
            return Ok(());
        };
        let mut said = send.content.clone();
        if let Some(file) = said.media_mut() {
            file.url.clone_from(&ticket.url);
            file.object_id = Some(ticket.object_id.clone());
        }
        let intent = SendIntent {
            content: content::as_received(&said),
            upload: None,
            ..send.clone()
        };
        let row = turn.overlay.snapshot().conversation(entry.conversation)?;
        let measured = row.map_or(Ok(()), |row| self.measure_send(&row, &intent, &entry.token));
        turn.overlay.update_entry(entry.id, |it| {
            it.tries = 0;
            it.intent = Intent::Send(intent);
        });
        turn.overlay.intend();
        let Some(entry) = turn.overlay.snapshot().entry(entry.id) else {
            return Ok(());
        };
        if let Err(error) = measured {
            let reason = error.to_string();
            return self.fail_unsendable(turn, &entry, reason);
        }
        self.sender.add(&entry);
        Ok(())
    }

    fn upload_failed(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        error: UploadError,
    ) -> Result<(), StoreError> {
        let failure = match error {
            UploadError::Later { reason } => return self.upload_later(turn, entry, reason),
            UploadError::TicketRefused { status, reason } => {
                self.advance_upload(turn, entry, UploadStage::Waiting);
                let reason = format!("{reason} ({status})");
                return self.upload_later(turn, entry, reason);
            }
            UploadError::Refused {
                status,
                code,
                reason,
            } => UploadFailure::Refused {
                status: status.into(),
                code,
                reason,
            },
            UploadError::CopyLost { reason } => UploadFailure::CopyLost { reason },
            UploadError::UnknownStorage { provider } => UploadFailure::UnknownStorage { provider },
        };
        self.fail_entry(turn, entry, SendFailure::NotUploaded { failure })
    }

    /// The step is tried again after a pause. Tries count while there is a session only: a device without a
    /// network is not the file's fault. Tries on a connection that proves to be broken are taken back.
    fn upload_later(
        &mut self,
        turn: &mut Turn<'_, '_>,
        entry: &Entry,
        reason: String,
    ) -> Result<(), StoreError> {
        let counted = u32::from(self.session.is_open());
        let tries = entry.tries.saturating_add(counted);
        turn.overlay.update_entry(entry.id, |it| it.tries = tries);
        if tries >= self.settings.limits.send_tries_max {
            let failure = UploadFailure::Unreachable { tries, reason };
            return self.fail_entry(turn, entry, SendFailure::NotUploaded { failure });
        }
        let pause = PAUSES.longest(tries.saturating_sub(1));
        if let Some(spooled) = self.uploads.files.get_mut(&entry.id) {
            spooled.not_before = turn.elapsed().saturating_add(pause);
            spooled.unproven += counted;
        }
        Ok(())
    }

    /// The connection broke. Nobody knows since when: tries after the service was last heard do not count, and no
    /// pause after them stands in the way.
    pub(in crate::sync::client) fn uploads_lose_connection(&mut self, turn: &mut Turn<'_, '_>) {
        for (id, spooled) in &mut self.uploads.files {
            let unproven = std::mem::take(&mut spooled.unproven);
            if unproven > 0 {
                spooled.not_before = Duration::ZERO;
                turn.overlay.update_entry(*id, |it| {
                    if it.state == OutboxState::Queued {
                        it.tries -= unproven.min(it.tries);
                    }
                });
            }
        }
    }
}

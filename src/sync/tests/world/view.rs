//! Questions of a test to the world.

use std::time::Duration;

use super::super::service::RECALLED;
use super::{Device, Happening, World};
use crate::model::{
    ClientId, ConversationId, ConversationInfo, MessageState, OutboxState, PendingChange,
    SessionState,
};
use crate::store::{ConversationRow, Gap, Position, Store, TimelineItem};
use crate::sync::ElapsedHolds;

impl World {
    pub(in crate::sync::tests) fn store(&self, device: Device) -> &Store {
        &self.machines[device.0].opened.as_ref().unwrap().0
    }

    pub(in crate::sync::tests) fn session(&self, device: Device) -> SessionState {
        self.machines[device.0]
            .client
            .as_ref()
            .unwrap()
            .session_state()
    }

    /// The entries that a device keeps back now.
    pub(in crate::sync::tests) fn holds(&self, device: Device) -> ElapsedHolds {
        let client = self.machines[device.0].client.as_ref();
        client.unwrap().holds(self.now)
    }

    /// The clients that write, as a device was told.
    pub(in crate::sync::tests) fn writers(&self, device: Device) -> &[String] {
        &self.machines[device.0].writers
    }

    /// The notices of members that an app was given since the last look: the event, by whom, and of whom.
    pub(in crate::sync::tests) fn notices(&mut self, device: Device) -> Vec<String> {
        let told = std::mem::take(&mut self.machines[device.0].notices);
        let words = told.iter().map(|it| {
            let by = it.by.as_ref().map_or("nobody", ClientId::as_str);
            let members: Vec<&str> = it.members.iter().map(ClientId::as_str).collect();
            format!("{:?} by {by}: {}", it.event, members.join(" "))
        });
        words.collect()
    }

    pub(in crate::sync::tests) const fn elapsed(&self) -> Duration {
        self.now
    }

    pub(in crate::sync::tests) fn sent_frames(&self, device: Device) -> usize {
        self.machines[device.0].sent
    }

    pub(in crate::sync::tests) fn row(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> ConversationRow {
        let snapshot = self.store(device).snapshot();
        snapshot
            .conversation_by_id(id)
            .unwrap()
            .expect("a conversation")
            .1
    }

    /// The transient messages that a device received.
    pub(in crate::sync::tests) fn transient(&self, device: Device) -> &[String] {
        &self.machines[device.0].transient
    }

    /// A conversation as the app sees it.
    pub(in crate::sync::tests) fn info(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> ConversationInfo {
        let snapshot = self.store(device).snapshot();
        let number = snapshot.number(id).unwrap().expect("a conversation");
        snapshot.info(number).unwrap().expect("a conversation")
    }

    /// How many conversations a device knows, of the first hundred.
    pub(in crate::sync::tests) fn known(&self, device: Device) -> usize {
        let snapshot = self.store(device).snapshot();
        snapshot
            .conversations(None, 100)
            .unwrap()
            .conversations
            .len()
    }

    pub(in crate::sync::tests) fn unread(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> (u32, bool) {
        let unread = self.row(device, id).unread;
        (unread.count, unread.at_least)
    }

    /// The service's id of a conversation.
    pub(in crate::sync::tests) fn service_id(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> ConversationId {
        self.row(device, id).id
    }

    pub(in crate::sync::tests) fn items(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> Vec<TimelineItem> {
        let snapshot = self.store(device).snapshot();
        let Some(number) = snapshot.number(id).unwrap() else {
            return Vec::new();
        };
        snapshot.page_before(number, None, 500).unwrap().items
    }

    /// The timeline as text: a line a message, `~` for a gap.
    pub(in crate::sync::tests) fn timeline(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> Vec<String> {
        let line = |item: &TimelineItem| match item.message() {
            None => "~".to_owned(),
            Some(message) => {
                let state = match &message.state {
                    MessageState::Pending => " …",
                    MessageState::Failed { .. } => " !",
                    _ => "",
                };
                let change = match &message.change {
                    None => "",
                    Some(
                        PendingChange::Edit { failure: None }
                        | PendingChange::Recall { failure: None },
                    ) => " (changing)",
                    Some(PendingChange::Edit { .. } | PendingChange::Recall { .. }) => {
                        " (not changed)"
                    }
                };
                let words = message.content.words().unwrap_or("?");
                format!("{}: {words}{state}{change}", message.sender)
            }
        };
        self.items(device, id).iter().map(line).collect()
    }

    /// The position of the oldest message of the timeline's newest unbroken stretch.
    pub(in crate::sync::tests) fn newer_edge_of_gap(
        &self,
        device: Device,
        id: &ConversationId,
    ) -> Option<Position> {
        self.gap(device, id)?.newer
    }

    /// The newest gap of a timeline that has a newer edge, else the newest one.
    pub(in crate::sync::tests) fn gap(&self, device: Device, id: &ConversationId) -> Option<Gap> {
        let items = self.items(device, id).into_iter().rev();
        let mut gaps = items.filter_map(|item| match item {
            TimelineItem::Gap(gap) => Some(gap),
            _ => None,
        });
        let newest = gaps.next()?;
        match newest.newer {
            Some(_) => Some(newest),
            None => gaps.find(|gap| gap.newer.is_some()).or(Some(newest)),
        }
    }

    /// How many steps of uploads are on their way to the storage.
    pub(in crate::sync::tests) fn uploads_under_way(&self) -> usize {
        let events = self.events.values();
        let uploads = events.filter(|it| matches!(it, Happening::Uploaded(..)));
        uploads.count()
    }

    /// How many uploads of a device were stopped on their way.
    pub(in crate::sync::tests) fn stopped_uploads(&self, device: Device) -> usize {
        self.machines[device.0].ended_uploads.len()
    }

    /// The files in a device's spool.
    pub(in crate::sync::tests) fn spool(&self, device: Device) -> Vec<String> {
        self.machines[device.0].spool.iter().cloned().collect()
    }

    /// The unsent entries: their kinds and states.
    pub(in crate::sync::tests) fn outbox(&self, device: Device) -> Vec<String> {
        let entries = self.store(device).snapshot().outbox();
        let line = |state: &OutboxState| match state {
            OutboxState::Queued => "queued".to_owned(),
            OutboxState::InFlight => "in flight".to_owned(),
            OutboxState::Failed { failure } => format!("failed: {failure:?}"),
        };
        let lines = entries.iter();
        lines
            .map(|entry| format!("{:?} {}", entry.intent.kind(), line(&entry.state)))
            .collect()
    }

    /// The service's truth about a conversation.
    pub(in crate::sync::tests) fn truth(&self, id: &ConversationId) -> Vec<String> {
        let conversation = &self.service.conversations[id.as_str()];
        let lines = conversation.messages.iter();
        let words = |text: &str| match text {
            RECALLED => "?".to_owned(),
            text => text.to_owned(),
        };
        lines
            .map(|it| format!("{}: {}", it.from, words(&it.text)))
            .collect()
    }
}

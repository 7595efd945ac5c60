//! Carries out the actions of apps in a plan.

use sampan::model::{
    ClientId, ConversationId, ConversationInfo, ConversationState, Json, LocalId, Mentions,
    MessageContent, MessageKey, NewConversation, NewMessage, OutboxEntryId, Uniqueness,
};
use sampan::store::{Dropped, Intent, MembersChange, Position, SendIntent, TimelineItem};
use sampan::sync::{
    ChangeMembers, Connect, CreateConversation, DiscardEntry, Disconnect, EditMessage,
    FetchConversations, FetchHistory, FetchReceipts, Focus, FreshToken, MarkRead, RecallMessage,
    Request, RetryEntry, SendMessage, SetAttributes, SetMuted, SignIn,
};

use crate::checks::ledger::{Call, Change};
use crate::checks::mirror::whole_timeline;
use crate::devices::actions::Action;
use crate::devices::device::Device;
use crate::dice::nth;
use crate::service::Broken;
use crate::world::World;

impl World {
    /// An app does something, or a user at another program.
    pub(crate) fn act(&mut self, number: usize) -> Result<(), Broken> {
        let Some(action) = self.plan.actions.get(number).map(|at| at.what) else {
            return Ok(());
        };
        let bytes = number.to_le_bytes();
        self.record
            .trace
            .note(self.now, "act", number, &bytes, || format!("{action:?}"));
        match action {
            Action::Connect { device } => {
                let mode = SignIn::TakeOver;
                self.call(device, Connect { mode }, Call::Other)
            }
            Action::Disconnect { device } => self.call(device, Disconnect, Call::Other),
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
            Action::SendFile { device, pick } => self.send_file(device, pick),
            Action::MarkRead { device, pick } => {
                let until = None;
                self.on_conversation(device, pick, |conversation| MarkRead {
                    conversation,
                    until,
                })
            }
            Action::FetchHistory {
                device,
                pick,
                limit,
            } => self.fetch_history(device, pick, limit),
            Action::Focus { device, pick } => self.on_conversation(device, pick, |it| Focus {
                conversation: Some(it),
            }),
            Action::FetchReceipts { device, pick } => {
                self.on_conversation(device, pick, |conversation| FetchReceipts { conversation })
            }
            Action::Retry { device, pick } => match self.entry(device, pick) {
                Some(entry) => self.call(device, RetryEntry { entry }, Call::Retry { entry }),
                None => Ok(()),
            },
            Action::Discard { device, pick } => match self.entry(device, pick) {
                Some(entry) => self.call(
                    device,
                    DiscardEntry { entry },
                    Call::Discard {
                        entry,
                        message: self.message_of(device, entry),
                    },
                ),
                None => Ok(()),
            },
            Action::SetAttribute { device, pick } => self.set_attribute(device, pick),
            Action::Mute { device, pick } => {
                self.on_conversation(device, pick, |conversation| SetMuted {
                    conversation,
                    muted: pick.is_multiple_of(3),
                })
            }
            Action::ChangeMembers { device, pick, whom } => self.change_members(device, pick, whom),
            Action::Edit { device, pick } => self.change_message(device, pick, Change::Edit),
            Action::Recall { device, pick } => self.change_message(device, pick, Change::Recall),
            Action::Quit { device, pick } => self.quit(device, pick),
            Action::Join { device, pick } => self.join(device, pick),
            Action::ReadUntil { device, pick } => self.read_until(device, pick),
            Action::KeepFailed { device, pick } => self.keep_failed(device, pick),
            Action::KeepForeign { device, pick } => self.keep_foreign(device, pick),
            Action::SendAgain { device, pick } => self.send_again(device, pick),
            Action::Remove { device, pick } => self.remove(device, pick),
            Action::Leave { device, pick, many } => {
                self.leave(device, pick, many);
                Ok(())
            }
            Action::Import { device } => {
                let engine = self.engine_of(device);
                let client = self.devices.get(device).map(|it| it.client().clone());
                match client {
                    Some(client) => self.with_engine(engine, |it, now| it.import(now, &client)),
                    None => Ok(()),
                }
            }
            Action::FetchConversations { device, pick } => self.fetch_conversations(device, pick),
            Action::FreshToken { device } => self.call(device, FreshToken, Call::Other),
            Action::Pause { device, lasting } => self.pause(device, lasting),
            other => self.other_acts(other),
        }
    }

    /// A number that no other word or name has.
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
        let Some(client) = self.devices.get(device).map(|it| it.client().clone()) else {
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
        self.call(device, CreateConversation { conversation }, call)
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
                ..NewMessage::new(MessageContent::text(words.clone()))
            };
            let conversation = conversation.clone();
            let request = SendMessage {
                conversation,
                message,
            };
            self.call(device, request, Call::Send { words, number })?;
        }
        Ok(())
    }

    /// The conversations that the app shows in its list.
    pub(super) fn conversations(&self, device: usize) -> Vec<ConversationInfo> {
        let store = self.devices.get(device).and_then(Device::store);
        let page = store.and_then(|store| store.snapshot().conversations(None, 100).ok());
        let listed = page.map(|page| page.conversations).unwrap_or_default();
        listed.into_iter().map(|(_, info)| info).collect()
    }

    fn on_conversation<C: Into<Request>>(
        &mut self,
        device: usize,
        pick: u64,
        request: impl FnOnce(ConversationId) -> C,
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
        let request = FetchHistory {
            conversation,
            before,
            limit,
        };
        self.call(device, request, Call::Other)
    }

    fn gap_of(&self, device: usize, conversation: &ConversationId) -> Option<Position> {
        let store = self.devices.get(device)?.store()?;
        let snapshot = store.snapshot();
        let number = snapshot.number(conversation).ok()??;
        let items = whole_timeline(&snapshot, number).ok()?;
        items.into_iter().rev().find_map(|item| match item {
            TimelineItem::Gap(gap) => gap.newer,
            _ => None,
        })
    }

    /// The app sets an attribute under a key of the device's own.
    fn set_attribute(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let conversations = self.conversations(device);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let value = self.fresh();
        let text = format!(r#"{{"d{device}": {value}}}"#);
        let Ok(changes) = Json::parse(text) else {
            return Ok(());
        };
        let conversation = info.id.clone();
        let unnamed = conversations.iter().map(|it| &it.id);
        let unnamed = unnamed.filter(|id| id.is_local() && **id != conversation);
        let call = Call::SetAttribute {
            conversation: conversation.clone(),
            unnamed: unnamed.cloned().collect(),
            value,
        };
        let request = SetAttributes {
            conversation,
            changes,
        };
        self.call(device, request, call)
    }

    /// The app adds somebody, or removes a client who is a member already.
    fn change_members(&mut self, device: usize, pick: u64, whom: usize) -> Result<(), Broken> {
        let whom = Self::user_name(whom)?;
        let mut conversations = self.conversations(device);
        conversations.retain(|info| !info.unique && info.name.is_some());
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let change = if info.members.contains(&whom) {
            MembersChange::Remove
        } else {
            MembersChange::Add
        };
        let request = ChangeMembers {
            conversation: info.id.clone(),
            change,
            members: vec![whom],
        };
        self.call(device, request, Call::Other)
    }

    /// The app edits or recalls one of the messages that the device sent and shows.
    fn change_message(&mut self, device: usize, pick: u64, change: Change) -> Result<(), Broken> {
        let conversations = self.conversations(device);
        let Some(info) = nth(&conversations, pick) else {
            return Ok(());
        };
        let own = self.own_messages(device, &info.id);
        let Some(local) = nth(&own, pick / 7).cloned() else {
            return Ok(());
        };
        let conversation = info.id.clone();
        let message = MessageKey::local(local.clone());
        let call = Call::Change {
            message: local,
            change,
        };
        match change {
            Change::Edit => {
                let content = MessageContent::text(format!("e{device}.{}", self.fresh()));
                let request = EditMessage {
                    conversation,
                    message,
                    content,
                };
                self.call(device, request, call)
            }
            Change::Recall => {
                let request = RecallMessage {
                    conversation,
                    message,
                };
                self.call(device, request, call)
            }
        }
    }

    /// The messages that a device shows in a conversation and that it sent itself, newest first.
    pub(super) fn own_messages(
        &self,
        device: usize,
        conversation: &ConversationId,
    ) -> Vec<LocalId> {
        let Some(store) = self.devices.get(device).and_then(Device::store) else {
            return Vec::new();
        };
        let snapshot = store.snapshot();
        let number = snapshot.number(conversation).ok().flatten();
        let items = number.and_then(|number| snapshot.page_before(number, None, 50).ok());
        let items = items.map(|page| page.items).unwrap_or_default();
        let messages = items
            .into_iter()
            .rev()
            .filter_map(TimelineItem::into_message);
        let said = messages.filter(|message| !message.content.is_recalled());
        said.filter_map(|message| message.local_id).collect()
    }

    pub(super) fn entry(&self, device: usize, pick: u64) -> Option<OutboxEntryId> {
        let store = self.devices.get(device)?.store()?;
        let entries: Vec<_> = store.snapshot().outbox();
        nth(&entries, pick).map(|entry| entry.id)
    }

    pub(super) fn message_of(&self, device: usize, entry: OutboxEntryId) -> Option<LocalId> {
        let store = self.devices.get(device)?.store()?;
        let entries = store.snapshot().outbox();
        let found = entries.iter().find(|it| it.id == entry)?;
        found
            .local_id()
            .or_else(|| found.changed_message())
            .cloned()
    }

    /// Another process of the app leaves messages in the inbox; the engine is not told.
    fn leave(&mut self, device: usize, pick: u64, many: u8) {
        let mut conversations = self.conversations(device);
        conversations.retain(|info| info.state == ConversationState::Live);
        let inbox = self.devices.get(device).map(|device| device.inbox.clone());
        let (Some(info), Some(inbox)) = (nth(&conversations, pick), inbox) else {
            return;
        };
        let now = self.engine_now(self.engine_of(device));
        for _ in 0..many {
            let number = self.fresh();
            let words = format!("x{device}.{number}");
            let work = Dropped {
                conversation: info.id.clone(),
                token: self.dice.source().local_id(),
                dropped_at: now.wall,
                intent: Intent::Send(SendIntent {
                    content: MessageContent::text(words.clone()),
                    mentions: Mentions::default(),
                    receipt: false,
                    transient: false,
                    push: None,
                    priority: None,
                    will: false,
                    upload: None,
                }),
            };
            self.record.ledger.left(device, number, words, &work);
            inbox.leave(work);
        }
    }

    fn fetch_conversations(&mut self, device: usize, pick: u64) -> Result<(), Broken> {
        let truth = self.server.places()?;
        let ids: Vec<_> = truth.conversations.into_keys().collect();
        match nth(&ids, pick).cloned() {
            Some(id) => {
                let conversations = vec![id];
                let request = FetchConversations { conversations };
                self.call(device, request, Call::Other)
            }
            None => Ok(()),
        }
    }
}

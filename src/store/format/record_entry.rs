//! The stored form of outbox entries; the journal and the inbox hold the same records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    ConversationId, ConversationKind, Json, LocalId, Mentions, MessageId, MessageKey,
    OutboxEntryId, OutboxState, Priority, Timestamp,
};
use crate::store::format::messagepack::{BadRecord, clients, json, millis, texts, time};
use crate::store::format::record::FailureRecord;
use crate::store::format::record_message::ContentRecord;
use crate::store::format::record_upload::UploadRecord;
use crate::store::types::entry::{
    CreateIntent, DetailsIntent, Entry, Intent, MuteIntent, Patch, PatchIntent, ReadIntent,
    SendIntent,
};
use crate::store::types::members::{MembersChange, MembersIntent};
use crate::store::types::position::ConversationNumber;

/// An outbox entry. It names its conversation by id too, so that it can be saved out of the
/// journal when everything else is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntryRecord<'a> {
    pub(crate) conversation: u32,
    pub(crate) conversation_id: String,
    pub(crate) token: String,
    pub(crate) enqueued_at_ms: i64,
    #[serde(default)]
    pub(crate) tries: u32,
    #[serde(default)]
    pub(crate) in_doubt_since_ms: Option<i64>,
    pub(crate) state: EntryStateRecord,
    pub(crate) intent: IntentRecord<'a>,
}

/// The state of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum EntryStateRecord {
    Queued,
    InFlight,
    Failed(FailureRecord),
}

/// The work of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum IntentRecord<'a> {
    Create {
        kind: i32,
        name: Option<String>,
        members: Vec<String>,
        attributes: Option<String>,
        unique: bool,
        lifetime_seconds: Option<u32>,
    },
    Send {
        content: ContentRecord<'a>,
        mention_all: bool,
        mentions: Vec<String>,
        receipt: bool,
        transient: bool,
        push: Option<String>,
        #[serde(default)]
        priority: Option<i32>,
        #[serde(default)]
        will: bool,
        #[serde(default)]
        upload: Option<Box<UploadRecord>>,
    },
    Read {
        until_ms: i64,
        message: Option<String>,
    },
    Edit {
        /// The text of the message's key.
        message: String,
        content: ContentRecord<'a>,
        mention_all: bool,
        mentions: Vec<String>,
    },
    Recall {
        message: String,
    },
    Join {
        members: Vec<String>,
    },
    Quit {
        members: Vec<String>,
    },
    AddMembers {
        members: Vec<String>,
    },
    RemoveMembers {
        members: Vec<String>,
    },
    Block {
        members: Vec<String>,
    },
    Unblock {
        members: Vec<String>,
    },
    Silence {
        members: Vec<String>,
    },
    Unsilence {
        members: Vec<String>,
    },
    Promote {
        members: Vec<String>,
    },
    Demote {
        members: Vec<String>,
    },
    Details {
        name: Option<String>,
        /// Keys, and their new values as JSON; none removes one.
        attributes: Vec<(String, Option<String>)>,
    },
    Mute {
        muted: bool,
    },
}

impl<'a> EntryRecord<'a> {
    /// The stored form of an entry.
    pub(crate) fn of(entry: &'a Entry, conversation_id: &ConversationId) -> Self {
        Self {
            conversation: entry.conversation.0,
            conversation_id: conversation_id.as_str().to_owned(),
            token: entry.token.as_str().to_owned(),
            enqueued_at_ms: entry.enqueued_at.as_millis(),
            tries: entry.tries,
            in_doubt_since_ms: millis(entry.in_doubt_since),
            state: match &entry.state {
                OutboxState::Queued => EntryStateRecord::Queued,
                OutboxState::InFlight => EntryStateRecord::InFlight,
                OutboxState::Failed { failure } => {
                    EntryStateRecord::Failed(FailureRecord::of(failure))
                }
            },
            intent: IntentRecord::of(&entry.intent),
        }
    }

    /// The entry of the given number.
    pub(crate) fn entry(self, id: OutboxEntryId) -> Result<Entry, BadRecord> {
        Ok(Entry {
            id,
            conversation: ConversationNumber(self.conversation),
            token: LocalId::new(&self.token)?,
            enqueued_at: Timestamp::from_millis(self.enqueued_at_ms),
            tries: self.tries,
            in_doubt_since: time(self.in_doubt_since_ms),
            state: match self.state {
                EntryStateRecord::Queued => OutboxState::Queued,
                EntryStateRecord::InFlight => OutboxState::InFlight,
                EntryStateRecord::Failed(failure) => OutboxState::Failed {
                    failure: failure.failure(),
                },
            },
            intent: self.intent.intent()?,
        })
    }
}

fn key(text: &str) -> Result<MessageKey, BadRecord> {
    MessageKey::parse(text).map_err(|_| BadRecord)
}

fn members_intent(change: MembersChange, members: &[String]) -> Result<Intent, BadRecord> {
    let members = clients(members)?;
    Ok(Intent::Members(MembersIntent { change, members }))
}

fn json_text(json: &Json) -> String {
    json.as_str().to_owned()
}

impl<'a> IntentRecord<'a> {
    /// The stored form of an intent.
    pub(crate) fn of(intent: &'a Intent) -> Self {
        match intent {
            Intent::Create(create) => Self::Create {
                kind: create.kind.number(),
                name: create.name.clone(),
                members: texts(&create.members),
                attributes: create.attributes.as_ref().map(json_text),
                unique: create.unique,
                lifetime_seconds: create.lifetime_seconds,
            },
            Intent::Send(send) => Self::Send {
                content: ContentRecord::of(&send.content),
                mention_all: send.mentions.all,
                mentions: texts(&send.mentions.clients),
                receipt: send.receipt,
                transient: send.transient,
                push: send.push.as_ref().map(json_text),
                priority: send.priority.map(Priority::number),
                will: send.will,
                upload: send
                    .upload
                    .as_deref()
                    .map(|it| Box::new(UploadRecord::of(it))),
            },
            Intent::Patch(PatchIntent { message, patch }) => match patch {
                Patch::Edit { content, mentions } => Self::Edit {
                    message: message.to_string(),
                    content: ContentRecord::of(content),
                    mention_all: mentions.all,
                    mentions: texts(&mentions.clients),
                },
                Patch::Recall => Self::Recall {
                    message: message.to_string(),
                },
            },
            Intent::Members(intent) => Self::of_members(intent),
            Intent::Details(details) => Self::Details {
                name: details.name.clone(),
                attributes: details
                    .attributes
                    .iter()
                    .map(|(key, value)| (key.clone(), value.as_ref().map(json_text)))
                    .collect(),
            },
            Intent::Mute(mute) => Self::Mute { muted: mute.muted },
            Intent::Read(read) => Self::Read {
                until_ms: read.until.as_millis(),
                message: read.message.as_ref().map(|id| id.as_str().to_owned()),
            },
        }
    }

    fn of_members(intent: &MembersIntent) -> Self {
        let members = texts(&intent.members);
        match intent.change {
            MembersChange::Join => Self::Join { members },
            MembersChange::Quit => Self::Quit { members },
            MembersChange::Add => Self::AddMembers { members },
            MembersChange::Remove => Self::RemoveMembers { members },
            MembersChange::Block => Self::Block { members },
            MembersChange::Unblock => Self::Unblock { members },
            MembersChange::Silence => Self::Silence { members },
            MembersChange::Unsilence => Self::Unsilence { members },
            MembersChange::Promote => Self::Promote { members },
            MembersChange::Demote => Self::Demote { members },
        }
    }

    /// The intent.
    pub(crate) fn intent(self) -> Result<Intent, BadRecord> {
        Ok(match self {
            Self::Create {
                kind,
                name,
                members,
                attributes,
                unique,
                lifetime_seconds,
            } => Intent::Create(CreateIntent {
                kind: ConversationKind::from_number(kind).ok_or(BadRecord)?,
                name,
                members: clients(&members)?,
                attributes: json(attributes)?,
                unique,
                lifetime_seconds,
            }),
            Self::Send {
                content,
                mention_all,
                mentions,
                receipt,
                transient,
                push,
                priority,
                will,
                upload,
            } => Intent::Send(SendIntent {
                content: content.content()?,
                mentions: Mentions {
                    all: mention_all,
                    clients: clients(&mentions)?,
                },
                receipt,
                transient,
                push: json(push)?,
                priority: priority.and_then(Priority::from_number),
                will,
                upload: upload.map(|it| Box::new(it.upload())),
            }),
            Self::Edit {
                message,
                content,
                mention_all,
                mentions,
            } => Intent::Patch(PatchIntent {
                message: key(&message)?,
                patch: Patch::Edit {
                    content: content.content()?,
                    mentions: Mentions {
                        all: mention_all,
                        clients: clients(&mentions)?,
                    },
                },
            }),
            Self::Recall { message } => Intent::Patch(PatchIntent {
                message: key(&message)?,
                patch: Patch::Recall,
            }),
            Self::Join { members } => members_intent(MembersChange::Join, &members)?,
            Self::Quit { members } => members_intent(MembersChange::Quit, &members)?,
            Self::AddMembers { members } => members_intent(MembersChange::Add, &members)?,
            Self::RemoveMembers { members } => members_intent(MembersChange::Remove, &members)?,
            Self::Block { members } => members_intent(MembersChange::Block, &members)?,
            Self::Unblock { members } => members_intent(MembersChange::Unblock, &members)?,
            Self::Silence { members } => members_intent(MembersChange::Silence, &members)?,
            Self::Unsilence { members } => members_intent(MembersChange::Unsilence, &members)?,
            Self::Promote { members } => members_intent(MembersChange::Promote, &members)?,
            Self::Demote { members } => members_intent(MembersChange::Demote, &members)?,
            Self::Details { name, attributes } => {
                let mut all = BTreeMap::new();
                for (key, value) in attributes {
                    all.insert(key, json(value)?);
                }
                Intent::Details(DetailsIntent {
                    name,
                    attributes: all,
                })
            }
            Self::Mute { muted } => Intent::Mute(MuteIntent { muted }),
            Self::Read { until_ms, message } => Intent::Read(ReadIntent {
                until: Timestamp::from_millis(until_ms),
                message: message.map(MessageId::new).transpose()?,
            }),
        })
    }
}

//! The promises made to apps: the ledger that the checks compare with devices and service.

use sampan::SampanError;
use sampan::model::{ConversationId, LocalId, OutboxEntryId};
use sampan::store::Dropped;
use sampan::sync::{Created, Enqueued, Reply};

/// An API call, as the app remembers it until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// A message with these words, which no other message has.
    Send { words: String, number: u64 },
    /// A message with these words, which is kept as failed until the app has it sent.
    Keep { words: String, number: u64 },
    /// A message with these words and a file, whose copy has a name that no other has.
    SendFile {
        words: String,
        number: u64,
        copy: String,
    },
    /// A conversation with this name, which no other has.
    Create { name: String },
    /// The one conversation of some users.
    CreateUnique,
    /// Giving up an entry.
    Discard {
        entry: OutboxEntryId,
        message: Option<LocalId>,
    },
    /// Taking an unsent message out.
    Remove {
        entry: OutboxEntryId,
        message: LocalId,
    },
    /// Changing a message that the device sent.
    Change { message: LocalId, change: Change },
    /// Setting the device's own attribute of a conversation to a value that is set once.
    SetAttribute {
        conversation: ConversationId,
        /// The conversations that had no id of the service yet.
        unnamed: Vec<ConversationId>,
        value: u64,
    },
    /// Trying an entry again.
    Retry { entry: OutboxEntryId },
    /// Anything else.
    Other,
}

/// An app's change of a message that it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Edit,
    Recall,
}

/// A change of a message that the app was promised.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    pub(crate) device: usize,
    pub(crate) message: LocalId,
    pub(crate) change: Change,
    pub(crate) fate: Fate,
}

/// An attribute that the app was promised to be set.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) device: usize,
    pub(crate) conversation: ConversationId,
    /// The conversations of the device that had no id of the service yet: the conversation of the attribute may
    /// turn out to be one of them.
    pub(crate) unnamed: Vec<ConversationId>,
    pub(crate) value: u64,
    pub(crate) fate: Fate,
}

/// The lengths of a ledger's lists at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    messages: usize,
    conversations: usize,
    changes: usize,
    attributes: usize,
    removed: usize,
}

/// A message that the app was promised.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) device: usize,
    /// Its place in the order in which the app asked.
    pub(crate) number: u64,
    pub(crate) words: String,
    pub(crate) conversation: ConversationId,
    pub(crate) local_id: LocalId,
    /// None for a message that another process of the app left: such a message gets its entry later.
    pub(crate) entry: Option<OutboxEntryId>,
    pub(crate) fate: Fate,
    /// True if the message may stand behind messages that were asked for later: it was left in the inbox, or
    /// retried, or it has a file.
    pub(crate) loose: bool,
    /// True if the app had the message sent again after a failure: a retried ambiguous message may arrive
    /// twice.
    pub(crate) retried: bool,
    /// The name of the copy of the message's file.
    pub(crate) file: Option<String>,
    /// True if the app kept the message as failed: it must not be sent before the app retries it.
    pub(crate) kept: bool,
}

/// A conversation that the app was promised.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) device: usize,
    /// The name that no other conversation has; none for a conversation that may have existed before.
    pub(crate) name: Option<String>,
    /// The id it had when it was promised.
    pub(crate) conversation: ConversationId,
    pub(crate) entry: OutboxEntryId,
    pub(crate) fate: Fate,
}

/// The fate of a promise, as far as the app has a say in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The promise must be kept.
    Due,
    /// The app took it back.
    TakenBack,
    /// The device was restored from a copy that is older.
    Overwritten,
}

/// Every promise of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) messages: Vec<Promise>,
    pub(crate) conversations: Vec<Made>,
    pub(crate) changes: Vec<Changed>,
    pub(crate) attributes: Vec<Attribute>,
    /// The unsent messages that a device was told to be out.
    pub(crate) removed: Vec<(usize, LocalId)>,
    pub(crate) answers: u64,
}

impl Ledger {
    /// Writes down the answer of a device.
    pub(crate) fn answered(
        &mut self,
        device: usize,
        call: Call,
        answer: Result<Reply, SampanError>,
    ) {
        self.answers += 1;
        let kept = matches!(call, Call::Keep { .. });
        // A message with a file takes its place when its file is uploaded.
        let loose = kept || matches!(call, Call::SendFile { .. });
        let file = match &call {
            Call::SendFile { copy, .. } => Some(copy.clone()),
            _ => None,
        };
        match (call, answer) {
            (
                Call::Keep { words, number }
                | Call::Send { words, number }
                | Call::SendFile { words, number, .. },
                Ok(Reply::Enqueued(Enqueued {
                    entry,
                    local_id,
                    message,
                    ..
                })),
            ) => self.messages.push(Promise {
                device,
                number,
                words,
                conversation: message.conversation,
                local_id,
                entry,
                fate: Fate::Due,
                loose,
                retried: false,
                file,
                kept,
            }),
            (
                call @ (Call::Create { .. } | Call::CreateUnique),
                Ok(Reply::Created(Created {
                    entry: Some(entry),
                    conversation,
                })),
            ) => self.conversations.push(Made {
                device,
                name: match call {
                    Call::Create { name } => Some(name),
                    _ => None,
                },
                conversation,
                entry,
                fate: Fate::Due,
            }),
            (call, Ok(_)) => {
                if !matches!(call, Call::SetAttribute { .. }) {
                    self.unheard(device, &call);
                }
                let fate = Fate::Due;
                match call {
                    Call::Change { message, change } => self.changes.push(Changed {
                        device,
                        message,
                        change,
                        fate,
                    }),
                    Call::Remove { message, .. } => self.removed.push((device, message)),
                    Call::SetAttribute {
                        conversation,
                        unnamed,
                        value,
                    } => self.attributes.push(Attribute {
                        device,
                        conversation,
                        unnamed,
                        value,
                        fate,
                    }),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Writes down the promise to another process of the app: the work is in the inbox.
    pub(crate) fn left(&mut self, device: usize, number: u64, words: String, work: &Dropped) {
        self.messages.push(Promise {
            device,
            number,
            words,
            conversation: work.conversation.clone(),
            local_id: work.token.clone(),
            entry: None,
            fate: Fate::Due,
            loose: true,
            retried: false,
            file: None,
            kept: false,
        });
    }

    /// Writes down that a call was made and perhaps never answered: the things that the call takes back may be
    /// gone, and the things that it asks for are not promised.
    pub(crate) fn unheard(&mut self, device: usize, call: &Call) {
        match call {
            Call::Discard { entry, message } => self.taken_back(device, *entry, message.as_ref()),
            Call::Remove { entry, message } => self.taken_back(device, *entry, Some(message)),
            Call::Retry { entry } => {
                // A message that was perhaps taken out is retried too, if it is still there.
                let messages = self.messages.iter_mut();
                messages
                    .filter(|promise| promise.device == device && promise.entry == Some(*entry))
                    .for_each(|promise| {
                        promise.loose = true;
                        promise.retried = true;
                    });
            }
            // A message that never left is gone with its recall.
            Call::Change {
                message,
                change: Change::Recall,
            } => {
                let due = self.due(device);
                due.filter(|promise| promise.local_id == *message)
                    .for_each(|promise| promise.fate = Fate::TakenBack);
            }
            // Nobody knows which of several wishes was heard.
            Call::SetAttribute { conversation, .. } => {
                let attributes = self.attributes.iter_mut();
                attributes
                    .filter(|it| it.device == device && it.conversation == *conversation)
                    .for_each(|it| it.fate = Fate::TakenBack);
            }
            Call::Change { .. }
            | Call::Send { .. }
            | Call::SendFile { .. }
            | Call::Keep { .. }
            | Call::Create { .. }
            | Call::CreateUnique
            | Call::Other => {}
        }
    }

    /// Takes an entry back; with a creation goes everything that waited for it.
    fn taken_back(&mut self, device: usize, entry: OutboxEntryId, message: Option<&LocalId>) {
        let due = self
            .due(device)
            .filter(|promise| promise.entry == Some(entry) || Some(&promise.local_id) == message);
        due.for_each(|promise| promise.fate = Fate::TakenBack);
        let changes = self.changes.iter_mut();
        changes
            .filter(|it| it.device == device && Some(&it.message) == message)
            .for_each(|it| it.fate = Fate::TakenBack);
        if message.is_none() {
            // The entry may have been the change of attributes.
            let attributes = self.attributes.iter_mut();
            attributes
                .filter(|it| it.device == device)
                .for_each(|it| it.fate = Fate::TakenBack);
        }
        let made = self.conversations.iter_mut();
        let made = made.filter(|made| made.device == device && made.fate == Fate::Due);
        let mut dropped = Vec::new();
        for made in made.filter(|made| made.entry == entry) {
            made.fate = Fate::TakenBack;
            dropped.push(made.conversation.clone());
        }
        for conversation in dropped {
            let due = self.due(device);
            due.filter(|promise| promise.conversation == conversation)
                .for_each(|promise| promise.fate = Fate::TakenBack);
        }
    }

    /// The device holds an older state from now on: a promise since then that was not delivered is nobody's
    /// fault.
    pub(crate) fn overwritten(&mut self, device: usize, since: Place) {
        let changes = self.changes.iter_mut().skip(since.changes);
        changes
            .filter(|it| it.device == device && it.fate == Fate::Due)
            .for_each(|it| it.fate = Fate::Overwritten);
        let attributes = self.attributes.iter_mut().skip(since.attributes);
        attributes
            .filter(|it| it.device == device && it.fate == Fate::Due)
            .for_each(|it| it.fate = Fate::Overwritten);
        let messages = self.messages.iter_mut().skip(since.messages);
        messages
            .filter(|promise| promise.device == device && promise.fate == Fate::Due)
            .for_each(|promise| promise.fate = Fate::Overwritten);
        let mut number = 0;
        self.removed.retain(|(of, _)| {
            number += 1;
            number <= since.removed || *of != device
        });
        let made = self.conversations.iter_mut().skip(since.conversations);
        made.filter(|made| made.device == device && made.fate == Fate::Due)
            .for_each(|made| made.fate = Fate::Overwritten);
    }

    /// The lengths of the ledger's lists now.
    pub(crate) const fn place(&self) -> Place {
        Place {
            messages: self.messages.len(),
            conversations: self.conversations.len(),
            changes: self.changes.len(),
            attributes: self.attributes.len(),
            removed: self.removed.len(),
        }
    }

    fn due(&mut self, device: usize) -> impl Iterator<Item = &mut Promise> {
        self.messages
            .iter_mut()
            .filter(move |promise| promise.device == device && promise.fate == Fate::Due)
    }
}

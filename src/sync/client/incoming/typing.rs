//! The clients that type now: transient messages tell them, and a client is forgotten when no further message
//! comes.
//!
//! The protocol has no command for typing. Apps use a transient message of a type of their own, and so do two
//! engines: see [`typing_content`]. Other receivers need not understand it, because it is not kept.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{ClientId, Json, Message, MessageContent};
use crate::store::{ConversationNumber, StoreError};
use crate::sync::client::{Client, Turn};

/// The clients that write, by conversation.
pub type TypingClients = BTreeMap<ConversationNumber, Vec<ClientId>>;

/// Somebody who is not heard of again for so long does not write any more.
pub(in crate::sync::client) const EXPIRES_AFTER: Duration = Duration::from_secs(6);

/// The most writers that are known at a time: more are not heard.
const WRITERS_MAX: usize = 256;

/// The type number of the envelope: positive numbers are those of apps.
const KIND: i32 = 1_952_805_223;

/// The clients that were heard to write, and when that ends.
#[derive(Debug, Default)]
pub(in crate::sync::client) struct Writers {
    until: BTreeMap<(ConversationNumber, ClientId), Duration>,
    has_changed: bool,
}

/// The content that says that somebody writes, or stopped.
pub(in crate::sync::client) fn typing_content(is_on: bool) -> Option<MessageContent> {
    let text = format!(r#"{{"_lctype":{KIND},"typing":{is_on}}}"#);
    let envelope = Json::parse(text).ok()?;
    Some(MessageContent::Custom {
        kind: KIND,
        envelope,
    })
}

/// True if a transient message says that its sender writes; none where the message says something else.
fn says_typing(message: &Message) -> Option<bool> {
    [true, false]
        .into_iter()
        .find(|is_on| typing_content(*is_on).as_ref() == Some(&message.content))
}

impl Writers {
    fn hear(&mut self, key: (ConversationNumber, ClientId), until: Option<Duration>) {
        let before = match until {
            Some(_) if self.until.len() >= WRITERS_MAX && !self.until.contains_key(&key) => return,
            Some(until) => self.until.insert(key, until),
            None => self.until.remove(&key),
        };
        self.has_changed |= before.is_some() != until.is_some();
    }

    pub(in crate::sync::client) fn expire(&mut self, now: Duration) {
        let before = self.until.len();
        self.until.retain(|_, until| *until > now);
        self.has_changed |= self.until.len() != before;
    }

    pub(in crate::sync::client) fn forget_connection(&mut self) {
        self.has_changed |= !self.until.is_empty();
        self.until.clear();
    }

    pub(in crate::sync::client) fn wake(&self, wakes: &mut Vec<Duration>) {
        wakes.extend(self.until.values().min());
    }

    /// The clients that write, if they changed since the last call.
    pub(in crate::sync::client) fn news(&mut self) -> Option<TypingClients> {
        std::mem::take(&mut self.has_changed).then(|| {
            let mut typing = TypingClients::new();
            for (number, client) in self.until.keys() {
                typing.entry(*number).or_default().push(client.clone());
            }
            typing
        })
    }
}

impl Client {
    /// Takes a transient message about typing. False for any other message.
    pub(in crate::sync::client) fn typing_came(
        &mut self,
        turn: &Turn<'_, '_>,
        message: &Message,
    ) -> Result<bool, StoreError> {
        let Some(is_on) = says_typing(message) else {
            return Ok(false);
        };
        let known = turn.overlay.snapshot().number(&message.conversation)?;
        if let Some(number) = known.filter(|_| message.sender != *self.me()) {
            let until = turn.elapsed().saturating_add(EXPIRES_AFTER);
            let key = (number, message.sender.clone());
            self.writers.hear(key, is_on.then_some(until));
        }
        Ok(true)
    }

    /// A client that sent a message does not write any more.
    pub(in crate::sync::client) fn stopped_typing(
        &mut self,
        number: ConversationNumber,
        sender: &ClientId,
    ) {
        self.writers.hear((number, sender.clone()), None);
    }
}
